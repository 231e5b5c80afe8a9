"""One training run on the IMDB reviews as a plain function, so that a sweep can make many of them side by side.

``prepare_reviews`` tokenizes once and leaves arrays in a folder; ``train_on_reviews`` maps them into memory and trains one
model: Embedding -> RNN, GRU or LSTM -> Dropout -> Linear -> Sigmoid. A trial's numbers depend on its arguments alone, not on
how many run beside it; only ``seconds`` does.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minilstm as ml
from minilstm.backend.checks import check_choice
from minilstm.backend.errors import DataError, NonFiniteError
from minilstm.cells.padding import PADDINGS
from minilstm.lab.cells import CELL_NAMES, CELLS
from minilstm.training.atomic_write import PathLike, atomic_write

SPLIT_SEED = 42             # the split of the reference configuration, the same for every trial
OOV = "<OOV>"
PARTS = ("train", "validation")


def digest_of(texts: Sequence[str], labels: np.ndarray) -> str:
    """Return a short hexadecimal digest of reviews and labels, equal for equal data whatever file it came from."""
    digest = hashlib.sha256()
    for text, label in zip(texts, labels):
        digest.update(text.encode("utf-8", "surrogatepass") + (b"\x001" if label else b"\x000"))
    return digest.hexdigest()[:16]


def prepare_reviews(texts: list[str], labels: np.ndarray, folder: PathLike, *, train: int, validation: int, num_words: int,
                    lengths: Sequence[int], paddings: Sequence[str]) -> ml.Tokenizer:
    """Split, tokenize and pad reviews, and leave the arrays that ``train_on_reviews`` reads in ``folder``.

    Args:
        texts, labels: n reviews and their labels (n,), 0 or 1.
        folder: an existing folder; for each part, length and padding it gets NAME.npy, whole or not at all.
        train, validation: how many reviews each part has; drawn as scikit-learn's train_test_split draws them with seed 42.
        num_words: size of the vocabulary, which is fitted on the training part alone.
        lengths, paddings: each pair of them gives one array (reviews, length) int32; long reviews are cut at their end.

    Returns the tokenizer. Raises ArgumentError where the data has too few reviews, DataError where a part has one label only.
    """
    for padding in paddings:
        check_choice("padding", padding, PADDINGS)
    parts = ml.train_test_split(texts, labels, train_size=train, test_size=validation, random_state=SPLIT_SEED)
    for part, part_labels in zip(PARTS, parts[2:]):
        if (part_labels == part_labels[0]).all():
            raise DataError(f"all {len(part_labels):,} reviews of the {part} part are "
                            f"{'positive' if part_labels[0] else 'negative'}: there is nothing to tell apart")
    tokenizer = ml.Tokenizer(num_words=num_words, oov_token=OOV)
    tokenizer.fit_on_texts(parts[0])
    for part, part_texts, part_labels in zip(PARTS, parts[:2], parts[2:]):
        sequences = tokenizer.texts_to_sequences(part_texts)
        _save(folder, f"{part}-labels", part_labels.astype(np.float32))
        _save(folder, f"{part}-lengths", ml.sequence_lengths(sequences))
        for length in lengths:
            for padding in paddings:
                _save(folder, f"{part}-{length}-{padding}",
                      ml.pad_sequences(sequences, maxlen=length, padding=padding, truncating="post"))
    atomic_write(Path(folder) / "tokenizer.json", [json.dumps(tokenizer.to_config()).encode("ascii")])
    return tokenizer


def _save(folder: PathLike, name: str, array: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.save(buffer, array)
    atomic_write(Path(folder) / f"{name}.npy", [buffer.getvalue()])


def _load(folder: PathLike, name: str) -> np.ndarray:
    path = Path(folder) / f"{name}.npy"
    try:
        return np.asarray(np.load(path, mmap_mode="r"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def reviews_model(cell: str, *, num_words: int, embedding_size: int, hidden_size: int, dropout: float, padding: str,
                  init: str, seed: int) -> ml.Sequential:
    """Return Embedding -> RNN, GRU or LSTM -> Dropout -> Linear -> Sigmoid with its initial weights, all from one seed."""
    check_choice("cell", cell, CELLS)
    layer = getattr(ml, CELL_NAMES[cell])
    rng = np.random.default_rng(seed)
    return ml.Sequential(
        ml.Embedding(num_words, embedding_size, init=init, rng=rng),
        layer(embedding_size, hidden_size, return_sequences=False, padding=padding, init=init, rng=rng),
        ml.Dropout(dropout, rng=rng),
        ml.Linear(hidden_size, 1, init=init, rng=rng),
        ml.Sigmoid(),
    )


def train_on_reviews(folder: PathLike, *, cell: str, length: int, padding: str, mask: bool, seed: int, num_words: int,
                     embedding_size: int, hidden_size: int, dropout: float, init: str, epochs: int, batch_size: int,
                     lr: float, clip_norm: float | None) -> dict[str, Any]:
    """Train one model on the arrays ``prepare_reviews`` left in ``folder``; return what JSON can hold.

    ``mask`` tells the model the lengths, so that it skips the padding. The other arguments are those of
    examples/imdb_lstm.py.

    Returns a dict: train_loss, train_acc, val_loss, val_acc (a number for each epoch); best_val_acc and best_epoch (the epoch
    chosen by validation accuracy); last_val_acc; parameters (of the whole model); seconds; stopped (None, or in words why
    training ended before its last epoch: a loss or gradient that was not finite). Without a finished epoch the accuracies are
    None. Raises DataError where an array is missing.
    """
    loaders = []
    for part in PARTS:
        arrays = [_load(folder, f"{part}-{length}-{padding}"), _load(folder, f"{part}-labels")]
        if mask:
            arrays.append(np.minimum(_load(folder, f"{part}-lengths"), length))
        loaders.append(ml.DataLoader(*arrays, batch_size=batch_size, shuffle=part == "train", seed=seed))
    model = reviews_model(cell, num_words=num_words, embedding_size=embedding_size, hidden_size=hidden_size, dropout=dropout,
                          padding=padding, init=init, seed=seed)
    trainer = ml.Trainer(model, ml.BCELoss(), ml.Adam(model, lr=lr), clip_norm=clip_norm, progress=False, verbose=False)
    start, stopped = time.perf_counter(), None
    try:
        trainer.fit(*loaders, epochs=epochs)
    except NonFiniteError as error:
        stopped = str(error)
    history = trainer.history
    best = history.best or {"val_acc": None, "epoch": None}
    return {
        **{name: history[name] for name in ("train_loss", "train_acc", "val_loss", "val_acc")},
        "best_val_acc": best["val_acc"], "best_epoch": best["epoch"],
        "last_val_acc": history["val_acc"][-1] if len(history) else None,
        "parameters": model.num_parameters(), "seconds": round(time.perf_counter() - start, 2), "stopped": stopped,
    }
