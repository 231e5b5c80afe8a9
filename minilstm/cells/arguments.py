"""Checks of what the public functions of a cell are given, apart from their mathematics.

``@checked(step_arguments, GATES)`` above a function converts and checks its arguments at each call. Callers
that have checked already (the layers, and the loop over time) take the function itself, by
``inspect.unwrap``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, TypeVar, cast

from minilstm.backend.arrays import Array, get_array_module
from minilstm.backend.checks import as_floating, as_gradient, check_choice, check_shape
from minilstm.backend.errors import ShapeError
from minilstm.cells.activations import NONLINEARITIES
from minilstm.cells.padding import check_lengths, check_padding

Function = TypeVar("Function", bound=Callable[..., Any])
STATES = ("h_prev", "c_prev", "h0", "c0")


def checked(check: Callable[..., None], *about: tuple[str, ...]) -> Callable[[Function], Function]:
    """Return a decorator: before each call ``check(arguments, *about)`` replaces arguments, by name."""
    def decorate(function: Function) -> Function:
        named = signature(function)

        @wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            given = named.bind(*args, **options)
            given.apply_defaults()
            check_choice("nonlinearity", given.arguments.get("nonlinearity", "tanh"), NONLINEARITIES)
            check(given.arguments, *about)
            return function(*given.args, **given.kwargs)
        return cast(Function, call)
    return decorate


def check_weights(W: Array, b: Array, gates: tuple[str, ...], biases: tuple[str, ...]) -> int:
    """Check W (H+D, G·H) and b (B·H,) of a cell with G gates and B biases; return H. Raises ShapeError."""
    G, B = len(gates), len(biases)
    columns, entries = (f"{n}H" if n > 1 else "H" for n in (G, B))
    check_shape("W", W, (None, None), f"H+D, {columns}")
    H = int(W.shape[1]) // G
    if W.shape[1] % G or W.shape[0] <= H:
        raise ShapeError(f"W: expected shape (H+D, {columns}) with D of at least 1, got {tuple(W.shape)}")
    check_shape("b", b, (B * H,), entries)
    return H


def step_arguments(arguments: dict[str, Any], gates: tuple[str, ...], biases: tuple[str, ...] = ()) -> None:
    """Check one step: x_t (N, D), states (N, H), W (H+D, G·H), b (B·H,). Raises ShapeError or DtypeError."""
    states = [name for name in STATES if name in arguments]
    for name in ("x_t", *states, "W", "b"):
        arguments[name] = as_floating(name, arguments[name])
    x_t, W, b = (arguments[name] for name in ("x_t", "W", "b"))
    get_array_module(x_t, W, b, *[arguments[name] for name in states])
    H = check_weights(W, b, gates, biases or gates)
    check_shape("x_t", x_t, (None, W.shape[0] - H), "N, D")
    for name in states:
        check_shape(name, arguments[name], (x_t.shape[0], H), "N, H")


def sequence_arguments(arguments: dict[str, Any], gates: tuple[str, ...],
                       biases: tuple[str, ...] = ()) -> None:
    """Check a whole sequence: x (N, T, D), states (N, H) or None, W, b, lengths (N,) or None, padding.

    Floating point arrays get the dtype that they promote to. Raises ShapeError, DtypeError, ArgumentError.
    """
    states = [name for name in STATES if arguments.get(name) is not None]
    names = ("x", *states, "W", "b")
    arrays = [as_floating(name, arguments[name]) for name in names]
    xp = get_array_module(*arrays)
    dtype = xp.result_type(*[array.dtype for array in arrays])
    arguments.update((name, array.astype(dtype, copy=False)) for name, array in zip(names, arrays))
    x, W = arguments["x"], arguments["W"]
    H = check_weights(W, arguments["b"], gates, biases or gates)
    check_shape("x", x, (None, None, W.shape[0] - H), "N, T, D")
    N, T, _ = x.shape
    for name in states:
        check_shape(name, arguments[name], (N, H), "N, H")
    check_padding(arguments["padding"])
    if arguments["lengths"] is not None:
        arguments["lengths"] = check_lengths(arguments["lengths"], N, T)


def step_gradients(arguments: dict[str, Any]) -> None:
    """Check the gradients (N, H) of a step's states; None becomes zeros. Raises ShapeError, DtypeError."""
    *gradients, cache = arguments
    like = arguments[cache].state
    for name in gradients:
        d = arguments[name]
        arguments[name] = (get_array_module(like).zeros_like(like) if d is None
                           else as_gradient(name, d, tuple(like.shape), "N, H", like.dtype))
    get_array_module(like, *[arguments[name] for name in gradients])


def sequence_gradients(arguments: dict[str, Any]) -> None:
    """Check dh (N, T, H) and the gradients (N, H) of final states, or None. Raises ShapeError, DtypeError."""
    h = arguments["cache"].h
    steps, N, H = h.shape
    for name, d in arguments.items():
        if name == "dh" and d is not None:
            arguments[name] = as_gradient(name, d, (N, steps - 1, H), "N, T, H", h.dtype)
        elif name != "cache" and d is not None:
            arguments[name] = as_gradient(name, d, (N, H), "N, H", h.dtype)
    get_array_module(h, *[d for name, d in arguments.items() if name != "cache"])
