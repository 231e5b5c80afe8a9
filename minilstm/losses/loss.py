"""Loss functions, which training minimises, each with its hand-derived gradient.

A loss turns a batch of predictions and targets into one number; backpropagation starts from its gradient. Each is a pair of
pure functions, ``foo_forward(prediction, target) -> (loss, cache)`` and ``foo_backward(cache) -> dprediction``, and a small
class that keeps the latest cache, for ``loss = criterion(prediction, target)``; ``criterion.backward()``. Entries are summed
in double precision whatever the dtype. A target never broadcasts against a prediction: shapes must agree, with one
exception: a target (N,) fits a prediction (N, 1). Values that make no sense (a probability of 1.5, a class that does not
exist) raise an error on the host. On a device, where checking would make every step wait, they turn their entry into NaN, so
that the NaN guard stops loss and gradient instead of letting them be silently wrong.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from minilstm.backend.arrays import Array, backend_name, get_array_module
from minilstm.backend.checks import as_array, as_floating, check_choice
from minilstm.backend.errors import ArgumentError, BackwardError, DtypeError, ShapeError
from minilstm.backend.passes import Pass, going_back_from, pass_of

REDUCTIONS = ("mean", "sum")


class _Call(NamedTuple):
    """A loss that was computed and not gone back from.

    ``kind``: "training" for a prediction that a model returned in training mode, "evaluation" for one in evaluation mode;
    else, if it is not known where the prediction comes from, "evaluation" after a call of a model in that mode, or "unknown".
    """

    kind: str
    origin: Pass | None
    prediction: Any
    cache: Any


class Loss:
    """A loss that remembers its latest call: ``loss = criterion(prediction, target)``, then ``criterion.backward()``.

    Attributes:
        threshold: a binary prediction of at least this counts as class 1 in the accuracy that the Trainer reports; None where
            predictions are not classes, so that there is no accuracy.
        ignore_index: a target that costs nothing and is left out of that accuracy too; None: every target counts.
    """

    threshold: ClassVar[float | None] = 0.5
    ignore_index: int | None = None
    _forward: ClassVar[Any]
    _backward: ClassVar[Any]

    def __init__(self, *, reduction: str = "mean", **options: Any) -> None:
        check_choice("reduction", reduction, REDUCTIONS)
        self.reduction = reduction
        self._options = options
        self._calls: tuple[_Call, ...] = ()

    def __call__(self, prediction: Array, target: Array) -> Array:
        """Return the loss, a 0-d array in the prediction's dtype. Shapes, values and errors: see the forward function."""
        loss, cache = type(self)._forward(prediction, target, reduction=self.reduction, **self._options)
        origin, sure = pass_of(prediction)
        evaluated = origin is not None and not origin.training
        this = _Call("evaluation" if evaluated else "training" if sure else "unknown", origin, prediction, cache)
        before = self._waiting()
        alike = [call for call in before if call.kind == this.kind][-1:]            # two of a kind are known to be unclear
        self._calls = (*(call for call in before if call.kind != this.kind), *alike, this)
        return loss

    def _waiting(self) -> list[_Call]:
        return [call for call in self._calls if call.origin is None or not call.origin.forgotten]

    def backward(self) -> Array:
        """Return the gradient of the loss in the prediction's shape and dtype, and forget the calls made so far.

        The loss is that of the one call since the last backward. Beside a call on what a model returned in training mode
        others do not count: a validation loss, or that of a guess. Raises BackwardError where there was no call, or where it
        is not clear which is meant.
        """
        calls, name = self._waiting(), type(self).__name__
        self._calls = ()
        if not calls:
            raise BackwardError(f"{name}.backward: there is no loss to go back from; call criterion(prediction, target) "
                                "first, once for each backward")
        meant = [call for call in calls if call.kind == "training"] or calls
        if len(meant) > 1 and meant[-1].kind == "unknown" and all(call.kind == "evaluation" for call in meant[:-1]):
            meant = meant[-1:]              # validation losses before it
        if len(meant) > 1:
            raise BackwardError(f"{name}.backward: it is not clear which loss to go back from, since the criterion was called "
                                "several times. Call backward after each loss, and use another criterion for losses that are "
                                "only looked at. Those calls are forgotten now")
        gradient = type(self)._backward(meant[0].cache)
        going_back_from(meant[0].prediction, gradient)
        return gradient

    def __repr__(self) -> str:
        options = {"reduction": self.reduction, **self._options}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in options.items())})"


class PointwiseCache(NamedTuple):
    """What the backward pass of a loss over single entries needs; prediction and target have the same shape."""

    prediction: Array
    target: Array
    scale: float                    # dloss / d(one entry's loss): 1/size for the mean, 1 for the sum
    pos_weight: float = 1.0


def aligned(name: str, prediction: Any, target: Any, reduction: str) -> tuple[Array, Array]:
    """Return both as arrays, the target a copy in the prediction's shape and precision. Nothing is ever broadcast."""
    check_choice("reduction", reduction, REDUCTIONS)
    prediction, target = as_floating(f"{name}: prediction", prediction), as_array(f"{name}: target", target)
    if target.dtype.kind not in "biufc" or target.dtype.kind == "c" != prediction.dtype.kind:
        raise DtypeError(f"{name}: target: expected real numbers (float, integer or bool), got dtype {target.dtype}")
    got, expected = tuple(target.shape), tuple(prediction.shape)
    if got != expected and not (len(got) == 1 and expected == (*got, 1)):
        hint = ("; a recurrent layer returns the output of every step: return_sequences=False returns the last one"
                if len(expected) == 3 and len(got) < 3 and got[:1] == expected[:1] else "")
        raise ShapeError(f"{name}: target and prediction must have the same shape (or (N,) and (N, 1)), "
                         f"got target {got} and prediction {expected}{hint}")
    if prediction.size == 0:
        raise ShapeError(f"{name}: the batch is empty: prediction has shape {expected}")
    get_array_module(prediction, target)
    dtype = prediction.dtype if target.dtype.kind == "c" else prediction.real.dtype
    return prediction, target.astype(dtype).reshape(expected)   # a copy, since the caller may write into the original


def refuse(bad: Array, x: Array, name: str, words: str, shown: Array | None = None) -> Array:
    """Raise ArgumentError at the first True of ``bad``; on a device, return ``x`` with NaN at each True instead."""
    xp = get_array_module(bad)
    if backend_name(x) != "numpy":
        return xp.where(bad.reshape(bad.shape + (1,) * (x.ndim - bad.ndim)), xp.nan, x)
    if bad.any():
        where = tuple(int(k) for k in np.argwhere(bad)[0])
        raise ArgumentError(f"{name}{list(where) if where else ''} is {(x if shown is None else shown)[where]}, {words}")
    return x


def total(losses: Array, scale: Any) -> Array:
    """Return scale · Σ losses as a 0-d array of their dtype, summed in double precision."""
    xp = get_array_module(losses)
    wide = np.complex128 if losses.dtype.kind == "c" else np.float64
    return xp.asarray(losses.sum(dtype=wide) * scale, dtype=losses.dtype)


def reduce(losses: Array, reduction: str) -> tuple[Array, float]:
    """Return the reduced loss and its derivative with respect to each entry's loss."""
    scale = 1 / losses.size if reduction == "mean" else 1.0
    return total(losses, scale), scale
