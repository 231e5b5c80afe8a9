"""Passes: which forward a backward belongs to.

Every call of a module in training mode is a pass and has a number. A layer keeps the caches of its latest
pass, a loss remembers the pass whose output it was computed on, and one rule holds:

    backward goes through the latest forward in training mode. If an earlier one was left pending, the
    gradient must come from a loss computed on the output of the latest; otherwise BackwardError is raised,
    and what is pending is discarded. optimizer.step() discards it, too.

Each thread has passes of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, NamedTuple

from minilstm.backend.arrays import get_array_module
from minilstm.backend.checks import is_array


class _Thread(threading.local):
    current: int | None = None      # the pass that is being made
    latest = 0                      # the last one made
    output: Any = None              # what that returned
    evaluated = True                # the last forward was in evaluation mode, or there was none
    loss: LossOrigin | None = None  # the loss that was backpropagated since
    discarded = 0                   # passes up to this one are no longer pending
    evaluating = False              # inside ``with evaluating()``


class LossOrigin(NamedTuple):
    """Where a loss was computed."""

    latest: int             # the latest pass at that time: the loss is of no later one
    of: int | None          # the pass whose output it was computed on, where that is known


thread = _Thread()
_numbers = count(1)


def begin() -> int:
    """Return the number of a new pass."""
    number = next(_numbers)
    thread.latest, thread.output, thread.evaluated, thread.loss = number, None, False, None
    return number


def discard() -> None:
    """Let no pass made so far be pending any longer, in any module."""
    thread.discarded = next(_numbers)


def origin_of(prediction: Any) -> LossOrigin:
    """Return the origin of a loss of ``prediction``: the latest pass if it is its output, or a view of that.

    The order of calls alone does not tell: a forward that was only looked at may come before or after the one
    that a loss is about.
    """
    if thread.current is not None:
        return LossOrigin(thread.current, thread.current)
    output = thread.output[0] if isinstance(thread.output, tuple) and thread.output else thread.output
    known = is_array(output) and type(prediction) is type(output) and \
        get_array_module(output).may_share_memory(prediction, output)
    return LossOrigin(thread.latest, thread.latest if known else None)


@contextmanager
def one_pass() -> Iterator[int]:
    """Make one pass of all module calls inside a ``with``."""
    outer, thread.current = thread.current, begin()
    try:
        yield thread.current
    finally:
        thread.current = outer


@contextmanager
def evaluating() -> Iterator[None]:
    """Put every module into evaluation mode inside a ``with``, for this thread alone."""
    before, thread.evaluating = thread.evaluating, True
    try:
        yield
    finally:
        thread.evaluating = before
