"""What each part of the fast path is worth: training steps of the reference model with it and without it, in turns.

    python benchmarks/bench_parts.py --data "IMDB Dataset.csv"

"without" / "with" above 1: the part pays. What concerns a single thread's work is measured on one thread.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from bench_imdb import BATCH, batches, encode, minilstm_model, turn

import minilstm as ml
from minilstm.kernels import compiled, embedding
from minilstm.kernels.cpu import chunks as batch
from minilstm.kernels.cpu import lstm, memory, pieces, processes, sequence
from minilstm.kernels.cpu.lstm import LSTMCell


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
def on_threads(n: int, helpers: bool = True) -> Iterator[None]:
    """Use ``n`` threads inside a ``with``, or none but threads."""
    before, switch = ml.get_num_threads(), os.environ.get(processes.SWITCH)
    ml.set_num_threads(n)
    os.environ[processes.SWITCH] = "1" if helpers else "0"
    try:
        yield
    finally:
        ml.set_num_threads(before)
        os.environ.pop(processes.SWITCH)
        os.environ.update({} if switch is None else {processes.SWITCH: switch})


def by_reduceat(dy: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``embedding_rows`` in the shortest way."""
    flat = tokens.reshape(-1)
    order = np.argsort(flat, kind="stable")
    starts = np.flatnonzero(np.diff(flat[order], prepend=-1))
    return flat[order][starts], np.add.reduceat(dy.reshape(len(flat), -1)[order], starts, axis=0)


class TanhCell(LSTMCell):
    """Sigmoids as ½ + ½ tanh(z/2), so that one tanh serves all four gates."""

    def forward_weights(self, W: np.ndarray, b: np.ndarray) -> np.ndarray:
        weights = super().forward_weights(W, b)
        weights[:3 * self.H] *= -0.5
        return weights

    def forward_steps(self, hx: np.ndarray, u: np.ndarray, padded: Any, product: Any, spare: Any) -> None:
        H, n = self.H, hx.shape[2]
        half, terms = np.array(0.5, hx.dtype), np.empty((2, H, n), hx.dtype)
        for t in range(len(hx) - 1):
            z, sigmoids, blocks = u[t, :4 * H], u[t, :3 * H], u[t].reshape(6, H, n)
            product(hx[t], z)
            np.tanh(z, out=z)
            np.multiply(sigmoids, half, out=sigmoids)
            np.add(sigmoids, half, out=sigmoids)
            np.multiply(blocks[2::-2], blocks[3:5], out=terms)
            np.add(terms[0], terms[1], out=u[t + 1, 4 * H:5 * H])
            np.tanh(u[t + 1, 4 * H:5 * H], out=blocks[5])
            np.multiply(blocks[1], blocks[5], out=hx[t + 1, :H])
        self._local_derivatives(hx, u[:-1], padded, spare)


class Part(NamedTuple):
    """One part of the fast path: how many threads it is measured on, what takes it away, and whether among compiled steps."""

    name: str
    threads: int
    without: Callable[[], list[Any]]        # contexts
    numba: bool = True


PARTS = [
    Part("compiled steps", 2, lambda: [compiled.switched_off()]),
    Part("compiled steps, one thread", 1, lambda: [compiled.switched_off()]),
    Part("a second core", 2, lambda: [on_threads(1)]),
    Part("rows with equal padding once", 2, lambda: [changed(lstm, "beginnings", lambda tokens: None)]),
    Part("widths of 8 rows, not 16", 2, lambda: [changed(batch, "WIDTHS", 16)]),
    Part("two chunks of rows, not four", 2, lambda: [changed(batch, "_count", lambda N, compiled: 4)]),
    Part("optimiser in pieces", 2, lambda: [changed(pieces, "PIECE", 10 ** 9)]),
    Part("buffers that serve again", 1, lambda: [changed(memory.Memory, "give", lambda self, buffers: None)]),
    Part("weight gradients block by block", 1, lambda: [changed(sequence, "BACKWARD_BLOCK", 10 ** 9)]),
    Part("[h, x] side by side in one product", 1, lambda: [changed(sequence, "LARGE", 0)]),
    Part("in NumPy: a second core", 2, lambda: [on_threads(1)], False),
    Part("in NumPy: a helper process, not a thread", 2, lambda: [on_threads(2, helpers=False)], False),
    Part("in NumPy: embedding gradient by count", 2, lambda: [changed(embedding, "embedding_rows", by_reduceat)], False),
    Part("in NumPy: derivatives block by block", 1, lambda: [changed(sequence, "FORWARD_BLOCK", 10 ** 9)], False),
    Part("in NumPy: sigmoids from exp, not tanh", 1, lambda: [changed(lstm, "LSTMCell", TanhCell)], False),
]


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
