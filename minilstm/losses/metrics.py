"""Metrics: how often the model is right, counted exactly.

All of them turn predictions into class numbers in the same way, so that accuracy, confusion matrix and F1 can
never mean different things. They return arrays on the backend of the predictions; accuracy does not wait for
a device; the others do, since they are meant for the end of a run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from minilstm.backend.arrays import Array, backend_name, get_array_module
from minilstm.backend.checks import as_array, check_positive_int
from minilstm.backend.errors import ArgumentError, DtypeError, ShapeError


class Scores(NamedTuple):
    """Precision, recall and F1: 0-d arrays (binary) or one entry for each class."""

    precision: Array
    recall: Array
    f1: Array


def _check(prediction: Array, target: Array) -> bool:
    """Check dtypes and shapes; return whether the predictions have a class axis, beside the target's axes."""
    for name, x in (("prediction", prediction), ("target", target)):
        if x.dtype.kind not in "biuf":
            raise DtypeError(f"{name}: expected an array of real numbers, got dtype {x.dtype}")
    get_array_module(prediction, target)
    expected, got = tuple(prediction.shape), tuple(target.shape)
    if prediction.size == 0:
        raise ShapeError(f"prediction: the batch is empty, got shape {expected}")
    if prediction.dtype.kind == "f" and len(expected) >= 2 and expected[-1] > 1 and got == expected[:-1]:
        return True
    if got != expected and not (len(got) == 1 and expected == (*got, 1)):
        raise ShapeError(f"target: expected shape {expected} (binary, or class numbers), (N,) beside (N, 1), "
                         f"or {expected[:-1]} (prediction with the class axis last), got {got}")
    return False


def _classes(prediction: Any, target: Any, threshold: float,
             ignore_index: int | None = None) -> tuple[Array, Array, int | None, bool]:
    """Return predicted and true class numbers (same shapes), the number of classes if known, and whether it
    is binary.

    A prediction that is NaN is of no class: -1.
    """
    prediction, target = as_array("prediction", prediction), as_array("target", target)
    has_classes, kind = _check(prediction, target), prediction.dtype.kind
    xp = get_array_module(prediction, target)
    count: int | None = None
    if has_classes:
        predicted = xp.where(xp.isnan(prediction).any(axis=-1), -1, prediction.argmax(axis=-1))
        count = prediction.shape[-1]
    else:
        predicted = xp.where(xp.isnan(prediction), -1, prediction >= threshold) if kind == "f" else prediction
        predicted = predicted.reshape(target.shape)
        count = 2 if kind in "fb" else None
    binary = not has_classes and kind in "fb"
    if backend_name(target) == "numpy":         # looking at values would make a device wait
        wrong = (target < 0) | (target >= (count or xp.inf)) | (xp.floor(target) != target)
        if ignore_index is not None:
            wrong &= target != ignore_index
        if wrong.any():
            last = count - 1 if count else ""
            raise ArgumentError(f"target: expected class numbers 0..{last}, got {target[wrong][0]}")
    return predicted, target, count, binary


def accuracy(prediction: Array, target: Array, threshold: float = 0.5,
             ignore_index: int | None = None) -> Array:
    """Return the fraction of right predictions, a 0-d float64 array; 0 where every target is ignored.

    Args:
        prediction: one of scores with a class axis, float (N, C) or (N, T, C), C > 1, beside a target (N,) or
            (N, T): argmax decides; binary scores, float, in the target's shape (or (N, 1) beside (N,)):
            positive where >= threshold (0.5 for probabilities, 0 for logits); class numbers, integer or bool,
            in the target's shape.
        target: true classes 0, 1, ..., integer, bool or whole floats.
        ignore_index: entries with this target are left out (padding), as in CrossEntropyLoss.
    A prediction of NaN is wrong. Raises ShapeError, DtypeError and, on the host, ArgumentError for a target
    that is no class.

    >>> import numpy as np, minilstm as ml
    >>> float(ml.accuracy(np.array([0.9, 0.2, 0.6, 0.4]), np.array([1, 0, 0, 1])))
    0.5
    """
    predicted, true, _, _ = _classes(prediction, target, threshold, ignore_index)
    xp = get_array_module(true)
    if ignore_index is None:
        return xp.asarray((predicted == true).mean())
    counted = true != ignore_index
    return xp.asarray(((predicted == true) & counted).sum() / xp.maximum(counted.sum(), 1))


def accuracy_of(criterion: Any) -> Callable[[Array, Array], Any] | None:
    """Return the accuracy that suits a loss, given its ``threshold`` and ``ignore_index``; None for a
    regression loss.

    A loss of your own that has neither attribute is assumed to take probabilities.
    """
    threshold, ignore_index = getattr(criterion, "threshold", 0.5), getattr(criterion, "ignore_index", None)
    if threshold is None:
        return None
    if threshold == 0.5 and ignore_index is None:
        return accuracy
    return partial(accuracy, threshold=threshold, ignore_index=ignore_index)


def samples_of(criterion: Any, y: Array, n: int) -> Any:
    """Return how many samples a batch of ``n`` rows counts for: as many as targets are not ignored, where
    some may be."""
    ignored = getattr(criterion, "ignore_index", None)
    return n if ignored is None else (as_array("y", y) != ignored).sum()


def loss_weight(criterion: Any, n: Any) -> Any:
    """Return the factor that turns the loss of a batch of ``n`` samples into the sum over them."""
    return 1 if getattr(criterion, "reduction", "mean") == "sum" else n


def confusion_matrix(prediction: Array, target: Array, num_classes: int | None = None,
                     threshold: float = 0.5) -> Array:
    """Return how often each true class (row) was predicted as each class (column): (C, C) int64.

    Arguments as for accuracy. C is ``num_classes`` if given; otherwise the size of the class axis, 2 for
    binary predictions, or for class numbers the largest that occurs plus 1. Also raises ArgumentError when a
    class is >= num_classes.

    >>> import numpy as np, minilstm as ml
    >>> ml.confusion_matrix(np.array([0.9, 0.2, 0.6, 0.4, 0.1]), np.array([1, 0, 0, 1, 0])).tolist()
    [[2, 1], [1, 1]]
    """
    predicted, true, count, _ = _classes(prediction, target, threshold)
    xp = get_array_module(true)
    predicted, true = predicted.astype(xp.int64), true.astype(xp.int64)
    highest = int(max(predicted.max(), true.max()))
    classes = count or highest + 1
    if num_classes is not None:
        classes = check_positive_int("num_classes", num_classes)
    if highest >= classes or int(min(predicted.min(), true.min())) < 0:
        got = str(highest) if highest >= classes else "a negative one, or a prediction that is NaN"
        raise ArgumentError(f"classes must be 0..{classes - 1}, got {got}")
    counts = xp.bincount((true * classes + predicted).ravel(), minlength=classes * classes)
    return counts.reshape(classes, classes).astype(xp.int64)


def precision_recall_f1(prediction: Array, target: Array, num_classes: int | None = None,
                        threshold: float = 0.5) -> Scores:
    """Return (precision, recall, f1), float64: of class 1 as 0-d arrays for binary predictions, else (C,),
    one a class.

        precision = TP / (TP + FP);   recall = TP / (TP + FN);   f1 = 2TP / (2TP + FP + FN)

    A ratio 0/0 (a class never predicted, or absent) counts as 0, as in scikit-learn with zero_division=0.
    Arguments as for confusion_matrix; binary means float scores in the target's shape, or bool. ``.mean()``
    gives the macro average.

    >>> import numpy as np, minilstm as ml
    >>> scores = ml.precision_recall_f1(np.array([0.9, 0.8, 0.6, 0.4]), np.array([1, 0, 1, 0]))
    >>> print(f"{scores.precision:.3f} {scores.recall:.3f} {scores.f1:.3f}")
    0.667 1.000 0.800
    """
    matrix = confusion_matrix(prediction, target, num_classes, threshold)
    xp = get_array_module(matrix)
    right, predicted, true = xp.diagonal(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
    ratios = [xp.divide(top, xp.maximum(bottom, 1))         # the top is 0 wherever the bottom is
              for top, bottom in ((right, predicted), (right, true), (2 * right, predicted + true))]
    if _classes(prediction, target, threshold)[-1]:
        ratios = [xp.asarray(ratio[1]) for ratio in ratios]
    return Scores(*ratios)
