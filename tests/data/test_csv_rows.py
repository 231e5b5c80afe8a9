"""Strict CSV reading, one damaged file after the other."""

from __future__ import annotations

import bz2
import csv
import gzip
import lzma
import os
from functools import partial

import numpy as np
import pytest
from review_files import GOOD, TEXTS, zipped

from minilstm.backend.errors import DataError
from minilstm.data import csv_rows as csvfile
from minilstm.data import read_reviews

packed = partial(gzip.compress, mtime=0)        # without the time, which would be part of the tests' names


@pytest.mark.parametrize("data", [
    GOOD, b"\xef\xbb\xbf" + GOOD, GOOD[:-1], GOOD + b"\n\r\n", packed(GOOD), bz2.compress(GOOD), lzma.compress(GOOD),
    zipped(("x/a.csv", GOOD)), zipped(("x/", b""), ("x/a.csv", GOOD), ("__MACOSX/x/._a.csv", b"\0"))])
def test_reads_plain_and_packed(write, data):
    texts, labels = read_reviews(write(data))
    assert texts == TEXTS
    assert labels.tolist() == [1.0, 0.0] and labels.dtype == np.float32


def test_keeps_reviews_as_they_are(write):
    odd = ["NA", "null", "007", "None", " padded ", "1e5", "ünï\u2028code 😀", "tab\t", "#", "it's", "a\r\nb"]
    body = "".join(f'"{text}",negative\r\n' for text in odd)
    texts, labels = read_reviews(write(("review,sentiment\r\n" + body).encode()))
    assert texts == odd and not labels.any()


def test_a_field_may_have_any_length(write):
    before = csv.field_size_limit(limit := 131_072)
    long = "x" * 300_000
    texts, _ = read_reviews(write(f"review,sentiment\n{long},positive\nfine,negative\n".encode()))
    assert texts == [long, "fine"] and csv.field_size_limit(before) == limit


def test_columns_may_stand_in_any_order_among_others(write):
    texts, labels = read_reviews(write(b"id,sentiment,review\n7,positive,fine\n"))
    assert texts == ["fine"] and labels.tolist() == [1]


ROW = b"review,sentiment\nfine,positive\n"


@pytest.mark.parametrize("data, words", [
    (b"", "is empty"), (b"\n\n", "is empty"), (b"\xef\xbb\xbf", "is empty"), (b"review,sentiment\n", "no rows"),
    (b"review,label\nfine,positive\n", "no column 'sentiment'"), (b"fine,positive\nbad,negative\n", "no column 'review'"),
    (b"Review,Sentiment\nfine,positive\n", "no column 'review'"), (b"review;sentiment\nfine;positive\n", "no column 'review'"),
    (b"review,sentiment,sentiment\nfine,positive,positive\n", "2 columns 'sentiment'"),
    (b"review,review,sentiment\na,b,positive\n", "2 columns 'review'"),
    (ROW + b"bad,negativ\n", "row 3: sentiment is 'negativ'"), (ROW + b"bad,Negative\n", "row 3: sentiment is 'Negative'"),
    (ROW + b"bad, negative\n", "row 3: sentiment is ' negative'"), (ROW + b"bad,\n", "row 3: sentiment is ''"),
    (ROW + b"bad,1\n", "row 3: sentiment is '1'"), (ROW + b"bad,posi", "row 3: sentiment is 'posi'"),
    (ROW + b"bad\n", "row 3 has 1 fields"), (ROW + b"so, so,negative\n", "row 3 has 3 fields"),
    (ROW + b'"' + b"\n" * 5 + b'x",negative\nlost\n', "row 4 has 1 fields"),
    (ROW + b",negative\n", "row 3: review is empty"), (ROW + b'" \n",negative\n', "row 3: review is empty"),
    (ROW + b"\nbad,negative\n", "row 3 is empty"), (ROW + b'"bad,negative\nfine,positive\n', "row 3 is broken CSV"),
    (ROW + b'"bad" film,negative\n', "row 3 is broken CSV"),
    (ROW + b'"bad,negative\n"fine",positive\n', "row 3 is broken CSV"),
    (ROW + b"b\xe9d,negative\n", "row 3 is not UTF-8"),
    (b"\xef\xbb\xbf" + ROW + b"bad,negative\n\xff\n", "row 4 is not UTF-8 .byte 0xff at offset 47"),
    (ROW + b"bad,negative\nfine\xe2\x82", "row 4 is not UTF-8"), (ROW.decode().encode("utf-16"), "NUL"),
    (ROW + b"b\0d,negative\n", "row 3 contains a NUL"), (ROW + b'"a\nb\0",negative\n', "row 3 contains a NUL"),
    (b"<!DOCTYPE html>\n<html></html>\n", "no column 'review'"),
    (packed(GOOD)[:-9], "gzip data is damaged"), (packed(GOOD) + b"more", "gzip data is damaged"),
    (bz2.compress(GOOD)[:-3], "bzip2 data is damaged"), (lzma.compress(GOOD)[:-20], "xz data is damaged"),
    (packed(GOOD)[:15] + b"\xff\xff" + packed(GOOD)[17:], "gzip data is damaged"),
    (zipped(("a.csv", GOOD))[:-9], "zip data is damaged"),
    (zipped(("a.csv", GOOD), ("b.csv", GOOD)), "got 2 .'a.csv', 'b.csv'"),
    (zipped(), "got 0"), (zipped(("a.csv", GOOD * 50)).replace(b"\x00\x00\x08\x00", b"\x01\x00\x08\x00"), "zip data is"),
    (packed(b"review\nx\n"), "no column 'sentiment'")])
def test_refuses_and_names_file_and_row(write, data, words):
    path = write(data, "my reviews.csv")
    with pytest.raises(DataError, match=f"my reviews.csv: .*{words}") as caught:
        read_reviews(path)
    assert "\n" not in str(caught.value)


def test_every_single_cut_is_refused_or_loses_no_row(write):
    """A file cut short anywhere either is refused or ends exactly where a row did."""
    whole = b'review,sentiment\n"a ""b""\nc",positive\nd,negative\n'
    for length in range(len(whole)):
        try:
            texts, _ = read_reviews(write(whole[:length]))
        except DataError:
            continue
        assert texts == ['a "b"\nc', "d"][:len(texts)]
        assert whole[:length].rstrip().endswith((b"positive", b"negative"))


def test_refuses_paths(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_reviews(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="is a folder"):
        read_reviews(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        read_reviews(tmp_path / ("long" * 100))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_refuses_without_permission(write):
    path = write(GOOD)
    path.chmod(0)
    with pytest.raises(DataError, match="cannot be read"):
        read_reviews(path)


def test_permission_error_in_words(write, monkeypatch):
    def refuse(*arguments, **kwargs):
        raise PermissionError(13, "Permission denied")
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(DataError, match="x.csv: cannot be read .Permission denied"):
        read_reviews("x.csv")


def test_refuses_a_file_that_unpacks_without_end(write, monkeypatch):
    monkeypatch.setattr(csvfile, "MAX_BYTES", 1 << 20)
    with pytest.raises(DataError, match="more than 1 MiB"):
        read_reviews(write(packed(bytes(3 << 20))))
