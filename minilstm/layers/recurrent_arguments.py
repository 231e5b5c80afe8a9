"""What a recurrent layer is given: checked and converted before anything is computed or changed.

States are stacked as PyTorch stacks them, (num_layers · directions, N, H): layer 0 forward, layer 0 reverse,
layer 1 forward, ... A layer with one cell takes and returns (N, H) as well.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from minilstm.backend.arrays import Array, get_array_module
from minilstm.backend.checks import as_floating, as_gradient, as_real, check_shape
from minilstm.backend.errors import ShapeError
from minilstm.cells.padding import check_lengths, check_padding

States = list[tuple[Array | None, ...]]     # of each cell


class Arguments(NamedTuple):
    """What a forward works with; all floating point arrays have the dtype that they promote to."""

    x: Array                                # (N, T, D)
    weights: list[tuple[Array, Array]]      # W and b of each cell
    states: States                          # (N, H) each; None for zeros
    flat: bool                              # the states were given as (N, H)
    lengths: Array | None                   # (N,)
    padding: str


def forward_arguments(layer: Any, x: Any, state0: Any, lengths: Any, padding: Any) -> Arguments:
    """Return the converted arguments of ``Recurrent.forward``. Raises ShapeError, DtypeError,
    ArgumentError."""
    x = as_floating("x", x)
    check_shape("x", x, (None, None, layer.input_size), "N, T, D")
    N, T, _ = x.shape
    if padding is None:
        padding = layer.padding
    else:
        check_padding(padding)
    lengths = None if lengths is None else check_lengths(lengths, N, T)
    states, flat = split_states(layer, "state0", state0, N)
    names = [name + suffix for suffix in layer.suffixes() for name in "Wb"]
    params = [as_floating(name, layer.params[name]) for name in names]
    for name, value, size in zip(names, params, _parameter_shapes(layer)):
        check_shape(name, value, size, "H+D, G·H" if name[0] == "W" else "B·H")
    given = [x, *params, *[part for state in states for part in state if part is not None]]
    xp = get_array_module(*given)
    dtype = xp.result_type(*{array.dtype for array in given})
    x, *params = (value.astype(dtype, copy=False) for value in (x, *params))
    weights = list(zip(params[::2], params[1::2]))
    return Arguments(x, weights, _cast(states, dtype), flat, lengths, padding)


def backward_arguments(layer: Any, cache: Any, dy: Any, dstate: Any) -> tuple[Array | None, States]:
    """Return the gradients of the last layer's outputs (N, T, H·dirs) and of each cell's final states.

    Without ``return_sequences`` the output is a final state: the first is None, and its gradient is among the
    second. Raises ShapeError, DtypeError.
    """
    H, dirs, dtype = layer.hidden_size, layer.directions, cache.like.dtype
    as_real("x of the forward", cache.like)
    dstates, _ = split_states(layer, "dstate", dstate, cache.N)
    if dy is not None:
        steps: tuple[int, ...] = (cache.T,) if layer.return_sequences else ()
        axes = f"N, {'T, ' if steps else ''}H{'·2' if dirs == 2 else ''}"
        dy = as_gradient("dy", dy, (cache.N, *steps, H * dirs), axes, dtype)
    get_array_module(cache.like, dy, *[part for state in dstates for part in state])
    dstates = _cast(dstates, dtype)
    if layer.return_sequences or dy is None:
        return dy, dstates
    for direction in range(dirs):
        cell = len(dstates) - dirs + direction
        dh_n, *others = dstates[cell]
        share = dy[:, direction * H:(direction + 1) * H]
        dstates[cell] = (share if dh_n is None else dh_n + share, *others)
    return None, dstates


def split_states(layer: Any, name: str, state: Any, N: int) -> tuple[States, bool]:
    """Return one tuple of states (N, H), or of None, for each cell, and whether they were given as (N, H).

    ``state``: one array, or a tuple of arrays or None for an LSTM; None stands for zeros. ``name``: "state0",
    or "dstate" for its gradients, which must be real. Raises ShapeError or DtypeError.
    """
    names, cells, H = layer.state_names, layer.num_layers * layer.directions, layer.hidden_size
    if state is None:
        return [(None,) * len(names)] * cells, False
    parts = (state,) if len(names) == 1 else state
    if not isinstance(parts, (tuple, list)) or len(parts) != len(names):
        size = f" of {len(parts)}" if isinstance(parts, (tuple, list)) else ""
        raise ShapeError(f"{name}: expected a tuple ({', '.join(names)}) of {len(names)} arrays, "
                         f"got a {type(parts).__name__}{size}")
    columns: list[Any] = []
    flat = False
    for letter, part in zip(names, parts):
        if part is None:
            columns.append([None] * cells)
            continue
        who = f"{name} {letter}"
        part = as_real(who, part) if name == "dstate" else as_floating(who, part)
        if cells == 1 and part.ndim == 2:
            check_shape(who, part, (N, H), "N, H")
            part, flat = part[None], True
        check_shape(who, part, (cells, N, H), "layers·directions, N, H")
        columns.append(list(part))
    return list(zip(*columns)), flat


def stack_states(states: States, flat: bool) -> Any:
    """The inverse of ``split_states``: one array, or a tuple of arrays."""
    xp = get_array_module(states[0][0])
    parts = tuple(part[0] if flat else xp.stack(part) for part in zip(*states))
    return parts if len(parts) > 1 else parts[0]


def _parameter_shapes(layer: Any) -> list[tuple[int, ...]]:
    """Return the shapes of W and b of each cell, one after the other."""
    H, dirs, G, B = layer.hidden_size, layer.directions, len(layer.gates), len(layer.biases)
    inputs = [layer.input_size] * dirs + [H * dirs] * dirs * (layer.num_layers - 1)
    return [shape for D in inputs for shape in ((H + D, G * H), (B * H,))]


def _cast(states: States, dtype: Any) -> States:
    return [tuple(None if part is None else part.astype(dtype, copy=False) for part in state)
            for state in states]
