"""bench_lstm: that it still runs, what it prints, the arithmetic behind its figures. No times."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clock import Clock

from minilstm.kernels import compiled

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

PASSES = ("forward", "forward+backward")


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


# bench_lstm ---------------------------------------------------------------------------------------------------------------


def refused(capsys: pytest.CaptureFixture[str], call: Callable[[], int], status: int = 2) -> str:
    """Assert the exit status and one line on standard error; return it."""
    try:
        got: Any = call()
    except SystemExit as error:
        got = error.code
    errors = capsys.readouterr().err
    assert got == status and errors.count("\n") == 1 and errors.startswith("bench_lstm: error: "), errors
    return errors


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


def test_cells_that_disagree_are_not_timed(bench: Any, monkeypatch: pytest.MonkeyPatch,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    libraries, _ = bench.find_libraries()
    right = libraries["PyTorch"]
    libraries["PyTorch"] = lambda problem: right(problem._replace(W=problem.W * np.float32(1.01)))
    monkeypatch.setattr(bench, "rotate", lambda *_: pytest.fail("timed"))
    monkeypatch.setattr(bench, "find_libraries", lambda: (libraries, "versions"))
    assert "PyTorch disagree: y by " in refused(capsys, lambda: bench.main(["--only", "2,3,5,7"]), status=1)


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
