"""Sequential, which chains layers: forward from the first to the last, backward the other way."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from minilstm.backend.arrays import Array
from minilstm.backend.errors import ArgumentError, DtypeError
from minilstm.backend.passes import choose
from minilstm.layers.module import Module


class Sequential(Module):
    """A chain of layers: the output of one is the input of the next; backward runs through the chain in reverse.

    Keyword options of the call (``lengths``, ``padding``) are handed to every layer whose forward takes them. If a layer
    refuses its input, the caches of the layers before it are dropped, since no backward can follow half a forward.

    >>> import numpy as np, minilstm as ml
    >>> model = ml.Sequential(ml.Embedding(10, 4, rng=0), ml.LSTM(4, 8, return_sequences=False, rng=1), ml.Linear(8, 1, rng=2))
    >>> y = model(np.array([[1, 2, 3], [4, 5, 0]]), lengths=[3, 2])         # the LSTM takes the lengths
    >>> y.shape, len(model), model[1]
    ((2, 1), 3, LSTM(4, 8, return_sequences=False))
    >>> model.backward(np.ones_like(y))                                     # fills the gradients of all layers
    """

    def __init__(self, *layers: Module) -> None:
        super().__init__()
        for position, layer in enumerate(layers):
            if not isinstance(layer, Module):
                raise DtypeError(f"Sequential: layer {position} is a {type(layer).__name__}, not a minilstm Module "
                                 "(pass layers one by one: Sequential(a, b), not Sequential([a, b]))")
        self.layers = list(layers)

    def children(self) -> dict[str, Module]:
        return {str(position): layer for position, layer in enumerate(self.layers)}

    def chain(self) -> list[tuple[str, Module]]:
        return list(self.children().items())

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers)

    def __getitem__(self, position: int | slice) -> Any:
        """Return one layer, or a Sequential of a slice of them (the same layers, not copies)."""
        return Sequential(*self.layers[position]) if isinstance(position, slice) else self.layers[position]

    def forward(self, x: Array, **options: Any) -> Array:
        """Return the last layer's output for input ``x``; ``options`` go to the layers that take them."""
        for option in options:
            if not accepts_option(self, option):
                raise ArgumentError(f"Sequential: no layer takes the option {option!r}")
        for layer in self.layers:
            x = layer(x, **{name: value for name, value in options.items() if accepts_option(layer, name)})
        return x

    def backward(self, dy: Array) -> Array:
        """Return the gradient of the input, given ``dy``, the gradient of the output (None when the input was tokens).

        If a layer refuses its gradient, all layers are left as they were: gradients and caches.
        """
        modules = [module for _, module in self.modules()]
        with _all_or_nothing(modules):
            for layer, times in Counter(self._leaves()).items():
                if is_built_in(layer) and layer.pending < times:
                    choose((), type(layer).__name__)        # no forward, or a part of it was gone back through already
                elif layer.pending:
                    layer.peek(dy)
            for layer in reversed(self.layers):
                dy = layer.backward(dy)
        return dy

    def _leaves(self) -> Iterator[Module]:
        for layer in self.layers:
            yield from layer._leaves() if isinstance(layer, Sequential) else [layer]


def is_built_in(module: Module) -> bool:
    """Return whether a module is one of minilstm's own, which refuse a gradient before they change anything."""
    return type(module).__module__.startswith("minilstm.")


@contextmanager
def _all_or_nothing(modules: list[Module]) -> Iterator[None]:
    """Put caches and gradients of the modules back where they were if an error leaves the ``with``.

    Gradients are copied only where a module is not minilstm's own.
    """
    before = [(module, module._caches[:], module._passes[:]) for module in modules]
    foreign = not all(map(is_built_in, modules))
    grads = [(g, g.copy()) for module in modules for g in module.grads.values()] if foreign else []
    try:
        yield
    except BaseException:
        for module, caches, passes in before:
            module._caches, module._passes = caches, passes
        for gradient, value in grads:
            gradient[...] = value
        raise


def accepts_option(layer: Module, option: str) -> bool:
    """Tell whether ``layer(x, option=...)`` is possible (for a Sequential: whether one of its layers takes it)."""
    if isinstance(layer, Sequential):
        return any(accepts_option(child, option) for child in layer.layers)
    named, any_name = _options_of(type(layer).forward)
    return any_name or option in named


@cache
def _options_of(forward: Callable[..., Any]) -> tuple[frozenset[str], bool]:
    """Return the names of what a class's forward takes, and whether it takes any other keyword; looked up once a class."""
    parameters = inspect.signature(forward).parameters.values()
    return frozenset(p.name for p in parameters), any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
