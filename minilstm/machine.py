"""How fast this machine is just now: at a large matrix product and at a large copy, on as many threads as minilstm uses."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from minilstm.backend import Array, get_array_module, synchronize
from minilstm.kernels.threads import get_num_threads, one_blas_thread, run, set_num_threads

SIDE = 1024             # of the square matrices whose product is measured
COPIED = 2 ** 26        # bytes of the copy: more than a processor's caches hold
ENOUGH = 0.1            # seconds that each measurement takes, and at least three tries


class Speed(NamedTuple):
    """Floating point operations a second of a large product; bytes a second, read and written, of a large copy."""

    peak: float
    bandwidth: float


def measure_speed(like: Array) -> Speed:
    """Return the speed of the fastest of a few tries, in the dtype and on the backend of ``like``."""
    return Speed(_peak(like), _bandwidth(like))


@contextmanager
def threads_held(threads: int | None) -> Iterator[None]:
    """Use so many threads inside a ``with``, in minilstm's kernels and in BLAS; None: leave both as they are."""
    before = get_num_threads()          # asked before BLAS is changed, which it asks
    with ExitStack() as stack:
        if threads is not None:
            stack.callback(set_num_threads, before)
            set_num_threads(threads)
            stack.enter_context(threadpool_limits(_useful(threads), user_api="blas"))
        yield


def _useful(threads: int) -> int:
    """Return how many of so many threads there is a core for."""
    return min(threads, os.cpu_count() or 1)


def _fastest(work: Callable[[], Any], like: Array) -> float:
    """Return the seconds of the fastest of some calls."""
    times: list[float] = []
    while len(times) < 3 or sum(times) < ENOUGH:
        start = perf_counter()
        work()
        synchronize(like)
        times.append(perf_counter() - start)
    return min(times)


def _peak(like: Array) -> float:
    """Return operations a second of large products in the dtype and on the backend of ``like``, one to a thread."""
    xp = get_array_module(like)
    count = _useful(get_num_threads()) if xp is np else 1
    a, b = (xp.full((SIDE, SIDE), 0.5, like.dtype) for _ in range(2))
    outs = [xp.empty((SIDE, SIDE), like.dtype) for _ in range(count)]
    # In halves, which a thread that is held up leaves to another.
    halves = slice(SIDE // 2), slice(SIDE // 2, None)
    tasks = [partial(xp.matmul, a[half], b, out=out[half]) for out in outs for half in halves]
    with one_blas_thread():
        return count * 2 * SIDE ** 3 / _fastest(lambda: run(tasks), like)


def _bandwidth(like: Array) -> float:
    """Return bytes a second, read and written, of a large copy on the backend of ``like``, on all threads."""
    xp = get_array_module(like)
    a, b = xp.ones(COPIED, np.uint8), xp.zeros(COPIED, np.uint8)
    count = _useful(get_num_threads()) if xp is np else 1
    cuts = [slice(COPIED * k // count, COPIED * (k + 1) // count) for k in range(count)]
    tasks = [partial(xp.copyto, b[cut], a[cut]) for cut in cuts]
    return 2 * COPIED / _fastest(lambda: run(tasks), like)
