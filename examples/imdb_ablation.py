"""What each ingredient of --preset strong is worth, and which of its gates an LSTM needs to tell reviews apart.

    python examples/imdb_ablation.py --data "IMDB Dataset.csv" --out runs/ablation --jobs 2

A smaller model on fewer reviews, with all ingredients, and the same with one of them left out or changed at a time, each with
the same seeds. All reviews are of the training part of imdb_lstm.py (protocol "unique"): its test part is not touched. Each
finished trial is saved immediately: the same command continues an interrupted ablation.
"""

from __future__ import annotations

from minilstm.command_line.program import Parser, check_installed, path_name, run_program, whole

# isort: split
import argparse
import json
import statistics
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imdb_lstm

import minilstm as ml
from minilstm.lab.imdb_results import CONFIG, TABLE, TRIALS, markdown
from minilstm.lab.imdb_trials import prepare_reviews, train_on_reviews
from minilstm.lab.sweep import run_sweep
from minilstm.training.atomic_write import atomic_write
from minilstm.training.predictions import digest_of

if TYPE_CHECKING:
    import pandas

PROGRAM = "imdb_ablation.py"
ARRAYS = "arrays"
HEAD = 100
BASE: dict[str, Any] = {
    "cell": "lstm", "num_words": 10_000, "embedding_size": 32, "hidden_size": 32, "bidirectional": True, "pooling": "both",
    "padding": "post", "mask": True, "length": 400, "head": HEAD, "window": 1_600, "word_dropout": 0.15, "locked_dropout": 0.4,
    "dropout": 0.5, "epochs": 4, "batch_size": 64, "lr": 2e-3, "lr_decay": 0.65, "clip_norm": 1.0,
    "average": 0.99,        # of a run of 600 steps; the preset's 0.999 is for 3,000
}
# The first is what the others are compared with; each of these changes some of its settings.
VARIANTS: dict[str, dict[str, Any]] = {
    "all ingredients": {},
    "last state, not pooled": {"pooling": "last"},
    "maximum alone": {"pooling": "max"},
    "mean alone": {"pooling": "mean"},
    "one direction": {"bidirectional": False},
    "one direction, last state": {"bidirectional": False, "pooling": "last"},
    "no word dropout": {"word_dropout": 0.0},
    "no locked dropout": {"locked_dropout": 0.0},
    "no dropout before the dense layer": {"dropout": 0.0},
    "no dropout at all": {"word_dropout": 0.0, "locked_dropout": 0.0, "dropout": 0.0},
    "weights not averaged": {"average": 0.0},
    "constant learning rate": {"lr_decay": 1.0},
    "with adversarial noise": {"adversarial": 0.03},
    "first 400 tokens": {"head": None},
    "first 200 tokens": {"head": None, "length": 200},
    "first 100 and last 100 tokens": {"length": 200},
    "input gate held open": {"hold": "i1"},
    "output gate held open": {"hold": "o1"},
    "input and output gates held open": {"hold": "i1,o1"},
    "forget gate held open": {"hold": "f1"},
    "forget gate held shut": {"hold": "f0"},
    "all gates held open": {"hold": "f1,i1,o1"},
}


def run(settings: dict[str, Any], folder: Path) -> pandas.DataFrame:
    """Train the trials that ``folder`` does not contain yet; write and return the table.

    ``settings``: data, train, validation, seeds, jobs, progress, and base, changes of BASE.
    """
    base = {**BASE, **settings["base"]}
    data = ml.load_imdb(settings["data"])
    print(data.source, flush=True)
    texts, labels = imdb_lstm.choose(data.texts, data.labels, "unique")
    rows = imdb_lstm.split(len(texts), 0.0)["training"]
    if settings["train"] + settings["validation"] > len(rows):
        raise ml.ArgumentError(f"{data.source}: {len(rows)} training reviews are too few for --train {settings['train']} and "
                               f"--validation {settings['validation']}")
    check_folder(folder, {**{name: settings[name] for name in ("train", "validation")}, "digest": digest_of(texts, labels)})
    arrays = folder / ARRAYS
    arrays.mkdir(parents=True, exist_ok=True)
    prepare_reviews([texts[k] for k in rows], labels[rows], arrays, train=settings["train"], validation=settings["validation"],
                    num_words=base["num_words"], lengths=(200, 400), paddings=("post",), head=HEAD)
    trials = {(name, seed): {**base, **changes, "seed": seed} for seed in range(settings["seeds"])
              for name, changes in VARIANTS.items()}
    results = run_sweep(partial(train_on_reviews, arrays.resolve()), list(trials.values()), folder / TRIALS,
                        jobs=settings["jobs"], progress=settings["progress"], describe=describe)
    frame = table(dict(zip(trials, results)))
    atomic_write(folder / TABLE, [markdown(frame).encode("utf-8")])
    return frame


def check_folder(folder: Path, config: dict[str, Any]) -> None:
    """Note the reviews of a new ablation. Raises ArgumentError if ``folder`` holds one of other reviews."""
    if not (folder / CONFIG).exists():
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(folder / CONFIG, [json.dumps(config).encode("ascii")])
    elif json.loads((folder / CONFIG).read_text(encoding="ascii")) != config:
        raise ml.ArgumentError(f"{folder}: the ablation in this folder uses other reviews, or more or fewer of them; choose "
                               "another --out")


def describe(row: dict[str, Any]) -> str:
    """Return the few words about a finished trial that stand beside the progress bar."""
    return "stopped" if row["best_val_acc"] is None else f"{100 * row['best_val_acc']:.1f} %"


def table(results: dict[tuple[str, int], dict[str, Any]]) -> pandas.DataFrame:
    """Return a row for each variant: accuracy, and its difference to the first variant with the same seed, mean ± sd, in %."""
    import pandas
    lines: list[dict[str, str]] = []
    for name in VARIANTS:
        pairs = [(result["best_val_acc"], results[next(iter(VARIANTS)), seed]["best_val_acc"])
                 for (variant, seed), result in results.items() if variant == name]
        pairs = [(own, first) for own, first in pairs if own is not None and first is not None]     # others ended early
        seconds = [result["seconds"] for (variant, _), result in results.items() if variant == name]
        lines.append({"variant": name, "validation accuracy": spread([own for own, _ in pairs], ""),
                      "difference": "" if not lines else spread([own - first for own, first in pairs], "+"),
                      "seconds": f"{statistics.mean(seconds):.0f}"})
    return pandas.DataFrame(lines)


def spread(values: list[float], sign: str) -> str:
    """Return mean ± sd (how many) in percent."""
    if not values:
        return "none"
    deviation = f" ± {100 * statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):{sign}.2f}{deviation} ({len(values)})"


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Return the arguments. Raises ArgumentError."""
    parser = Parser(PROGRAM, __doc__)
    parser.add_argument("--data", help="CSV with columns review,sentiment (default: as examples/imdb_lstm.py)", type=path_name,
                        metavar="CSV")
    parser.add_argument("--out", help="folder of the ablation; an existing one is continued (default: runs/ablation)",
                        type=path_name, default=imdb_lstm.RUNS / "ablation", metavar="DIR")
    for flag, least, default, words in (
            ("--train", 64, 10_000, "training reviews"), ("--validation", 1, 5_000, "reviews to validate on"),
            ("--seeds", 1, 3, "trials of each variant, with the seeds 0 to N-1"), ("--epochs", 1, BASE["epochs"], "epochs"),
            ("--hidden-size", 1, BASE["hidden_size"], "size of the hidden state of a direction")):
        parser.add_argument(flag, help=f"{words} (default: %(default)s)", type=whole(least), default=default, metavar="N")
    parser.add_argument("--jobs", help="trials at a time, each on one core; -1: one for each core (default: 1)", type=int,
                        default=1, metavar="N")
    parser.add_argument("--no-progress", help="no progress bar", action="store_true")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, 2 for a user's mistake, 130 after Ctrl-C."""
    def body() -> None:
        given = vars(parse_arguments(argv))
        check_installed("pandas")
        base = {name: given[name] for name in ("epochs", "hidden_size")}
        frame = run({**given, "base": base, "progress": not given["no_progress"]}, given["out"])
        print(f"\nValidation accuracy in percent, best epoch, mean ± sd (seeds):\n\n{markdown(frame)}\n"
              f"Table and trials are in {given['out']}", flush=True)

    return run_program(PROGRAM, body, lambda _: "Interrupted. The same command continues.")


if __name__ == "__main__":
    sys.exit(main())
