"""Arrays for a forward of which only the names of its arguments are known.

``Wx`` is a matrix from D inputs, ``h0`` a state, ``bf`` one gate's bias. What names leave open (batch or time
first, rows or columns, how many gates stand side by side) is tried in a fixed order, with sizes that all
differ; the first arrangement that forward and backward accept is taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from minilstm.gradients.targets.names import INPUT, short_name

SIZES = {"N": 2, "T": 4, "D": 3, "H": 5, "V": 7}
# Names in lower case, without underscores.
TARGET = re.compile("^(y|ys|yt|t|targets?|labels?|ytrue)$")
STATE = re.compile("^(h|a|c|s|hidden|cell|state|memory)(0|init|prev|last)$|"
                   "^(hidden|cell|state|memory)(state|h|c)?$|"
                   "^(prev|init|initial|last)(h|a|c|s|state|hidden|cell)$|^[ha]$")
STORE = re.compile("^(p|params?|parameters|weights?|theta|model)$")
EMBEDDING = re.compile("^(e|w?emb.*)$")
LAST = re.compile("^[wbv](h?y|ya|ay|out|output|score|logits?|d|fc)$|^v$")
BIAS = re.compile("^b|bias$|^c[a-z]?$")
MATRIX = re.compile("^[wurk]|kernel|weight")
SIZE_NAMES = {
    "D": "d|n?x|nx|xdim|n?in|n?inputs?|(input|embed|embedding|in)(size|dim|features)|n?features|size|dim",
    "H": "h|n?h|n?a|n?hidden|hiddens?(size|dim|units)|n?cells|memcellct|state(size|dim)|n?units|numunits|"
         "outfeatures",
    "V": "v|o|n?y|n?out|n?outputs?|(output|word)(size|dim)|vocab(ulary)?(size|dim)?|(n|num)?classes",
    "T": "t|seqlen(gth)?|sequencelength|n?steps|(num|time)steps|bptt", "N": "n|m|batch(size)?"}


class Layout(NamedTuple):
    """The axes of x, of a state and of a bias; how matrices lie, which gates they hold, what they read."""

    x: str              # "NTD", "DN", ...; "NT" and "T" are token ids
    state: str          # "NH", "HN", "H"; "1" is an axis of length 1
    bias: str           # "k", "k1" or "1k"
    tokens: str         # "array" or "list" of ids, or "" for numbers
    columns: bool       # W x, with W of shape (out, in); else x W
    # what W and what U (or R) multiply, where their names do not say it: "DH" is [h, x]
    reads: tuple[str, str]
    gates: int          # in one matrix
    stacked: bool       # one behind the other, (gates, in, out), not side by side


def layouts(x: str | None = None) -> Iterator[Layout]:
    """Yield all arrangements, the usual ones first; only those whose x has these axes if ``x`` is given."""
    arrangements = [
        ("NTD", "NH", "k"), ("TND", "NH", "k"), ("DNT", "HN", "k1"), ("TDN", "HN", "k1"), ("ND", "NH", "k"),
        ("DN", "HN", "k1"), ("TD", "H", "k"), ("TD1", "H1", "k1"), ("D1", "H1", "k1"), ("NTD", "NH", "1k"),
        ("TND", "NH", "1k"), ("ND", "NH", "1k"), ("D", "H", "k"), ("NT", "NH", "k"), ("TN", "NH", "k"),
        ("T", "H1", "k1"), ("T", "H", "k"), ("T", "1H", "1k")]
    for axes, state, bias in arrangements:
        tokens = ("list", "array") if axes == "T" else ("array",) if axes in ("NT", "TN") else ("",)
        if x not in (None, axes):
            continue
        columns, reads = (True,) if bias == "k1" else (False, True), (("DH", "H"), ("D", "H"), ("H", "D"))
        gates = ((1, False), (2, False), (3, False), (4, False), (3, True), (4, True))
        for kind, column, read, (count, stacked) in product(tokens, columns, reads, gates):
            yield Layout(axes, state, bias, kind, column, read, count, stacked)


class OnDemand(dict[str, Any]):
    """A dict of parameters that makes an array for each name it is asked for."""

    def __init__(self, make: Callable[[str], Any]) -> None:
        super().__init__()
        self.make = make

    def __missing__(self, key: str) -> Any:
        self[key] = self.make(key)
        return self[key]


class Maker:
    """Makes the arrays of one layout. ``names``: all arguments; one can tell what another means. ``ids``: the
    one that is token ids, whatever it is called."""

    def __init__(self, layout: Layout, names: list[str], sizes: Mapping[str, int],
                 given: Mapping[str, tuple[int, ...]], seed: int, ids: str = "") -> None:
        self.ids, self.layout, self.given, self.sizes = ids, layout, given, {**sizes, "1": 1}
        self.names = [short_name(name) for name in names]
        self.rng, self.asked = np.random.default_rng(seed), set(names)     # and, later, the keys of a dict
        if layout.tokens and not any(EMBEDDING.match(name) for name in self.names):
            self.sizes["D"] = sizes["V"]        # one-hot vectors

    def make(self, name: str) -> Any:
        """Return the value of an argument. Raises KeyError for a name that says nothing."""
        short, axes = short_name(name), self.layout.x
        self.asked.add(name)
        self.names.append(short)        # the keys of a dict are only known when they are asked for
        is_target, is_input = TARGET.match(short), name == self.ids or INPUT.match(short)
        if name in self.given and name != self.ids:
            return self._numbers(self.given[name])
        if is_target:
            axes = axes.replace("D", "").replace("1", "")
        elif STORE.match(short):
            return OnDemand(self.make)
        elif not is_input:
            return self._numbers(self._shape(name, short))
        shape = self.given.get(name, [self.sizes[axis] for axis in axes])
        if is_target or self.layout.tokens or name == self.ids:
            ids = self.rng.integers(self.sizes["V"], size=shape)
            return ids.tolist() if self.layout.tokens == "list" else ids
        return self._numbers(shape)

    def _numbers(self, shape: Sequence[int]) -> np.ndarray:
        return 0.5 * self.rng.standard_normal(shape)

    def _shape(self, name: str, short: str) -> list[int]:
        H, V, layout = self.sizes["H"], self.sizes["V"], self.layout
        if EMBEDDING.match(short):
            return [V, self.sizes["D"]]
        # else c is a second bias
        if STATE.match(short) or short in "cs" and {"h", "a"} & set(self.names):
            return [self.sizes[axis] for axis in layout.state]
        if LAST.match(short):
            return self._bias(V) if short.startswith("b") else [V, H] if layout.columns else [H, V]
        one_gate = short.startswith("cand")
        width = 1 if one_gate or layout.stacked else layout.gates
        stack = [layout.gates] if layout.stacked and not one_gate else []
        if BIAS.search(short):
            return [*stack, *self._bias(width * H)]
        if not MATRIX.search(short):
            raise KeyError(name)
        read = self._read(short)
        # [1, h, x]
        ones = int(read == "DH" and not any(BIAS.search(other) or STORE.match(other) for other in self.names))
        rows = sum(self.sizes[part] for part in read) + ones
        return [*stack, *([width * H, rows] if layout.columns else [rows, width * H])]

    def _bias(self, size: int) -> list[int]:
        return {"k": [size], "k1": [size, 1], "1k": [1, size]}[self.layout.bias]

    def _read(self, short: str) -> str:
        """Return what a matrix multiplies: "D", "H", or "DH" for [h, x]."""
        rest = re.sub("^[wurk](?!e)|kernel|weights?|lstm|gru|rnn|recurrent", "", short)
        if "recurrent" in short or rest in ("hh", "aa"):
            return "H"
        if "x" in rest or rest == "ih" and "wix" not in self.names:
            return "D"
        beside_x = any(re.match("^[wu]x", name) for name in self.names)
        if rest == "h" and beside_x or re.match("^(h.|.h)$", rest):
            return "H"
        if any("recurrent" in name for name in self.names):
            return "D"
        return self.layout.reads[short.startswith(("u", "r"))]


def size_of(name: str) -> str | None:
    """Return which size a constructor's argument is ("H" for hidden_size); None if its name does not tell."""
    short = short_name(name)
    return next((size for size, names in SIZE_NAMES.items() if re.fullmatch(names, short)), None)
