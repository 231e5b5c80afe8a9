"""Which forward a backward belongs to.

A *pass* is one call of a module by its user, with every call that the module makes inside it. The rule:

1. A backward goes through the pass in training mode that waits for it; inside a pass, the last call comes first.
2. If several wait, the gradient must tell: it is what ``criterion.backward()`` returned for the output of one of them, or it
   has the shape of the output of only one of them. Otherwise it is a BackwardError.
3. Once the weights have changed, a pass made before can no longer be gone back through.

Nothing is recorded about the computation, and nothing is attached to arrays: a pass knows, by weak references, which arrays it
returned.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from minilstm.backend.errors import BackwardError

KEPT = 2        # passes that may wait in a layer; where more are made, the oldest is lost


def _owner(x: Any) -> Any:
    """Return the array that owns the memory of ``x``: a view of an output still is that output."""
    while getattr(x, "base", None) is not None:
        x = x.base
    return x


def _weak(array: Any) -> Callable[[], Any]:
    """Return a function that returns the owner of an array's memory while it lives, later None."""
    try:
        return weakref.ref(_owner(array))
    except TypeError:                                   # not an array
        return lambda: None


class Pass:
    """One call of a module by its user.

    Attributes:
        training: whether the module was in training mode, so that its layers keep what backward needs.
        shape: that of its first output.
        contested: whether it ever waited beside another pass, so that a gradient must tell which one it belongs to.
        beside_lost: whether one of those others was lost, so that the shape of a gradient does not tell.
        outdated: whether the weights have changed since.
        forgotten: whether it can no longer be gone back through.
    """

    def __init__(self, training: bool) -> None:
        self.training = training
        self.shape: tuple[int, ...] | None = None
        self._outputs: list[Callable[[], Any]] = []
        self.contested = self.beside_lost = self.outdated = self.forgotten = False

    def returns(self, output: Any) -> None:
        """Note what the call returned: an array, or a tuple of arrays and states."""
        outputs = output if isinstance(output, tuple) else (output,)
        self.shape = getattr(outputs[0], "shape", None) if outputs else None
        self._outputs = [_weak(array) for array in outputs]

    def gave(self, array: Any) -> bool:
        """Return whether the array is an output of this pass, or a view of one."""
        return array is not None and any(output() is _owner(array) for output in self._outputs)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_outputs": []}           # weak references can be neither pickled nor copied


class _Thread(threading.local):
    def __init__(self) -> None:
        self.current: Pass | None = None            # the pass that is being made
        self.recent: deque[Pass] = deque(maxlen=16)     # those made last
        self.chosen: Pass | None = None             # the pass that a backward was last found to belong to
        self.prediction: Any = None                 # of the loss whose backward was called last ...
        self.gradient = _weak(None)                 # ... and what that returned
        self.evaluating = False                     # inside ``with evaluating()``


_thread = _Thread()


def current_pass() -> Pass | None:
    """Return the pass that is being made in this thread, or None."""
    return _thread.current


def pass_of(prediction: Any) -> tuple[Pass | None, bool]:
    """Return the pass whose output an array is, and True; else the last pass of this thread, or None, and False."""
    for one in reversed(_thread.recent):
        if one.gave(prediction):
            return one, True
    return (_thread.recent[-1] if _thread.recent else None), False


@contextmanager
def one_pass(training: bool = True) -> Iterator[Pass]:
    """Make one pass of all module calls inside a ``with``."""
    outer, this = _thread.current, Pass(training)
    _thread.current, _thread.chosen = this, None
    _thread.recent.append(this)
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
    _thread.prediction, _thread.gradient = prediction, _weak(gradient)


def choose(passes: Iterable[Pass], who: str, dy: Any = None) -> Pass:
    """Return the pass that a backward belongs to, among those that wait; ``dy``: its gradient, where that is known.

    Raises BackwardError where that is not clear, and where the weights have changed since; then all that wait are forgotten,
    so that the next forward and its backward are clear again.
    """
    waiting = [one for one in dict.fromkeys(passes) if not one.forgotten]
    if not waiting:
        raise BackwardError(f"{who}.backward: there is no forward pass to go back through; each backward needs a forward of "
                            "its own, in training mode")
    found = _meant(waiting, dy)
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


def _meant(waiting: list[Pass], dy: Any) -> list[Pass]:
    """Return the passes that a gradient can belong to, by the first fact that tells."""
    chosen = [one for one in waiting if one is _thread.chosen]      # by a layer nearer to the output
    if chosen:
        return chosen
    if len(waiting) == 1 and not waiting[0].contested:
        return waiting
    if dy is None:
        return []
    if _owner(dy) is _thread.gradient():
        return [one for one in waiting if one.gave(_thread.prediction)]
    itself = [one for one in waiting if one.gave(dy)]               # of the loss ½Σy²
    if itself or any(one.beside_lost for one in waiting):
        return itself
    return [one for one in waiting if one.shape is not None and one.shape == getattr(dy, "shape", None)]
