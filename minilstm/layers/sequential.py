"""Sequential, which chains layers: forward from the first to the last, backward the other way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from minilstm.backend.arrays import Array
from minilstm.backend.errors import ArgumentError, DtypeError, ShapeError
from minilstm.layers.module import Module


class Sequential(Module):
    """A chain of layers: the output of one is the input of the next; backward goes the other way.

    Keyword options of the call (``lengths``, ``padding``) are handed to every layer whose forward takes them.

    >>> import numpy as np, minilstm as ml
    >>> model = ml.Sequential(ml.Embedding(10, 4, rng=0), ml.LSTM(4, 8, return_sequences=False, rng=1),
    ...                       ml.Linear(8, 1, rng=2))
    >>> y = model(np.array([[1, 2, 3], [4, 5, 0]]), lengths=[3, 2])     # the LSTM takes the lengths
    >>> y.shape, len(model), model[1]
    ((2, 1), 3, LSTM(4, 8, return_sequences=False))
    >>> model.backward(np.ones_like(y))                                 # fills the gradients of all layers
    """

    def __init__(self, *layers: Module) -> None:
        super().__init__()
        for position, layer in enumerate(layers):
            if not isinstance(layer, Module):
                raise DtypeError(f"Sequential: layer {position} is a {type(layer).__name__}, not a minilstm "
                                 "Module (pass layers one by one: Sequential(a, b), not Sequential([a, b]))")
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

    def forward(self, x: Array, *, state0: Any = None, return_state: bool = False, **options: Any) -> Any:
        """Return the last layer's output for input ``x``; ``options`` go to the layers that take them.

        With ``return_state=True``, return (output, states): a list of the final states of each layer that has
        some. ``state0`` is such a list, with which these layers begin (None: zeros).
        """
        carries = return_state or state0 is not None
        for option in [*options, *["return_state"] * carries]:
            if not self.accepts(option):
                raise ArgumentError(f"Sequential: no layer takes the option {option!r}")
        recurrent = [carries and layer.accepts("return_state") for layer in self.layers]
        states0 = [None] * sum(recurrent) if state0 is None else state0
        if not isinstance(states0, (list, tuple)) or len(states0) != sum(recurrent):
            size = f" of {len(states0)}" if isinstance(states0, (list, tuple)) else ""
            raise ShapeError(f"state0: expected a list of {sum(recurrent)} states, one for each layer that "
                             f"has some, got a {type(states0).__name__}{size}")
        before, states = iter(states0), []
        for layer, has_state in zip(self.layers, recurrent):
            given = {name: value for name, value in options.items() if layer.accepts(name)}
            if has_state:
                x, state = layer(x, state0=next(before), return_state=True, **given)
                states.append(state)
            else:
                x = layer(x, **given)
        return (x, states) if return_state else x

    def accepts(self, option: str) -> bool:
        return any(layer.accepts(option) for layer in self.layers)

    def backward(self, dy: Array) -> Array:
        """Return the gradient of the input, None for tokens, given ``dy``, the gradient of the output.

        The states are constants: none of their gradients goes in or comes out (truncated BPTT).
        If a layer refuses its gradient, all layers are left as they were: gradients and caches.
        """
        leaves = Counter(self._leaves())
        # those of your own: minilstm's refuse a gradient before they change anything
        own = {layer for layer in leaves if not type(layer).__module__.startswith("minilstm.")}
        for layer, calls in leaves.items():
            if layer._caches or layer not in own:           # one of your own may keep its caches elsewhere
                layer.check_pending(1 if layer in own else calls)
        caches = [(layer, layer._caches[:]) for layer in leaves]
        gradients = [(g, g.copy()) for g in self.named_gradients().values()] if own else []
        try:
            for layer in reversed(self.layers):
                dy = layer.backward(dy)
                dy = dy[0] if isinstance(dy, tuple) else dy         # (dx, dstate0)
        except BaseException:
            for layer, kept in caches:
                layer._caches = kept
            for gradient, value in gradients:
                gradient[...] = value
            raise
        return dy

    def _leaves(self) -> list[Module]:
        nested = [layer._leaves() if isinstance(layer, Sequential) else [layer] for layer in self.layers]
        return [leaf for leaves in nested for leaf in leaves]
