"""Sequential, which chains layers: forward from the first to the last, backward the other way."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from minilstm.backend.arrays import Array
from minilstm.backend.errors import ArgumentError, BackwardError, DtypeError
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
        try:
            for layer in self.layers:
                x = layer(x, **{name: value for name, value in options.items() if accepts_option(layer, name)})
        except BaseException:
            self.drop_caches()
            raise
        return x

    def backward(self, dy: Array) -> Array:
        """Return the gradient of the input, given ``dy``, the gradient of the output (None when the input was tokens).

        Raises BackwardError, before anything changes, where a layer kept nothing because it is in evaluation mode.
        """
        for name, module in self.modules():
            if not (module.training or module.pending or module.children()):
                raise BackwardError(f"Sequential.backward: layer {name} ({type(module).__name__}) is in evaluation mode and "
                                    "kept nothing to go back through; call model.train() before the forward")
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy


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
