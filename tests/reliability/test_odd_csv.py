"""CSV files made odd in every place: those that are still good are read exactly, the others are refused by file and row."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minilstm as ml

pytestmark = pytest.mark.reliability
REVIEWS = ["fine", "A film, with a comma", 'She said "never"', "two\nlines", "NA", "null", "007", " spaces ", "naïve café ☕",
           "<br /><br />tags", "'single'", "a\ttab", "1e5", "True", "-", "=1+1", "\\ backslash", "x" * 140_000]
LABELS = ["positive" if k % 2 else "negative" for k in range(len(REVIEWS))]


def table(quoting: int = csv.QUOTE_MINIMAL, end: str = "\n", columns: tuple[str, ...] = ("review", "sentiment")) -> str:
    text = io.StringIO(newline="")
    options: dict[str, Any] = {"quoting": quoting, "lineterminator": end}
    writer = csv.DictWriter(text, columns, restval="7", extrasaction="ignore", **options)
    writer.writeheader()
    writer.writerows({"review": review, "sentiment": label} for review, label in zip(REVIEWS, LABELS))
    return text.getvalue()


def zipped(data: bytes, name: str = "IMDB Dataset.csv", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


PLAIN = table().encode()
GOOD: dict[str, bytes] = {
    "plain": PLAIN, "all quoted": table(csv.QUOTE_ALL).encode(), "Windows line ends": table(end="\r\n").encode(),
    "byte order mark": b"\xef\xbb\xbf" + PLAIN, "no last line end": PLAIN[:-1], "blank lines at the end": PLAIN + b"\n\n\n",
    "columns swapped": table(columns=("sentiment", "review")).encode(),
    "another column first": table(columns=("id", "review", "sentiment")).encode(),
    "another column last": table(columns=("review", "sentiment", "id")).encode(),
    "other columns around": table(columns=("a", "review", "b", "sentiment", "c")).encode(),
    "gzip": gzip.compress(PLAIN), "bzip2": bz2.compress(PLAIN), "xz": lzma.compress(PLAIN), "zip": zipped(PLAIN),
    "zip, stored": zipped(PLAIN, method=zipfile.ZIP_STORED), "zip, bzip2": zipped(PLAIN, method=zipfile.ZIP_BZIP2),
    "zip, lzma": zipped(PLAIN, method=zipfile.ZIP_LZMA),
    "gzip of parts": gzip.compress(PLAIN[:900]) + gzip.compress(PLAIN[900:]),
    "bzip2 of parts": bz2.compress(PLAIN[:900]) + bz2.compress(PLAIN[900:]),
    "xz of parts": lzma.compress(PLAIN[:900]) + lzma.compress(PLAIN[900:]),
    "gzip with a mark": gzip.compress(b"\xef\xbb\xbf" + PLAIN),
    "zip in a folder": zipped(PLAIN, "data/IMDB Dataset.csv"), "all quoted, Windows": table(csv.QUOTE_ALL, "\r\n").encode()}


@pytest.mark.parametrize("name", GOOD)
def test_good_files_are_read_exactly(name: str, tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_bytes(GOOD[name])
    before = csv.field_size_limit()
    texts, labels = ml.read_reviews(tmp_path / "reviews.csv")
    assert csv.field_size_limit() == before
    assert texts == REVIEWS and labels.tolist() == [float(label == "positive") for label in LABELS]
    assert labels.dtype == np.float32


ROW = b'review,sentiment\nfine,positive\n"so, so",negative\n'
BAD: dict[str, tuple[bytes, str]] = {
    **{f"label {label!r}": (ROW + b"bad," + label.encode() + b"\n", "row 4") for label in (
        "Positive", "positive ", " positive", "pos", "1", "0", "", "neutral", "positiv", "negative.", "POSITIVE", "none",
        "🙂")},
    **{f"header {header!r}": (header.encode() + b"\nfine,positive\n", "row 1") for header in (
        "Review,Sentiment", "text,label", "review", "sentiment", "review,sentiment,sentiment", "review,review,sentiment",
        "review;sentiment", "review\tsentiment", " review,sentiment", "<html>", "fine,positive")},
    **{f"review {review!r}": (ROW + review.encode() + b",negative\n", "row 4")
       for review in ("", " ", "\t", '""', '" "')},
    **{f"row {row!r}": (ROW + row + b"\n", "row 4") for row in (
        b"bad", b"bad,negative,more", b"bad,negative,", b"a,b,c,d", b'"bad,negative', b'"bad"x,negative', b'"bad" ,negative',
        b"bad;negative", b"b\xffd,negative", b"b\xe9d,negative", b"b\xed\xa0\x80d,negative", b"b\0d,negative")},
    "blank line inside": (ROW + b"\nbad,negative\n", "row 4"),
    "two blank lines inside": (ROW + b"\n\nbad,negative\n", "row 4"),
    "header alone": (b"review,sentiment\n", "header"), "empty": (b"", "empty"), "spaces": (b"   \n", "row 1"),
    "UTF-16": (ROW.decode().encode("utf-16"), "row 1"), "UTF-32": (ROW.decode().encode("utf-32"), "row 1"),
    "quote open to the end": (ROW + b'"bad,negative\nfine,positive\n', "row 4"),
    "gzip cut": (gzip.compress(ROW)[:-4], "gzip"),
    "gzip changed": (gzip.compress(ROW)[:20] + b"\0" + gzip.compress(ROW)[21:], "gzip"),
    "bzip2 cut": (bz2.compress(ROW)[:-4], "bzip2"), "xz cut": (lzma.compress(ROW)[:-4], "xz"),
    "zip cut": (zipped(ROW)[:-4], "zip"),
    "gzip of gzip": (gzip.compress(gzip.compress(ROW)), "NUL|UTF-8|column"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0", "NUL|UTF-8|column")}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_by_file_and_row(name: str, tmp_path: Path) -> None:
    data, words = BAD[name]
    (tmp_path / "reviews.csv").write_bytes(data)
    with pytest.raises(ml.DataError, match=words) as caught:
        ml.read_reviews(tmp_path / "reviews.csv")
    assert str(tmp_path / "reviews.csv") in str(caught.value) and len(str(caught.value)) < 500


def test_there_are_enough_of_them() -> None:
    assert len(GOOD) >= 20 and len(BAD) >= 45
