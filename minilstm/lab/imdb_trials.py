"""One training run on the IMDB reviews as a plain function, of which a sweep can make many side by side.

``prepare_reviews`` tokenizes once and leaves arrays in a folder; ``train_on_reviews`` maps them into memory
and trains one model: Embedding -> RNN, GRU or LSTM -> Dropout -> Linear -> Sigmoid. A trial's numbers depend
on its arguments alone, not on how many run beside it; only ``seconds`` does.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from minilstm.backend.checks import check_choice
from minilstm.backend.errors import DataError, NonFiniteError, reason_of
from minilstm.cells.padding import PADDINGS
from minilstm.data.loader import DataLoader
from minilstm.data.padding import cut_middle, pad_sequences, sequence_lengths
from minilstm.data.split import train_test_split
from minilstm.data.tokenizer import Tokenizer
from minilstm.lab.held_gates import HoldGates
from minilstm.losses.binary_cross_entropy import BCELoss
from minilstm.training.atomic_write import PathLike, atomic_write
from minilstm.training.reference import ReferenceSettings, reference_model, reference_training
from minilstm.training.trainer import Trainer

SPLIT_SEED = 42             # the split of the reference configuration, the same for every trial
OOV = "<OOV>"
PARTS = ("train", "validation")


def prepare_reviews(texts: list[str], labels: np.ndarray, folder: PathLike, *, train: int, validation: int,
                    num_words: int, lengths: Sequence[int], paddings: Sequence[str],
                    head: int | None = None) -> Tokenizer:
    """Split, tokenize and pad reviews, and leave the arrays that ``train_on_reviews`` reads in ``folder``.

    Args:
        texts, labels: n reviews and their labels (n,), 0 or 1.
        folder: an existing folder; for each part, length and padding it gets NAME.npy, whole or not at all.
        train, validation: how many reviews each part has; drawn as scikit-learn's train_test_split draws them
            with seed 42.
        num_words: size of the vocabulary, which is fitted on the training part alone.
        lengths, paddings: each pair of them gives one array (reviews, length) int32; long reviews are cut at
            their end.
        head: makes a second array of each pair, in which so many tokens of a long review's beginning are
            kept, and the rest of its end; only for lengths above ``head``.

    Returns the tokenizer. Raises ArgumentError where the data has too few reviews, DataError where a part has
    one label only.
    """
    for padding in paddings:
        check_choice("padding", padding, PADDINGS)
    parts = train_test_split(texts, labels, train_size=train, test_size=validation, random_state=SPLIT_SEED)
    for part, part_labels in zip(PARTS, parts[2:]):
        if (part_labels == part_labels[0]).all():
            raise DataError(f"all {len(part_labels):,} reviews of the {part} part are "
                            f"{'positive' if part_labels[0] else 'negative'}: there is nothing to tell apart")
    tokenizer = Tokenizer(num_words=num_words, oov_token=OOV)
    tokenizer.fit_on_texts(parts[0])
    for part, part_texts, part_labels in zip(PARTS, parts[:2], parts[2:]):
        sequences = tokenizer.texts_to_sequences(part_texts)
        _save(folder, f"{part}-labels", part_labels.astype(np.float32))
        _save(folder, f"{part}-lengths", sequence_lengths(sequences))
        for length in lengths:
            shortened: dict[int | None, Sequence[Any]] = {None: sequences}
            if head and head < length:
                shortened[head] = cut_middle(sequences, head, length - head)
            for (beginning, rows), padding in product(shortened.items(), paddings):
                _save(folder, _array_name(part, length, padding, beginning),
                      pad_sequences(rows, maxlen=length, padding=padding, truncating="post"))
    atomic_write(Path(folder) / "tokenizer.json", [json.dumps(tokenizer.to_config()).encode("ascii")])
    return tokenizer


def _array_name(part: str, length: int, padding: str, head: int | None) -> str:
    return f"{part}-{length}-{padding}" + (f"-head{head}" if head else "")


def _save(folder: PathLike, name: str, array: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.save(buffer, array)
    atomic_write(Path(folder) / f"{name}.npy", [buffer.getvalue()])


def _load(folder: PathLike, name: str) -> np.ndarray:
    path = Path(folder) / f"{name}.npy"
    try:
        return np.asarray(np.load(path, mmap_mode="r"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {reason_of(error)}") from None


@dataclass(frozen=True)
class ReviewsTrial(ReferenceSettings):
    """One trial: the model, and what it is trained on and how.

    Attributes, beside those of the model:
        length, head: tokens of a review that are used, and how many of them are kept of the beginning (None:
            all).
        mask: tell the model the lengths, so that it skips the padding.
        window: sort reviews by length within windows of so many (None: do not sort).
        epochs, batch_size, lr, clip_norm: of the training.
        lr_decay, average: as for ``reference_training``.
        hold: gates that are held, each with 1 (open) or 0 (shut): "i1,o1".
    """

    length: int = 200
    head: int | None = None
    mask: bool = False
    window: int | None = None
    epochs: int = 5
    batch_size: int = 64
    lr: float = 1e-3
    clip_norm: float | None = None
    lr_decay: float = 1.0
    average: float = 0.0
    hold: str = ""


def train_on_reviews(folder: PathLike, **settings: Any) -> dict[str, Any]:
    """Train one model on the arrays ``prepare_reviews`` left in ``folder``; return what JSON can hold.

    ``settings``: those of a ``ReviewsTrial``.

    Returns a dict: train_loss, train_acc, val_loss, val_acc (a number for each epoch); best_val_acc and
    best_epoch (the epoch chosen by validation accuracy); last_val_acc; parameters (of the whole model);
    seconds; stopped (None, or in words why training ended before its last epoch: a loss or gradient that was
    not finite). Without a finished epoch the accuracies are None. Raises DataError where an array is missing.
    """
    trial = ReviewsTrial(**settings)
    loaders = []
    for part in PARTS:
        name = _array_name(part, trial.length, trial.padding, trial.head)
        arrays = [_load(folder, name), _load(folder, f"{part}-labels")]
        if trial.mask:
            arrays.append(np.minimum(_load(folder, f"{part}-lengths"), trial.length))
        loaders.append(DataLoader(*arrays, batch_size=trial.batch_size, shuffle=part == "train",
                                  seed=trial.seed, window=trial.window))
    model = reference_model(trial)
    optimizer, options = reference_training(model, lr=trial.lr, lr_decay=trial.lr_decay,
                                            average=trial.average)
    if trial.hold:
        gates = {gate[0]: int(gate[1:]) for gate in trial.hold.split(",")}
        options["callbacks"] = [HoldGates(gates), *options.get("callbacks", [])]
    trainer = Trainer(model, BCELoss(), optimizer, clip_norm=trial.clip_norm, progress=False, verbose=False,
                      **options)
    start, stopped = time.perf_counter(), None
    try:
        trainer.fit(loaders[0], loaders[1], epochs=trial.epochs)
    except NonFiniteError as error:
        stopped = str(error)
    history = trainer.history
    best = history.best or {"val_acc": None, "epoch": None}
    return {
        **{name: history[name] for name in ("train_loss", "train_acc", "val_loss", "val_acc")},
        "best_val_acc": best["val_acc"], "best_epoch": best["epoch"],
        "last_val_acc": history["val_acc"][-1] if len(history) else None,
        "parameters": model.num_parameters(), "seconds": round(time.perf_counter() - start, 2),
        "stopped": stopped,
    }
