"""Time training and evaluation of the reference model beside PyTorch's on the CPU, on the same real, padded batches.

    python benchmarks/bench_imdb.py --data "IMDB Dataset.csv"
    python benchmarks/bench_imdb.py --data "IMDB Dataset.csv" --cell gru

The two take turns (A B A B ...) in one process, so that a busy machine slows both. Each turn is a block of steps over the
same batches, with a pause before it, in which the other library's threads stop spinning; the first turns are not counted.
Besides the ratios, the program prints the floating point operations per second of each library and, for comparison, of a large
matrix product alone, and the peak memory of two separate processes that load the same encoded reviews and train.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
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


def minilstm_model(cell: str = "lstm", fast: bool = True) -> tuple[Run, Run]:
    """Return (train on a batch, evaluate a batch) of the reference model."""
    model = reference_model(ReferenceSettings(cell, V, D, H))
    model.fast = fast
    criterion, optimizer = ml.BCELoss(), ml.Adam(model, lr=1e-3)

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


def torch_model(cell: str = "lstm") -> tuple[Run, Run]:
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
    ours = reference_model(ReferenceSettings(cell, V, D, H))        # the same weights: vanishing gradients slow down both
    W, blocks = ours[1].params["W"], {"lstm": [1, 0, 3, 2], "gru": [0, 1, 2], "rnn": [0]}[cell]     # PyTorch's order
    with torch.no_grad():
        model.embedding.weight.copy_(torch.from_numpy(ours[0].params["W"]))
        for name, rows in (("weight_hh_l0", slice(0, H)), ("weight_ih_l0", slice(H, None))):
            ordered = W[rows].reshape(-1, GATES[cell], H)[:, blocks].reshape(-1, GATES[cell] * H)
            getattr(model.cell, name).copy_(torch.from_numpy(np.ascontiguousarray(ordered.T)))
        for name in ("bias_ih_l0", "bias_hh_l0"):
            getattr(model.cell, name).zero_()
        if cell == "lstm":
            model.cell.bias_ih_l0[H:2 * H] = 1.0
    criterion, optimizer = torch.nn.BCELoss(), torch.optim.Adam(model.parameters(), lr=1e-3)

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


MODELS = {"minilstm": minilstm_model, "PyTorch": torch_model}


def batches(file: Path, count: int, words: int | None = None,
            tokens: int | None = None) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return ``count`` batches of encoded reviews, at most ``words`` words of each, padded to ``tokens``, and labels."""
    x, y = np.load(f"{file}.npy"), np.load(f"{file}-y.npy")
    texts = [review[review != 0][:words] for review in x[:count * BATCH]]
    x = ml.pad_sequences(texts, maxlen=tokens or LENGTH, padding="pre", truncating="post")
    starts = [k * BATCH % (len(x) - BATCH + 1) for k in range(count)]
    return [(x[start:start + BATCH], y[start:start + BATCH]) for start in starts]


def turn(run: Run, data: list[tuple[Any, Any]]) -> float:
    """Return seconds a batch."""
    start = time.perf_counter()
    for x, y in data:
        run(x, y)
    return (time.perf_counter() - start) / len(data)


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
        start = time.perf_counter()
        np.matmul(a, a, out=out)
        seconds.append(time.perf_counter() - start)
    return 2 * 2048 ** 3 / min(seconds) / 1e9


def report(what: str, times: dict[str, list[float]], flops: float, peak: float) -> None:
    a, b = times["minilstm"], times["PyTorch"]
    ratios = sorted(x / y for x, y in zip(a, b))
    print(f"{what:<10}  minilstm {median(a) * 1e3:6.1f} ms  PyTorch {median(b) * 1e3:6.1f} ms  minilstm / PyTorch "
          f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})", flush=True)
    print(f"            GFLOP/s: minilstm {flops / median(a) / 1e9:.0f}, PyTorch {flops / median(b) / 1e9:.0f}, "
          f"sgemm alone {peak:.0f}", flush=True)


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
        memory = {name: peak_memory(name, arguments.cell, file, arguments.steps) for name in MODELS}
        import torch
        how, tokens = "readable functions" if arguments.readable else compiled.words(), arguments.tokens
        print(f"data: {source}\nNumPy {np.__version__} on {ml.get_num_threads()} threads, {how}; PyTorch {torch.__version__} "
              f"on {torch.get_num_threads()}\n{arguments.cell.upper()}, batch {BATCH}, {tokens} tokens, embedding {D}, "
              f"hidden {H}", flush=True)
        data = batches(file, arguments.steps, arguments.words, tokens)
        real = np.mean([(x != 0).mean() for x, _ in data])
        print(f"{arguments.pairs} pairs of {arguments.steps} batches, mean real length {real * tokens:.0f}", flush=True)
        ours, theirs = minilstm_model(arguments.cell, not arguments.readable), torch_model(arguments.cell)
        # The matrix products of one forward pass of the recurrent layer; backward makes twice as many.
        peak, flops = sgemm_peak(), 2 * BATCH * tokens * (H + D) * GATES[arguments.cell] * H
        report("training", compare({"minilstm": ours[0], "PyTorch": theirs[0]}, data, arguments.pairs), 3 * flops, peak)
        report("evaluation", compare({"minilstm": ours[1], "PyTorch": theirs[1]}, data, arguments.pairs), flops, peak)
        own, theirs_alone = memory["minilstm"], memory["PyTorch"]
        print(f"peak memory of a training process: minilstm {own:.0f} MB, PyTorch {theirs_alone:.0f} MB, ratio "
              f"{own / theirs_alone:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
