"""The table that ``model.summary()`` returns: layers, output shapes and parameter counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilstm.backend.arrays import asarray, backend_name
from minilstm.backend.errors import ArgumentError
from minilstm.backend.passes import evaluating


class Summary(str):
    """A table as text that also shows as text when it is the last line of a notebook cell."""

    def __repr__(self) -> str:
        return str(self)


def layer_rows(model: Any, input_shape: tuple[int, ...] | None) -> list[tuple[str, str, str]]:
    """Return (layer, output shape, parameters) of a Module's layers in the order of the forward.

    A layer is counted once. With ``input_shape``, an input of zeros is run through the layers in evaluation
    mode; without it shapes are empty. Raises ArgumentError.
    """
    layers = model.chain()
    modules = [layer for _, layer in layers]
    shapes = None if input_shape is None else _output_shapes(model, modules, input_shape)
    rows = []
    counted: set[int] = set()
    for (name, layer), shape in zip(layers, shapes or [""] * len(layers)):
        count = "shared" if id(layer) in counted else f"{layer.num_parameters():,}"
        counted.add(id(layer))
        described = type(layer).__name__ if layer.children() else repr(layer)   # which shows its arguments
        rows.append((f"({name}) {described}" if name else described, shape, count))
    return rows


def summarize(model: Any, input_shape: tuple[int, ...] | None) -> Summary:
    """Return ``layer_rows`` and the totals as text."""
    rows = [("layer", "output shape" if input_shape is not None else "", "parameters"),
            *layer_rows(model, input_shape)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}".rstrip() if widths[1] else
             f"{a:<{widths[0]}}  {c:>{widths[2]}}" for a, b, c in rows]
    rule = "-" * max(map(len, lines))
    numbers = model.parameters()
    size = sum(int(p.nbytes) for p in numbers)
    dtypes = ", ".join(sorted({str(p.dtype) for p in numbers})) or "none"
    total = f"{sum(int(p.size) for p in numbers):,} parameters, {size / 2**20:.2f} MiB ({dtypes})"
    return Summary("\n".join([lines[0], rule, *lines[1:], rule, total]))


def _output_shapes(model: Any, layers: list[Any], input_shape: tuple[int, ...]) -> list[str]:
    if not isinstance(input_shape, (tuple, list)) or not all(
            isinstance(n, (int, np.integer)) and n >= 1 for n in input_shape):
        raise ArgumentError(f"input_shape: expected a tuple of sizes such as (64, 200), got {input_shape!r}")
    like = next(iter(model.parameters()), np.zeros(0, np.float32))
    first = next((module for _, module in model.modules() if not module.children()), model)
    dtype = np.int64 if first.takes_tokens else like.dtype
    x = asarray(np.zeros(tuple(input_shape), dtype), backend_name(like))
    shapes = []
    with evaluating():
        for layer in layers:
            x = layer(x)
            shapes.append(str(tuple(x.shape)))
    return shapes
