"""Threads: how many to use, how to hold BLAS at one, and how to share work without changing a result.

``run`` distributes a few tasks over threads. The caller decides which numbers are added to which, and that
does not depend on the number of threads, so results are the same to the last bit. NumPy's own BLAS would
split large sums according to its number of threads, so it is held at one thread meanwhile. ``matmul`` is a
matrix product computed this way.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, get_array_module
from minilstm.backend.checks import check_positive_int
from minilstm.backend.subnormals import flush_to_zero, is_flushing, keep_subnormals

PIECE = 256                 # rows or columns of a result that one task of ``matmul`` makes
WORTH_SHARING = 10_000_000  # below this many multiplications one thread is as fast

_lock = threading.RLock()
_threads: int | None = None             # None: as many as BLAS was started with
_pool: ThreadPoolExecutor | None = None
_users = 0                              # how many are inside one_blas_thread
_before: list[int] = []                 # threads of each BLAS before that


@cache
def blas() -> Any:
    """Return threadpoolctl's controller of this process' BLAS libraries. Finding them takes milliseconds."""
    from threadpoolctl import ThreadpoolController
    return ThreadpoolController().select(user_api="blas")


@cache
def _blas_threads() -> int:
    """Return how many threads BLAS was started with: OPENBLAS_NUM_THREADS and the like, or the cores."""
    numbers = [library.num_threads for library in blas().lib_controllers]
    return max(1, min(min(numbers, default=_cores()), _cores()))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def get_num_threads() -> int:
    """Return how many threads minilstm uses: what ``set_num_threads`` said, else as many as BLAS would."""
    return _threads or _blas_threads()


def set_num_threads(n: int) -> None:
    """Use up to ``n`` threads on the CPU, in the whole process.

    Results are the same, to the last bit, for every ``n``. Raises ArgumentError unless ``n`` is an int of at
    least 1.
    """
    global _threads
    n = check_positive_int("n", n)
    with _lock:
        _threads = n
        _forget()


def _forget() -> None:
    """Let the worker threads go; the next task starts new ones."""
    global _pool
    if _pool is not None:
        _pool.shutdown(wait=False)
    _pool = None


def _set_blas_threads(numbers: list[int]) -> None:
    for library, number in zip(blas().lib_controllers, numbers):
        # Since 3.8 threadpoolctl obeys only the first thread that sets a number, until that thread ends. The
        # caller holds our lock and needs no lasting claim, so the claim is cleared before and after.
        let_go = getattr(library, "clear_controlling_thread", lambda force: None)
        let_go(force=True)
        library.set_num_threads(number)
        let_go(force=True)


_set_blas = _set_blas_threads


def _after_fork() -> None:
    """A forked child has none of its parent's threads."""
    global _pool, _lock, _users, _set_blas
    _pool, _lock, _users = None, threading.RLock(), 0
    _set_blas = keep_subnormals(_set_blas_threads)      # OpenBLAS starts its threads there


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold NumPy's BLAS at one thread inside a ``with``. May be nested, and entered by several threads."""
    global _users, _before
    _blas_threads()         # caches the original number before it is changed
    with _lock:
        _users += 1
        if _users == 1:
            _before = [library.num_threads for library in blas().lib_controllers]
            _set_blas([1] * len(_before))
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _set_blas(_before)


def run(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    """Call every task and return the results in order. Up to ``get_num_threads()`` threads share the work."""
    global _pool
    helpers = min(get_num_threads(), len(tasks)) - 1
    if helpers < 1:
        return [task() for task in tasks]
    results: list[Any] = [None] * len(tasks)
    left = deque(range(len(tasks)))

    def work() -> None:
        while True:
            try:
                k = left.popleft()
            except IndexError:
                return
            try:
                results[k] = tasks[k]()
            except BaseException as error:
                errors.append(error)
                raise
    errors: list[BaseException] = []
    futures: list[Future[None]] = []
    job = flush_to_zero(work) if is_flushing() else work
    refused = None
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(max(1, get_num_threads() - 1), "minilstm")
        try:
            for _ in range(helpers):
                futures.append(keep_subnormals(_pool.submit)(job))      # it may start a thread
        except RuntimeError:        # no further thread can be started, or none at all, as in a browser
            refused, _pool = _pool, None
    try:
        work()
    finally:
        # After an error or Ctrl-C no further task starts, and none is still writing on return.
        left.clear()
        wait(futures)
        if refused is not None:
            # The call that it refused is in its queue: a thread of it may be at work there.
            refused.shutdown()
    if errors:
        raise errors[0]
    return results


def matmul(a: Array, b: Array) -> Array:
    """Return a @ b for (M, K) and (K, N). On the host the bits do not depend on the number of threads."""
    if get_array_module(a, b) is not np:
        return a @ b
    M, N = a.shape[0], b.shape[1]
    out = np.empty((M, N), dtype=np.result_type(a, b))
    cuts = [slice(start, start + PIECE) for start in range(0, max(M, N), PIECE)]

    def task(cut: slice) -> Callable[[], Any]:
        if M >= N:
            return lambda: np.matmul(a[cut], b, out=out[cut])
        return lambda: np.matmul(a, b[:, cut], out=out[:, cut])
    tasks = [task(cut) for cut in cuts]
    with one_blas_thread():
        if M * N * a.shape[1] < WORTH_SHARING:
            for do in tasks:
                do()
        else:
            run(tasks)
    return out
