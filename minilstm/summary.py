"""``model.summary()``: a table of layers, output shapes and parameter counts.

Shapes are not computed by rules but seen: an input of zeros runs through the model in evaluation mode, and each layer says
what comes out. So it is right for a layer of your own too.
"""

from __future__ import annotations

import numpy as np

from minilstm.backend import asarray, backend_name
from minilstm.embedding import Embedding
from minilstm.errors import ArgumentError
from minilstm.module import Module, Sequential, Summary, modes_kept


def summarize(model: Module, input_shape: tuple[int, ...] | None = None) -> Summary:
    """Return the table. ``input_shape`` includes the batch axis; without it the column of output shapes is left out.

    Raises ArgumentError for an ``input_shape`` that is not a tuple of whole numbers, and what the layers raise where it
    does not fit them.
    """
    layers = list(model.children().items()) if isinstance(model, Sequential) else [("", model)]
    shapes = _output_shapes(model, [layer for _, layer in layers], input_shape)
    rows = [("layer", "output shape", "parameters")]
    counted: set[int] = set()
    for (name, layer), shape in zip(layers, shapes):
        shared = id(layer) in counted
        counted.add(id(layer))
        count = "shared" if shared else f"{layer.num_parameters():,}"
        rows.append((f"({name}) {type(layer).__name__}" if name else type(layer).__name__, shape, count))
    if input_shape is None:
        rows = [(first, "", last) for first, _, last in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}".rstrip() if widths[1] else
             f"{a:<{widths[0]}}  {c:>{widths[2]}}" for a, b, c in rows]
    rule = "-" * max(map(len, lines))
    numbers = model.named_parameters().values()
    size = sum(int(p.nbytes) for p in numbers)
    dtypes = ", ".join(sorted({str(p.dtype) for p in numbers})) or "none"
    total = f"{model.num_parameters():,} parameters, {size / 2**20:.2f} MiB ({dtypes})"
    return Summary("\n".join([lines[0], rule, *lines[1:], rule, total]))


def _output_shapes(model: Module, layers: list[Module], input_shape: tuple[int, ...] | None) -> list[str]:
    if input_shape is None:
        return [""] * len(layers)
    if not isinstance(input_shape, (tuple, list)) or not all(isinstance(n, (int, np.integer)) and n > 0 for n in input_shape):
        raise ArgumentError(f"input_shape: expected a tuple of sizes such as (64, 200), got {input_shape!r}")
    parameters = list(model.named_parameters().values())
    takes_tokens = bool(layers) and isinstance(next(iter(_leaves(layers[0]))), Embedding)
    dtype = np.int64 if takes_tokens else parameters[0].dtype if parameters else np.float32
    x = asarray(np.zeros(tuple(input_shape), dtype=dtype), backend_name(parameters[0]) if parameters else "numpy")
    shapes = []
    with modes_kept(model):
        model.eval()
        for layer in layers:
            x = layer(x)
            shapes.append(str(tuple(x.shape)))
    return shapes


def _leaves(module: Module) -> list[Module]:
    children = list(module.children().values())
    return [leaf for child in children for leaf in _leaves(child)] if children else [module]
