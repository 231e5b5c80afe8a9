"""Measure how gradients vanish and explode in a simple RNN, a GRU and an LSTM, and what prevents it.

    python examples/vanishing_gradients.py --quick                       a first look, in a minute or two
    python examples/vanishing_gradients.py --data "IMDB Dataset.csv"     the reviews and the adding problem
    python examples/vanishing_gradients.py --problems adding --lag 200 --jobs -1     several trials at a time

Each trial trains one cell for a few steps, and measures before, during and after training: the gradient at every time step,
the ways it comes back by, the Jacobians' singular values with their bounds, and how saturated the gates are. Further trials
vary the forget gate's bias, the recurrent weights, and clipping. The reviews that are measured on have at least as many words
as the model reads, so that no padding is measured. Every finished trial is saved immediately: the same command continues an
interrupted run.
"""

from __future__ import annotations

from minilstm.command_line.program import (Parser, check_installed, finite, one_of, path_name, positive,
                                           run_program, several, whole)

# isort: split
import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imdb_lstm
import numpy as np

import minilstm as ml
from minilstm.backend.checks import check_positive_int
from minilstm.lab.cells import CELL_NAMES, CELLS
from minilstm.lab.gradient_figures import FIGURES, SHOWS
from minilstm.lab.gradient_tables import BASE, clipping, summary, tables, variant_of, variants, words
from minilstm.lab.gradient_trials import PROBLEMS, Reviews, measure, measured_training
from minilstm.lab.sweep import read_finished, run_sweep
from minilstm.training.atomic_write import PathLike, atomic_write
from minilstm.training.curves import save_figure, show
from minilstm.training.predictions import digest_of

if TYPE_CHECKING:
    import pandas

__all__ = ["FIGURES", "clipping", "main", "measure", "results", "run", "summary", "words"]       # what a report needs

# One for all trials of a folder, kept in its config.json.
BUDGET: dict[str, Any] = {
    "steps": None, "measure": None, "length": 200, "lag": 100, "hidden_size": None, "sequences": 32, "clip_norm": 1.0,
    "limit": None, "seed": 0,
}
# The variants tried; more may be added to a folder later.
VARIED: dict[str, Any] = {"problems": PROBLEMS, "cells": CELLS, "forget_biases": (0.0, 1.0, 2.0, 5.0), "gains": (1.0, 2.0)}
# What the two problems differ in; those of the reviews are the reference configuration's (examples/imdb_lstm.py).
OF_PROBLEM: dict[str, dict[str, Any]] = {
    "imdb": {"steps": 300, "hidden_size": imdb_lstm.DEFAULTS["hidden_size"], "batch_size": 64, "lr": 1e-3, "num_words": 10_000,
             "embedding_size": 64, "dropout": 0.5},
    "adding": {"steps": 1500, "hidden_size": 32, "batch_size": 50, "lr": 5e-3},
}
# What --quick takes instead of the defaults.
QUICK: dict[str, Any] = {"steps": 100, "length": 50, "lag": 30, "hidden_size": 24, "sequences": 8, "limit": 2000}
CONFIG, TRIALS = "config.json", "trials.jsonl"
FOLDER = Path("runs") / "vanishing-gradients"
PROGRAM = "vanishing_gradients.py"


def run(settings: dict[str, Any], folder: Path, *, data: PathLike | None = None, jobs: int = 1, progress: bool = True,
        tell: Callable[[str], Any] = print) -> dict[str, pandas.DataFrame]:
    """Run the trials in ``settings`` that ``folder`` does not contain yet; return the tables of the folder.

    Args:
        settings: any of the keys of BUDGET and VARIED; the others have their defaults.
        folder: made if it is not there. One that holds trials must hold some with the same budget (and reviews).
        data: CSV of reviews, as for ``ml.load_imdb``.
        jobs, progress: as for ``run_sweep``.
        tell: is given a line about the data.

    Writes config.json, trials.jsonl, a CSV for each table, summary.csv, and PROBLEM-FIGURE.png into the folder. Raises
    ArgumentError and DataError in words, before anything is trained, where settings, folder and data do not fit.
    """
    unknown = sorted(set(settings) - set(BUDGET) - set(VARIED))
    if unknown:
        raise ml.ArgumentError(f"settings: there is no {unknown[0]!r}")
    if jobs != -1:
        check_positive_int("jobs (a number of processes, or -1)", jobs)
    check_installed("matplotlib", "pandas")
    settings = {**BUDGET, **VARIED, **settings}
    trials = list_trials(settings)
    config: dict[str, Any] = {"budget": {name: settings[name] for name in BUDGET}, "reviews": None}
    config["reviews"] = check_folder(folder, config)
    reviews = None
    if "imdb" in settings["problems"]:
        reviews, config["reviews"] = load_reviews(settings, data, tell)
        check_folder(folder, config)
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / CONFIG, [json.dumps(config, indent=2).encode("ascii") + b"\n"])
    for problem in settings["problems"]:
        given = reviews if problem == "imdb" else None
        run_sweep(partial(measured_training, given), [trial for trial in trials if trial["problem"] == problem],
                  folder / TRIALS, jobs=jobs, progress=progress, describe=describe)
        write_results(folder, problem)
    return results(folder)


def list_trials(settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the arguments of each trial. Raises ArgumentError where steps to measure at are beyond the last one."""
    trials = []
    for problem in settings["problems"]:
        own = {**OF_PROBLEM[problem], **{name: settings[name] for name in ("steps", "hidden_size") if settings[name]}}
        measure_at = settings["measure"] or sorted({0, own["steps"] // 10, own["steps"] // 3, own["steps"]})
        if max(measure_at) > own["steps"]:
            raise ml.ArgumentError(f"--measure: {problem} is trained for {own['steps']} steps, so there is no step "
                                   f"{max(measure_at)}")
        shared = {**BASE, **own, "problem": problem, "T": settings["length" if problem == "imdb" else "lag"],
                  "sequences": settings["sequences"], "seed": settings["seed"], "measure_at": list(measure_at)}
        trials += [{**shared, "cell": cell, **changes} for cell in settings["cells"] for changes in
                   variants(cell, settings["forget_biases"], settings["gains"], settings["clip_norm"])]
    return trials


def load_reviews(settings: dict[str, Any], data: PathLike | None, tell: Callable[[str], Any]) -> tuple[Reviews, str]:
    """Return the reviews as examples/imdb_lstm.py prepares them, with those to measure on, and their digest."""
    found = ml.load_imdb(data)
    tell(found.source)
    # Drawn at random: a file may be sorted by label.
    rows = np.random.default_rng(imdb_lstm.SPLIT_SEED).permutation(len(found.texts))[:settings["limit"]]
    if settings["limit"] is None:
        rows.sort()             # as examples/imdb_lstm.py has them, and so with its split
    texts, labels = [found.texts[row] for row in rows], found.labels[rows]
    imdb_lstm.check_labels(labels, found.source)
    tokenizer = ml.Tokenizer(num_words=OF_PROBLEM["imdb"]["num_words"], oov_token="<OOV>")
    tokenizer.fit_on_texts(texts)
    x, lengths = imdb_lstm.encode(tokenizer.texts_to_sequences(texts), {
        "max_length": settings["length"], "head": None, "padding": "pre"})
    train_x, val_x, train_y, val_y, _, val_lengths = ml.train_test_split(
        x, labels.astype(np.float32), lengths, test_size=0.2, random_state=imdb_lstm.SPLIT_SEED)
    full = np.flatnonzero(val_lengths == settings["length"])[:settings["sequences"]]
    if len(full) < settings["sequences"]:
        raise ml.ArgumentError(f"{found.source}: only {len(full)} of {len(val_x):,} in the validation part have "
                               f"{settings['length']} words, and {settings['sequences']} are to be measured on; make --length "
                               "or --sequences smaller, or name another file with --data")
    tell(f"{len(train_x):,} reviews to train on; measured on {len(full)} others of at least {settings['length']} words")
    return Reviews(train_x, train_y, val_x[full], val_y[full]), digest_of(texts, labels)


def check_folder(folder: Path, config: dict[str, Any]) -> str | None:
    """Return the digest of a folder's reviews. Raise ArgumentError if it holds anything but trials of this budget."""
    path = folder / CONFIG
    if path.exists():
        try:
            saved = json.loads(path.read_text(encoding="ascii"))
            wanted = json.loads(json.dumps(config))
            differing = [name for name in BUDGET if saved["budget"][name] != wanted["budget"][name]]
            reviews: str | None = saved["reviews"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            raise ml.DataError(f"{path}: does not describe the trials in this folder; choose another --out") from None
        if differing:
            shown = ", ".join(f"{imdb_lstm.option(name)} {saved['budget'][name]}, not {wanted['budget'][name]}"
                              for name in differing)
            raise ml.ArgumentError(f"{folder}: the trials in this folder have {shown}; choose another --out")
        if reviews and config["reviews"] and reviews != config["reviews"]:
            raise ml.ArgumentError(f"{folder}: the trials in this folder were made with other reviews; choose another --out")
        return reviews
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ml.ArgumentError(f"{folder}: contains other files; choose another --out")
    return None


def results(folder: Path) -> dict[str, pandas.DataFrame]:
    """Return the tables of all trials in a folder (``minilstm.lab.gradient_tables.tables``). Raises DataError."""
    return tables([{**json.loads(trial), **result} for trial, result in read_finished(folder / TRIALS).items()])


def write_results(folder: Path, problem: str) -> None:
    """Write the tables of all trials, and the figures of one problem's."""
    frames = results(folder)
    for name, frame in {**frames, "summary": summary(frames)}.items():
        text = frame.to_csv(index=False, lineterminator="\n")
        atomic_write(folder / f"{name.replace('_', '-')}.csv", [text.encode("utf-8")])
    cells = set(frames["flow"][frames["flow"]["problem"] == problem]["cell"])
    for name, draw in FIGURES.items():
        if cells & set(SHOWS.get(name, CELLS)):
            save_figure(draw(frames, problem), folder / f"{problem}-{name}.png")


def describe(row: dict[str, Any]) -> str:
    """Return the few words about a finished trial that stand beside the progress bar."""
    outcome = "a gradient was not finite" if row["diverged"] else f"loss {row['loss'][-1]:.3g}"
    return f"{row['problem']}, {CELL_NAMES[row['cell']]}, {variant_of(row)}: {outcome}"


# The command line ----------------------------------------------------------------------------------------------------


def parse_arguments(argv: list[str] | None) -> dict[str, Any]:
    """Return the arguments that were given, and no others. Raises ArgumentError."""
    parser = Parser(PROGRAM, __doc__, argument_default=argparse.SUPPRESS)

    def add(flag: str, help: str, **options: Any) -> None:
        default = {**BUDGET, **VARIED}.get(flag[2:].replace("-", "_"))
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        target.add_argument(flag, help=help + ("" if default is None else f" (default: {shown})"), **options)

    target = parser.add_argument_group("what to measure")
    add("--problems", f"of {', '.join(PROBLEMS)}", type=several(one_of(PROBLEMS)), metavar="LIST")
    add("--cells", "recurrent cells, of rnn, gru and lstm", type=several(one_of(CELLS)), metavar="LIST")
    add("--measure", "training steps after which to measure (default: at the start, after a tenth, a third and all of them)",
        type=several(whole(0)), metavar="LIST")
    add("--sequences", "sequences to measure on", type=whole(1), metavar="N")
    add("--forget-biases", "biases of the LSTM's forget gate to compare; chrono initialisation is added",
        type=several(finite), metavar="LIST")
    add("--gains", "the RNN's Gaussian recurrent weights have the standard deviations gain/√H",
        type=several(positive), metavar="LIST")
    add("--clip-norm", "limit of the gradients' norm, where clipping is tried", type=positive, metavar="NORM")
    target = parser.add_argument_group("problems and training")
    add("--data", "CSV with columns review,sentiment (default: as examples/imdb_lstm.py)", type=path_name, metavar="CSV")
    add("--limit", "use only N reviews, drawn at random", type=whole(1), metavar="N")
    add("--length", "words of a review that are read", type=whole(3), metavar="N")
    add("--lag", "steps of the adding problem", type=whole(3), metavar="N")
    add("--steps", "training steps (default: 300 for imdb, 1500 for adding)", type=whole(1), metavar="N")
    add("--hidden-size", "size of the hidden state (default: 128 for imdb, 32 for adding)", type=whole(1),
        metavar="N")
    add("--seed", "seed of weights, batches and dropout", type=whole(0), metavar="N")
    add("--quick", "a small budget, unless other options are given", action="store_true")
    target = parser.add_argument_group("how to run it")
    add("--out", f"folder of the results; an existing one is continued (default: {FOLDER})", type=path_name,
        metavar="DIR")
    add("--jobs", "trials at a time, each on one core; -1: one for each core (default: 1)", type=int, metavar="N")
    add("--no-progress", "no progress bars", action="store_true")
    return vars(parser.parse_args(argv))


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, 2 for a user's mistake, 130 after Ctrl-C."""
    folder = FOLDER

    def body() -> None:
        nonlocal folder
        given = parse_arguments(argv)
        settings = {}
        if given.pop("quick", False):
            settings.update(QUICK)
            folder = folder.with_name(folder.name + "-quick")
        settings.update({name: value for name, value in given.items() if name in BUDGET or name in VARIED})
        folder = given.get("out") or folder
        frames = run(settings, folder, data=given.get("data"), jobs=given.get("jobs", 1),
                     progress=not given.get("no_progress", False), tell=partial(print, flush=True))
        print(words(summary(frames)).to_string(index=False))
        for row in clipping(frames).to_dict("records"):
            print(f"{row['problem']}, {CELL_NAMES[row['cell']]}, {row['variant']}: in {row['clipped']} of {row['steps']} "
                  f"steps; norm before it {row['median_norm']:.2g} (median), {row['largest_norm']:.2g} (largest)")
        print(f"Figures and the numbers behind them are in {folder}", flush=True)
        show(*sorted(folder.glob("*.png")))         # in a notebook

    return run_program(PROGRAM, body, lambda _: f"Interrupted. The same command goes on with {folder}.",
                       "--hidden-size, --sequences or --length")


if __name__ == "__main__":
    sys.exit(main())
