"""Compare a simple RNN, a GRU and an LSTM on the IMDB reviews, at several lengths and under one stated budget.

    python examples/imdb_comparison.py --data "IMDB Dataset.csv" --out runs/comparison     3 cells, 3 lengths, 3 seeds
    python examples/imdb_comparison.py ... --out runs/comparison --cells lstm --paddings post --no-mask     unmasked padding
    python examples/imdb_comparison.py ... --jobs 4           four trials at a time (or --dask ADDRESS: on a cluster)

The reviews are tokenized once (the vocabulary comes from the training part alone); each trial then trains one model. Every
finished trial is saved immediately in the folder: the same command continues an interrupted comparison, and further commands
with the same budget add to it. The folder's table, results.csv and figures show all of its trials.
"""

from __future__ import annotations

from minilstm.command_line.program import (Parser, check_installed, one_of, option, path_name, positive,
                                           probability, run_program, several, whole)

# isort: split
import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imdb_lstm

import minilstm as ml
from minilstm.cells.padding import PADDINGS
from minilstm.data.imdb import Reviews
from minilstm.lab.cells import CELLS
from minilstm.lab.imdb_results import (CONFIG, RESULTS, TITLES, TRIALS, load_config, results, table,
                                       treatment, write_results)
from minilstm.lab.imdb_trials import prepare_reviews, train_on_reviews
from minilstm.lab.sizes import hidden_size_for, recurrent_parameters
from minilstm.lab.sweep import run_sweep
from minilstm.layers.initial_weights import INITS
from minilstm.training.atomic_write import PathLike, atomic_write
from minilstm.training.curves import show
from minilstm.training.predictions import digest_of

if TYPE_CHECKING:
    import pandas

# The budget: one for all trials of a folder, kept in its config.json.
BUDGET: dict[str, Any] = {
    "train": 20_000, "validation": 5_000, "num_words": 10_000, "embedding_size": 64, "hidden_size": 128,
    "equal_parameters": False, "dropout": 0.5, "init": "default", "epochs": 3, "batch_size": 64, "lr": 1e-3, "clip_norm": None,
}
# The settings varied in a sweep, in all combinations.
VARIED: dict[str, Any] = {"cells": CELLS, "lengths": (50, 100, 200), "seeds": 3, "paddings": ("pre",), "mask": True}
PROGRAM = "imdb_comparison.py"
ARRAYS = "arrays"           # the tokenized reviews, in the folder


def run(settings: dict[str, Any], folder: Path, *, data: PathLike | None = None, jobs: int = 1, dask: str | None = None,
        progress: bool = True, tell: Callable[[str], Any] = print) -> pandas.DataFrame:
    """Train the trials in ``settings`` that ``folder`` does not contain yet; return all trials of the folder.

    Args:
        settings: any of the keys of BUDGET and VARIED; the others have their defaults.
        folder: made if it is not there. One that holds a comparison must hold one with the same budget and the same reviews.
        data: CSV of reviews, as for ``ml.load_imdb``.
        jobs, dask, progress: as for ``run_sweep``.
        tell: is given a line about the data.

    Writes config.json, trials.jsonl, results.csv, table.md and the figures into the folder. Raises ArgumentError and
    DataError in words, before anything is computed, where settings, folder and data do not fit.
    """
    unknown = sorted(set(settings) - set(BUDGET) - set(VARIED))
    if unknown:
        raise ml.ArgumentError(f"settings: there is no {unknown[0]!r}")
    budget = {name: settings.get(name, default) for name, default in BUDGET.items()}
    varied = {name: settings.get(name, default) for name, default in VARIED.items()}
    check_installed("matplotlib", "pandas")
    check_folder(folder, {"budget": budget})
    trials = list_trials(budget, varied)
    reviews = ml.load_imdb(data)
    tell(reviews.source)
    check_size(reviews, budget)
    config = {"budget": budget, "reviews": len(reviews.texts), "digest": digest_of(reviews.texts, reviews.labels),
              "source": reviews.source}
    check_folder(folder, config)
    (folder / ARRAYS).mkdir(parents=True, exist_ok=True)
    try:
        prepare_reviews(reviews.texts, reviews.labels, folder / ARRAYS, train=budget["train"], validation=budget["validation"],
                        num_words=budget["num_words"], lengths=varied["lengths"], paddings=varied["paddings"])
    except ml.DataError as error:
        raise ml.DataError(f"{reviews.source}: {error}; name another file with --data") from None
    if not (folder / CONFIG).exists():
        atomic_write(folder / CONFIG, [json.dumps(config, indent=2).encode("ascii") + b"\n"])
    try:
        run_sweep(partial(train_on_reviews, (folder / ARRAYS).resolve()), trials, folder / TRIALS, jobs=jobs, dask=dask,
                  progress=progress, describe=describe)
    finally:        # an interrupted comparison shows its results so far
        frame = results(folder)
        if len(frame):
            write_results(frame, folder)
    return frame


def list_trials(budget: dict[str, Any], varied: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the arguments of each trial, seeds last, so that an interrupted sweep has something of each setting."""
    sizes = {cell: hidden_size(cell, budget) for cell in varied["cells"]}
    shared = {name: budget[name] for name in BUDGET if name not in ("train", "validation", "equal_parameters", "hidden_size")}
    return [{"cell": cell, "length": length, "padding": padding, "mask": padding == "post" and varied["mask"], "seed": seed,
             "hidden_size": sizes[cell], **shared}
            for seed in range(varied["seeds"]) for padding in varied["paddings"] for length in varied["lengths"]
            for cell in varied["cells"]]


def check_size(reviews: Reviews, budget: dict[str, Any]) -> None:
    """Raise ArgumentError where there are too few reviews for the two parts."""
    needed = budget["train"] + budget["validation"]
    if len(reviews.texts) < needed:
        raise ml.ArgumentError(f"{reviews.source}: too few for --train {budget['train']} and --validation "
                               f"{budget['validation']}; make these smaller, or name another file with --data")


def hidden_size(cell: str, budget: dict[str, Any]) -> int:
    """Return the hidden size of a cell: the budget's own, or the one that comes nearest to the LSTM's parameter count."""
    H, D = budget["hidden_size"], budget["embedding_size"]
    if not budget["equal_parameters"] or cell == "lstm":
        return int(H)
    return hidden_size_for(cell, D, recurrent_parameters("lstm", D, H))


def check_folder(folder: Path, config: dict[str, Any]) -> None:
    """Raise ArgumentError if ``folder`` contains anything other than a comparison with this budget and these reviews."""
    if (folder / CONFIG).exists():
        saved = load_config(folder)
        for name, value in config["budget"].items():
            if saved["budget"].get(name) != value:
                raise ml.ArgumentError(f"{folder}: the comparison in this folder has {option(name)} "
                                       f"{saved['budget'].get(name)}, not {value}; choose another --out")
        if saved["digest"] != config.get("digest", saved["digest"]):
            raise ml.ArgumentError(f"{folder}: the comparison in this folder was made with other reviews ({saved['source']}); "
                                   "choose another --out")
    elif folder.exists() and (not folder.is_dir() or (folder / TRIALS).exists() or (folder / RESULTS).exists()):
        raise ml.ArgumentError(f"{folder}: contains other files; choose another --out")


def describe(row: dict[str, Any]) -> str:
    """Return the few words about a finished trial that stand beside the progress bar."""
    score = "stopped" if row["best_val_acc"] is None else f"{100 * row['best_val_acc']:.1f} %"
    return f"{row['cell']} {row['length']} {treatment(row['padding'], row['mask'])}: {score}"


# The command line ----------------------------------------------------------------------------------------------------


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Return the arguments. Raises ArgumentError."""
    defaults = {**BUDGET, **VARIED}
    parser = Parser(PROGRAM, __doc__)

    def add(flag: str, help: str, **options: Any) -> None:
        default = defaults.get(flag[2:].replace("-", "_"))
        words = ",".join(map(str, default)) if isinstance(default, tuple) else default
        shown = "" if default is None or isinstance(default, bool) else f" (default: {words})"
        target.add_argument(flag, help=help + shown, default=default, **options)

    target = parser.add_argument_group("what to compare")
    add("--cells", "recurrent cells, of rnn, gru and lstm", type=several(one_of(CELLS)), metavar="LIST")
    add("--lengths", "tokens of a review that are used", type=several(whole(1)), metavar="LIST")
    add("--seeds", "trials of each setting, with the seeds 0 to N-1", type=whole(1, 1000), metavar="N")
    add("--paddings", "sides on which short reviews are padded, of pre and post", type=several(one_of(PADDINGS)),
        metavar="LIST")
    add("--mask", "with post: tell the model the lengths, so that it skips the padding (--no-mask shows what happens "
        "without; default: --mask)", action=argparse.BooleanOptionalAction)
    target = parser.add_argument_group("the budget, one for a folder")
    add("--train", "training reviews", type=whole(1), metavar="N")
    add("--validation", "validation reviews", type=whole(1), metavar="N")
    add("--epochs", "epochs of each trial", type=whole(1), metavar="N")
    add("--num-words", "size of the vocabulary, with padding and <OOV>", type=whole(2), metavar="N")
    add("--embedding-size", "size of a word's vector", type=whole(1), metavar="N")
    add("--hidden-size", "size of the hidden state", type=whole(1), metavar="N")
    add("--equal-parameters", "give RNN and GRU as many parameters as the LSTM of that hidden size", action="store_true")
    add("--dropout", "probability of dropping before the dense layer", type=probability, metavar="P")
    add("--init", "initial weights: default or uniform (PyTorch's)", choices=INITS)
    add("--batch-size", "reviews in a batch", type=whole(1), metavar="N")
    add("--lr", "learning rate of Adam", type=positive, metavar="RATE")
    add("--clip-norm", "rescale gradients with a larger norm", type=positive, metavar="NORM")
    target = parser.add_argument_group("how to run it")
    add("--data", "CSV with columns review,sentiment (default: as examples/imdb_lstm.py)", type=path_name, metavar="CSV")
    add("--out", "folder of the comparison; an existing one is continued (default: runs/imdb-comparison)",
        type=path_name, metavar="DIR")
    add("--jobs", "trials at a time, each on one core; -1: one for each core (default: 1)", type=int, metavar="N")
    add("--dask", "run the trials on the Dask cluster at this address; its workers must see --out", metavar="ADDRESS")
    add("--no-progress", "no progress bars", action="store_true")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, 2 for a user's mistake, 130 after Ctrl-C."""
    folder = imdb_lstm.RUNS / "imdb-comparison"

    def body() -> None:
        nonlocal folder
        given = vars(parse_arguments(argv))
        folder = given["out"] or folder
        settings = {name: given[name] for name in (*BUDGET, *VARIED)}
        jobs = 1 if given["jobs"] is None else given["jobs"]
        frame = run(settings, folder, data=given["data"], jobs=jobs, dask=given["dask"], progress=not given["no_progress"],
                    tell=partial(print, flush=True))
        for title, field in TITLES.items():
            print(f"\n{title}\n{table(frame, field).to_string(index=False)}")
        stopped = int(frame["stopped"].notna().sum())
        if stopped:
            print(f"\n{stopped} of {len(frame)} trials ended early: a loss or gradient was not finite (see {RESULTS}).")
        print(f"\nTable, results and figures are in {folder}", flush=True)
        show(*sorted(folder.glob("*.png")))         # in a notebook

    return run_program(PROGRAM, body, lambda _: f"Interrupted. The same command goes on with {folder}.")


if __name__ == "__main__":
    sys.exit(main())
