"""The price of reliability: strict CSV reading beside pandas, the guard against NaN, and memory over 25 epochs.

    python benchmarks/bench_reliability.py --data "IMDB Dataset.csv"

- CSV: ``read_reviews``, which refuses what is malformed, beside ``pandas.read_csv``, which does not, in turns.
- Guard: training steps that stop at a loss or gradient that is not finite, beside the same steps without that, in turns.
- Memory: that of the process after each of 25 epochs of training, validation and checkpoints (Linux).
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from bench_imdb import encode

import minilstm as ml
from minilstm.kernels import compiled
from minilstm.training import trainer as guarded
from minilstm.training.reference import ReferenceSettings, reference_model

EPOCHS = 25
STATM = Path("/proc/self/statm")        # size, then resident pages


def compare(first: Callable[[], Any], second: Callable[[], Any], pairs: int) -> tuple[list[float], list[float]]:
    """Return the seconds of each call; the two take turns, and the first pair is not counted."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(pairs + 1):
        for column, call in zip(times, (first, second)):
            start = time.perf_counter()
            call()
            column.append(time.perf_counter() - start)
    return times[0][1:], times[1][1:]


def spread(ratios: list[float]) -> str:
    """Return median and range."""
    return f"{median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"


def csv_reading(file: Path, pairs: int) -> str:
    """Compare ``read_reviews`` with pandas on one file, after checking that both read the same texts."""
    import pandas
    texts, _ = ml.read_reviews(file)
    assert texts == pandas.read_csv(file, keep_default_na=False, dtype=str)["review"].to_list(), "the texts differ"
    ours, theirs = compare(lambda: ml.read_reviews(file), lambda: pandas.read_csv(file), pairs)
    return (f"CSV: {len(texts):,} reviews: minilstm {median(ours):.2f} s, pandas {median(theirs):.2f} s, minilstm / pandas "
            f"{spread([a / b for a, b in zip(ours, theirs)])}")


def trainer_of(loader: ml.DataLoader, **options: Any) -> ml.Trainer:
    """Return a Trainer of the reference model."""
    model = reference_model(ReferenceSettings())
    return ml.Trainer(model, ml.BCELoss(), ml.Adam(model, lr=1e-3), verbose=False, progress=False, **options)


def guard(loader: ml.DataLoader, pairs: int) -> str:
    """Compare epochs with the guard and without it: the norm of the gradients is not computed, and nothing is asked."""
    def without() -> None:
        norm, guarded.clip_grad_norm = guarded.clip_grad_norm, lambda *_: np.float32(1)
        try:
            plain.fit(loader, epochs=plain.epoch + 1)
        finally:
            guarded.clip_grad_norm = norm
    safe, plain = trainer_of(loader), trainer_of(loader)
    with_, bare = compare(lambda: safe.fit(loader, epochs=safe.epoch + 1), without, pairs)
    assert math.isfinite(safe.history["train_loss"][-1])
    return (f"Guard: {len(loader)} steps a turn: with it {median(with_) / len(loader) * 1e3:.1f} ms a step, with / without "
            f"{spread([a / b for a, b in zip(with_, bare)])}")


class Memory(ml.Callback):
    """Note the memory of this process after each epoch, in MB."""

    def __init__(self) -> None:
        self.megabytes: list[float] = []

    def on_epoch_end(self, run: Any, row: Any) -> None:
        self.megabytes.append(int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2 ** 20)


def memory(training: ml.DataLoader, validation: ml.DataLoader, folder: Path) -> str:
    """Train for 25 epochs in a run folder; say how memory grew after the second epoch."""
    noted = Memory()
    trainer_of(training, run_dir=folder, callbacks=[noted]).fit(training, validation, epochs=EPOCHS)
    second, last = noted.megabytes[1], noted.megabytes[-1]
    return (f"Memory: {EPOCHS} epochs of {len(training)} steps: after epoch 1 {noted.megabytes[0]:.0f} MB, 2 {second:.0f} MB, "
            f"{EPOCHS} {last:.0f} MB; after the second, growth {100 * (last / second - 1):+.1f} %")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure what reliability costs: strict CSV, NaN guard, memory over epochs.")
    parser.add_argument("--data", metavar="PATH", type=Path, required=True, help="a CSV with the columns review,sentiment")
    parser.add_argument("--pairs", type=int, default=7, metavar="N", help="how often each of the two runs (default: 7)")
    parser.add_argument("--reviews", type=int, default=1280, metavar="N", help="reviews in an epoch (default: 1280)")
    arguments = parser.parse_args()
    for name in ("pairs", "reviews"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name}: expected at least 1, got {getattr(arguments, name)}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "reviews"
        try:
            print(f"{encode(arguments.data, file)}; {compiled.words()}; medians of {arguments.pairs} pairs in turns")
        except ml.MinilstmError as error:
            print(f"bench_reliability: error: {error}", file=sys.stderr)
            return 2
        x, y = np.load(f"{file}.npy"), np.load(f"{file}-y.npy")
        n = min(arguments.reviews, max(1, len(x) // 2))
        training = ml.DataLoader(x[:n], y[:n], batch_size=64, shuffle=True, seed=0)
        validation = ml.DataLoader(x[-n // 4:], y[-n // 4:], batch_size=64)
        if STATM.exists():
            print(memory(training, validation, Path(folder) / "run"), flush=True)
        print(guard(training, arguments.pairs), flush=True)
        print(csv_reading(arguments.data, arguments.pairs), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
