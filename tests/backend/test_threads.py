"""Threads: results are the same to the last bit for any number of them, BLAS gets its own back, and errors arrive.

Training here is large enough for several chunks of rows.
What depends on how the process was started (the environment, a fork) runs in a process of its own.
"""

from __future__ import annotations

import ast
import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import minilstm as ml
from minilstm.backend import threads
from minilstm.backend.threads import get_num_threads, one_blas_thread, run, set_num_threads
from minilstm.kernels import compiled

V, D, H = 2_503, 96, 32


@pytest.fixture(autouse=True)
def same_number_afterwards() -> Iterator[None]:
    before = get_num_threads()
    yield
    set_num_threads(before)


def train(steps: int = 3) -> bytes:
    """All parameters and moments after a few training steps, as a digest: two layers of an LSTM over padded reviews."""
    rng = np.random.default_rng(5)
    model = ml.Sequential(ml.Embedding(V, D, rng=0), ml.LSTM(D, H, 2, bidirectional=True, return_sequences=False, rng=1),
                          ml.Dropout(0.5, rng=2), ml.Linear(2 * H, 1, rng=3), ml.Sigmoid())
    criterion, optimizer = ml.BCELoss(), ml.Adam(model, lr=0.01)
    for step in range(steps):
        N, T = (64, 70, 67)[step % 3], 39 + step
        tokens = rng.integers(1, V, (N, T))
        tokens[np.arange(T) < rng.integers(0, T, N)[:, None]] = 0
        optimizer.zero_grad()
        criterion(model(tokens), rng.integers(0, 2, (N, 1)).astype(np.float32))
        model.backward(criterion.backward())
        optimizer.step()
    digest = hashlib.sha256()
    for array in (*model.named_parameters().values(), *optimizer.state_dict()["arrays"].values()):
        assert array.dtype == np.float32 and np.isfinite(array).all() and array.any()
        digest.update(array.tobytes())
    return digest.digest()


@pytest.fixture(scope="module", params=["numpy", "compiled"])
def on_one_thread(request: pytest.FixtureRequest) -> Iterator[bytes]:
    """The result of training on one thread, with steps in NumPy or compiled; the test runs with the same kind of steps."""
    with compiled.switched_off() if request.param == "numpy" else nullcontext():
        if request.param == "compiled" and compiled.why_not():
            pytest.skip(f"nothing is compiled here: {compiled.why_not()}")
        yield _on_one_thread()


def test_steps_in_numpy_and_compiled_ones_are_really_two_ways() -> None:
    if compiled.why_not():
        pytest.skip(f"nothing is compiled here: {compiled.why_not()}")
    with compiled.switched_off():
        numpys = _on_one_thread()
    assert numpys != _on_one_thread()


def _on_one_thread() -> bytes:
    before = get_num_threads()
    set_num_threads(1)
    digest = train()
    set_num_threads(before)
    return digest


def python(code: str, **environment: str) -> str:
    """What a fresh Python prints that can import this file."""
    paths = [str(Path(__file__).parent), str(Path(ml.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120,
                          env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))} | environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# Results ------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_training_gives_the_same_bytes(n: int, on_one_thread: bytes) -> None:
    set_num_threads(n)
    assert train() == on_one_thread


def test_other_numbers_give_other_bytes(on_one_thread: bytes) -> None:
    assert train(steps=2) != on_one_thread


@pytest.mark.parametrize("blas_threads", ["1", "2"])
def test_training_gives_the_same_bytes_however_blas_was_started(blas_threads: str, on_one_thread: bytes) -> None:
    code = "from test_threads import get_num_threads, train; print(get_num_threads(), train().hex())"
    number, digest = python(code, OPENBLAS_NUM_THREADS=blas_threads).split()
    assert int(number) <= int(blas_threads) and digest == on_one_thread.hex()


# The number ---------------------------------------------------------------------------------------------------------------

def test_the_number_is_what_was_set_last() -> None:
    numbers: list[Any] = [3, 1, np.int64(2)]
    for n in numbers:
        set_num_threads(n)
        assert get_num_threads() == n and type(get_num_threads()) is int


@pytest.mark.parametrize("wrong", [0, -1, 1.5, 2.0, True, "2", None, np.bool_(True)])
def test_other_things_than_a_number_of_threads_are_refused(wrong: Any) -> None:
    set_num_threads(3)
    with pytest.raises(ml.ArgumentError, match="n: expected a whole number of at least 1"):
        set_num_threads(wrong)
    assert get_num_threads() == 3


def test_at_first_the_number_is_what_blas_was_started_with() -> None:
    number, of_blas, cores = map(int, python(
        "from minilstm.backend import threads; n = threads.get_num_threads();"
        "print(n, min(lib.num_threads for lib in threads.blas().lib_controllers), threads._cores())").split())
    assert number == min(of_blas, cores) >= 1


# Tasks --------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_results_come_in_the_order_of_the_tasks(n: int) -> None:
    set_num_threads(n)
    assert run([]) == []
    for count in (1, 2, 7, 100):
        calls: list[int] = []

        def task(k: int) -> int:
            calls.append(k)
            return k * k
        assert run([partial(task, k) for k in range(count)]) == [k * k for k in range(count)]
        assert sorted(calls) == list(range(count))


@pytest.mark.parametrize("n", [2, 3])
def test_as_many_tasks_as_threads_run_at_once_and_no_more(n: int) -> None:
    set_num_threads(n)
    everybody = threading.Barrier(n, timeout=60)        # nobody passes before n threads are there
    names = run([lambda: (everybody.wait(), threading.current_thread().name)[1] for _ in range(n)])
    assert len(set(names)) == n and threading.current_thread().name in names
    assert len(set(run([lambda: threading.get_ident() for _ in range(50)]))) <= n


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("wrong", [{0}, {3}, {6}, {1, 2}, set(range(7))])
def test_an_error_reaches_the_caller_and_the_pool_goes_on(n: int, wrong: set[int]) -> None:
    set_num_threads(n)
    running = [0]
    lock = threading.Lock()

    def task(k: int) -> int:
        with lock:
            running[0] += 1
        try:
            if k in wrong:
                raise ZeroDivisionError(f"task {k}")
            return k
        finally:
            with lock:
                running[0] -= 1
    for _ in range(3):
        with pytest.raises(ZeroDivisionError, match="task [0-6]"):
            run([partial(task, k) for k in range(7)])
        assert running == [0]                                   # nobody is still at it
        assert run([partial(abs, -k) for k in range(7)]) == list(range(7))


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_threads_that_cannot_be_started(allowed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    set_num_threads(4)
    left, start = [allowed], threading.Thread.start

    def limited(thread: threading.Thread) -> None:
        if left[0] < 1:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        start(thread)

    def slow(k: int) -> int:
        time.sleep(0.002)
        return k
    monkeypatch.setattr(threading.Thread, "start", limited)
    for _ in range(3):
        left[0] = allowed
        assert run([partial(slow, k) for k in range(7)]) == list(range(7))
        left[0] = allowed
        with pytest.raises(ZeroDivisionError):
            run([partial(divmod, 1, 0)] * 7)


def test_several_callers_at_once() -> None:
    set_num_threads(3)
    results: dict[int, Any] = {}

    def call(k: int) -> None:
        results[k] = [run([partial(divmod, 7 * k + j, 7) for j in range(5)]) for _ in range(20)]
    callers = [threading.Thread(target=call, args=(k,), daemon=True) for k in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert results == {k: [[(k, j) for j in range(5)]] * 20 for k in range(4)}


def test_a_forked_child_can_run() -> None:
    print_both = """
import os, signal
from test_threads import run, set_num_threads, train
set_num_threads(3)
digest = train().hex()                  # the pool is alive
child = os.fork()
if child == 0:
    signal.alarm(60)                    # should it wait for threads it does not have
    fine = run([lambda k=k: k * k for k in range(7)]) == [k * k for k in range(7)] and train().hex() == digest
    os._exit(0 if fine else 1)
print(os.waitpid(child, 0)[1], run([lambda: 5, lambda: 7]))
"""
    assert python(print_both) == "0 [5, 7]"


# BLAS ---------------------------------------------------------------------------------------------------------------------

def of_blas() -> list[int]:
    """How many threads each BLAS library of NumPy's would use now."""
    return [library.num_threads for library in threads.blas().lib_controllers]


def test_blas_gets_its_threads_back() -> None:
    get_num_threads()           # has looked for BLAS
    with threadpool_limits(limits=2, user_api="blas"):
        two = of_blas()
        assert two and set(two) == {2}
        ones = [1] * len(two)
        for _ in range(2):
            with one_blas_thread():
                assert of_blas() == ones
                with one_blas_thread():
                    assert of_blas() == ones
                assert of_blas() == ones
            assert of_blas() == two
        with pytest.raises(ZeroDivisionError), one_blas_thread():
            with pytest.raises(KeyError), one_blas_thread():
                raise KeyError
            assert of_blas() == ones
            raise ZeroDivisionError
        assert of_blas() == two


def overlapping() -> tuple[list[int], ...]:
    """The threads that BLAS would use before two overlapping blocks, in both, in the second alone, and after them.

    The thread that enters first also leaves first, and lives on.
    """
    get_num_threads()
    before, inside, may_leave, is_out, may_end = of_blas(), *(threading.Event() for _ in range(4))

    def first() -> None:
        with one_blas_thread():
            inside.set()
            may_leave.wait(60)
        is_out.set()
        may_end.wait(60)
    thread = threading.Thread(target=first, daemon=True)
    thread.start()
    inside.wait(60)
    with one_blas_thread():
        both = of_blas()
        may_leave.set()
        is_out.wait(60)
        alone = of_blas()
    after = of_blas()
    may_end.set()
    thread.join(60)
    return before, both, alone, after


def test_the_last_of_several_threads_gives_blas_its_threads_back() -> None:
    before, both, alone, after = ast.literal_eval(python("from test_threads import overlapping; print(overlapping())"))
    assert both == alone == [1] * len(before) and after == before


def test_layers_give_blas_its_threads_back() -> None:
    layer = ml.LSTM(3, 5, rng=0)
    x = np.ones((2, 4, 3), np.float32)
    layer.backward(layer(x))    # has looked for BLAS
    with threadpool_limits(limits=2, user_api="blas"):
        two = of_blas()
        y = layer(x)
        assert of_blas() == two
        with pytest.raises(ml.ShapeError):
            layer.backward(y[:1])
        layer.backward(y)
        assert of_blas() == two


# Products -----------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 7, 3), (300, 2, 3), (3, 2, 300), (701, 131, 103), (103, 131, 701)])
@pytest.mark.parametrize("dtypes", [(np.float32, np.float32), (np.float64, np.float64), (np.float32, np.float64),
                                    (np.complex128, np.float64)])
def test_matmul_gives_the_same_bytes(shape: tuple[int, int, int], dtypes: Any, rng: np.random.Generator) -> None:
    def draw(shape: tuple[int, int], dtype: Any) -> np.ndarray:
        real = rng.standard_normal(shape)
        return (real + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else real).astype(dtype)
    M, K, N = shape
    a, b, results = draw((K, M), dtypes[0]).T, draw((K, N), dtypes[1]), set()
    with one_blas_thread():
        want, bound = a @ b, np.abs(a) @ np.abs(b)
    for n in (1, 2, 5):
        set_num_threads(n)
        got = threads.matmul(a, b)
        assert got.dtype == want.dtype
        assert (np.abs(got - want) <= 4 * np.finfo(want.dtype).eps * K * bound).all()
        results.add(got.tobytes())
    assert len(results) == 1
