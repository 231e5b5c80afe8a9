"""Compute recurrent layers with PyTorch or Keras, from weights as they stand in a file, and compare."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilstm.backend.errors import CheckpointError
from minilstm.training.weights.layouts import TORCH, Arrays, cell_of, to_ours

LENGTHS = (((7, 7, 7), "post"), ((7, 4, 1), "post"), ((2, 7, 5), "pre"))        # of the three forwards, T = 7
TOLERANCE = 1e-3                # of the largest output; rounding stays far below it


def compared(layout: str, layers: list[tuple[Any, list[Arrays]]]) -> str:
    """Return in words how far three forwards are from the other library's, which reads each sequence alone, unpadded.

    ``layers``: recurrent layers, each with their weights by direction and role. Raises CheckpointError if they differ.
    """
    worst, rng, name = 0.0, np.random.default_rng(0), {"torch": "PyTorch", "keras": "Keras"}[layout]
    for layer, ways in layers:
        state = {key + end: array for way, end in zip(ways, ("", "_reverse"))
                 for key, array in to_ours(layout, layer, way).items()}
        H, dtype = state["W"].shape[1] // len(cell_of(layer).gates), np.result_type(np.float32, state["W"])
        kind = {"nonlinearity": layer.nonlinearity} if hasattr(layer, "nonlinearity") else {}
        ours = type(layer)(len(state["W"]) - H, H, bidirectional=len(ways) > 1, dtype=dtype, **kind)
        ours.load_state_dict(state)
        try:
            theirs = (_torch if layout == "torch" else _keras)(ours, ways, dtype.name, kind)
        except ImportError:
            return f"not compared with {name}, which is not installed"
        for lengths, padding in LENGTHS:
            x = rng.standard_normal((3, 7, ours.input_size)).astype(dtype)
            y = ours(x, lengths=lengths, padding=padding)
            for row, n in enumerate(lengths):
                real = slice(0, n) if padding == "post" else slice(7 - n, 7)
                want = theirs(x[row:row + 1, real])
                worst = max(worst, float(np.abs(y[row, real] - want[0]).max() / max(1.0, np.abs(want).max())))
    if not worst <= TOLERANCE:
        raise CheckpointError(f"gives outputs that are off by {worst:.1e} from {name}'s")
    return f"three forwards with {name}: largest difference {worst:.1e}"


def _torch(layer: Any, ways: list[Arrays], dtype: str, kind: dict[str, str]) -> Any:
    import torch
    twin = getattr(torch.nn, type(layer).__name__)(
        layer.input_size, layer.hidden_size, batch_first=True, bias="bias" in ways[0], bidirectional=len(ways) > 1,
        dtype=getattr(torch, dtype), **kind)
    twin.load_state_dict({f"{TORCH[role]}_l0{end}": torch.tensor(way[role].copy())
                          for way, end in zip(ways, ("", "_reverse")) for role in way})
    return lambda x: twin(torch.tensor(x))[0].detach().numpy()


def _keras(layer: Any, ways: list[Arrays], dtype: str, kind: dict[str, str]) -> Any:
    import keras
    twin = getattr(keras.layers, cell_of(layer).keras)(layer.hidden_size, return_sequences=True, use_bias="bias" in ways[0],
                                                       dtype=dtype, **{"activation": name for name in kind.values()})
    twin = keras.layers.Bidirectional(twin, dtype=dtype) if len(ways) > 1 else twin
    twin.build((1, None, layer.input_size))
    twin.set_weights([way[role] for way in ways for role in ("kernel", "recurrent", "bias") if role in way])
    return lambda x: keras.ops.convert_to_numpy(twin(keras.ops.convert_to_tensor(x)))
