"""Read a review word by word with a trained model: its answer and its gates after each word.

    python examples/word_by_word.py "A dull start, but a wonderful end."      ask the latest run of examples/imdb_lstm.py
    python examples/word_by_word.py - --run runs/NAME --out picture.png < review.txt

Prints a table of words, probabilities and changes, and draws a picture into the run's folder: the probability, the cell state
and the gates above the words.
"""

from __future__ import annotations

from minilstm.command_line.program import Parser, check_installed, path_name, run_program, whole

# isort: split
import argparse
import sys
from pathlib import Path
from typing import Any

import imdb_lstm

import minilstm as ml
from minilstm.lab.words import WordTrace, word_by_word
from minilstm.lab.words_figure import draw_words
from minilstm.training.curves import save_figure, show
from minilstm.training.run_folder import BEST, LAST, load_weights

PROGRAM = "word_by_word.py"
PICTURE = "word-by-word.png"


def load_run(folder: Path) -> tuple[ml.Sequential, ml.Tokenizer, dict[str, Any]]:
    """Return (model with the weights of its best epoch, tokenizer, settings) of a run of examples/imdb_lstm.py.

    Raises ArgumentError where ``folder`` holds none, DataError and CheckpointError where one is damaged.
    """
    imdb_lstm.check_run(folder, (BEST, LAST))
    settings = {**imdb_lstm.load_settings(folder), "backend": "numpy"}
    model = imdb_lstm.build_model(settings)
    load_weights(folder / (BEST if (folder / BEST).exists() else LAST), model)
    return model, imdb_lstm.load_tokenizer(folder), settings


def trace_of(text: str, folder: Path) -> WordTrace:
    """Return ``text`` read word by word by the run in ``folder``."""
    model, tokenizer, settings = load_run(folder)
    return word_by_word(model, tokenizer, text, max_length=settings["max_length"], padding=settings["padding"],
                        mask=settings["mask"])


def print_table(trace: WordTrace) -> None:
    """Print word, probability and change, the words that moved it by a tenth or more marked."""
    width = max(6, *map(len, trace.words), len("(start)"))
    print(f"{'word':<{width}}  {'p':>6}  {'change':>7}")
    print(f"{'(start)':<{width}}  {trace.before:6.4f}")
    for word, known, p, change in zip(trace.words, trace.known, trace.probabilities, trace.changes):
        notes = ("" if known else "  unknown word") + ("  ++" if change >= 0.1 else "  --" if change <= -0.1 else "")
        print(f"{word:<{width}}  {p:6.4f}  {change:+7.4f}{notes}")
    if trace.cut:
        print(f"{trace.cut} more words were not read: the model reads {len(trace.words)}.")
    print(f"{'positive' if trace.prediction >= 0.5 else 'negative'}  p={trace.prediction:.4f}")


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Return the arguments. Raises ArgumentError."""
    parser = Parser(PROGRAM, __doc__)
    parser.add_argument("text", help='the review; "-" reads it from standard input')
    parser.add_argument("--run", help="a run of examples/imdb_lstm.py (default: the latest one in runs/)",
                        type=path_name, metavar="DIR")
    parser.add_argument("--out", help=f"file of the picture; its extension sets the format (default: {PICTURE} in the run's "
                        "folder)", type=path_name, metavar="FILE")
    parser.add_argument("--start", help="first word of the picture, from 1 (default: where the probability moves most)",
                        type=whole(1), metavar="N")
    parser.add_argument("--count", help="words in the picture (default: %(default)s)", type=whole(1, 400),
                        default=60, metavar="N")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, 2 for a user's mistake, 130 after Ctrl-C."""
    def body() -> None:
        given = parse_arguments(argv)
        check_installed("matplotlib")
        text = "\n".join(imdb_lstm.read_lines()) if given.text == "-" else given.text
        run = given.run or imdb_lstm.latest_run()
        out = given.out or run / PICTURE
        trace = trace_of(text, run)
        figure = draw_words(trace, None if given.start is None else given.start - 1, given.count)
        print(f"Read by the run in {run}:")
        print_table(trace)
        save_figure(figure, out)
        print(f"The picture is {out}", flush=True)
        show(figure)            # in a notebook

    return run_program(PROGRAM, body, lambda _: "Interrupted.")


if __name__ == "__main__":
    sys.exit(main())
