"""Find the place of each tensor in a model.

Tensors' names group them into layers, which fill the recurrent levels, Embeddings and Linears of the same
shapes. Among layers of one shape the order of the file decides, or else the numbers in their names; beyond
that nothing is guessed.
"""

from __future__ import annotations

import re

from minilstm.backend.errors import CheckpointError
from minilstm.layers.module import Module
from minilstm.layers.recurrent import Recurrent
from minilstm.training.weights.layouts import KERAS, WAYS, Place, places, to_theirs
from minilstm.training.weights.pickles import BFLOAT16
from minilstm.training.weights.sources import Source

# rnn.weight_ih_l0_reverse, layers/bidirectional/backward_layer/cell/vars/0, lstm_7/lstm_cell_2/kernel:0
NAME = re.compile(r"(?:(?P<layer>.+?)[./])??(?:(?P<way>forward|backward)_\w*/)?"
                  r"(?:\w*(?P<cell>cell)(?:_\d+)?/)?(?:vars/)?"
                  r"(?P<role>\w+?)(?:_l(?P<level>\d+))?(?P<reverse>_reverse)?(?::0)?")
ROLES = {name: role for role, names in {
    "kernel": "weight weight_ih kernel embeddings cellkernel 0 cell0",
    "bias": "bias bias_ih cellbias 1 cell2",
    "recurrent": "weight_hh recurrent_kernel cellrecurrent_kernel cell1", "bias_h": "bias_hh"}.items()
    for name in names.split()}
NEEDED = {"time_major": False, "stateful": False, "reset_after": True, "merge_mode": "concat",
          "recurrent_activation": "sigmoid"}        # what our cells compute, in Keras' words
UNUSED = {"mask_zero": False, "dropout": 0.0, "recurrent_dropout": 0.0, "rate": 0.0, "activation": "linear"}
Names = dict[str, str]      # of a layer's tensors, by role


def paired(model: Module, source: Source) -> list[tuple[Place, Names]]:
    """Return what fills each place of a model. Raises CheckpointError unless all fits and all is filled."""
    left, pairs = _layers(source), []
    if not source.ordered:
        left = dict(sorted(left.items(), key=lambda item: list(map(int, re.findall(r"\d+", item[0])))))
    for place in places(model):
        want = {role: array.shape for role, array in to_theirs(source.layout, place).items()}
        into = f"{place.name} {place.layer!r} of the model, which takes {want}"
        shapes = {key: {role: source.tensors[name].shape for role, name in left[key].items()} for key in left}
        fit = [key for key in left if _bare(shapes[key]) == _bare(want)]
        if not fit:
            raise CheckpointError(f"has nothing for {into}, but {source.words(*left.values())}")
        if not source.ordered and len({re.sub(r"_?\d+", "", key) for key in fit}) > 1:
            raise CheckpointError(f"does not say which comes first, {' or '.join(fit)}, of equal shapes; "
                                  "torch.save keeps the order")
        if shapes[fit[0]] not in (want, _bare(want) if isinstance(place.layer, Recurrent) else want):
            raise CheckpointError(f"has {source.words(left[fit[0]])} for {into}")
        pairs.append((place, left.pop(fit[0])))
    if left or not pairs:
        raise CheckpointError(f"has more than the model takes: {source.words(*left.values())}")
    return pairs


def _layers(source: Source) -> dict[str, Names]:
    found: dict[str, Names] = {}
    for name, array in source.tensors.items():
        match = NAME.fullmatch(name)
        role = ROLES.get((match["cell"] or "") + match["role"]) if match else None
        if not match or not role or array.dtype.kind != "f" and array.dtype != BFLOAT16:
            raise CheckpointError(f"{name} {array.shape}, {array.dtype}, is no weight of a plain RNN, GRU, "
                                  "LSTM, embedding or dense layer")
        role += WAYS[bool(match["reverse"]) or match["way"] == "backward"]
        layer = found.setdefault(f"{match['layer'] or ''}_l{match['level'] or ''}", {})
        if role in layer:
            raise CheckpointError(f"has two tensors for one place, {layer[role]} and {name}")
        layer[role] = name
    return found


def _bare(shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {role: shape for role, shape in shapes.items() if not role.startswith("bias")}


def unused_options(source: Source, filled: list[Place]) -> list[str]:
    """Return Keras' options that weights do not carry.

    Raises CheckpointError for those that make another function of a recurrent layer.
    """
    unused: list[str] = []
    cells = iter([place for place in filled if isinstance(place.layer, Recurrent)])
    for entry in source.configs:
        config, needed = entry["config"], dict[str, object]()
        ways = [config[key] for key in ("layer", "backward_layer") if key in config] or [entry]
        place = next(cells, None) if "return_sequences" in ways[0]["config"] else None
        for back, way in enumerate(ways):
            if place:
                layer = place.layer
                needed = {**NEEDED, "go_backwards": bool(back), "class_name": KERAS[layer.cell],
                          "activation": getattr(layer, "nonlinearity", "tanh"),
                          "return_sequences": layer.return_sequences or place.level + 1 < layer.num_layers}
            given = {**config, **way["config"], "class_name": way["class_name"]}
            other = {key: f"{config['name']} {key}={given[key]!r}"
                     for key, value in {**UNUSED, **needed}.items() if given.get(key, value) != value}
            wrong = [other[key] for key in other if key in needed]
            if wrong:
                raise CheckpointError(f"has {', '.join(wrong)}, but the model {layer!r}")
            unused += other.values()
    return unused
