"""Loss functions, which training minimises, each with its hand-derived gradient.

A loss turns a batch of predictions and targets into one number; backpropagation starts from its gradient.
Each is a pair of pure functions, ``foo_forward(prediction, target) -> (loss, cache)`` and
``foo_backward(cache) -> dprediction``, and a small class that keeps the latest cache, for ``loss =
criterion(prediction, target)``; ``criterion.backward()``.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from minilstm.backend.arrays import Array
from minilstm.backend.checks import check_choice
from minilstm.backend.errors import BackwardError
from minilstm.backend.passes import LossOrigin, origin_of, thread
from minilstm.losses.reduction import REDUCTIONS


class _Call(NamedTuple):
    """A loss that was computed and not backpropagated yet."""

    origin: LossOrigin
    looked: bool        # perhaps only looked at: after a forward in evaluation mode, or before any
    unclear: bool       # there was another one, and it is not clear which of them is meant
    cache: Any


class Loss:
    """A loss that remembers its latest call, ``criterion(prediction, target)``, for ``backward()``.

    Attributes:
        threshold: a binary prediction of at least this counts as class 1 in the accuracy that the Trainer
            reports; None where predictions are not classes, so that there is no accuracy.
        ignore_index: a target that costs nothing and is left out of that accuracy too; None: all count.
    """

    threshold: ClassVar[float | None] = 0.5
    ignore_index: int | None = None
    _forward: ClassVar[Any]
    _backward: ClassVar[Any]

    def __init__(self, *, reduction: str = "mean", **options: Any) -> None:
        check_choice("reduction", reduction, REDUCTIONS)
        self.reduction = reduction
        self._options = options
        self._call: _Call | None = None

    def __call__(self, prediction: Array, target: Array) -> Array:
        """Return the loss, a 0-d array in the prediction's dtype; for shapes and errors see the function."""
        loss, cache = type(self)._forward(prediction, target, reduction=self.reduction, **self._options)
        before, origin = self._call, origin_of(prediction)
        looked = origin.of is None and (thread.evaluating or thread.evaluated)
        if looked and before is not None and before.origin.of is not None:
            return loss                 # a validation loss beside one of training is not remembered
        # a loss inside a forward is that forward's own: one left by an earlier forward does not count
        inside = thread.current is not None and before is not None and before.origin != origin
        unclear = before is not None and not inside and (looked or not before.looked)
        self._call = _Call(origin, looked, unclear, cache)
        return loss

    def backward(self) -> Array:
        """Return the gradient of the loss in the prediction's shape and dtype, and forget the call.

        The loss is that of the one call since the last backward; calls after forwards in evaluation mode do
        not count beside one after a forward in training mode. Raises BackwardError for no call, or several.
        """
        call, self._call, name = self._call, None, type(self).__name__
        if call is None:
            raise BackwardError(f"{name}.backward: there is no loss to backpropagate; call "
                                "criterion(prediction, target) first, once for each backward")
        if call.unclear:
            raise BackwardError(
                f"{name}.backward: it is not clear which loss to backpropagate, since the criterion was "
                "called several times. Call backward after each loss, and use another criterion for losses "
                "that are only looked at. These calls have been discarded")
        gradient = type(self)._backward(call.cache)
        thread.loss = call.origin
        return gradient

    def __repr__(self) -> str:
        options = {"reduction": self.reduction, **self._options}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in options.items())})"
