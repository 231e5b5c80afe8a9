"""Time the model of --preset strong beside the same in PyTorch on the CPU: a BiLSTM, pooled over time, on sorted batches.

    python benchmarks/bench_strong.py --data "IMDB Dataset.csv"

Both read the same batches of 64 reviews: at most 400 tokens, sorted by length within windows of 3,200 reviews, cut to the
longest of the batch. They take turns in blocks of steps, with a pause in between (see bench_imdb.py). PyTorch reads the
padding too, which is its fastest way; its reverse direction then starts in the padding. With --packed it does not: packed
sequences, many times slower to train on a CPU. A training step is forward, loss, backward, clipping and Adam on all
parameters; --average compares minilstm with itself instead: what averaging costs.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
from bench_imdb import PAUSE, compare

import minilstm as ml
from minilstm.kernels import compiled

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
import imdb_lstm  # noqa: E402

SETTINGS = {**imdb_lstm.DEFAULTS, **imdb_lstm.PRESETS["strong"]}
V, D, H = SETTINGS["num_words"], SETTINGS["embedding_size"], SETTINGS["hidden_size"]
Batch = tuple[Any, Any, Any]


def batches(path: str | None, count: int) -> list[Batch]:
    """Return ``count`` batches (tokens, labels, lengths), spread over the windows of an epoch as they come."""
    data = ml.load_imdb(path)
    texts, labels = data.texts[:10_000], data.labels[:10_000]
    tokenizer = ml.Tokenizer(num_words=V, oov_token="<OOV>")
    tokenizer.fit_on_texts(texts)
    x, lengths = imdb_lstm.encode(tokenizer.texts_to_sequences(texts), SETTINGS)
    loader = ml.DataLoader(x, labels, lengths, batch_size=64, shuffle=True, seed=0, window=SETTINGS["window"])
    return list(loader.batches(0))[:count]


class Ours:
    """minilstm's model and its training step."""

    def __init__(self, average: bool) -> None:
        self.model = imdb_lstm.build_model(SETTINGS)
        self.criterion = ml.BCELoss()
        self.optimizer = ml.Adam(self.model, lr=1e-3)
        callbacks = [ml.AveragedWeights()] if average else []
        self.trainer = ml.Trainer(self.model, self.criterion, self.optimizer, clip_norm=1.0, callbacks=callbacks,
                                  verbose=False)
        for callback in callbacks:
            callback.on_train_begin(self.trainer)

    def train(self, x: Any, batch: Batch) -> None:
        self.model.train()
        self.trainer.train_step(x, batch[1], {"lengths": batch[2]})
        for callback in self.trainer.callbacks:
            callback.on_step_end(self.trainer, 1, 1, 0.0, 0.0)

    def evaluate(self, x: Any, batch: Batch) -> Any:
        self.model.eval()
        return self.model(x, lengths=batch[2])


class Theirs:
    """The same in PyTorch, as its users write it."""

    def __init__(self, packed: bool) -> None:
        import torch
        torch.manual_seed(0)
        self.torch, self.packed = torch, packed
        self.embedding = torch.nn.Embedding(V, D)
        self.lstm = torch.nn.LSTM(D, H, batch_first=True, bidirectional=True)
        self.linear = torch.nn.Linear(4 * H, 1)
        self.modules = torch.nn.ModuleList([self.embedding, self.lstm, self.linear])
        self.load(imdb_lstm.build_model(SETTINGS))
        self.criterion = torch.nn.BCEWithLogitsLoss()
        self.optimizer = torch.optim.Adam(self.modules.parameters(), lr=1e-3)

    def load(self, ours: ml.Sequential) -> None:
        """Copy our weights: f, i, o, c become i, f, c, o, and our one bias the first of two."""
        embedding, lstm, linear = (ours[place].params for place in (1, 3, 6))
        with self.torch.no_grad():
            self.embedding.weight.copy_(self.torch.from_numpy(embedding["W"]))
            self.linear.weight.copy_(self.torch.from_numpy(linear["W"].T))
            self.linear.bias.copy_(self.torch.from_numpy(linear["b"]))
            for end in ("", "_reverse"):
                W, b = (lstm[name + end].reshape(-1, 4, H)[:, [1, 0, 3, 2]].reshape(-1, 4 * H) for name in "Wb")
                for name, value in (("weight_hh", W[:H].T), ("weight_ih", W[H:].T), ("bias_ih", b[0]), ("bias_hh", 0 * b[0])):
                    getattr(self.lstm, f"{name}_l0{end}").copy_(self.torch.from_numpy(np.ascontiguousarray(value)))

    def forward(self, x: Any, lengths: Any, training: bool) -> Any:
        torch = self.torch
        tokens, lengths = torch.from_numpy(x).long(), torch.from_numpy(lengths)
        real = (torch.arange(tokens.shape[1]) < lengths[:, None])[..., None]
        if training:
            tokens = torch.where((torch.rand(tokens.shape) < 0.15) & (tokens != 0), 1, tokens)
        e = self.embedding(tokens)
        if training:
            e = e * torch.nn.functional.dropout(torch.ones(len(x), 1, D), 0.4)
        if self.packed:
            rows = torch.nn.utils.rnn.pack_padded_sequence(e, lengths, batch_first=True, enforce_sorted=False)
            h, _ = torch.nn.utils.rnn.pad_packed_sequence(self.lstm(rows)[0], batch_first=True, total_length=tokens.shape[1])
        else:
            h, _ = self.lstm(e)
        high = h.masked_fill(~real, -torch.inf).amax(dim=1)
        mean = (h * real).sum(dim=1) / lengths[:, None]
        return self.linear(torch.nn.functional.dropout(torch.cat([high, mean], dim=1), 0.5, training))[:, 0]

    def train(self, x: Any, batch: Batch) -> None:
        self.optimizer.zero_grad()
        loss = self.criterion(self.forward(x, batch[2], True), self.torch.from_numpy(batch[1]))
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.modules.parameters(), 1.0)
        self.optimizer.step()
        loss.item()

    def evaluate(self, x: Any, batch: Batch) -> Any:
        with self.torch.inference_mode():
            return self.torch.sigmoid(self.forward(x, batch[2], False))


def main() -> int:
    parser = argparse.ArgumentParser(description="Time the model of --preset strong beside PyTorch's on the CPU.")
    parser.add_argument("--data", metavar="PATH", help="a CSV with the columns review,sentiment (default: as load_imdb finds)")
    parser.add_argument("--pairs", type=int, default=7, metavar="N", help="how often each of the two runs (default: 7)")
    parser.add_argument("--steps", type=int, default=10, metavar="N", help="batches a turn (default: 10)")
    parser.add_argument("--packed", action="store_true", help="PyTorch reads packed sequences, and so no padding")
    parser.add_argument("--average", action="store_true", help="minilstm with averaged weights beside minilstm without")
    arguments = parser.parse_args()
    for name in ("pairs", "steps"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name}: expected at least 1, got {getattr(arguments, name)}")
    alone = arguments.average
    if not alone and importlib.util.find_spec("torch") is None:
        print("bench_strong: needs PyTorch: pip install -e '.[bench]'", file=sys.stderr)
        return 2
    try:
        data = batches(arguments.data, arguments.steps)
    except ml.MinilstmError as error:
        print(f"bench_strong: error: {error}", file=sys.stderr)
        return 2
    other: Any = Ours(False) if alone else Theirs(arguments.packed)
    ours = Ours(arguments.average)
    names = [f"minilstm{' averaged' * arguments.average}",
             "minilstm" if alone else f"PyTorch{' packed' * arguments.packed}"]
    print(f"NumPy {np.__version__} on {ml.get_num_threads()} threads, {compiled.words()}"
          + ("" if alone else f"; PyTorch {other.torch.__version__} on {other.torch.get_num_threads()}"))
    length, width = (np.mean(sizes) for sizes in zip(*((batch[2].mean(), batch[0].shape[1]) for batch in data)))
    print(f"BiLSTM 2 x {H}, {arguments.pairs} pairs of {arguments.steps} batches of 64, mean length {length:.0f}, mean width "
          f"{width:.0f}", flush=True)
    for what in ("training", "evaluation"):
        runs = {name: one.train if what == "training" else one.evaluate for name, one in zip(names, (ours, other))}
        times = compare(runs, [(batch[0], batch) for batch in data], arguments.pairs, PAUSE)
        a, b = (np.array(times[name]) for name in names)
        ratios = np.sort(a / b)
        print(f"{what:<10}  {names[0]} {np.median(a) * 1e3:.1f} ms  {names[1]} {np.median(b) * 1e3:.1f} ms  ratio "
              f"{np.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
