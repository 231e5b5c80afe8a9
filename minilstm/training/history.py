"""History: one row of numbers for each epoch, and a short summary of them.

A row holds only results of the computation (no wall-clock times), so the history of an interrupted and
resumed run is identical, byte for byte, to that of an uninterrupted run. A number that was not measured (no
validation data, no metric) is None; NaN and infinity never occur, because training stops before they could be
recorded.
"""

from __future__ import annotations

import csv
import html
import io
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from minilstm.backend.errors import ArgumentError, DataError, reason_of
from minilstm.backend.paths import as_path
from minilstm.training.atomic_write import PathLike, atomic_write
from minilstm.training.curves import curves

FIELDS = ("epoch", "train_loss", "train_acc", "val_loss", "val_acc", "lr", "grad_norm")
LABELS = {"train_loss": "Train Loss", "train_acc": "Train Acc", "val_loss": "Val Loss", "val_acc": "Val Acc"}
STYLES = {"epoch": "d", **dict.fromkeys(LABELS, ".4f"), "lr": ".4g", "grad_norm": ".4g"}
OVERFIT_RISE = 0.10     # overfitting: the validation loss ends at least this fraction above its minimum
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

Row = dict[str, Any]


class History:
    """The epochs of a training run.

    Attributes:
        rows: one dict per epoch with the keys epoch (int, from 1), train_loss, train_acc, val_loss, val_acc,
            lr (during the epoch) and grad_norm (mean over the steps, before clipping); floats, or None if not
            measured.

    >>> import minilstm as ml
    >>> history = ml.History()
    >>> _ = history.append(epoch=1, train_loss=0.7, val_loss=0.6, val_acc=0.75, lr=0.001, grad_norm=1.0)
    >>> _ = history.append(epoch=2, train_loss=0.5, val_loss=0.65, val_acc=0.7, lr=0.001, grad_norm=1.0)
    >>> history["val_loss"]
    [0.6, 0.65]
    >>> history.best["epoch"]
    1
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self.rows: list[Row] = []
        for row in rows:
            self.append(**row)

    def append(self, *, epoch: int, train_loss: float, train_acc: float | None = None,
               val_loss: float | None = None, val_acc: float | None = None, lr: float | None = None,
               grad_norm: float | None = None) -> Row:
        """Add an epoch and return its row.

        Raises ArgumentError unless epochs count up and all numbers are finite.
        """
        last = self.rows[-1]["epoch"] if self.rows else 0
        if type(epoch) is not int or (self.rows and epoch != last + 1) or epoch < 1:
            raise ArgumentError(f"history: expected epoch {last + 1} next, got {epoch!r}")
        row: Row = {"epoch": epoch}
        values = (train_loss, train_acc, val_loss, val_acc, lr, grad_norm)
        for name, value in zip(FIELDS[1:], values):
            if value is None and name != "train_loss":
                row[name] = None
                continue
            try:
                row[name] = float(value)    # type: ignore[arg-type]
            except (TypeError, ValueError):
                raise ArgumentError(f"history: {name} of epoch {epoch} is {value!r}, not a number") from None
            if not math.isfinite(row[name]):
                raise ArgumentError(f"history: {name} of epoch {epoch} is {value}, expected a finite number")
        self.rows.append(row)
        return row

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __getitem__(self, field: str) -> list[Any]:
        """Return one column, ``history["val_loss"]``, as a list with one entry per epoch."""
        if field not in FIELDS:
            raise ArgumentError(f"history: expected one of {', '.join(FIELDS)}, got {field!r}")
        return [row[field] for row in self.rows]

    def __eq__(self, other: object) -> bool:
        return self.rows == other.rows if isinstance(other, History) else NotImplemented

    # Summary
    # ------------------------------------------------------------

    @property
    def best(self) -> Row | None:
        """The row of the epoch with the highest validation accuracy, the first if several are equal, or None.

        Without validation accuracy, the lowest validation loss decides; without validation data, the lowest
        training loss.
        """
        name = self._criterion()
        rows = [row for row in self.rows if row[name] is not None]
        return max(rows, key=lambda row: row[name] if name == "val_acc" else -row[name], default=None)

    @property
    def measure(self) -> str:
        """What ``best`` is best by, in words: "validation accuracy", "validation loss" or "training loss"."""
        return {"val_acc": "validation accuracy", "val_loss": "validation loss",
                "train_loss": "training loss"}[self._criterion()]

    def _criterion(self) -> str:
        for name in ("val_acc", "val_loss"):
            if any(row[name] is not None for row in self.rows):
                return name
        return "train_loss"

    def line(self, row: Row | None = None) -> str:
        """Return an epoch, the last by default, such as ``Epoch 1: Train Loss=0.5895, Val Acc=0.7``."""
        if row is None:
            if not self.rows:
                raise ArgumentError("history: there is no epoch yet")
            row = self.rows[-1]
        parts = [f"{label}={row[name]:.4f}" for name, label in LABELS.items() if row[name] is not None]
        return f"Epoch {row['epoch']}: {', '.join(parts)}"

    def verdict(self) -> str:
        """Return one or two sentences: which epoch was best, and whether the run overfits."""
        best = self.best
        if best is None:
            return "No epoch has been trained yet."
        name = self._criterion()
        text = f"Best epoch: {best['epoch']} of {self.rows[-1]['epoch']} ({LABELS[name]}={best[name]:.4f})."
        start = self.overfits_from()
        if start is not None:
            low, last = min(self._validated(), key=lambda row: row["val_loss"]), self.rows[-1]
            text += (f" It overfits from epoch {start} on: the validation loss rose from its lowest, "
                     f"{low['val_loss']:.4f} at epoch {low['epoch']}, to {last['val_loss']:.4f} "
                     f"at epoch {last['epoch']}, while the training loss kept falling, "
                     f"from {low['train_loss']:.4f} to {last['train_loss']:.4f}.")
        return text

    def overfits_from(self) -> int | None:
        """Return the epoch after the lowest validation loss if the run overfits, else None.

        A run overfits if, in the last epoch, the validation loss is more than 10 % above its minimum although
        the training loss is lower than in the epoch of that minimum: the model keeps fitting the training
        data, but generalizes worse.
        """
        rows = self._validated()
        if not rows or rows[-1] is not self.rows[-1]:
            return None
        low, last = min(rows, key=lambda row: row["val_loss"]), rows[-1]
        risen = last["val_loss"] > low["val_loss"] + OVERFIT_RISE * abs(low["val_loss"])
        return low["epoch"] + 1 if risen and last["train_loss"] < low["train_loss"] else None

    def _validated(self) -> list[Row]:
        return [row for row in self.rows if row["val_loss"] is not None]

    # Input and output
    # ------------------------------------------------------------

    def csv_text(self) -> str:
        """Return the rows as CSV. Reading restores floats exactly; None is an empty field."""
        lines = [",".join(FIELDS)]
        for row in self.rows:
            lines.append(",".join("" if row[name] is None else repr(row[name]) for name in FIELDS))
        return "\n".join(lines) + "\n"

    def to_csv(self, path: PathLike) -> None:
        """Write ``csv_text`` to a file, atomically. Raises DataError, naming the file, if that fails."""
        path = as_path("to_csv", path)
        try:
            atomic_write(path, [self.csv_text().encode("ascii")])
        except (OSError, ValueError) as error:
            raise DataError(f"{os.fspath(path)}: cannot be written: {reason_of(error)}") from None

    @classmethod
    def read_csv(cls, path: PathLike) -> History:
        """Read a file written by ``to_csv``. Raises DataError, naming file and row, if it is not valid."""
        where = os.fspath(path := as_path("read_csv", path))
        try:
            with open(path, encoding="utf-8", newline="") as file:
                text = file.read()
            lines = list(csv.reader(io.StringIO(text), strict=True))
        except (OSError, ValueError, csv.Error) as error:
            raise DataError(f"{where}: cannot be read: {reason_of(error)}") from None
        if not lines or lines[0] != list(FIELDS):
            raise DataError(f"{where}: row 1: expected the columns {','.join(FIELDS)}")
        if not text.endswith("\n"):
            raise DataError(f"{where}: row {len(lines)}: is cut off")
        history = cls()
        for number, fields in enumerate(lines[1:], start=2):
            try:
                if len(fields) != len(FIELDS):
                    raise ArgumentError(f"expected {len(FIELDS)} fields, got {len(fields)}")
                history.append(**{name: _number(name, field) for name, field in zip(FIELDS, fields)})
            except ArgumentError as error:
                raise DataError(f"{where}: row {number}: {error}") from None
        return history

    def to_dataframe(self) -> Any:
        """Return the rows as a pandas DataFrame (pandas is imported here, and only here)."""
        try:
            import pandas
        except ImportError:
            raise ArgumentError("history.to_dataframe needs pandas: pip install pandas") from None
        return pandas.DataFrame(self.rows, columns=list(FIELDS))

    def plot(self, path: PathLike | None = None) -> Any:
        """Return a matplotlib Figure of loss and accuracy over the epochs; ``path``: where to save it."""
        return curves(self, path)

    def __repr__(self) -> str:
        return "\n".join([*(self.line(row) for row in self.rows), self.verdict()])

    def _repr_html_(self) -> str:
        best = self.best
        head = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in FIELDS)
        body = ""
        for row in self.rows:
            texts = ["" if row[name] is None else f"{row[name]:{style}}" for name, style in STYLES.items()]
            mark = ' style="font-weight: bold"' if row is best else ""
            body += f"<tr{mark}>" + "".join(f"<td>{html.escape(text)}</td>" for text in texts) + "</tr>"
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f"{table}<p>{html.escape(self.verdict())}</p>"


def _number(name: str, field: str) -> Any:
    if field == "":
        return None
    if name == "epoch" and re.fullmatch(r"\d{1,9}", field, re.ASCII):
        return int(field)
    if not re.fullmatch(_NUMBER, field):
        raise ArgumentError(f"{name} is {field!r}, not a number")
    return float(field)
