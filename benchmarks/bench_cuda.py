"""Time the reference model on an NVIDIA GPU: NumPy, CuPy with fused and with persistent kernels, PyTorch with cuDNN.

    python benchmarks/bench_cuda.py

First each way of computing is compared with NumPy: losses, gradients and weights of three training steps. Then training steps
are timed between CUDA events, in turns, and a whole epoch through the Trainer by the clock. Token ids are random, but
distributed like words, in reviews of random length with padding in front. Device calls are counted on the tests' stand-in for
CuPy, where there is a checkout and g++.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from torch_gpu import torch_way

import minilstm as ml
from minilstm.backend.arrays import require
from minilstm.training.progress import open_bar

ROOT = Path(__file__).parents[1]
CELLS = {"lstm": ml.LSTM, "gru": ml.GRU, "rnn": ml.RNN}
CHECKED = 3             # steps that are compared with NumPy's
TOLERANCE = 1e-4        # of them, relative to each array's largest number
WARM = 3                # steps before any clock runs: kernels are compiled in the first


class Way(NamedTuple):
    """One way of computing, with functions that train some batches or a whole epoch."""

    steps: Callable[[int], None]
    epoch: Callable[[], None]


class Figures(NamedTuple):
    """Seconds: per step between CUDA events (NumPy: by the clock), per step on the host alone, and per epoch."""

    step: float
    host: float
    epoch: float | None


# The task ------------------------------------------------------------------------------------------------------------


def make_reviews(a: argparse.Namespace, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return tokens (number, length) int32, 0 in front of short reviews, and labels (number,) float32."""
    rng = np.random.default_rng(0)
    x = (a.num_words ** rng.random((number, a.length))).astype(np.int32)     # the k-th word about 1/k as often as the first
    real = np.minimum(a.length, rng.geometric(1 / (0.9 * a.length), number) + a.length // 4)
    x[np.arange(a.length) < a.length - real[:, None]] = 0
    return x, rng.integers(0, 2, number).astype(np.float32)


@contextlib.contextmanager
def kernels(which: str) -> Iterator[None]:
    """Use the "fused" kernels, one a step of time, or the "persistent" ones wherever they fit."""
    from minilstm.kernels.cuda import plan
    before: Any = plan.fits
    if which == "fused":
        plan.fits = lambda *sizes: False
    try:
        yield
    finally:
        plan.fits = before


def ours(a: argparse.Namespace, backend: str, which: str = "persistent") -> Way:
    """Return minilstm on a backend, the Trainer's own step."""
    trainer, loader = make_trainer(a, backend, make_reviews(a, a.reviews))
    batches = (batch for _ in count() for batch in loader)          # epoch after epoch

    def steps(number: int) -> None:
        trainer.model.train()
        with kernels(which):
            for x, y in islice(batches, number):
                trainer.train_step(x, y, {})
        trainer.step, trainer.sums = 0, [0.0, 0.0, 0.0, 0]          # an epoch of ``fit`` begins at its beginning

    def epoch() -> None:
        with kernels(which):
            trainer.fit(loader, epochs=trainer.epoch + 1)
    return Way(steps, epoch)


def make_trainer(a: argparse.Namespace, backend: str, data: tuple[np.ndarray, np.ndarray]) -> tuple[ml.Trainer, ml.DataLoader]:
    rng, D, H = np.random.default_rng(0), a.embedding_size, a.hidden_size
    model = ml.Sequential(ml.Embedding(a.num_words, D, rng=rng), CELLS[a.cell](D, H, return_sequences=False, rng=rng),
                          ml.Dropout(0.5, rng=rng), ml.Linear(H, 1, rng=rng), ml.Sigmoid())
    model.to(backend)
    loader = ml.DataLoader(*data, batch_size=a.batch_size, shuffle=True, seed=0, backend=backend)
    return ml.Trainer(model, ml.BCELoss(), ml.Adam(model, lr=1e-3), verbose=False, progress=False), loader


# Right first ---------------------------------------------------------------------------------------------------------


def difference(a: argparse.Namespace, which: str) -> float:
    """Return the largest difference from NumPy's losses, gradients and weights, relative to each array's largest number."""
    results = []
    for backend in ("numpy", "cupy"):
        trainer, loader = make_trainer(a, backend, make_reviews(a, CHECKED * a.batch_size))
        trainer.model.train()
        found: list[Any] = []
        with kernels(which):
            for x, y in loader:
                found += [trainer.train_step(x, y, {})[0], *map(ml.to_numpy, trainer.model.named_gradients().values())]
                found = [np.array(part) for part in found]      # gradients are cleared in place
        results.append([*found, *trainer.model.state_dict().values()])
    return max(float(np.max(np.abs(ours - theirs)) / max(1.0, float(np.max(np.abs(theirs)))))
               for ours, theirs in zip(results[1], results[0], strict=True))


# Then fast -----------------------------------------------------------------------------------------------------------


def time_steps(way: Way, number: int, cupy: Any) -> tuple[float, float]:
    """Return seconds per step: on the device, between CUDA events; and on the host, until all work has been launched."""
    if cupy is None:
        start = time.perf_counter()
        way.steps(number)
        seconds = (time.perf_counter() - start) / number
        return seconds, seconds
    first, last = cupy.cuda.Event(), cupy.cuda.Event()
    cupy.cuda.Device().synchronize()
    start = time.perf_counter()
    first.record()
    way.steps(number)
    last.record()
    host = time.perf_counter() - start
    last.synchronize()
    return cupy.cuda.get_elapsed_time(first, last) / 1e3 / number, host / number


def time_epoch(way: Way) -> float:
    """Return seconds."""
    start = time.perf_counter()
    way.epoch()
    return time.perf_counter() - start


def measure(a: argparse.Namespace, ways: dict[str, Way], cupy: Any) -> dict[str, Figures]:
    """Time all ways in turns, then an epoch of each; NumPy's steps alone, and fewer of them."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    with open_bar("steps", a.turns * len(ways), show=not a.no_progress) as bar:
        for name, way in ways.items():
            way.steps(1 if name == "NumPy" else WARM)
        for _ in range(a.turns):
            for name, way in ways.items():
                on_host = name == "NumPy"
                times[name].append(time_steps(way, 1 if on_host else a.steps, None if on_host else cupy))
                bar.update()
    epochs: dict[str, float | None] = {"NumPy": None}
    with open_bar("epochs", len(ways), show=not a.no_progress) as bar:
        for name, way in ways.items():
            if name != "NumPy":
                epochs[name] = min(time_epoch(way) for _ in range(2))
            bar.update()
    return {name: Figures(median(step for step, _ in turns), median(host for _, host in turns), epochs[name])
            for name, turns in times.items()}


# Device calls --------------------------------------------------------------------------------------------------------


def count_calls(a: argparse.Namespace) -> dict[str, str]:
    """Return, as text, the device calls per step for each kind of kernel, counted on the stand-in in a separate process."""
    standin = ROOT / "tests" / "cuda" / "standin"
    path = os.pathsep.join([str(standin), str(standin.parent), str(ROOT)])
    words = ["--child-count", "--cell", a.cell, "--hidden-size", str(a.hidden_size)]
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": path}) if standin.is_dir() else None
    if done is None or done.returncode:
        return {}
    return dict(line.split("\t") for line in done.stdout.splitlines() if "\t" in line)


def print_counts(a: argparse.Namespace) -> None:
    """What the process of ``count_calls`` does: count at two lengths, and say how the number grows."""
    from cupy import counted
    for which in ("fused", "persistent"):
        counts = []
        for length in (2, 3):
            small = argparse.Namespace(**{**vars(a), "length": length, "batch_size": 2, "reviews": 16, "num_words": 20,
                                          "embedding_size": 3})
            way = ours(small, "cupy", which)
            way.steps(2)
            with counted() as found:
                way.steps(1)
            counts.append(found)
        calls, growth = counts[0].launches, counts[1].launches - counts[0].launches
        words = f"{growth}T + {calls - 2 * growth}" if growth else str(calls)
        print(f"{which}\t{words} device calls, {counts[0].syncs} waits, {counts[0].uploads} upload")


# The report ----------------------------------------------------------------------------------------------------------


def report(a: argparse.Namespace, found: dict[str, Figures], calls: dict[str, str]) -> None:
    batches = -(-a.reviews // a.batch_size)
    print(f"{'training':<18} {'step':>10} {'host':>10} {'epoch of ' + format(a.reviews, ','):>16} {'NumPy / this':>13}")
    for name, (step, host, epoch) in found.items():
        whole = f"{step * batches:.1f} s (steps)" if epoch is None else f"{epoch:.2f} s"
        print(f"{name:<18} {step * 1e3:>7.2f} ms {host * 1e3:>7.2f} ms {whole:>16} {found['NumPy'].step / step:>13.1f}")
    for which, words in calls.items():
        print(f"{which}: {words} a step (T: steps of time)")
    if not calls:
        print("device calls were not counted: that takes a checkout with tests/ and g++")
    torch = next((name for name in found if name.startswith("PyTorch")), None)
    if torch is not None:
        print(f"persistent / {torch}: {found['CuPy persistent'].step / found[torch].step:.2f}")
    else:
        print("PyTorch with a GPU is not installed: no comparison with cuDNN")


def whole(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        value = int(text) if text.isdecimal() else least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {least}, got {text!r}")
        return value
    return read


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench_cuda", description=(__doc__ or "").partition("\n\n")[0])
    sizes = (("--batch-size", 64, "reviews in a batch"), ("--length", 200, "tokens of a review"),
             ("--num-words", 10_000, "size of the vocabulary"), ("--embedding-size", 64, "size of a word's vector"),
             ("--hidden-size", 128, "size of the hidden state"), ("--reviews", 40_000, "reviews of an epoch"),
             ("--steps", 50, "steps of a turn"), ("--turns", 7, "turns of each"))
    for flag, default, words in sizes:
        parser.add_argument(flag, type=whole(3 if flag == "--num-words" else 1), default=default, metavar="N",
                            help=f"{words} (default: {default:,})")
    parser.add_argument("--cell", choices=CELLS, default="lstm", help="recurrent cell (default: lstm)")
    parser.add_argument("--no-torch", action="store_true", help="leave PyTorch out")
    parser.add_argument("--no-progress", action="store_true", help="no progress bars")
    parser.add_argument("--child-count", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return 0, 1 where results differ from NumPy's, 2 without a usable GPU, 130 after Ctrl-C."""
    a = parse_arguments(argv)
    try:
        cupy = require("cupy")
        if a.child_count:
            print_counts(a)
            return 0
        from minilstm.command_line.doctor import gpu_words
        print(f"{gpu_words(cupy)}; CuPy {cupy.__version__}, NumPy {np.__version__} on {ml.get_num_threads()} threads\n"
              f"{a.cell}, float32, batch {a.batch_size}, {a.length} tokens, embedding {a.embedding_size}, hidden "
              f"{a.hidden_size}, {a.num_words:,} words", flush=True)
        errors = {which: difference(a, which) for which in ("fused", "persistent")}
        words = ", ".join(f"{error:.0e} ({which})" for which, error in errors.items())
        print(f"{CHECKED} steps differ from NumPy's by {words}", flush=True)
        if not max(errors.values()) <= TOLERANCE:
            print(f"bench_cuda: error: results differ from NumPy's by more than {TOLERANCE:.0e}: nothing was timed",
                  file=sys.stderr)
            return 1
        ways = {"NumPy": ours(a, "numpy"), "CuPy fused": ours(a, "cupy", "fused"), "CuPy persistent": ours(a, "cupy")}
        if not a.no_torch:
            with contextlib.suppress(ImportError):
                name, steps, epoch = torch_way(a, *make_reviews(a, a.reviews))
                ways[name] = Way(steps, epoch)
        report(a, measure(a, ways, cupy), count_calls(a))
    except ml.BackendError as error:
        print(f"bench_cuda: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bench_cuda: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
