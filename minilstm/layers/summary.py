"""The table that ``model.summary()`` returns: layers, output shapes and parameter counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from minilstm.backend.arrays import Array


class Summary(str):
    """A table as text that also shows as text when it is the last line of a notebook cell."""

    def __repr__(self) -> str:
        return str(self)


def summarize(layers: Sequence[tuple[str, Any]], shapes: Sequence[str] | None, parameters: Mapping[str, Array]) -> Summary:
    """Return the table.

    Args:
        layers: (name, module) in the order of the forward; a module that occurs twice is counted once.
        shapes: of each layer's output; None: the column is left out.
        parameters: of the whole model, by name.
    """
    rows = [("layer", "output shape", "parameters")]
    counted: set[int] = set()
    for (name, layer), shape in zip(layers, shapes or [""] * len(layers)):
        count = "shared" if id(layer) in counted else f"{layer.num_parameters():,}"
        counted.add(id(layer))
        described = type(layer).__name__ if layer.children() else repr(layer)       # with layers, directions, dropout
        rows.append((f"({name}) {described}" if name else described, shape, count))
    if shapes is None:
        rows = [(first, "", last) for first, _, last in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}".rstrip() if widths[1] else
             f"{a:<{widths[0]}}  {c:>{widths[2]}}" for a, b, c in rows]
    rule = "-" * max(map(len, lines))
    numbers = parameters.values()
    size = sum(int(p.nbytes) for p in numbers)
    dtypes = ", ".join(sorted({str(p.dtype) for p in numbers})) or "none"
    total = f"{sum(int(p.size) for p in numbers):,} parameters, {size / 2**20:.2f} MiB ({dtypes})"
    return Summary("\n".join([lines[0], rule, *lines[1:], rule, total]))
