"""The programs that time minilstm: that they still run, what they print, and the arithmetic behind their figures. No times."""

from __future__ import annotations

import contextlib
import csv
import importlib
import inspect
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.kernels import compiled

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PASSES = ("forward", "forward+backward")


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Import a file of benchmarks/; what a test changes in it is undone with the test."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    yield importlib.import_module


@pytest.fixture
def bench(program: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """bench_lstm, in a hurry, with minilstm in PyTorch's place."""
    module = program("bench_lstm")
    make = program("lstm_libraries").minilstm_runs
    monkeypatch.setattr(module, "TURN", 0.0)
    monkeypatch.setattr(module, "LISTEN", 1e-3)
    monkeypatch.setattr(module, "busy_cores", lambda: 0.0)
    monkeypatch.setattr(module, "find_libraries", lambda: ({"minilstm": make, "PyTorch": make}, "versions"))
    return module


class Clock:
    """A clock that only moves when told to."""

    def __init__(self, module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(module.time, "perf_counter", lambda: self.now)

    def run(self, *seconds: float) -> Callable[[], None]:
        """Return a call that takes the given seconds in turn, the last ever after."""
        left = list(seconds)

        def call() -> None:
            self.now += left.pop(0) if len(left) > 1 else left[0]
        return call


def refused(capsys: pytest.CaptureFixture[str], call: Callable[[], int], status: int = 2) -> str:
    """Assert the exit status and one line on standard error; return it."""
    try:
        got: Any = call()
    except SystemExit as error:
        got = error.code
    errors = capsys.readouterr().err
    assert got == status and errors.count("\n") == 1 and errors.startswith("bench_lstm: error: "), errors
    return errors


# bench_lstm ---------------------------------------------------------------------------------------------------------------

def test_one_cell_as_its_user_sees_it() -> None:
    pytest.importorskip("torch", reason="the oracles extra is not installed")
    command = [sys.executable, "-W", "error", str(BENCHMARKS / "bench_lstm.py"), "--only", "3,11,5,7", "--pairs", "1"]
    # One thread: with more, PyTorch spends seconds on a tiny cell where other programs want the cores.
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0 and not done.stderr, done.stderr
    versions, settings, cell, *rest = done.stdout.splitlines()
    assert f"NumPy {np.__version__}, {compiled.words()}; PyTorch " in versions and "on 1 threads" in versions
    assert "JAX" in versions
    assert "1 interleaved turns of 0.1 s or more" in settings
    assert re.fullmatch(r"N   3  T   11  D   5  H   7   agree: PyTorch y \de-\d+ dW \de-\d+.*; others use (\d\.\d|nan) cores",
                        cell)
    for what, times, summary in zip(PASSES, rest, rest[2:], strict=False):
        found = re.fullmatch(rf"  {re.escape(what)} +minilstm +(\S+) ms  PyTorch +(\S+) ms.*  minilstm / PyTorch (\S+) "
                             r"\((\S+) to (\S+)\)", times)
        assert found, times
        a, b, ratio, least, most = map(float, found.groups())
        assert ratio == least == most and abs(ratio - a / b) <= (0.006 + 0.006 * ratio) / b + 0.0006     # as rounded
        assert summary.startswith(f"all cells, {what}: minilstm / PyTorch at most 1.0 x in {int(ratio <= 1)} of 1 cells, ")
        assert summary.endswith(f"largest {found[3]}")


def test_the_grids(bench: Any) -> None:
    required, full = bench.GRIDS["required"], bench.GRIDS["full"]
    assert sorted(required) == sorted((N, T, *sizes) for N in (64, 256) for T in (50, 200)
                                      for sizes in ((64, 128), (256, 256), (512, 512)))
    assert full[:12] == required and len(set(full)) == len(full) == 5 * 4 * 4 - 1
    assert set(bench.FULL) - set(full) == {(256, 1000, 512, 512)}
    assert bench.Cell(3, 11, 5, 7).gflop == pytest.approx(3 * 11 * (7 + 5) * 4 * 7 * 2 / 1e9)
    assert all(cell.gflop < 1 for cell in bench.GRIDS["quick"])


@pytest.mark.parametrize(("grid", "names"), [("required", ["required grid"]), ("full", ["required grid", "all cells"]),
                                             ("quick", ["all cells"])])
@pytest.mark.parametrize("busy", [0.0, 1.7])
def test_the_summary_counts_cells_and_tells_of_others(grid: str, names: list[str], busy: float, bench: Any,
                                                      monkeypatch: pytest.MonkeyPatch,
                                                      capsys: pytest.CaptureFixture[str]) -> None:
    slow = bench.GRIDS[grid][1]
    monkeypatch.setattr(bench, "time_cell",
                        lambda cell, *_: ([1.0, 1.25], busy) if cell == slow else ([0.5, 1.0004], 0.0))
    assert bench.main(["--grid", grid]) == 0
    lines = capsys.readouterr().out.splitlines()
    n = {"required grid": 12, "all cells": len(bench.GRIDS[grid])}
    counts = [f"{name}, {what}: minilstm / PyTorch at most 1.0 x in {count} of {n[name]} cells, largest {largest}"
              for name in names for what, count, largest in (("forward", n[name], "1.000"), ("forward+backward", 0, "1.250"))]
    assert [line for line in lines if "at most" in line] == counts
    assert sum("others used up to 1.7 cores" in line for line in lines) == (len(names) if busy else 0)
    assert [line for line in lines if "left out" in line] == (
        ["left out, above 300 GFLOP a forward pass: N 256 T 1000 D 512 H 512"] if grid == "full" else [])


def test_a_turn_repeats_its_call_until_the_time_is_spent(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(bench, monkeypatch)
    monkeypatch.setattr(bench, "TURN", 0.1)
    assert bench.turn(clock.run(0.03)) == pytest.approx(0.03) and clock.now == pytest.approx(0.12)
    assert bench.turn(clock.run(0.05, 0.01, 0.06)) == pytest.approx(0.04)
    assert bench.turn(clock.run(7.0)) == pytest.approx(7)


def test_turns_alternate_and_the_first_pair_is_not_counted(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, calls = Clock(bench, monkeypatch), []

    def library(name: str, *seconds: float) -> Callable[[], None]:
        run = clock.run(*seconds)

        def call() -> None:
            calls.append(name)
            run()
        return call
    times = bench.rotate({"a": library("a", 9, 1, 2, 3), "b": library("b", 9, 5, 6, 7)}, 3)
    assert calls == ["a", "b"] * 4 and times == {"a": [1, 2, 3], "b": [5, 6, 7]}


def test_the_ratio_is_the_median_over_the_pairs(bench: Any, monkeypatch: pytest.MonkeyPatch,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    """1/4, 4/2 and 9/3: the median of the ratios is 2, the ratio of the medians 4/3."""
    monkeypatch.setattr(bench, "rotate", lambda *_: {"minilstm": [1.0, 4.0, 9.0], "PyTorch": [4.0, 2.0, 3.0]})
    assert bench.time_cell(bench.Cell(2, 3, 5, 7), bench.find_libraries()[0], 3) == ([2.0, 2.0], 0.0)
    words = "minilstm  4000.00 ms  PyTorch  3000.00 ms  minilstm / PyTorch 2.000 (0.250 to 3.000)\n"
    assert capsys.readouterr().out.count(words) == 2


def test_how_straight_a_line_is(bench: Any) -> None:
    assert bench.deviation((50, 100, 200, 400), [7 + 3 * T for T in (50, 100, 200, 400)]) < 1e-9
    assert bench.deviation((1, 2, 3), [1.0, 1.0, 2.0]) == pytest.approx(100 / 3)       # the line is 5/6, 8/6, 11/6


def test_linear_in_t_prints_a_row_for_each_pass_and_library(bench: Any, monkeypatch: pytest.MonkeyPatch,
                                                            capsys: pytest.CaptureFixture[str]) -> None:
    times = {50: 0.1, 100: 0.2, 200: 0.4, 400: 0.8}
    monkeypatch.setattr(bench, "rotate", lambda runs, pairs: {key: [times[key[1]]] * pairs for key in runs})
    assert bench.main(["--linear-in-t", "2,3,5", "--pairs", "3"]) == 0
    _, _, head, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("N 2  D 3  H 5: ")
    assert [row.split() for row in rows] == [
        f"{what} {library} T 50 2.0000 T 100 2.0000 T 200 2.0000 T 400 2.0000 off by 0.0 %".split()
        for what in PASSES for library in ("minilstm", "PyTorch")]


def test_how_busy_others_are(program: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module, stat = program("bench_lstm"), tmp_path / "stat"
    clock = Clock(module, monkeypatch)
    tick = os.sysconf("SC_CLK_TCK")

    def sleep(seconds: float) -> None:      # in 2 s, of all cores: user 1, nice 0.25, system 0.5, interrupts 0.25, stolen 1
        clock.now += 2.0
        used = [round(s * tick) for s in (101, 2.25, 3.5, 904, 5, 6.25, 7, 9, 50, 60)]
        stat.write_text(f"cpu  {' '.join(map(str, used))}\ncpu0 1 2 3\n")
    monkeypatch.setattr(module, "STAT", stat)
    monkeypatch.setattr(module.time, "sleep", sleep)
    assert math.isnan(module.busy_cores())
    stat.write_text(f"cpu  {' '.join(str(s * tick) for s in (100, 2, 3, 900, 4, 6, 7, 8, 40, 50))}\ncpu0 1 2 3\n")
    assert module.busy_cores() == pytest.approx((1 + 0.25 + 0.5 + 0.25 + 1) / 2)


@pytest.mark.parametrize("name", ["y", "dW", "db", "dx"])
@pytest.mark.parametrize("wrong", [2.0, math.nan, 0.5])
def test_disagreement_is_seen_in_every_result(name: str, wrong: float, program: Callable[[str], Any],
                                              rng: np.random.Generator) -> None:
    """By twice and by half the bound."""
    libraries = program("lstm_libraries")
    ours = {key: rng.uniform(-1, 1, (5, 7)) for key in libraries.BOUNDS}
    theirs = {key: value.copy() for key, value in ours.items()}
    theirs[name][2, 3] += wrong * libraries.BOUNDS[name] * np.abs(ours[name]).max()
    runs = {key: libraries.Runs(lambda: None, lambda: None, lambda results=results: results)
            for key, results in (("minilstm", ours), ("A", ours), ("B", theirs))}
    if wrong == 0.5:
        assert libraries.check_agreement(runs).startswith("agree: A y 0e+00 dW 0e+00, B y ")
    else:
        with pytest.raises(ArithmeticError, match=f"minilstm and B disagree: {name} by "):
            libraries.check_agreement(runs)


def test_cells_that_disagree_are_not_timed(bench: Any, monkeypatch: pytest.MonkeyPatch,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    libraries, _ = bench.find_libraries()
    right = libraries["PyTorch"]
    libraries["PyTorch"] = lambda problem: right(problem._replace(W=problem.W * np.float32(1.01)))
    monkeypatch.setattr(bench, "rotate", lambda *_: pytest.fail("timed"))
    monkeypatch.setattr(bench, "find_libraries", lambda: (libraries, "versions"))
    assert "PyTorch disagree: y by " in refused(capsys, lambda: bench.main(["--only", "2,3,5,7"]), status=1)


def test_each_call_starts_anew(program: Callable[[str], Any]) -> None:
    """No gradient is added to that of the call before."""
    pytest.importorskip("torch", reason="the oracles extra is not installed")
    libraries = program("lstm_libraries")
    for make in libraries.find_libraries()[0].values():
        runs = make(libraries.make_problem(2, 3, 5, 7))
        first = {name: value.copy() for name, value in runs.results().items()}
        for name, value in runs.results().items():
            np.testing.assert_allclose(value, first[name], rtol=0, atol=1e-6, err_msg=name)


def test_gradients_stay_away_from_subnormal_numbers(program: Callable[[str], Any]) -> None:
    """The problem's promise, at a length where the gradient of the last state alone would be gone."""
    libraries = program("lstm_libraries")
    dx = libraries.minilstm_runs(libraries.make_problem(3, 400, 5, 7)).results()["dx"]
    assert np.abs(dx).max(axis=2).min() > 1e-4


def test_mistakes_are_one_line_and_status_2(program: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    bench = program("bench_lstm")
    for text in ("1,2,3", "1,2,3,4,5", "0,2,3,4", "1,-2,3,4", "a,2,3,4", "", "1e3,2,3,4", "1000,1000,512,512"):
        assert "argument --only: expected N,T,D,H" in refused(capsys, lambda: bench.main([f"--only={text}"]))
    assert "argument --linear-in-t: expected N,D,H" in refused(capsys, lambda: bench.main(["--linear-in-t", "2,3,5,7"]))
    assert "at most 1100 GFLOP" in refused(capsys, lambda: bench.main(["--linear-in-t", "1000,1000,1000"]))
    assert "argument --pairs: expected at least 1, got 0" in refused(capsys, lambda: bench.main(["--pairs", "0"]))
    assert "argument --grid" in refused(capsys, lambda: bench.main(["--grid", "huge"]))
    assert "not allowed with" in refused(capsys, lambda: bench.main(["--grid", "full", "--only", "1,2,3,5"]))
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "pip install -e '.[bench]'" in refused(capsys, lambda: bench.main(["--only", "2,3,5,7"]))


# bench_imdb ---------------------------------------------------------------------------------------------------------------

@pytest.fixture
def imdb(program: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """bench_imdb, with a small model."""
    module = program("bench_imdb")
    for name, value in {"V": 23, "D": 3, "H": 5, "BATCH": 7, "LENGTH": 11}.items():
        monkeypatch.setattr(module, name, value)
    return module


@pytest.fixture
def encoded(imdb: Any, tmp_path: Path) -> Path:
    """Where 67 made-up reviews lie, encoded."""
    with open(tmp_path / "reviews.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["review", "sentiment"])
        rows.writerows([f"word{k % 5} film " * (1 + k % 9), "positive" if k % 2 else "negative"] for k in range(67))
    assert "reviews.csv" in imdb.encode(str(tmp_path / "reviews.csv"), tmp_path / "encoded")
    return tmp_path / "encoded"


def test_reviews_become_batches(imdb: Any, encoded: Path) -> None:
    x, y = np.load(f"{encoded}.npy"), np.load(f"{encoded}-y.npy")
    assert x.shape == (67, 11) and x.dtype == np.int32 and y.shape == (67,) and y.dtype == np.float32 and y.sum() == 33
    data = imdb.batches(encoded, 12)
    assert [a.shape for a, _ in data] == [(7, 11)] * 12 and [b.shape for _, b in data] == [(7,)] * 12
    for number, (a, b) in enumerate(data[:8]):
        assert (a == x[7 * number:7 * number + 7]).all() and (b == y[7 * number:7 * number + 7]).all()
    short, _ = imdb.batches(encoded, 1, words=2, tokens=4)[0]
    assert short.shape == (7, 4) and not short[:, :2].any() and short[:, 2:].all()
    assert (short[0, 2:] == data[0][0][0][data[0][0][0] != 0][:2]).all()


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_both_models_start_alike_and_learn(cell: str, imdb: Any, encoded: Path) -> None:
    torch = pytest.importorskip("torch", reason="the oracles extra is not installed")
    data = imdb.batches(encoded, 2)
    train, evaluate = imdb.torch_model(cell)
    theirs = inspect.getclosurevars(train).nonlocals["model"]
    ours = imdb.reference_model(imdb.ReferenceSettings(cell, 23, 3, 5))
    with torch.no_grad():
        _, state = theirs.cell(theirs.embedding(torch.from_numpy(data[0][0])))
    np.testing.assert_allclose(ours[:2](data[0][0]), (state[0] if cell == "lstm" else state)[-1].numpy(), rtol=0, atol=1e-6)
    fast, readable = (imdb.minilstm_model(cell, fast)[0] for fast in (True, False))
    models = [inspect.getclosurevars(run).nonlocals["model"] for run in (fast, readable)]
    assert [model[1].fast for model in models] == [True, False]
    values: list[Callable[[], list[np.ndarray]]] = [
        lambda: [parameter.detach().numpy().copy() for parameter in theirs.parameters()],
        *(lambda model=model: [value.copy() for value in model.named_parameters().values()] for model in models)]
    for run, read in zip((train, fast, readable), values):
        before = read()
        run(*data[0])
        assert all((a != b).any() for a, b in zip(before, read()))
    trained = [read() for read in values]
    evaluate(*data[1])
    imdb.minilstm_model(cell)[1](*data[1])
    assert all((a == b).all() for read, then in zip(values, trained) for a, b in zip(read(), then))


def test_imdb_turns_and_report(imdb: Any, encoded: Path, monkeypatch: pytest.MonkeyPatch,
                               capsys: pytest.CaptureFixture[str]) -> None:
    clock, data = Clock(imdb, monkeypatch), imdb.batches(encoded, 2)
    ours, theirs = clock.run(9, 9, 1, 1, 4, 4, 9, 9), clock.run(9, 9, 4, 4, 2, 2, 3, 3)
    times = imdb.compare({"minilstm": lambda x, y: ours(), "PyTorch": lambda x, y: theirs()}, data, 3, pause=0)
    assert times == {"minilstm": [1, 4, 9], "PyTorch": [4, 2, 3]}
    imdb.report("training", times, 12e9, 70)
    words = capsys.readouterr().out
    assert "minilstm / PyTorch 2.00 (0.25 to 3.00)" in words and "GFLOP/s: minilstm 3, PyTorch 4, sgemm alone 70" in words


def test_peak_memory_is_that_of_a_process_that_trains(imdb: Any, encoded: Path) -> None:
    assert 20 < imdb.peak_memory("minilstm", "gru", encoded, 1) < 2000     # MB; the child has the reference model's sizes


# bench_parts --------------------------------------------------------------------------------------------------------------

def parameters_after(train: Callable[..., None], data: list[tuple[np.ndarray, np.ndarray]]) -> list[np.ndarray]:
    for x, y in data:
        train(x, y)
    model = inspect.getclosurevars(train).nonlocals["model"]
    return list(model.named_parameters().values())


def test_every_part_can_be_taken_away_and_changes_no_result(program: Callable[[str], Any], imdb: Any, encoded: Path) -> None:
    """With and without each part, the same training to rounding; and all is as it was afterwards."""
    parts, data = program("bench_parts"), imdb.batches(encoded, 2)
    before = ml.get_num_threads()
    want = parameters_after(imdb.minilstm_model()[0], data)
    for part in parts.PARTS:
        with parts.on_threads(part.threads), contextlib.ExitStack() as stack:
            if not part.numba:
                stack.enter_context(compiled.switched_off())
            for context in part.without():
                stack.enter_context(context)
            got = parameters_after(imdb.minilstm_model()[0], data)
        for a, b in zip(got, want):
            np.testing.assert_allclose(a, b, rtol=0, atol=2e-4)         # Adam: a gradient near 0 may change sign
    assert ml.get_num_threads() == before
    again = parameters_after(imdb.minilstm_model()[0], data)
    assert all((a == b).all() for a, b in zip(again, want))


def test_parts_that_are_patched_are_used(program: Callable[[str], Any], imdb: Any, encoded: Path,
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in the place of a part is really called: each part's name in the code is the one that counts."""
    parts, data = program("bench_parts"), imdb.batches(encoded, 1)
    called: list[str] = []
    for name in ("nothing", "quarters"):
        original = getattr(parts, name)
        monkeypatch.setattr(parts, name, lambda *a, _name=name, _original=original: called.append(_name) or _original(*a))
    for part in parts.PARTS:
        called.clear()
        with parts.on_threads(part.threads), contextlib.ExitStack() as stack:
            if not part.numba:
                stack.enter_context(compiled.switched_off())
            for context in part.without():
                stack.enter_context(context)
            imdb.minilstm_model()[0](*data[0])
        expected = {"two": {"quarters"}, "memory": {"nothing"}, "embedding": {"nothing"}, "Adam": {"nothing"},
                    "in NumPy: memory": {"nothing"}, "in NumPy: products": {"nothing"}}
        want = next((names for start, names in expected.items() if part.name.startswith(start)), set())
        assert set(called) == want, part.name


def test_bench_parts_prints_a_row_for_each(program: Callable[[str], Any], encoded: Path, monkeypatch: pytest.MonkeyPatch,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    parts = program("bench_parts")
    monkeypatch.setattr(sys, "argv", ["bench_parts", "--encoded", str(encoded), "--pairs", "1", "--steps", "1"])
    assert parts.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 + len(parts.PARTS) and all("without / with" in line for line in lines[2:])
