"""Which forward a backward belongs to.

A *pass* is one call of a module by its user, with every call that the module makes inside it. The rule:

1. A backward goes through the pass in training mode that waits for it; inside a pass, the last call comes first.
2. If several wait, the gradient must tell: it is what ``criterion.backward()`` returned for the output of one of them, or only
   one of them has an output of its shape. Otherwise it is a BackwardError.
3. Once the weights have changed, a pass made before can no longer be gone back through.

Nothing is recorded about the computation, and nothing is attached to arrays: a pass knows which arrays it returned.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from minilstm.backend.errors import BackwardError

KEPT = 2        # passes that may wait in a layer; where more are made, the oldest is lost


class Pass:
    """One call of a module by its user.

    Attributes:
        training: whether the module was in training mode, so that its layers keep what backward needs.
        outputs: the arrays that were returned.
        contested: whether it ever waited beside another pass, so that a gradient must tell which one it belongs to.
        beside_lost: whether one of those others was lost, so that the shape of a gradient does not tell.
        outdated: whether the weights have changed since.
        forgotten: whether it can no longer be gone back through.
    """

    def __init__(self, training: bool) -> None:
        self.training = training
        self.outputs: tuple[Any, ...] = ()
        self.contested = self.beside_lost = self.outdated = self.forgotten = False

    def gave(self, array: Any) -> bool:
        """Return whether the array is an output of this pass, or a view of one."""
        return any(_owner(output) is _owner(array) for output in self.outputs)


class _Thread(threading.local):
    current: Pass | None = None         # the pass that is being made
    latest: Pass | None = None          # the last one that was made
    chosen: Pass | None = None          # the pass that a backward was last found to belong to
    prediction: Any = None              # what the loss was computed from whose backward was called last ...
    gradient: Any = None                # ... and what that returned
    evaluating = False                  # inside ``with evaluating()``


_thread = _Thread()


def current_pass() -> Pass | None:
    """Return the pass that is being made in this thread, or None."""
    return _thread.current


def latest_pass() -> Pass | None:
    """Return the last pass of this thread, or None."""
    return _thread.latest


@contextmanager
def one_pass(training: bool = True) -> Iterator[Pass]:
    """Make one pass of all module calls inside a ``with``."""
    outer, this = _thread.current, Pass(training)
    _thread.current, _thread.latest, _thread.chosen = this, this, None
    try:
        yield this
    finally:
        _thread.current = outer


@contextmanager
def evaluating() -> Iterator[None]:
    """Put every module into evaluation mode inside a ``with``, for this thread alone."""
    before, _thread.evaluating = _thread.evaluating, True
    try:
        yield
    finally:
        _thread.evaluating = before


def is_evaluating() -> bool:
    """Return whether this thread is inside ``with evaluating()``."""
    return _thread.evaluating


def going_back_from(prediction: Any, gradient: Any) -> None:
    """Note that a loss has returned ``gradient``, for ``prediction``."""
    _thread.prediction, _thread.gradient = prediction, gradient


def choose(passes: Iterable[Pass], who: str, dy: Any = None) -> Pass:
    """Return the pass that a backward belongs to, among those that wait; ``dy``: its gradient, where that is known.

    Raises BackwardError where that is not clear, and where the weights have changed since; then all that wait are forgotten,
    so that the next forward and its backward are clear again.
    """
    waiting = [one for one in dict.fromkeys(passes) if not one.forgotten]
    if not waiting:
        raise BackwardError(f"{who}.backward: there is no forward pass to go back through; each backward needs a forward of "
                            "its own, in training mode")
    found = [one for one in waiting if one is _thread.chosen]
    if not found and len(waiting) == 1 and not waiting[0].contested:
        found = waiting
    if not found and dy is not None and dy is _thread.gradient:
        found = [one for one in waiting if one.gave(_thread.prediction)]
    if not found and hasattr(dy, "shape"):
        found = [one for one in waiting if one.outputs and getattr(one.outputs[0], "shape", None) == dy.shape]
        found = [] if any(one.beside_lost for one in waiting) else found
    if len(found) == 1 and not found[0].outdated:
        _thread.chosen = found[0]
        return found[0]
    for one in waiting:
        one.forgotten = True
    if len(found) == 1:
        raise BackwardError(f"{who}.backward: the weights have changed since the forward; call backward before "
                            "optimizer.step()")
    raise BackwardError(f"{who}.backward: it is not clear which forward to go back through, because another one was made in "
                        "training mode. Call backward after each forward, and look at predictions in evaluation mode: "
                        "model.eval(), then model.train(). Calls that belong together go into the forward of one ml.Module. "
                        "The forwards that were waiting are forgotten now")


def _owner(x: Any) -> Any:
    """Return the array that owns the memory of ``x``: a view of an output still is that output."""
    while getattr(x, "base", None) is not None:
        x = x.base
    return x
