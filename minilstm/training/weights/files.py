"""Load the weights of other libraries' files into a model, and save a model's for them."""

from __future__ import annotations

import copy
import io
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minilstm.backend.checks import check_choice
from minilstm.backend.errors import ArgumentError, CheckpointError
from minilstm.backend.paths import as_path
from minilstm.layers.module import Module
from minilstm.training.atomic_write import PathLike, atomic_write
from minilstm.training.weights.layouts import TORCH, places, steps, to_ours, to_theirs
from minilstm.training.weights.matching import paired, unused_options
from minilstm.training.weights.sources import Source, read_source
from minilstm.training.weights.twins import compared


def load_weights(path: PathLike, model: Module, *, compare: bool = True) -> None:
    """Copy the weights in a file of PyTorch or Keras into ``model``, and print what went where.

    Files are told apart by what is in them: .pt and .pth (a state_dict, alone or in a checkpoint), .npz,
    .safetensors, .keras, .weights.h5 and Keras 2's .h5. No code in them is run. They hold weights of RNN, GRU
    (Keras: reset_after=True), LSTM, Embedding and dense layers; the model says what happens between.

    Args:
        path: the file.
        model: on any backend, of any dtype.
        compare: where the other library is installed, three forwards of each recurrent layer are compared.

    Raises CheckpointError, naming tensors and shapes, unless the whole file fits and fills the whole model,
    which is then unchanged.

    >>> import os, tempfile
    >>> import minilstm as ml
    >>> trained, model = ml.LSTM(4, 8, rng=0), ml.LSTM(4, 8, rng=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "weights.npz")
    ...     ml.save_weights(trained, path)
    ...     ml.load_weights(path, model, compare=False)                     # doctest: +ELLIPSIS
    NumPy's .npz
      weight_ih_l0 (32, 4), ... -> W (12, 32), b (32,): transposed, gates ifco -> fioc, ..., biases added
    """
    path = as_path("load_weights", path)
    try:
        words = fill(model, read_source(path, sum(p.nbytes for p in model.parameters())), compare)
    except CheckpointError as error:
        raise CheckpointError(f"{os.fspath(path)}: {error}") from None
    print(words)


def fill(model: Module, source: Source, compare: bool) -> str:
    """Copy a source's weights into a model; return in words what went where. Raises CheckpointError first."""
    pairs, layout, lines = paired(model, source), source.layout, [source.format]
    ignored = source.ignored + unused_options(source, [place for place, _ in pairs])
    state: dict[str, np.ndarray] = {}
    for place, names in pairs:
        ours = to_ours(layout, place, source.arrays(names))
        words = ", ".join(f"{name} {array.shape}" for name, array in ours.items())
        lines.append(f"{source.words(names)} -> {words}: {steps(layout, place.layer)}".removesuffix(": "))
        state |= ours
    if ignored:
        lines.append(f"ignored: {', '.join(ignored)}")
    kinds = {(array.dtype.names or [array.dtype.name])[0] for array in source.tensors.values()}
    dtypes = {np.dtype(p.dtype).name for p in model.parameters()}
    if kinds != dtypes:
        lines.append(f"{', '.join(sorted(kinds))} converted to {', '.join(dtypes)}")
    if compare:
        twin = copy.deepcopy(model).to("numpy", np.float64).eval()
        twin.load_state_dict(state)
        lines += compared(layout, twin, [(place.name, source.arrays(names)) for place, names in pairs])
    model.load_state_dict(state)
    return "\n  ".join(lines)


def save_weights(model: Module, path: PathLike, layout: str = "torch", *,
                 names: Mapping[str, str] | None = None) -> None:
    """Write a model's weights as PyTorch or Keras lays them out, so that its twin there loads them.

    Args:
        model: RNN, GRU, LSTM, Embedding and Linear layers, and layers without weights.
        path: NAME.safetensors, NAME.npz or, for Keras, NAME.weights.h5.
        layout: "torch", for ``load_state_dict``; "keras", for ``load_weights`` of a model with these layers.
        names: with "torch", what our layers are called there, such as {"0": "embed", "1": "lstm"}.

    Raises ArgumentError for another layout or ending, CheckpointError where the file cannot be written.
    """
    path = as_path("save_weights", path)
    check_choice("layout", layout, ("torch", "keras"))
    arrays: dict[str, Any] = {name: np.ascontiguousarray(a) for name, a in _named(model, layout, names or {})}
    buffer = io.BytesIO()
    try:
        if path.suffix == ".safetensors":
            from safetensors.numpy import save
            buffer.write(save(arrays, {"format": "pt"}))
        elif path.suffix == ".npz":
            np.savez(buffer, **arrays)
        elif path.suffixes[-2:] == [".weights", ".h5"] and layout == "keras":
            import h5py
            with h5py.File(buffer, "w") as root:
                for name, array in arrays.items():
                    root[name] = array
        else:
            raise ArgumentError("save_weights: expected .safetensors, .npz or, with layout 'keras', "
                                f".weights.h5, got {path}")
        atomic_write(path, [buffer.getvalue()])
    except (OSError, ImportError) as error:
        raise CheckpointError(f"{path}: cannot be written: {error}") from None


def _named(model: Module, layout: str, names: Mapping[str, str]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, array) as PyTorch names modules' parameters, or as Keras numbers layers of one class."""
    numbers = Counter[str]()
    for place in places(model):
        cell, two = getattr(place.layer, "cell", ""), len(place.ends) > 1
        kind = "bidirectional" if two else {"RNN": "simple_rnn", "Linear": "dense"}.get(
            type(place.layer).__name__, type(place.layer).__name__.lower())
        number = f"_{numbers[kind]}" * (numbers[kind] > 0)
        numbers[kind] += 1
        for at, (role, array) in enumerate(to_theirs(layout, place).items()):
            role, way = role.removesuffix("_reverse"), "_reverse" * role.endswith("_reverse")
            if layout == "torch":
                own = f"{TORCH[role]}_l{place.level}{way}" if cell else role.replace("kernel", "weight")
                yield f"{names.get(place.name, place.name)}.{own}".lstrip("."), array
            else:
                inner = f"/{'backward' if way else 'forward'}_layer" * two + "/cell" * bool(cell)
                yield f"layers/{kind}{number}{inner}/vars/{at % 3}", array
