"""Subnormals are flushed to zero inside the library's functions, nowhere else, and results are the same."""

from __future__ import annotations

import ctypes
import os
import platform
import random
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.backend import subnormals, threads
from minilstm.backend.subnormals import flush_to_zero, is_flushing, keep_subnormals
from minilstm.kernels import compiled
from minilstm.losses import cross_entropy

Arrays = dict[str, np.ndarray]
TINY, ONE = 5e-324, 1.0
# The lower bit of the rounding mode in the control word: FPCR, MXCSR.
ROUNDING = 1 << 22 if platform.machine() in ("aarch64", "arm64") else 1 << 13
needs_flushing = pytest.mark.skipif(subnormals.why_not() != "", reason=subnormals.why_not())
needs_alarms = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no alarms here")


def kept() -> bool:
    """Whether this thread computes with subnormals. (A comparison of numbers would take them for 0, too.)"""
    return struct.pack("d", TINY * ONE) != bytes(8)


def keep(monkeypatch: pytest.MonkeyPatch, yes: bool) -> None:
    monkeypatch.setenv(subnormals.SWITCH, "keep" if yes else "flush")


# The mode of a thread -------------------------------------------------------------------------------------

@pytest.mark.skipif(platform.libc_ver()[0] != "glibc" or platform.machine() != "x86_64", reason="elsewhere it may not")
def test_it_works_where_it_has_been_tried() -> None:
    assert subnormals.why_not() == ""


@needs_flushing
def test_inside_and_outside() -> None:
    inside = flush_to_zero(lambda: (kept(), is_flushing(), flush_to_zero(kept)(), keep_subnormals(kept)(),
                                    kept()))
    for _ in range(2):
        assert inside() == (False, True, False, True, False)
        assert kept() and not is_flushing() and keep_subnormals(kept)()


@needs_flushing
def test_after_an_error() -> None:
    def fails() -> None:
        raise ValueError(str(kept()))
    with pytest.raises(ValueError, match="False"):
        flush_to_zero(fails)()
    assert kept() and not is_flushing()


@needs_flushing
def test_another_thread_is_not_touched_and_has_a_mode_of_its_own() -> None:
    seen = []

    def watch() -> None:
        seen.extend([kept(), flush_to_zero(kept)(), kept()])
    thread = threading.Thread(target=watch)
    thread.start()
    thread.join()
    assert seen == [True, False, True]


@needs_flushing
def test_a_mode_that_somebody_has_set_stays() -> None:
    control = subnormals._thread.control
    assert control is not None
    get, reading, put, writing, _, word, bits = control
    get(*reading)
    word.value |= bits
    put(*writing)
    try:
        flush_to_zero(kept)()
        assert not kept()
    finally:
        get(*reading)
        word.value &= ~bits
        put(*writing)
    assert kept()


@needs_flushing
def test_flags_raised_inside_stay() -> None:
    library = ctypes.CDLL(None)
    library.feclearexcept(0x3F)
    flush_to_zero(library.feraiseexcept)(8)     # overflow, on x86-64
    assert library.fetestexcept(0x3F) & 8


def interrupted(what: str) -> int:
    """Count after how many of many interruptions a mode is left behind."""
    layer = ml.GRU(16, 64, return_sequences=False, rng=0)
    x = np.ones((32, 60, 16), np.float32)
    layer.backward(layer(x))                    # everything is loaded
    runs: dict[str, Callable[[], Any]] = {
        "nothing": flush_to_zero(int), "nested": flush_to_zero(keep_subnormals(flush_to_zero(int))),
        "compiled": lambda: layer.backward(layer(x))}
    tries, longest = (60, 0.02) if what == "compiled" else (1500, 1e-4)

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt
    draw, wrong = random.Random(0), 0
    signal.signal(signal.SIGALRM, interrupt)
    for _ in range(tries):
        try:
            signal.setitimer(signal.ITIMER_REAL, draw.uniform(1e-6, longest))
            while True:
                runs[what]()
        except KeyboardInterrupt:
            pass
        wrong += not kept() or is_flushing()
        layer.drop_caches()
    return wrong


@needs_flushing
@needs_alarms
@pytest.mark.parametrize("what", ["nothing", "nested", "compiled"])
def test_after_ctrl_c_at_any_moment(what: str) -> None:
    """In a process of its own, whose other state may suffer."""
    code = f"import test_subnormals; print(test_subnormals.interrupted({what!r}))"
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, text=True,
                          capture_output=True, timeout=300)
    assert done.stdout == "0\n", done.stderr


# Where it does not work -----------------------------------------------------------------------------------

@pytest.fixture
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subnormals, "_reason", None)
    monkeypatch.setattr(subnormals._thread, "control", None)


@pytest.mark.usefixtures("untried")
@pytest.mark.parametrize("layouts, reason", [
    ({}, "no way is known"),
    ({(sys.platform, "this"): (60, 0x8040)}, "the control word is elsewhere"),      # beyond fenv_t
    ({(sys.platform, "this"): (28, 0)}, "the control word is elsewhere")])
def test_elsewhere_nothing_is_flushed_and_the_reason_is_known(monkeypatch: pytest.MonkeyPatch, layouts: Any,
                                                              reason: str) -> None:
    monkeypatch.setattr(subnormals, "LAYOUTS", layouts)
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine="this"), raising=False)
    assert reason in subnormals.why_not() and flush_to_zero(kept)() and kept()
    assert subnormals._prepare() is None


@needs_flushing
@pytest.mark.usefixtures("untried")
def test_what_changes_more_than_the_mode_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    control = subnormals._control()
    calls: list[Any] = []

    def put(*arguments: Any) -> None:
        calls.append(arguments)
        control.word.value ^= (len(calls) % 2 == 0) * ROUNDING
        control.put(*arguments)
    monkeypatch.setattr(subnormals, "_control", lambda: control._replace(put=put))
    assert subnormals.why_not() and kept()


@needs_flushing
@pytest.mark.usefixtures("untried")
def test_a_mode_set_from_outside_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    control = subnormals._control()
    with monkeypatch.context() as patch:
        patch.setattr(subnormals._thread, "control", control)
        patch.setattr(subnormals, "_prepare", lambda: control)
        outside = flush_to_zero(lambda: setattr(subnormals._thread, "control", None))
        outside()
    get, reading, put, writing, _, word, bits = control
    get(*reading)
    word.value |= bits
    put(*writing)
    try:
        words = subnormals.why_not()
    finally:
        word.value &= ~bits
        put(*writing)
    assert "already" in words and subnormals.why_not() == "" and not flush_to_zero(kept)() and kept()


@needs_flushing
@pytest.mark.usefixtures("untried")
def test_windows_is_asked_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for ucrtbase's _controlfp_s, which changes this processor's mode."""
    get, reading, put, writing, _, word, bits = subnormals._control()

    def controlfp(current: Any, new: Any, mask: int) -> None:
        get(*reading)
        if mask:
            flush = getattr(new, "value", new) & mask == 0x01000000
            word.value = word.value & ~bits | bits * flush
            put(*writing)
        current._obj.value = 0x0009001F | (0x01000000 if word.value & bits else 0)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "PyDLL", {"ucrtbase": SimpleNamespace(_controlfp_s=controlfp)}.__getitem__)
    assert subnormals.why_not() == "" and not flush_to_zero(kept)() and kept()


def test_the_environment_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    keep(monkeypatch, True)
    assert flush_to_zero(kept)() and subnormals.why_not() == "MINILSTM_SUBNORMALS=keep"


# Threads, and other people's code -------------------------------------------------------------------------

@pytest.fixture
def two_threads() -> Any:
    before = threads.get_num_threads()
    threads.set_num_threads(2)
    yield
    threads.set_num_threads(before)


@needs_flushing
@pytest.mark.usefixtures("two_threads")
def test_worker_threads_do_as_their_caller_does() -> None:
    """The first call starts them."""
    barrier = threading.Barrier(2)

    def task() -> tuple[bool, int]:
        barrier.wait(20)
        return kept(), threading.get_ident()
    for run, wanted in ((flush_to_zero(threads.run), False), (threads.run, True)) * 2:
        results = run([task] * 2)
        assert [mode for mode, _ in results] == [wanted] * 2 and len({ident for _, ident in results}) == 2


SPREAD = """
import os, signal, struct, sys, threading
import numpy as np
import minilstm as ml

TINY, ONE = 5e-324, 1.0
sub, eye = np.full((256, 256), 1e-40, np.float32), np.eye(256, dtype=np.float32)

def report(when):
    seen = []
    def watch():
        seen.append(struct.pack("d", TINY * ONE) != bytes(8) and bool((eye @ sub).all()))
    watch()
    thread = threading.Thread(target=watch)
    thread.start()
    thread.join()
    print(when, *seen, flush=True)

def step(fails=False):
    model = ml.Sequential(ml.Embedding(50, 8, rng=0), ml.GRU(8, 16, return_sequences=False, rng=1),
                          ml.Linear(16, 1, rng=2), ml.Sigmoid())
    criterion, optimizer = ml.BCELoss(), ml.Adam(model)
    criterion(model(np.ones((64, 150), int) * (99 if fails else 1)), np.ones(64, np.float32))
    model.backward(criterion.backward())
    ml.clip_grad_norm(model, 1.0)
    optimizer.step()

def interrupt(*_):
    raise KeyboardInterrupt

report("import")
step()
report("step")
try:
    step(fails=True)
except ml.TokenError:
    report("error")
signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 0.05)
try:
    while True:
        step()
except KeyboardInterrupt:
    report("interrupt")
if os.fork() == 0:
    step()
    report("fork")
    sys.stdout.flush()
    os._exit(0)
os.wait()
print(np.finfo(np.float32).smallest_subnormal > 0, np.finfo(np.float64).smallest_subnormal > 0)
"""


@needs_flushing
@needs_alarms
@pytest.mark.parametrize("n", [1, 2])
def test_nothing_is_left_behind(n: int) -> None:
    """Neither in this thread, nor in new ones, nor in those of BLAS, nor in what NumPy knows about floats."""
    count = {name: str(n) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-W", "error", "-c", SPREAD], env=os.environ | count, text=True,
                          capture_output=True, timeout=300, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    moments = ("import", "step", "error", "interrupt", "fork")
    assert done.stdout.splitlines() == [f"{moment} True True" for moment in moments] + ["True True"]


@needs_flushing
def test_never_in_code_of_a_user() -> None:
    seen: dict[str, bool] = {}

    def note(where: str) -> None:
        seen[where] = seen.get(where, True) and kept()

    class Layer(ml.Module):
        def forward(self, x: Any) -> Any:
            note("forward")
            self.push(None)
            return x

        def backward(self, dy: Any) -> Any:
            note("backward")
            self.pop()
            return dy

    class Twice(ml.LSTM):
        def forward(self, x: Any, *args: Any, **options: Any) -> Any:
            note("subclass")
            return super().forward(x, *args, **options)

    def loss_forward(prediction: Any, target: Any, *, reduction: str) -> Any:
        note("loss")
        return ml.mse_forward(prediction, target, reduction=reduction)

    def loss_backward(cache: Any) -> Any:
        note("loss backward")
        return ml.mse_backward(cache)

    class Criterion(ml.Loss):
        _forward, _backward = staticmethod(loss_forward), staticmethod(loss_backward)

    class Mine(ml.Optimizer):
        def _update(self, p: Any, g: Any, moments: Any, fast: bool) -> None:
            note("update")

    class Watch(ml.Callback):
        def on_step_end(self, *_: Any) -> None:
            note("callback")

        def on_validation_begin(self, *_: Any) -> None:
            note("validation")

    def metric(*_: Any) -> float:
        note("metric")
        return 0.0
    model = ml.Sequential(Layer(), Twice(3, 4, return_sequences=False, rng=0), ml.Linear(4, 1, rng=2))
    data = ml.DataLoader(np.ones((8, 5, 3), np.float32), np.ones((8, 1), np.float32), batch_size=4)
    trainer = ml.Trainer(model, Criterion(), Mine(model, lr=0.1), metric=metric, callbacks=[Watch()],
                         clip_norm=1.0, verbose=False, progress=False)
    trainer.fit(data, data, epochs=1)
    assert seen == dict.fromkeys(["forward", "subclass", "loss", "loss backward", "backward", "update",
                                  "metric", "callback", "validation"], True)


# What is flushed ------------------------------------------------------------------------------------------

def back(layer: ml.Module, *shape: int, size: float = 1e-40) -> list[np.ndarray]:
    """The gradients that a layer makes of a subnormal one."""
    x = np.ones(shape, np.int64 if layer.takes_tokens else np.float32)
    dx = layer.backward(np.full_like(layer(x), size, np.float32))
    return [*([] if dx is None else [dx]), *layer.grads.values()]


def moved(kind: Any, **options: Any) -> list[np.ndarray]:
    """The moments after a step with a gradient that they make subnormal."""
    optimizer = kind(ml.Linear(3, 2, rng=0), lr=0.1, **options)
    for _ in range(2):
        for g in optimizer.model.grads.values():
            g.fill(2e-38 if optimizer.steps == 0 else 0)
        optimizer.step()
    return [moment for name, moment in optimizer.state_dict()["arrays"].items() if not name.endswith("_sq")]


def averaged() -> list[np.ndarray]:
    model, average = ml.Linear(1, 1, rng=0), ml.AveragedWeights(0.5)
    run: Any = SimpleNamespace(model=model, callbacks=[average])
    average.on_train_begin(run)
    for p in model.parameters():
        p.fill(1e-40)
    average.other = {name: np.zeros_like(p) for name, p in average.other.items()}
    average.on_step_end(run, 1, 1, 0.0, 0.0)
    return list(average.other.values())


def normed() -> list[np.ndarray]:
    model = ml.Linear(3, 2, rng=0)
    for g in model.grads.values():
        g.fill(1e-40)
    return [ml.clip_grad_norm(model, 1.0)]


LOW = np.full((2, 1), 1e-40, np.float32)
CASES: dict[str, Callable[[], list[np.ndarray]]] = {
    "LSTM": lambda: back(ml.LSTM(2, 3, return_sequences=False, rng=0), 2, 4, 2),
    "GRU": lambda: back(ml.GRU(2, 3, num_layers=2, bidirectional=True, dropout=0.5, rng=0), 2, 4, 2),
    "RNN": lambda: back(ml.RNN(2, 3, rng=0), 2, 4, 2),
    "RNN forward": lambda: [ml.RNN(2, 3, rng=0)(np.full((2, 4, 2), 1e-40, np.float32))],
    "Embedding": lambda: back(ml.Embedding(3, 2, rng=0), 2, 4),
    "Linear": lambda: back(ml.Linear(2, 3, rng=0), 4, 2),
    "Linear forward": lambda: [ml.Linear(2, 3, rng=0)(np.full((4, 2), 1e-40, np.float32))],
    "Dropout": lambda: back(ml.Dropout(0.1, rng=0), 4, 2),
    "Dropout forward": lambda: [ml.Dropout(0.1, rng=0)(np.full((4, 2), 1e-40, np.float32))],
    "LockedDropout": lambda: back(ml.LockedDropout(0.1, rng=0), 4, 2, 2),
    "PoolOverTime": lambda: back(ml.PoolOverTime("mean"), 4, 3, 2),
    "PoolOverTime forward": lambda: [ml.PoolOverTime("mean")(np.full((4, 3, 2), 1e-40, np.float32))],
    "Sigmoid": lambda: back(ml.Sigmoid(), 4, 2),
    "Tanh": lambda: back(ml.Tanh(), 4, 2),
    "ReLU": lambda: back(ml.ReLU(), 4, 2),
    "BCELoss": lambda: [ml.bce_backward(ml.bce_forward(LOW, 0 * LOW)[1])],
    "BCEWithLogitsLoss": lambda: [ml.bce_with_logits_backward(
        ml.bce_with_logits_forward(0 * LOW - 95, 0 * LOW)[1])],
    "CrossEntropyLoss": lambda: [ml.cross_entropy_backward(ml.cross_entropy_forward(
        np.array([[0, -95]], np.float32), np.array([0]))[1])],
    "MSELoss": lambda: [ml.mse_backward(ml.mse_forward(LOW, 0 * LOW)[1])],
    "MSELoss forward": lambda: [ml.mse_forward(LOW * np.float32(1e20), 0 * LOW, reduction="sum")[0]],
    "clip_grad_norm": normed,
    "Adam": lambda: moved(ml.Adam), "AdamW": lambda: moved(ml.AdamW),
    "SGD": lambda: moved(ml.SGD, momentum=0.5),
    "AveragedWeights": averaged,
}


@needs_flushing
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("numba", ["1", "0"])
def test_what_a_training_step_flushes(name: str, numba: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compiled.SWITCH, numba)
    keep(monkeypatch, True)
    assert any(array.any() for array in CASES[name]())
    keep(monkeypatch, False)
    assert not any(array.any() for array in CASES[name]())


@needs_flushing
def test_so_do_exponentials_that_a_sum_loses(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(cross_entropy, "total", lambda losses, scale: seen.append(kept()))
    ml.cross_entropy_forward(np.array([[0, -95]], np.float32), np.array([0]))
    assert seen == [False]


def test_small_probabilities_still_cost_what_they_should() -> None:
    p = ml.Sigmoid()(np.array([-95], np.float32))
    assert float(ml.bce_forward(p, np.ones(1))[0]) == pytest.approx(95, rel=1e-4)
    assert float(ml.bce_with_logits_forward(np.array([95], np.float32), np.ones(1))[0].view(np.int32)) > 0


# Results --------------------------------------------------------------------------------------------------

def vanishing(cell: str, fast: bool = True) -> tuple[ml.Sequential, np.ndarray, np.ndarray]:
    """A model whose gradient vanishes, and a batch."""
    rng = np.random.default_rng(0)
    kind = {"lstm": ml.LSTM, "gru": ml.GRU, "rnn": ml.RNN}[cell]
    model = ml.Sequential(ml.Embedding(680, 8, rng=0), kind(8, 12, return_sequences=False, rng=1),
                          ml.Dropout(0.5, rng=2), ml.Linear(12, 1, rng=3), ml.Sigmoid())
    for p in model[1].params.values():
        p *= 0.1
    model.fast = fast
    x = 4 * np.arange(170) + rng.integers(0, 4, (70, 170))      # each step has its own words
    return model, x, rng.integers(0, 2, (70, 1)).astype(np.float32)


def gradients(cell: str, fast: bool) -> Arrays:
    model, x, y = vanishing(cell, fast)
    criterion = ml.BCELoss()
    criterion(model(x), y)
    model.backward(criterion.backward())
    return model.named_gradients()


def subnormal(a: np.ndarray) -> np.ndarray:
    """Where the numbers are subnormal."""
    return (np.abs(a) < np.finfo(a.dtype).smallest_normal) & (a != 0)


@needs_flushing
@pytest.mark.parametrize("path", ["compiled", "NumPy", "readable"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_gradients_have_the_same_bits(cell: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compiled.SWITCH, "0" if path == "NumPy" else "1")
    keep(monkeypatch, True)
    wanted = gradients(cell, path != "readable")
    keep(monkeypatch, False)
    found = gradients(cell, path != "readable")
    assert subnormal(wanted["0.W"]).any() and not subnormal(found["0.W"]).any()
    for name, value in found.items():
        if name == "0.W":
            assert np.abs(value - wanted[name]).max() <= 1e-33
        else:
            assert value.tobytes() == wanted[name].tobytes(), name


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_one_and_two_threads_give_the_same_bits(cell: str) -> None:
    two = gradients(cell, True)
    threads.set_num_threads(1)
    for name, value in gradients(cell, True).items():
        assert value.tobytes() == two[name].tobytes(), name


def train(folder: Path | None, *epochs: int) -> tuple[Arrays, Arrays, list[float]]:
    """Weights, moments and losses of a run that is stopped after each number of epochs but the last."""
    for stop in epochs:
        model, x, y = vanishing("gru")
        trainer = ml.Trainer(model, ml.BCELoss(), ml.Adam(model, lr=0.01, betas=(0.5, 0.9)), clip_norm=1.0,
                             run_dir=folder, callbacks=[ml.AveragedWeights()], progress=False, verbose=False)
        history = trainer.fit(ml.DataLoader(x, y, batch_size=35), epochs=stop, resume=stop != epochs[0])
    return model.named_parameters(), trainer.optimizer.state_dict()["arrays"], history["train_loss"]


def bits(arrays: Arrays) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in arrays.items()}


@needs_flushing
def test_a_run_kept_and_a_run_flushed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only moments of the embedding differ, and these as little as its gradient."""
    keep(monkeypatch, True)
    weights, moments, losses = train(None, 8)
    keep(monkeypatch, False)
    found_weights, found, found_losses = train(None, 8)
    assert found_losses == losses and bits(found_weights) == bits(weights)
    assert sum(subnormal(value).sum() for value in moments.values()) > 100
    assert not any(subnormal(value).any() for value in found.values())
    for name, value in found.items():
        difference = np.abs(value - moments[name]).max()
        assert difference <= 1e-33 if name.startswith("0.W") else difference == 0, name


def test_a_resumed_run_has_the_same_bits(tmp_path: Path) -> None:
    whole, parts = train(tmp_path / "a", 4), train(tmp_path / "b", 1, 4)
    assert (bits(whole[0]), bits(whole[1]), whole[2]) == (bits(parts[0]), bits(parts[1]), parts[2])


def test_gradcheck_says_the_same(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    """In float64 even a gradient that vanishes over many steps is far from subnormal."""
    x, reports = rng.standard_normal((1, 60, 2)), []
    for yes in (True, False):
        keep(monkeypatch, yes)
        layer = ml.GRU(2, 3, return_sequences=False, rng=0)
        layer.params["W"][:3] *= 0.1
        reports.append(repr(ml.gradcheck(layer, x, method="both")))
    assert reports[0] == reports[1]
