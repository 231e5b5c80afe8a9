"""Time one LSTM layer beside PyTorch's, and JAX's where it is installed, on the CPU: forward, and forward with backward.

    python benchmarks/bench_lstm.py                         N {64, 256} x T {50, 200} x (D, H) of three sizes: 12 cells
    python benchmarks/bench_lstm.py --grid full             these, then those of N 1 to 256, T 10 to 1000, D and H 32 to 512
    python benchmarks/bench_lstm.py --only 64,50,64,128     one cell, N,T,D,H
    python benchmarks/bench_lstm.py --linear-in-t           is time linear in T?

Before a cell is timed, the libraries must agree on the same weights and data. Then they take turns (A B A B ...) in one
process; a turn repeats its call for at least 0.1 s, and the first turns are not counted. Run it on an idle machine: if other
programs use the cores, PyTorch's threads spin while they wait for each other, and a short call can take hundreds of times as
long. Therefore each cell's line shows how many cores other programs used just before, and the summary warns of too many.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, NoReturn

import numpy as np
from lstm_libraries import Libraries, check_agreement, find_libraries, make_problem

TURN = 0.1                                          # seconds that a turn lasts at least
LISTEN = 0.5                                        # seconds for measuring whether other programs use the cores
BUSY = 0.2                                          # cores that others may use without spoiling the figures
STAT = Path("/proc/stat")
PASSES = ("forward", "forward+backward")            # the first two fields of Runs
LENGTHS = (50, 100, 200, 400)                       # T of --linear-in-t


class Cell(NamedTuple):
    """One place of the grid: rows, steps, input size, hidden size."""

    N: int
    T: int
    D: int
    H: int

    @property
    def gflop(self) -> float:
        """10⁹ floating point operations of one forward pass; backward makes twice as many."""
        return 2 * self.N * self.T * (self.D + self.H) * 4 * self.H / 1e9

    def __str__(self) -> str:
        return f"N {self.N:3d}  T {self.T:4d}  D {self.D:3d}  H {self.H:3d}"


LIMIT = 300                                         # GFLOP of a forward pass; the full grid leaves out cells above it
MOST = 1100                                         # the same of --only and --linear-in-t
REQUIRED = [Cell(N, T, D, H) for N in (64, 256) for T in (50, 200) for D, H in ((64, 128), (256, 256), (512, 512))]
FULL = [Cell(N, T, D, H) for N in (1, 8, 16, 64, 256) for T in (10, 50, 200, 1000)
        for D, H in ((32, 32), (64, 128), (256, 256), (512, 512))]
GRIDS = {"required": REQUIRED, "quick": [Cell(1, 10, 32, 32), Cell(16, 50, 32, 32), Cell(64, 50, 64, 128)],
         "full": REQUIRED + [cell for cell in FULL if cell not in REQUIRED and cell.gflop <= LIMIT]}


def busy_cores() -> float:
    """Return how many cores others keep busy while this process sleeps for a moment; NaN where there is no /proc/stat."""
    def used() -> float:
        user, nice, system, _, _, *rest = map(int, STAT.read_text().split("\n")[0].split()[1:9])     # _: idle, iowait
        return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")
    if not STAT.exists():
        return float("nan")
    before, start = used(), time.perf_counter()
    time.sleep(LISTEN)
    return (used() - before) / (time.perf_counter() - start)


def turn(run: Callable[[], Any]) -> float:
    """Call until TURN seconds are spent; return seconds a call."""
    calls, start = 0, time.perf_counter()
    while True:
        run()
        calls += 1
        seconds = time.perf_counter() - start
        if seconds >= TURN:
            return seconds / calls


def rotate(runs: Mapping[Any, Callable[[], Any]], pairs: int) -> dict[Any, list[float]]:
    """Return seconds a call of each turn, by name; the turns alternate, the first of each is not counted."""
    times: dict[Any, list[float]] = {name: [] for name in runs}
    for pair in range(pairs + 1):
        for name, run in runs.items():
            seconds = turn(run)
            if pair:
                times[name].append(seconds)
    return times


def time_cell(cell: Cell, libraries: Libraries, pairs: int) -> tuple[list[float], float]:
    """Check and time one cell and print it; return the median ratios minilstm / PyTorch of the PASSES, and ``busy_cores``."""
    problem = make_problem(*cell)
    runs = {library: make(problem) for library, make in libraries.items()}
    words, busy, medians = check_agreement(runs), busy_cores(), []
    print(f"{cell}   {words}; others use {busy:.1f} cores", flush=True)
    for k, what in enumerate(PASSES):
        times = rotate({library: run[k] for library, run in runs.items()}, pairs)
        ratios = sorted(a / b for a, b in zip(times["minilstm"], times["PyTorch"]))
        medians.append(median(ratios))
        print(f"  {what:<16}" + "".join(f"  {library} {median(times[library]) * 1e3:8.2f} ms" for library in times)
              + f"  minilstm / PyTorch {medians[-1]:.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})", flush=True)
    return medians, busy


def summarize(name: str, cells: list[tuple[list[float], float]]) -> None:
    """Print in how many cells minilstm takes no longer than PyTorch, given what ``time_cell`` returned."""
    for k, what in enumerate(PASSES):
        ratios = [medians[k] for medians, _ in cells]
        print(f"{name}, {what}: minilstm / PyTorch at most 1.0 x in {sum(r <= 1.0 for r in ratios)} of {len(cells)} cells, "
              f"largest {max(ratios):.3f}", flush=True)
    warn(max(busy for _, busy in cells))


def warn(busy: float) -> None:
    """Print a line where others used more than BUSY cores."""
    if busy > BUSY:
        print(f"others used up to {busy:.1f} cores: these figures are unreliable, repeat them on an idle machine", flush=True)


def deviation(T: tuple[int, ...], seconds: list[float]) -> float:
    """Return the largest deviation of the least-squares line a + b T from a time, in percent of that time."""
    line = np.polyval(np.polyfit(T, seconds, 1), T)
    return float(100 * np.max(np.abs(line / seconds - 1)))


def check_linear(sizes: tuple[int, int, int], libraries: Libraries, pairs: int) -> None:
    """Time all LENGTHS in turns at fixed N, D, H; print milliseconds a step and how straight the line is."""
    N, D, H = sizes
    busy = busy_cores()
    print(f"N {N}  D {D}  H {H}: ms a step, and the most that a time is off the least-squares line a + b T; "
          f"others use {busy:.1f} cores", flush=True)
    runs = {(library, T): make(make_problem(N, T, D, H)) for library, make in libraries.items() for T in LENGTHS}
    for k, what in enumerate(PASSES):
        times = rotate({key: run[k] for key, run in runs.items()}, pairs)
        for library in libraries:
            seconds = [median(times[library, T]) for T in LENGTHS]
            print(f"  {what:<16}  {library:<8}" + "".join(f"  T {T} {s * 1e3 / T:.4f}" for T, s in zip(LENGTHS, seconds))
                  + f"  off by {deviation(LENGTHS, seconds):.1f} %", flush=True)
    warn(busy)


class OneLineParser(argparse.ArgumentParser):
    """A parser that reports invalid arguments in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"bench_lstm: error: {message}\n")


def read_sizes(names: str) -> Callable[[str], tuple[int, ...]]:
    """Return what reads sizes such as 64,50,64,128 for the names N,T,D,H."""
    def read(text: str) -> tuple[int, ...]:
        try:
            sizes = dict(zip(names.split(","), map(int, text.split(",")), strict=True))
        except ValueError:
            sizes = {"N": 0}
        if min(sizes.values()) < 1 or Cell(**{"T": LENGTHS[-1], **sizes}).gflop > MOST:
            raise argparse.ArgumentTypeError(f"expected {names}, whole numbers of at least 1, for a forward pass of at most "
                                             f"{MOST} GFLOP, got {text[:40]!r}")
        return tuple(sizes.values())
    return read


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = OneLineParser(prog="bench_lstm", description="Time one LSTM layer beside PyTorch's and JAX's on the CPU.")
    parser.add_argument("--pairs", type=int, default=7, metavar="K", help="counted turns of each library (default: 7)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--grid", choices=GRIDS, default="required", help="which cells (default: required)")
    which.add_argument("--only", type=read_sizes("N,T,D,H"), metavar="N,T,D,H", help="one cell instead")
    which.add_argument("--linear-in-t", type=read_sizes("N,D,H"), nargs="?", const=(64, 64, 128), metavar="N,D,H",
                       help=f"instead compare T = {', '.join(map(str, LENGTHS))} at fixed N,D,H (default: 64,64,128)")
    arguments = parser.parse_args(argv)
    if arguments.pairs < 1:
        parser.error(f"argument --pairs: expected at least 1, got {arguments.pairs}")
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return 0, 1 if libraries disagree, 2 for a bad argument, missing PyTorch or too little memory."""
    arguments = parse_arguments(argv)
    try:
        libraries, words = find_libraries()
        print(f"{words}\nfloat32, one layer, batch first; medians of {arguments.pairs} interleaved turns of {TURN} s or more, "
              "ratios over the pairs", flush=True)
        if arguments.linear_in_t:
            check_linear(arguments.linear_in_t, libraries, arguments.pairs)
            return 0
        cells = [Cell(*arguments.only)] if arguments.only else GRIDS[arguments.grid]
        if cells == GRIDS["full"]:
            left_out = (" ".join(str(cell).split()) for cell in FULL if cell not in cells)
            print(f"left out, above {LIMIT} GFLOP a forward pass: {'; '.join(left_out)}", flush=True)
        done = []
        for cell in cells:
            done.append(time_cell(cell, libraries, arguments.pairs))
            if cells[:len(done)] == REQUIRED:
                summarize("required grid", done)
        if cells != REQUIRED:
            summarize("all cells", done)
    except ImportError as error:
        print(f"bench_lstm: error: needs PyTorch ({error}): pip install -e '.[bench]'", file=sys.stderr)
        return 2
    except ArithmeticError as error:
        print(f"bench_lstm: error: {error}", file=sys.stderr)
        return 1
    except MemoryError as error:
        print(f"bench_lstm: error: not enough memory: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
