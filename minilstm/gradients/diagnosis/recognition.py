"""Recognise a cell and its conventions from a forward: which argument is what, in which order, along which axes.

Shapes tell most of it: (D, 4H) can only be the four W_x side by side. What shapes leave open (the order of the gates, [h, x]
or [x, h], which way a square matrix lies) is tried; the reading whose forward gives the student's numbers to eight digits is
right.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from minilstm.gradients.diagnosis.derivation import CELLS, Cell
from minilstm.gradients.diagnosis.engine import Block, Upstream, Weights, forward
from minilstm.gradients.diagnosis.slips import wrong_forwards

Arrays = Mapping[str, np.ndarray]
STATE = re.compile(r"(?i)^(d?[hcas])s?_?(0|prev|init|t?_?minus_?1|tm1)?$|prev|init|state")
HEAD = re.compile(r"(?i)y|out|score|logit|^V$|vocab")
CELL_STATE = re.compile(r"(?i)^c|^s|cell|mem")
LETTERS = {"lstm": {"f": 0, "i": 1, "u": 1, "o": 2, "c": 3, "g": 3, "a": 3},
           "gru": {"r": 0, "z": 1, "u": 1, "n": 2, "h": 2, "c": 2, "g": 2},
           "rnn": {}}
# Usual orders: f i o c, i f o c, i f c o, f i c o; r z n, z r n.
USUAL = {(0, 1, 2, 3), (1, 0, 2, 3), (1, 0, 3, 2), (0, 1, 3, 2), (0, 1, 2), (1, 0, 2), (0,)}
MOST = 4000             # readings that are tried


class Source(NamedTuple):
    """Where x comes from: the argument ``name``, or the rows E[name] (``E`` is "": one-hot vectors) of token ids."""

    name: str
    axes: tuple[int, ...]       # where T, N and D are in it; of token ids, T and N
    N: int
    D: int
    tokens: bool = False
    E: str = ""
    absent: str = ""            # the axis that x lacks, "T" or "N"


class Role(NamedTuple):
    """What one argument is, whether its axes must be exchanged first, and its place among its like.

    ``kind``: "x", "E", "h0", "c0", "W_y", "b_y", "W", "W1" (a bias in the first row), "W_x", "W_h", "b", "b_h", "b4" (the
    GRU's four biases), "b_n" (its fourth); of one gate alone: "W/", "W_x/", ...; of all, one behind the other: "W#", ...;
    of all but the last, which has its own: "W&", ...
    """

    kind: str
    turned: bool = False
    place: int = 0


class Output(NamedTuple):
    """What one output is: "h", "c" or "scores" of all steps, or of the last one, or the "loss".

    ``axes``: where T, N and H are in it. ``divisor``: of the summed loss, in words.
    """

    state: str
    last: bool
    axes: tuple[int, ...]
    divisor: str = ""


@dataclass(frozen=True)
class Reading:
    """One reading of a forward's arguments."""

    cell: Cell
    source: Source
    roles: dict[str, Role]
    order: tuple[int, ...]              # the gate at each place
    h_first: bool                       # rows [h, x], not [x, h]
    sizes: tuple[int, int, int]         # N, D, H
    plausible: bool = True              # the order of the gates is that of the names, or a usual one
    targets: str = ""
    outputs: tuple[Output, ...] = ()

    def parts(self, name: str, array: np.ndarray) -> Iterator[tuple[Block, np.ndarray]]:
        """Yield the blocks of one argument, or of its gradient."""
        role, (N, D, H), G = self.roles[name], self.sizes, len(self.cell.gates)
        if role.kind == "x":
            axes = self.source.axes
            yield ("x", None), np.transpose(array.reshape(_three(array.shape, axes)), axes)
            return
        if role.kind in ("E", "b_y"):
            yield (role.kind, None), array if role.kind == "E" else array.reshape(-1)
            return
        if role.kind == "W_y":
            yield ("W_y", None), array.T if role.turned else array
            return
        if role.kind in ("h0", "c0"):
            yield (role.kind, None), (array.reshape(H, N).T if role.turned else array.reshape(N, H))
            return
        if role.kind == "b_n":
            yield ("b_h", G - 1), array.reshape(-1)
            return
        if role.kind.endswith("#"):
            for p, gate in enumerate(self.order):
                whole = replace(self, roles={name: Role(role.kind.replace("#", "/"), role.turned)}, order=(gate,))
                yield from whole.parts(name, array[p])
            return
        kind, suffix = role.kind.rstrip("/&"), role.kind[-1]
        gates = [self.order[role.place]] if suffix == "/" else list(self.order)[:G - 1 if suffix == "&" else G]
        width = len(gates) * H
        if kind in ("b", "b_h", "b4"):
            flat = array.reshape(-1)
            for p, gate in enumerate(gates):
                yield (("b" if kind == "b4" else kind), gate), flat[p * H:(p + 1) * H]
            if kind == "b4":
                yield ("b_h", G - 1), flat[G * H:]
            return
        matrix = array.reshape(width, -1).T if role.turned else array.reshape(-1, width)
        if kind == "W1":
            for p, gate in enumerate(gates):
                yield ("b", gate), matrix[0, p * H:(p + 1) * H]
            matrix = matrix[1:]
        for p, gate in enumerate(gates):
            columns = matrix[:, p * H:(p + 1) * H]
            if kind in ("W_x", "W_h"):
                yield (kind, gate), columns
            else:
                yield ("W_h", gate), columns[:H] if self.h_first else columns[D:]
                yield ("W_x", gate), columns[H:] if self.h_first else columns[:D]

    def weights(self, arrays: Arrays) -> Weights:
        """Return the arguments as the derivation has them."""
        (N, D, H), G = self.sizes, len(self.cell.gates)
        gates = {"W_x": np.zeros((G, D, H)), "W_h": np.zeros((G, H, H)), "b": np.zeros((G, H)), "b_h": np.zeros((G, H))}
        single: dict[str, Any] = {"h0": np.zeros((N, H)), "c0": np.zeros((N, H))}
        for name in self.roles:
            for (what, gate), part in self.parts(name, arrays[name]):
                if gate is None:
                    single[what] = part
                else:
                    gates[what][gate] = part
        if self.source.tokens:
            single["tokens"] = self.steps_of(arrays[self.source.name])
            single["x"] = (np.eye(D) if "E" not in single else single["E"])[single["tokens"]]
        return Weights(**single, **gates)

    def steps_of(self, ids: np.ndarray) -> np.ndarray:
        """Return token or class ids as (T, N)."""
        T, N = self.source.axes[:2]
        return ids[:, None] if ids.ndim == 1 else ids if T < N else ids.T

    def cut(self, arrays: Arrays, T: int) -> dict[str, np.ndarray]:
        """Return the arguments with the first T steps of x alone."""
        cut = dict(arrays)
        for name in filter(None, (self.source.name, self.targets)):
            x, (axis, of_n) = arrays[name], self.source.axes[:2]
            if x.ndim == 3 or x.ndim == 2 and x.dtype.kind in "iu":
                cut[name] = np.take(x, range(T), axis=axis if x.ndim == 3 else int(axis > of_n))
            elif axis == 0 or x.ndim == 1:
                cut[name] = x[:T].copy()
        return cut

    def upstreams(self, gradients: Sequence[np.ndarray | None], arrays: Arrays, T: int) -> dict[str, Upstream]:
        """Return the gradients of the outputs as those of each step's states; of a loss inside also wrong ones, by name."""
        N, _, H = self.sizes
        weights = self.weights(arrays)
        total = {"h": np.zeros((T, N, H)), "c": np.zeros((T, N, H)), "last_h": np.zeros((N, H)), "last_c": np.zeros((N, H))}
        every = {output.state for output in self.outputs if not output.last}
        if weights.W_y is not None:
            total["scores"] = np.zeros((T, N, weights.W_y.shape[1]))
        if any(output.state == "loss" for output in self.outputs):
            return self._of_loss(weights, arrays, T)
        for output, gradient in zip(self.outputs, gradients):
            if gradient is None:
                continue
            H = total[output.state].shape[2]
            if output.last:
                own = output.state != "scores" and (output.state in every or output.state == "c")
                place = total[f"last_{output.state}"] if own else total[output.state][-1]
                place += np.transpose(gradient.reshape(_unsqueezed(output.axes, (N, H))), output.axes)
            else:
                total[output.state] += np.transpose(gradient.reshape(_unsqueezed(output.axes, (T, N, H))), output.axes)
        if weights.W_y is not None:
            total["h"] = total["h"] + total["scores"] @ weights.W_y.T
        return {"": Upstream(**total)}

    def _of_loss(self, weights: Weights, arrays: Arrays, T: int) -> dict[str, Upstream]:
        """Return the gradient of softmax with cross-entropy, and how it is got wrong (slips.LOSSES)."""
        assert weights.W_y is not None
        N = self.sizes[0]
        p, y = _probabilities(weights, forward(self.cell, weights)), self.steps_of(arrays[self.targets])
        divisor = next(output.divisor for output in self.outputs if output.state == "loss")
        scale = 1.0 / DIVISORS[divisor](T, N)
        wanted = np.eye(p.shape[2])[y]
        made = {"": (p - wanted) * scale, "negated": (wanted - p) * scale, "p": p * scale,
                "squared": (p - wanted) * p * (1 - p) * scale}
        made |= {"sum": p - wanted} if divisor else {
            f"mean {name}": (p - wanted) / DIVISORS[name](T, N) for name in ("T", "N", "NT") if DIVISORS[name](T, N) > 1}
        made |= {"last": made[""] * (np.arange(T) == T - 1)[:, None, None], "p + y": (p + wanted) * scale}
        zero = np.zeros((T, N, self.sizes[2]))
        return {name: Upstream(scores @ weights.W_y.T, zero, zero[0], zero[0], scores) for name, scores in made.items()
                if not name or not np.array_equal(scores, made[""])}

    def words(self) -> str:
        """Return the conventions in words."""
        gates = self.cell.gates
        words = [{"LSTM": "an LSTM", "GRU": "a GRU", "RNN": "an RNN"}[self.cell.name]]
        words += self.cell.key.split(", ")[1:]
        if len(gates) > 1:
            words.append(f"gates in the order {', '.join(gates[k] for k in self.order)}")
        if any(role.kind.startswith("W") and "_" not in role.kind for role in self.roles.values()):
            words.append("rows [h, x]" if self.h_first else "rows [x, h]")
        if any(role.turned and role.kind.startswith("W") for role in self.roles.values()):
            words.append("W times columns")
        if self.source.tokens:
            words.append("tokens, embedded" if self.source.E else "tokens, one-hot")
        else:
            axes = "".join("TND"[list(self.source.axes).index(k)] for k in range(3))
            words.append("axes " + axes.replace(self.source.absent, ""))
        if any(output.state == "loss" for output in self.outputs):
            words.append("softmax and cross-entropy inside")
        return "; ".join(words)


def _three(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape of three axes: a missing N or T has size 1."""
    if len(shape) == 3:
        return shape
    full = list(shape)
    full.insert(axes[1] if axes == (0, 1, 2) else axes[0], 1)
    return tuple(full)


def _unsqueezed(axes: tuple[int, ...], sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of an array whose axes stand in another order, given their sizes."""
    shape = [0] * len(axes)
    for axis, size in zip(axes, sizes):
        shape[axis] = size
    return tuple(shape)


DIVISORS = {"": lambda T, N: 1, "NT": lambda T, N: T * N, "T": lambda T, N: T, "N": lambda T, N: N}


def recognise(arrays: Arrays, integers: Arrays, outputs: Sequence[np.ndarray]) -> Reading | None:
    """Return the reading of the named arguments with which a cell gives these outputs, or None.

    ``integers``: token ids and targets.
    """
    tried = 0
    for reading in _readings(arrays, integers):
        tried += 1
        if tried > MOST:
            break
        try:
            weights = reading.weights({**arrays, **integers})
            steps = forward(reading.cell, weights)
            found = _match(reading, weights, steps, integers, outputs)
        except (ValueError, IndexError):
            continue
        if found is not None:
            return found
    return None


def recognise_wrong(arrays: Arrays, integers: Arrays, outputs: Sequence[np.ndarray], deadline: float) -> Reading | None:
    """Return the reading of a forward that has an equation wrong, or None; its cell has the equations as they are."""
    likely = (one for one in _readings(arrays, integers) if one.plausible and "," not in one.cell.key)
    for reading in itertools.islice(likely, 60):
        weights = reading.weights({**arrays, **integers})
        for equations in wrong_forwards(reading.cell.key):
            if time.perf_counter() > deadline:
                return None
            try:
                found = _match(reading, weights, forward(reading.cell, weights, equations), integers, outputs)
            except (ValueError, IndexError, NameError, KeyError):
                continue
            if found is not None:
                return replace(found, cell=found.cell._replace(forward=equations))
    return None


def _probabilities(weights: Weights, steps: Sequence[dict[str, Any]]) -> np.ndarray:
    scores = _scores(weights, steps)
    p = np.exp(scores - scores.max(axis=2, keepdims=True))
    normal: np.ndarray = p / p.sum(axis=2, keepdims=True)
    return normal


def _scores(weights: Weights, steps: Sequence[dict[str, Any]]) -> np.ndarray:
    h = np.stack([values["h"] for values in steps])
    scores: np.ndarray = h @ weights.W_y + (0.0 if weights.b_y is None else weights.b_y)
    return scores


def _match(reading: Reading, weights: Weights, steps: list[dict[str, Any]], integers: Arrays,
           outputs: Sequence[np.ndarray]) -> Reading | None:
    """Return the reading with what its outputs are, or None if one of them is nothing that the cell has."""
    if weights.W_y is not None:
        for values, scores in zip(steps, _scores(weights, steps)):
            values["scores"] = scores
    targets, found = "", []
    for y in outputs:
        one = next(_forms(steps, y), None)
        if one is None and y.size == 1 and weights.W_y is not None:
            one, targets = _loss_form(reading, weights, steps, integers, float(y.reshape(-1)[0]))
        if one is None:
            return None
        found.append(one)
    return replace(reading, outputs=tuple(found), targets=targets)


def _loss_form(reading: Reading, weights: Weights, steps: list[dict[str, Any]], integers: Arrays,
               loss: float) -> tuple[Output | None, str]:
    p = _probabilities(weights, steps)
    T, N, V = p.shape
    for name, ids in integers.items():
        if name != reading.source.name and ids.size == T * N and ids.min() >= 0 and ids.max() < V:
            y = reading.steps_of(ids)
            total = -float(np.log(np.take_along_axis(p, y[..., None], axis=2)).sum())
            for divisor, count in DIVISORS.items():
                if np.isclose(total / count(T, N), loss, rtol=1e-9):
                    return Output("loss", False, (), divisor), name
    return None, ""


def _forms(steps: Sequence[dict[str, Any]], y: np.ndarray) -> Iterator[Output]:
    for state in ("h", "c", "scores"):
        if state not in steps[0]:
            continue
        every = np.stack([values[state] for values in steps])
        for last, reference in ((False, every), (True, every[-1])):
            for axes in itertools.permutations(range(reference.ndim)):
                shape = _unsqueezed(axes, reference.shape)
                if y.size == reference.size and _fit(y.shape, shape) and np.allclose(
                        np.transpose(y.reshape(shape), axes), reference, rtol=1e-8, atol=1e-10):
                    yield Output(state, last, axes)


def _fit(shape: tuple[int, ...], full: tuple[int, ...]) -> bool:
    """Return whether two shapes differ by axes of size 1 alone."""
    return tuple(n for n in shape if n > 1) == tuple(n for n in full if n > 1)


def _readings(arrays: Arrays, integers: Arrays) -> Iterator[Reading]:
    """Yield readings that the shapes allow, likely ones first."""
    for source in _sources(arrays, integers):
        rest = {name: a for name, a in arrays.items() if name not in (source.name, source.E)}
        for cell in CELLS.values():
            G = len(cell.gates)
            widths = {n for a in rest.values() for n in a.shape}
            for H in sorted({n for n in widths} | {n // G for n in widths if n % G == 0}):
                options = {name: list(_roles(name, a, source.N, source.D, H, G)) for name, a in rest.items()}
                if all(options.values()):
                    yield from _combined(cell, source, options, H)


def _sources(arrays: Arrays, integers: Arrays) -> Iterator[Source]:
    """Yield the candidates for x, likely ones first."""
    cubes = [name for name, a in arrays.items() if a.ndim == 3]
    for name in cubes:
        for axes in ((1, 0, 2), (0, 1, 2), (2, 1, 0), (2, 0, 1), (1, 2, 0), (0, 2, 1)):
            shape = arrays[name].shape
            yield Source(name, axes, shape[axes[1]], shape[axes[2]])
    for name, ids in integers.items():
        if ids.ndim not in (1, 2) or not ids.size or ids.min() < 0:
            continue
        for order in ((1, 0), (0, 1))[:ids.ndim]:
            N = 1 if ids.ndim == 1 else ids.shape[order[1]]
            for table, a in arrays.items():
                if a.ndim == 2 and a.shape[0] > ids.max() and re.search(r"(?i)^E|emb|table|vec", table):
                    yield Source(name, order, N, a.shape[1], True, table)
            for V in sorted({n for a in arrays.values() for n in a.shape if n > ids.max()}):
                yield Source(name, order, N, V, True)
    for name, a in itertools.islice(arrays.items(), 2):
        if a.ndim == 2 and not cubes:
            yield Source(name, (1, 0, 2), a.shape[0], a.shape[1], absent="T")       # (N, D): one step
            yield Source(name, (0, 1, 2), 1, a.shape[1], absent="N")                # (T, D): one sequence
            yield Source(name, (2, 1, 0), a.shape[1], a.shape[0], absent="T")       # (D, N): one step, columns


def _roles(name: str, a: np.ndarray, N: int, D: int, H: int, G: int) -> Iterator[Role]:
    shape = tuple(n for n in a.shape if n > 1) or (1,)
    states = [turned for turned, want in ((False, (N, H)), (True, (H, N))) if a.shape in (want, (1, *want), (*want, 1)) or
              N == 1 and a.shape == (H,)]
    if states and STATE.search(name):
        yield from (Role("state", turned) for turned in dict.fromkeys(states))
        return
    if HEAD.search(name):
        if a.ndim == 2 and min(a.shape) > 1:
            yield from (Role("W_y", turned) for turned in (False, True) if a.shape[turned] == H)
        if len(shape) == 1:
            yield Role("b_y")
    flat = {"b": G * H, "b/": H} | ({"b4": 4 * H, "b&": 2 * H} if G == 3 else {})
    for kind, size in flat.items():
        if shape == (size,) and not (kind == "b/" and G == 1):
            yield Role(kind)
    if a.ndim == 2:
        for kind, rows in (("W", H + D), ("W1", 1 + H + D), ("W_x", D), ("W_h", H)):
            for suffix, width in (("", G * H), ("/", H), ("&", (G - 1) * H)):
                if suffix and G == 1 or suffix == "&" and G != 3:
                    continue
                for turned, want in ((False, (rows, width)), (True, (width, rows))):
                    if a.shape == want:
                        yield Role(kind + suffix, turned)
    if a.ndim == 3 and a.shape[0] == G or a.ndim == 2 and a.shape == (G, H):
        yield from (role._replace(kind=role.kind.replace("/", "#")) for role in _roles("", a[0], N, D, H, G)
                    if role.kind.endswith("/"))
    yield from (Role("state", turned) for turned in dict.fromkeys(states))


def _combined(cell: Cell, source: Source, options: dict[str, list[Role]], H: int) -> Iterator[Reading]:
    G, sizes = len(cell.gates), (source.N, source.D, H)
    for chosen in itertools.islice(itertools.product(*options.values()), 64):
        roles: dict[str, Role] = {} if source.tokens else {source.name: Role("x")}
        roles |= {source.E: Role("E")} if source.E else {}
        groups: dict[str, list[str]] = {}
        for name, role in zip(options, chosen):
            groups.setdefault(role.kind, []).append(name)
            roles[name] = role._replace(place=len(groups[role.kind]) - 1)
        states = groups.pop("state", [])
        if cell.name == "GRU" and len(groups.get("b/", [])) == G + 1:
            roles[groups["b/"].pop()] = Role("b_n")
        for kind in [kind for kind in groups if kind.endswith("&") and len(groups.get(kind[:-1] + "/", [])) == 1]:
            last = groups.pop(kind[:-1] + "/")[0]
            roles[last] = roles[last]._replace(place=G - 1)
        wanted = {kind: G if kind.endswith("/") else 1 for kind in groups if kind != "b"}
        if len(states) > len(cell.states) or any(len(groups[kind]) != count for kind, count in wanted.items()):
            continue
        if len(groups.get("b", [])) > 2 or not _complete(set(groups)):
            continue
        for k, name in enumerate(groups.get("b", [])[1:]):
            roles[name] = Role("b_h")
        for k, name in enumerate(states):
            cellular = len(cell.states) > 1 and (k == 1 or len(states) == 1 and bool(CELL_STATE.search(name)))
            roles[name] = roles[name]._replace(kind="c0" if cellular else "h0")
        if len(states) == 2 and len(cell.states) > 1 and CELL_STATE.search(states[0]) and not CELL_STATE.search(states[1]):
            roles[states[0]], roles[states[1]] = roles[states[0]]._replace(kind="c0"), roles[states[1]]._replace(kind="h0")
        guess = _by_name(cell.name.lower(), groups, roles)
        orders = list(dict.fromkeys([*([guess] if guess else []), tuple(range(G)), *itertools.permutations(range(G))]))
        for order in orders:
            for h_first in ((True, False) if any(kind[:2] in ("W", "W/", "W1", "W#", "W&") for kind in groups) else (True,)):
                yield Reading(cell, source, roles, order, h_first, sizes, order == guess or not guess and order in USUAL)


def _complete(kinds: set[str]) -> bool:
    """Return whether both W_x and W_h are there, alone or in one matrix."""
    bare = {kind.rstrip("/#&") for kind in kinds}
    return bool(bare & {"W", "W1"}) != ({"W_x", "W_h"} <= bare)


def _by_name(key: str, groups: Mapping[str, list[str]], roles: dict[str, Role]) -> tuple[int, ...] | None:
    """Return the order of the gates by the letters in the names of their matrices; biases may stand in another order."""
    table, first = LETTERS[key], None
    for kind, names in groups.items():
        if not kind.endswith("/"):
            continue
        found = []
        for name in names:
            bare = re.sub(r"^(d|W|w|U|V|b|B|weights?|bias|_)+", "", name)
            letters = [one for one in bare + name[::-1] if one.lower() in table]
            found.append(table[letters[0].lower()] if letters else -1)
        if sorted(found) != list(range(len(found))):
            continue
        if first is None:
            first = tuple(found)
        else:
            for name, gate in zip(names, found):
                roles[name] = roles[name]._replace(place=first.index(gate))
    return first
