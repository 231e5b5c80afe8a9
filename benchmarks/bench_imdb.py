"""Time training and evaluation of the reference model beside PyTorch's on the CPU, on the same real, padded batches.

    python benchmarks/bench_imdb.py --data "IMDB Dataset.csv"
    python benchmarks/bench_imdb.py --data "IMDB Dataset.csv" --cell gru
    python benchmarks/bench_imdb.py --data "IMDB Dataset.csv" --vanishing

They take turns (A B A B ...) in one process, so that a busy machine slows both; with ``OMP_NUM_THREADS=1`` in the environment,
seconds of processor time are counted. PyTorch runs as it comes, and also with
``torch.set_flush_denormal(True)``: some processors are slow on subnormal numbers, of which vanished gradients consist.
``--vanishing`` times three cases of them on one batch: the first steps of a GRU, an LSTM whose gates start at ½, and the
reference run after 2,000 steps, when Adam's moments of rare words have decayed. Each turn is a block of steps over the
same batches, with a pause before it, in which the other library's threads stop spinning; the first turns are not counted.
Besides the ratios, the program prints the floating point operations per second of each library and, for comparison, of a large
matrix product alone, and the peak memory of two separate processes that load the same encoded reviews and train.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import minilstm as ml
from minilstm.kernels import compiled
from minilstm.training.reference import ReferenceSettings, reference_model

V, D, H, BATCH, LENGTH = 10_000, 64, 128, 64, 200
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
PAUSE = 0.3         # seconds before a turn
VANISHING = {"GRU, first steps": ("gru", "default", 0), "LSTM uniform": ("lstm", "uniform", 0),
             "after 2,000 steps": ("lstm", "default", 2_000)}       # cell, initial weights, steps before
Run = Callable[[Any, Any], None]


def encode(path: str | None, file: Path) -> str:
    """Write encoded reviews (N, 200) int32 and labels into ``file``.npy and ``file``-y.npy; return where they came from."""
    data = ml.load_imdb(path)
    tokenizer = ml.Tokenizer(num_words=V, oov_token="<OOV>")
    tokenizer.fit_on_texts(data.texts)
    x = ml.pad_sequences(tokenizer.texts_to_sequences(data.texts), maxlen=LENGTH, padding="pre", truncating="post")
    order = np.random.default_rng(0).permutation(len(x))
    np.save(f"{file}.npy", x[order].astype(np.int32))
    np.save(f"{file}-y.npy", data.labels[order].astype(np.float32))
    return data.source


def processor() -> str:
    """Return the processor's name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return f"{names[0]}{' (AVX-512)' if any('avx512f' in line for line in lines) else ''}" if names else platform.processor()


def minilstm_model(cell: str = "lstm", fast: bool = True, init: str = "default", lr: float = 1e-3) -> tuple[Run, Run]:
    """Return (train on a batch, evaluate a batch) of the reference model."""
    model = reference_model(ReferenceSettings(cell, V, D, H, init=init))
    model.fast = fast
    criterion, optimizer = ml.BCELoss(), ml.Adam(model, lr=lr)

    def train(x: np.ndarray, y: np.ndarray) -> None:
        model.train()
        model.zero_grad()
        float(criterion(model(x), y))
        model.backward(criterion.backward())
        optimizer.step()

    def evaluate(x: np.ndarray, y: np.ndarray) -> None:
        model.eval()
        float(criterion(model(x), y))
    return train, evaluate


def torch_model(cell: str = "lstm", init: str = "default", lr: float = 1e-3) -> tuple[Run, Run]:
    """The same in PyTorch, as its users write it."""
    import torch
    torch.manual_seed(0)

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(V, D)
            self.cell = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[cell](D, H, batch_first=True)
            self.dropout = torch.nn.Dropout(0.5)
            self.linear = torch.nn.Linear(H, 1)

        def forward(self, tokens: Any) -> Any:
            _, state = self.cell(self.embedding(tokens))
            h = state[0] if cell == "lstm" else state
            return torch.sigmoid(self.linear(self.dropout(h[-1])))[:, 0]

    model: Any = Model()
    ours = reference_model(ReferenceSettings(cell, V, D, H, init=init))     # the same weights vanish at the same rate
    W, blocks = ours[1].params["W"], {"lstm": [1, 0, 3, 2], "gru": [0, 1, 2], "rnn": [0]}[cell]     # PyTorch's order
    with torch.no_grad():
        model.embedding.weight.copy_(torch.from_numpy(ours[0].params["W"]))
        for name, rows in (("weight_hh_l0", slice(0, H)), ("weight_ih_l0", slice(H, None))):
            ordered = W[rows].reshape(-1, GATES[cell], H)[:, blocks].reshape(-1, GATES[cell] * H)
            getattr(model.cell, name).copy_(torch.from_numpy(np.ascontiguousarray(ordered.T)))
        b = ours[1].params["b"].reshape(-1, H)
        model.cell.bias_ih_l0.copy_(torch.from_numpy(b[blocks].reshape(-1)))
        model.cell.bias_hh_l0.zero_()
        if cell == "gru":
            model.cell.bias_hh_l0[2 * H:] = torch.from_numpy(b[3])      # inside the product with the reset gate
    criterion, optimizer = torch.nn.BCELoss(), torch.optim.Adam(model.parameters(), lr=lr)

    def train(x: np.ndarray, y: np.ndarray) -> None:
        model.train()
        optimizer.zero_grad()
        loss = criterion(model(torch.from_numpy(x)), torch.from_numpy(y))
        loss.item()
        loss.backward()
        optimizer.step()

    def evaluate(x: np.ndarray, y: np.ndarray) -> None:
        model.eval()
        with torch.inference_mode():
            criterion(model(torch.from_numpy(x)), torch.from_numpy(y)).item()
    return train, evaluate


def flushing(run: Run) -> Run:
    """Return PyTorch's step with subnormals flushed to zero, which reaches the thread that calls it alone."""
    import torch

    def call(x: np.ndarray, y: np.ndarray) -> None:
        torch.set_flush_denormal(True)
        try:
            run(x, y)
        finally:
            torch.set_flush_denormal(False)
    return call


MODELS: dict[str, Callable[..., tuple[Run, Run]]] = {"minilstm": minilstm_model, "PyTorch": torch_model}


def batches(file: Path, count: int, words: int | None = None,
            tokens: int | None = None) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return ``count`` batches of encoded reviews, at most ``words`` words of each, padded to ``tokens``, and labels."""
    x, y = np.load(f"{file}.npy"), np.load(f"{file}-y.npy")
    texts = [review[review != 0][:words] for review in x[:count * BATCH]]
    x = ml.pad_sequences(texts, maxlen=tokens or LENGTH, padding="pre", truncating="post")
    starts = [k * BATCH % (len(x) - BATCH + 1) for k in range(count)]
    return [(x[start:start + BATCH], y[start:start + BATCH]) for start in starts]


def clock() -> float:
    """Return seconds, on one thread those of the processor's time for it."""
    return time.process_time() if os.environ.get("OMP_NUM_THREADS") == "1" else time.perf_counter()


def turn(run: Run, data: list[tuple[Any, Any]]) -> float:
    """Return seconds a batch."""
    start = clock()
    for x, y in data:
        run(x, y)
    return (clock() - start) / len(data)


def compare(runs: dict[str, Run], data: list[tuple[Any, Any]], pairs: int,
            pause: float = PAUSE) -> dict[str, list[float]]:
    """Return seconds a batch of each turn, by name; the turns alternate, the first pair is not counted."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for pair in range(pairs + 1):
        for name, run in runs.items():
            time.sleep(pause)
            seconds = turn(run, data)
            if pair:
                times[name].append(seconds)
    return times


def sgemm_peak() -> float:
    """Return the GFLOP/s of a large float32 matrix product on all BLAS threads, the best of a few tries."""
    a = np.random.default_rng(0).standard_normal((2048, 2048), dtype=np.float32)
    out = np.empty_like(a)
    seconds = []
    for _ in range(6):
        start = clock()
        np.matmul(a, a, out=out)
        seconds.append(clock() - start)
    return 2 * 2048 ** 3 / min(seconds) / 1e9


def report(what: str, times: dict[str, list[float]], flops: float, peak: float) -> None:
    """Print medians, and the ratio of minilstm's times to each of the others'."""
    ours = times["minilstm"]
    print(f"{what:<18}  " + "  ".join(f"{name} {median(seconds) * 1e3:.1f} ms" for name, seconds in times.items()))
    for name in list(times)[1:]:
        ratios = sorted(a / b for a, b in zip(ours, times[name]))
        print(f"{'':<20}minilstm / {name} {median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    speeds = [f"{name} {flops / median(seconds) / 1e9:.0f}" for name, seconds in times.items()]
    print(f"{'':<20}GFLOP/s: {', '.join(speeds)}, sgemm alone {peak:.0f}", flush=True)


def flops(cell: str, tokens: int) -> float:
    """Return the operations in the matrix products of one forward pass of the recurrent layer; backward has twice as many."""
    return 2 * BATCH * tokens * (H + D) * GATES[cell] * H


def vanishing(file: Path, pairs: int, fast: bool) -> None:
    """Time the cases of ``VANISHING``, each on one batch."""
    peak = sgemm_peak()
    for name, (cell, init, before) in VANISHING.items():
        data = batches(file, before + 1)
        lr = 1e-3 if before else 0.0        # 0: each step is a first one
        runs: dict[str, Run] = {"minilstm": minilstm_model(cell, fast, init, lr)[0],
                                "PyTorch": torch_model(cell, init, lr)[0],
                                "PyTorch flushed": flushing(torch_model(cell, init, lr)[0])}
        for run in runs.values():
            for batch in data[1:]:
                run(*batch)
        report(name, compare(runs, data[:1], pairs), 3 * flops(cell, LENGTH), peak)


def child(*words: str) -> str:
    """Return what this program prints in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(Path(ml.__file__).parents[1])}
    done = subprocess.run([sys.executable, __file__, *words], stdout=subprocess.PIPE, text=True, env=environment)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def peak_memory(name: str, cell: str, file: Path, steps: int) -> float:
    """Return the peak memory (ru_maxrss, in MB) of a separate process that loads the reviews and trains with ``name``.

    Call it while this process is still small: a new process starts with the memory count of the process that started it.
    """
    return float(child("--child", name, "--cell", cell, "--encoded", str(file), "--steps", str(steps)))


def train_alone(name: str, cell: str, file: Path, steps: int) -> None:
    """What the process of ``peak_memory`` does."""
    train, _ = MODELS[name](cell)
    for x, y in batches(file, steps):
        train(x, y)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> int:
    parser = argparse.ArgumentParser(description="Time the reference model beside PyTorch's on the CPU.")
    parser.add_argument("--data", metavar="PATH", help="a CSV with the columns review,sentiment (default: as load_imdb finds)")
    parser.add_argument("--cell", choices=GATES, default="lstm", help="recurrent cell (default: lstm)")
    parser.add_argument("--words", type=int, metavar="N", help="keep the first N words of each review (default: all)")
    parser.add_argument("--tokens", type=int, default=LENGTH, metavar="T", help=f"pad to T tokens (default: {LENGTH})")
    parser.add_argument("--pairs", type=int, default=7, metavar="N", help="how often each of the two runs (default: 7)")
    parser.add_argument("--steps", type=int, default=15, metavar="N", help="batches a turn (default: 15)")
    parser.add_argument("--encoded", type=Path, metavar="FILE", help="keep the encoded reviews in FILE.npy for the next time")
    parser.add_argument("--vanishing", action="store_true", help="time three cases of vanished gradients instead")
    parser.add_argument("--readable", action="store_true", help="run minilstm's readable path instead of the fast one")
    parser.add_argument("--child", choices=["encode", *MODELS], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    for name in ("pairs", "steps", "words", "tokens"):
        if getattr(arguments, name) is not None and getattr(arguments, name) < 1:
            parser.error(f"--{name}: expected at least 1, got {getattr(arguments, name)}")
    if arguments.child == "encode":
        try:
            print(encode(arguments.data, arguments.encoded))
        except ml.MinilstmError as error:
            print(f"bench_imdb: error: {error}", file=sys.stderr)
            return 2
        return 0
    if arguments.child:
        train_alone(arguments.child, arguments.cell, arguments.encoded, arguments.steps)
        return 0
    if importlib.util.find_spec("torch") is None:
        print("bench_imdb: needs PyTorch: pip install -e '.[bench]'", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        file = arguments.encoded or Path(folder) / "reviews"
        source = f"{file}.npy"
        if not Path(source).exists():
            words = () if arguments.data is None else ("--data", arguments.data)
            source = child("--child", "encode", "--encoded", str(file), *words).strip()
        memory = {} if arguments.vanishing else {name: peak_memory(name, arguments.cell, file, arguments.steps)
                                                 for name in MODELS}
        import torch
        how, tokens = "readable functions" if arguments.readable else compiled.words(), arguments.tokens
        print(f"processor: {processor()}\ndata: {source}\nNumPy {np.__version__} on {ml.get_num_threads()} threads, {how}; "
              f"PyTorch {torch.__version__} on {torch.get_num_threads()}", flush=True)
        if arguments.vanishing:
            vanishing(file, arguments.pairs, not arguments.readable)
            return 0
        print(f"{arguments.cell.upper()}, batch {BATCH}, {tokens} tokens, embedding {D}, hidden {H}", flush=True)
        data = batches(file, arguments.steps, arguments.words, tokens)
        real = np.mean([(x != 0).mean() for x, _ in data])
        print(f"{arguments.pairs} pairs of {arguments.steps} batches, mean real length {real * tokens:.0f}", flush=True)
        ours, theirs = minilstm_model(arguments.cell, not arguments.readable), torch_model(arguments.cell)
        training = {"minilstm": ours[0], "PyTorch": theirs[0], "PyTorch flushed": flushing(torch_model(arguments.cell)[0])}
        evaluation, peak = {"minilstm": ours[1], "PyTorch": theirs[1]}, sgemm_peak()
        report("training", compare(training, data, arguments.pairs), 3 * flops(arguments.cell, tokens), peak)
        report("evaluation", compare(evaluation, data, arguments.pairs), flops(arguments.cell, tokens), peak)
        own, theirs_alone = memory["minilstm"], memory["PyTorch"]
        print(f"peak memory of a training process: minilstm {own:.0f} MB, PyTorch {theirs_alone:.0f} MB, ratio "
              f"{own / theirs_alone:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
