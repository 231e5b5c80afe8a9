"""Predictions of a finished run, kept in a file, so that runs of different kinds can be compared review by
review.

A file holds the logits and the labels of the held-out part ("validation"), on which choices are made, and of
the "test" part, and a digest of each part's reviews: only predictions of the same reviews in the same order
can be compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.errors import CheckpointError
from minilstm.backend.paths import as_path
from minilstm.layers.module import Module
from minilstm.training.atomic_write import PathLike
from minilstm.training.checkpoint import load_checkpoint, save_checkpoint
from minilstm.training.evaluation import predict

PREDICTIONS = "predictions.ckpt"
PARTS = ("validation", "test")
_KIND = "minilstm predictions 1"


class Predictions(NamedTuple):
    """What a run says about the reviews of both parts, by part; a logit of at least 0 means positive."""

    model: str                          # in words
    protocol: str                       # how the reviews were split
    logits: dict[str, np.ndarray]       # (n,) float64
    labels: dict[str, np.ndarray]       # (n,) 0 or 1
    digests: dict[str, str]

    def right(self, part: str = "test") -> np.ndarray:
        """Return (n,) bool: which reviews of a part are classified correctly."""
        return np.asarray((self.logits[part] >= 0) == (self.labels[part] == 1))

    def accuracy(self, part: str = "test") -> float:
        """Return the share of a part's reviews that are classified correctly."""
        return float(self.right(part).mean())


def digest_of(texts: Sequence[str], labels: np.ndarray) -> str:
    """Return a short hexadecimal digest of reviews and labels, whatever file they came from."""
    digest = hashlib.sha256()
    for text, label in zip(texts, labels):
        digest.update(text.encode("utf-8", "surrogatepass") + (b"\x001" if label else b"\x000"))
    return digest.hexdigest()[:16]


def logits_of(model: Module, x: np.ndarray, lengths: np.ndarray | None, batch_size: int = 64) -> np.ndarray:
    """Return ``model``'s output (n,) float64 for tokens (n, T), padded behind if ``lengths`` are given, in
    evaluation mode.

    Sequences of similar length are computed together, and no batch is wider than its longest.
    """
    if lengths is None:
        return predict(model, x, batch_size)[:, 0].astype(np.float64)
    order, found = np.argsort(lengths, kind="stable"), np.empty(len(x))
    for start in range(0, len(x), batch_size):
        rows = order[start:start + batch_size]
        found[rows] = predict(model, x[rows, :lengths[rows].max()], batch_size, lengths=lengths[rows])[:, 0]
    return found


def save_predictions(folder: PathLike, model: str, protocol: str, logits: Mapping[str, np.ndarray],
                     texts: Mapping[str, Sequence[str]], labels: Mapping[str, np.ndarray]) -> Predictions:
    """Write the predictions of both parts into ``folder``, and return them. Raises CheckpointError."""
    digests = {part: digest_of(texts[part], labels[part]) for part in PARTS}
    arrays = {f"{part}.{name}": np.asarray(values[part], np.float64)
              for part in PARTS for name, values in (("logits", logits), ("labels", labels))}
    save_checkpoint(as_path("save_predictions", folder) / PREDICTIONS, arrays,
                    {"kind": _KIND, "model": model, "protocol": protocol, "digests": digests})
    return load_predictions(folder)


def load_predictions(folder: PathLike) -> Predictions:
    """Return the predictions in ``folder``. Raises CheckpointError if there are none."""
    path = as_path("load_predictions", folder) / PREDICTIONS
    arrays, meta = load_checkpoint(path)
    wanted = {f"{part}.{name}" for part in PARTS for name in ("logits", "labels")}
    if meta.get("kind") != _KIND or set(arrays) != wanted:
        raise CheckpointError(f"{path}: is no file of predictions")

    def part_by_part(name: str) -> dict[str, Any]:
        return {part: arrays[f"{part}.{name}"] for part in PARTS}
    return Predictions(meta["model"], meta["protocol"], part_by_part("logits"), part_by_part("labels"),
                       dict(meta["digests"]))
