"""Find the place of each tensor in a model.

Tensors' names group them into layers, which fill the recurrent levels, Embeddings and Linears of the same shapes. Among
layers of one shape the order of the file decides, or else the numbers in their names; beyond that nothing is guessed.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.errors import CheckpointError
from minilstm.layers.embedding import Embedding
from minilstm.layers.linear import Linear
from minilstm.layers.module import Module
from minilstm.training.weights.layouts import Arrays, cell_of, to_theirs
from minilstm.training.weights.pickles import BFLOAT16
from minilstm.training.weights.sources import Source

NAMES = {"torch": re.compile(r"(?:(?P<layer>.*)\.)?(?P<role>(?:weight|bias)(?:_[ih]h)?)(?:_l(?P<level>\d+))?"
                             r"(?P<way>_reverse)?"),
         "keras": re.compile(r"(?P<layer>.+?)(?P<level>)(?:/(?P<way>forward|backward)_\w*)?(?:/\w*(?P<cell>cell)(?:_\d+)?)?"
                             r"(?:/vars)?/(?P<role>\d|kernel|recurrent_kernel|bias|embeddings)(?::0)?")}
ROLES = {"kernel": "weight weight_ih kernel embeddings cellkernel 0 cell0", "bias": "bias bias_ih cellbias 1 cell2",
         "recurrent": "weight_hh recurrent_kernel cellrecurrent_kernel cell1", "bias_h": "bias_hh"}
NEEDED = {"time_major": False, "stateful": False, "reset_after": True, "merge_mode": "concat",
          "recurrent_activation": "sigmoid"}        # what our cells compute, in Keras' words
Shapes = dict[str, tuple[int, ...]]


class Place(NamedTuple):
    """What a layer of a file can fill: an Embedding, a Linear, or one level of a recurrent layer."""

    name: str                   # of our layer
    layer: Any
    ends: tuple[str, ...]       # of its parameters' names, one for each direction
    level: int

    def shapes(self, layout: str) -> Shapes:
        """Return the shape of each role in a layout."""
        W, b = (np.broadcast_to(np.float32(0), self.layer.params[name + self.ends[0]].shape)
                if name + self.ends[0] in self.layer.params else None for name in "Wb")
        assert W is not None
        return _shapes(to_theirs(layout, self.layer, W, b))


class Found(NamedTuple):
    """A layer of a file: its arrays by role for each direction, and its tensors' names and shapes in words."""

    name: str
    ways: list[Arrays]
    words: str


def layout_of(source: Source) -> str:
    """Return "keras" where names are paths, else "torch"."""
    return "keras" if any("/" in name for name in source.tensors) else "torch"


def places(model: Module) -> list[Place]:
    """Return the places of a model, in its order. Raises CheckpointError for weights of other kinds of layers."""
    found = []
    for name, layer in model.modules():
        for level in range(getattr(layer, "num_layers", 1) if layer.params else 0):
            if not cell_of(layer) and not isinstance(layer, (Embedding, Linear)):
                raise CheckpointError(f"cannot fill {name} {layer!r}, which has no counterpart in other libraries")
            end = f"_l{level}" * (level > 0)
            both = f"W{end}_reverse" in layer.params
            found.append(Place(name, layer, (end, f"{end}_reverse") if both else (end,), level))
    return found


def layers_of(source: Source) -> list[Found]:
    """Return the layers of a file in its order. Raises CheckpointError, with its shape, for what is no weight."""
    found: dict[tuple[str, str], dict[bool, dict[str, np.ndarray]]] = {}
    words: dict[tuple[str, str], list[str]] = {}
    for name, array in source.tensors.items():
        match = NAMES[layout_of(source)].fullmatch(name)
        if match is None or array.dtype.kind != "f" and array.dtype != BFLOAT16:
            raise CheckpointError(f"{name} {array.shape}, {array.dtype}, is no weight of a plain RNN, GRU, LSTM, embedding "
                                  "or dense layer")
        key, given = (match["layer"] or "", match["level"] or ""), (match.groupdict().get("cell") or "") + match["role"]
        role = next(role for role, names in ROLES.items() if given in names.split())
        way = found.setdefault(key, {}).setdefault(match["way"] in ("_reverse", "backward"), {})
        words.setdefault(key, []).append(f"{name} {array.shape}")
        if role in way:
            raise CheckpointError(f"has two tensors for one place: {', '.join(words[key])}")
        if array.dtype.itemsize == 2:
            array = array.astype("<f4") if array.dtype.kind == "f" else (array["bfloat16"].astype("<u4") << 16).view("<f4")
        way[role] = array
    return [Found(key[0], [ways[back] for back in sorted(ways)], ", ".join(words[key])) for key, ways in found.items()]


def paired(model: Module, source: Source) -> list[tuple[Place, Found]]:
    """Return what fills each place of a model. Raises CheckpointError unless all fits and everything is filled."""
    layout, pairs, left = layout_of(source), [], layers_of(source)
    if not source.ordered:
        left.sort(key=lambda layer: [int(digits) for digits in re.findall(r"\d+", layer.name)])
    for place in places(model):
        want = place.shapes(layout)
        into = f"{place.name} {place.layer!r} of the model, which takes {want}" + " twice" * (len(place.ends) > 1)
        fit = [layer for layer in left if len(layer.ways) == len(place.ends)
               and all(_shapes(way).get(role) == want.get(role) for way in layer.ways for role in ("kernel", "recurrent"))]
        if not fit:
            raise CheckpointError(f"has nothing for {into}, but {'; '.join(layer.words for layer in left)[:999]}")
        if not source.ordered and len({re.sub(r"_?\d+", "", layer.name) for layer in fit}) > 1:
            raise CheckpointError(f"does not say which comes first, {' or '.join(layer.name for layer in fit)}, of equal "
                                  "shapes; torch.save keeps the order")
        for way in map(_shapes, fit[0].ways):
            if not way.items() <= want.items() or not cell_of(place.layer) and way != want:
                raise CheckpointError(f"has {fit[0].words} for {into}")
        pairs.append((place, fit[0]))
        left.remove(fit[0])
    if left or not pairs:
        raise CheckpointError(f"has more than the model takes: {'; '.join(layer.words for layer in left)[:999]}")
    return pairs


def _shapes(arrays: Arrays) -> Shapes:
    return {role: array.shape for role, array in arrays.items()}


def check_configs(pairs: list[tuple[Place, Found]], source: Source) -> None:
    """Raise CheckpointError where Keras' options make another function of a recurrent layer."""
    cells = iter([place for place, _ in pairs if cell_of(place.layer)])
    for config in (entry["config"] | {"class_name": entry["class_name"]} for entry in source.configs):
        ways = [config[key] for key in ("layer", "backward_layer") if key in config] or [{"config": config}]
        place = next(cells) if "recurrent_initializer" in ways[0]["config"] else None
        for back, way in enumerate(ways):
            if place is None:
                continue
            name, layer, _, level = place
            needed = {**NEEDED, "activation": getattr(layer, "nonlinearity", "tanh"), "go_backwards": bool(back),
                      "class_name": cell_of(layer).keras,
                      "return_sequences": layer.return_sequences or level + 1 < layer.num_layers}
            given = {**config, **way, **way["config"]}
            wrong = [f"{key}={given[key]!r}" for key, value in needed.items() if given.get(key, value) != value]
            if wrong:
                raise CheckpointError(f"{config['name']} has {', '.join(wrong)}, which {name} {layer!r} of the model has not")
