"""The speed-up by each part of the fast path: training steps of the reference model with and without it, in turns.

    python benchmarks/bench_parts.py --data "IMDB Dataset.csv"

A ratio "without" / "with" above 1 means that the part saves time. Parts that speed up a single thread are measured on one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from bench_imdb import BATCH, batches, encode, minilstm_model, turn

import minilstm as ml
from minilstm.kernels import compiled
from minilstm.kernels.cpu import buffers, sequence
from minilstm.layers import embedding


@contextmanager
def changed(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Set an attribute inside a ``with``."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def on_threads(n: int) -> Iterator[None]:
    """Use ``n`` threads inside a ``with``."""
    before = ml.get_num_threads()
    ml.set_num_threads(n)
    try:
        yield
    finally:
        ml.set_num_threads(before)


def nothing(*arguments: Any) -> None:
    """Replacement for a part that is removed."""


class Part(NamedTuple):
    """One part of the fast path: the threads it is measured on, what removes it, and whether the other steps are compiled."""

    name: str
    threads: int
    without: Callable[[], list[Any]]        # contexts
    numba: bool = True


PARTS = [
    Part("compiled steps", 2, lambda: [compiled.switched_off()]),
    Part("compiled steps, one thread", 1, lambda: [compiled.switched_off()]),
    Part("a second core", 2, lambda: [on_threads(1)]),
    Part("two chunks of rows, not four", 2, lambda: [changed(sequence, "row_chunks", quarters)]),
    Part("memory that serves again", 2, lambda: [changed(buffers.Memory, "give", nothing)]),
    Part("steps in blocks", 2, lambda: [changed(sequence, "BLOCK", 10 ** 9)]),
    Part("embedding gradient compiled", 2, lambda: [changed(embedding, "embedding_twin", nothing)]),
    Part("in NumPy: a second core", 2, lambda: [on_threads(1)], False),
    Part("in NumPy: memory that serves again", 2, lambda: [changed(buffers.Memory, "give", nothing)], False),
]


def quarters(N: int, compiled: bool) -> list[slice]:
    """Cut N rows into four chunks."""
    edges = [N * k // 4 for k in range(5)]
    return [slice(a, b) for a, b in zip(edges, edges[1:])]


def main() -> int:
    parser = argparse.ArgumentParser(description="Time the fast path with and without each of its parts.")
    parser.add_argument("--data", metavar="PATH", help="a CSV with the columns review,sentiment (default: as load_imdb finds)")
    parser.add_argument("--encoded", type=Path, metavar="FILE", help="keep the encoded reviews in FILE.npy for the next time")
    parser.add_argument("--pairs", type=int, default=7, metavar="N", help="how often each of the two runs (default: 7)")
    parser.add_argument("--steps", type=int, default=6, metavar="N", help="batches a turn (default: 6)")
    arguments = parser.parse_args()
    for name in ("pairs", "steps"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name}: expected at least 1, got {getattr(arguments, name)}")
    with tempfile.TemporaryDirectory() as folder:
        file = arguments.encoded or Path(folder) / "reviews"
        if not Path(f"{file}.npy").exists():
            try:
                encode(arguments.data, file)
            except ml.MinilstmError as error:
                print(f"bench_parts: error: {error}", file=sys.stderr)
                return 2
        data = batches(file, arguments.steps)
    print(f"{compiled.words()}\n"
          f"training steps, batch {BATCH}; medians of {arguments.pairs} interleaved pairs of {arguments.steps} steps")
    train, _ = minilstm_model()
    turn(train, data)
    readable, _ = minilstm_model(fast=False)
    for part in [Part("all of it (readable functions)", 2, list), *PARTS]:
        with on_threads(part.threads), nullcontext() if part.numba else compiled.switched_off():
            times: list[tuple[float, float]] = []
            for _ in range(arguments.pairs + 1):
                fast = turn(train, data)
                with ExitStack() as stack:
                    for context in part.without():
                        stack.enter_context(context)
                    times.append((fast, turn(readable if part.without is list else train, data)))
        with_, without = (median(column) for column in zip(*times[1:]))
        ratios = sorted(b / a for a, b in times[1:])
        print(f"{part.name:<40} threads {part.threads}  with {with_ * 1e3:6.1f} ms  without {without * 1e3:6.1f} ms  "
              f"without / with {median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
