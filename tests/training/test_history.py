"""The history says what the numbers say, and comes back from its CSV exactly."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilstm.backend.errors import ArgumentError, DataError
from minilstm.training.history import FIELDS, History

FLOAT = st.floats(allow_nan=False, allow_infinity=False)


def history(train: list[float], val: list[float] | None = None, acc: list[float] | None = None) -> History:
    result = History()
    for k, loss in enumerate(train):
        result.append(epoch=k + 1, train_loss=loss, val_loss=val[k] if val else None, val_acc=acc[k] if acc else None)
    return result


def test_the_epoch_line() -> None:
    h = History()
    h.append(epoch=1, train_loss=0.58949, train_acc=0.69834, val_loss=0.5814, val_acc=0.7023, lr=1e-3, grad_norm=0.4)
    assert h.line() == "Epoch 1: Train Loss=0.5895, Train Acc=0.6983, Val Loss=0.5814, Val Acc=0.7023"
    h.append(epoch=2, train_loss=0.5, train_acc=0.75)
    assert h.line() == "Epoch 2: Train Loss=0.5000, Train Acc=0.7500"
    assert h.line(h.rows[0]).startswith("Epoch 1: ")
    assert history([0.25]).line() == "Epoch 1: Train Loss=0.2500"
    with pytest.raises(ArgumentError):
        History().line()


@pytest.mark.parametrize("changes", [{"epoch": 0}, {"epoch": 3}, {"epoch": True}, {"epoch": 2.0}, {"train_loss": None},
                                     {"train_loss": float("nan")}, {"val_acc": float("inf")}, {"lr": "fast"}])
def test_rows_that_cannot_be(changes: dict[str, Any]) -> None:
    h = history([1.0])
    with pytest.raises(ArgumentError):
        h.append(**{"epoch": 2, "train_loss": 0.5, **changes})
    assert len(h) == 1


def test_best_epoch() -> None:
    assert History().best is None
    h = history([3, 2, 1, 0.5], [1, 2, 3, 4], [0.5, 0.8, 0.8, 0.7])
    assert h.best is h.rows[1]                                          # the first of equals
    assert history([3, 2, 1], [2, 1, 3]).best["epoch"] == 2             # type: ignore[index]
    assert history([3, 1, 2]).best["epoch"] == 2                        # type: ignore[index]


def test_verdict_names_the_overfitting_epoch_with_its_numbers() -> None:
    h = history([0.6, 0.4, 0.3, 0.2, 0.1], [0.5, 0.4, 0.3, 0.35, 0.6], [0.7, 0.8, 0.85, 0.87, 0.86])
    assert h.overfits_from() == 4
    assert h.verdict() == ("Best epoch: 4 of 5 (Val Acc=0.8700). It overfits from epoch 4 on: the validation loss rose from "
                           "its lowest, 0.3000 at epoch 3, to 0.6000 at epoch 5, while the training loss kept falling, from "
                           "0.3000 to 0.1000.")
    assert h.verdict() in repr(h)
    for quiet in (history([0.6, 0.4, 0.3], [0.5, 0.4, 0.43]),           # risen, but by less than a tenth
                  history([0.6, 0.4, 0.5], [0.5, 0.4, 0.6]),            # the training loss rose as well
                  history([0.6, 0.4, 0.3], [0.5, 0.9, 0.4]),            # a spike that went away
                  history([0.6, 0.4, 0.3]), history([0.6], [0.5])):
        assert quiet.overfits_from() is None and "overfits" not in quiet.verdict()
    assert "No epoch" in History().verdict()


def test_columns() -> None:
    h = history([3, 2], [5, 4])
    assert h["train_loss"] == [3.0, 2.0] and h["val_acc"] == [None, None] and len(h) == 2 and list(h) == h.rows
    with pytest.raises(ArgumentError):
        h["loss"]


@given(st.lists(st.tuples(FLOAT, *[st.none() | FLOAT] * 5), max_size=5))
def test_csv_is_exact(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Any, ...]]) -> None:
    h = History({"epoch": k, **dict(zip(FIELDS[1:], row))} for k, row in enumerate(rows, start=1))
    path = tmp_path_factory.mktemp("csv") / "h.csv"
    h.to_csv(path)
    again = History.read_csv(path)
    assert again == h and [repr(row) for row in again] == [repr(row) for row in h]
    again.to_csv(path)
    assert path.read_text() == h.csv_text()
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))          # a spreadsheet's line ends
    assert History.read_csv(path) == h


GOOD = "epoch,train_loss,train_acc,val_loss,val_acc,lr,grad_norm\n1,0.5,0.75,,,0.001,1.25\n2,0.25,0.75,,,0.001,1.25\n"


@pytest.mark.parametrize("old, new, row", [
    (GOOD, "", "row 1"), ("grad_norm\n", "norm\n", "row 1"), ("2,0.25", "3,0.25", "row 3"), ("2,0.25", "2,x", "row 3"),
    ("1,0.5", "1,", "row 2"), ("1,0.5", "1,nan", "row 2"), ("1,0.5", "1,inf", "row 2"), ("1,0.5", "1,1e999", "row 2"),
    ("1,0.5", "1,1_0", "row 2"), ("1,0.5", "1, 5", "row 2"), ("1,0.5", "1.0,0.5", "row 2"), (",,,0.001", ",,0.001", "row 2"),
    ("1,0.5", "-1,0.5", "row 2"), ("\n2,", "\n\n2,", "row 3"), ("1.25\n2", "1.25,1\n2", "row 2"), ("0.5", '"0.5', "cannot"),
    ("0.5", "\u0660.5", "row 2"), ("1,0.5", ",0.5", "row 2")])
def test_damaged_csv(tmp_path: Path, old: str, new: str, row: str) -> None:
    path = tmp_path / "h.csv"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(DataError, match=row) as caught:
        History.read_csv(path)
    assert str(path) in str(caught.value)


def test_every_truncation_of_a_csv_is_seen_or_is_a_whole_row(tmp_path: Path) -> None:
    path = tmp_path / "h.csv"
    for length in range(len(GOOD)):
        path.write_text(GOOD[:length])
        if GOOD[:length].endswith("\n"):
            assert len(History.read_csv(path)) == GOOD[:length].count("\n") - 1
        else:
            with pytest.raises(DataError):
                History.read_csv(path)


def test_files_that_cannot_be(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing" / "h.csv"):
        with pytest.raises(DataError):
            History().to_csv(path)
        with pytest.raises(DataError):
            History.read_csv(path)
    (tmp_path / "h.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError):
        History.read_csv(tmp_path / "h.csv")
    assert os.listdir(tmp_path) == ["h.csv"]


def test_to_dataframe(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    frame = history([3, 2], [5, 4]).to_dataframe()
    assert list(frame.columns) == list(FIELDS) and frame["val_loss"].tolist() == [5.0, 4.0]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ArgumentError, match="pip install pandas"):
        history([1]).to_dataframe()


def test_html() -> None:
    text = history([0.6, 0.4], [0.5, 0.6], [0.5, 0.75])._repr_html_()
    assert text.count("<tr") == 3 and text.count("bold") == 1 and "0.7500" in text and "Best epoch: 2" in text
