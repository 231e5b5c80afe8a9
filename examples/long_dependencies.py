"""Measure over how many steps a simple RNN, a GRU and an LSTM of equal size learn to remember.

    python examples/long_dependencies.py --quick                        a first look, in a minute or two
    python examples/long_dependencies.py                                the adding problem, lags 50, 100, 150, 5 seeds
    python examples/long_dependencies.py --task copy,reber --jobs -1    other tasks, one trial for each core at a time
    python examples/long_dependencies.py --dask tcp://host:8786         the same on a Dask cluster

Each trial trains one cell on one task at one lag, on fresh sequences, until the task's published criterion is met or the
budget is used up. A failure holds only for this budget, this optimizer and these initial weights, all in config.json; it does
not show what a cell can do in principle. Every finished trial is saved immediately: the same command continues an interrupted
run, and further commands with the same budget add to it. The folder's table and figures show all of its trials.
"""

from __future__ import annotations

from minilstm.command_line.program import (Parser, check_installed, one_of, option, path_name, positive,
                                           run_program, several, whole)

# isort: split
import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import minilstm as ml
from minilstm.backend.checks import check_positive_int
from minilstm.lab.cells import CELL_NAMES, CELLS
from minilstm.lab.lag_results import RESULTS, TRIALS, draw, results, table, write_results
from minilstm.lab.problems import TASKS, make_problem
from minilstm.lab.sweep import run_sweep
from minilstm.lab.trials import train_on_task
from minilstm.layers.initial_weights import RECURRENT_INITS
from minilstm.training.atomic_write import atomic_write
from minilstm.training.curves import show

if TYPE_CHECKING:
    import pandas

__all__ = ["draw", "load_budget", "main", "results", "run"]        # what a report needs

# The budget: one for all trials of a folder, kept in its config.json.
BUDGET: dict[str, Any] = {
    "parameters": 4480, "steps": 5000, "batch_size": 50, "lr": 0.005, "clip_norm": 1.0, "init": "default",
    "evaluate_every": 100,
}
# The settings varied in a sweep, in all combinations.
VARIED: dict[str, Any] = {"task": ("adding",), "cells": CELLS, "lags": (50, 100, 150), "seeds": 5}
# What --quick takes instead of the defaults.
QUICK: dict[str, Any] = {"parameters": 1200, "steps": 600, "lr": 0.01, "evaluate_every": 50, "lags": (10, 20, 30), "seeds": 2}
CONFIG = "config.json"
FOLDER = Path("runs") / "long-dependencies"
PROGRAM = "long_dependencies.py"


def run(settings: dict[str, Any], folder: Path, *, jobs: int = 1, dask: str | None = None,
        progress: bool = True) -> pandas.DataFrame:
    """Train the trials in ``settings`` that ``folder`` does not contain yet; return the results of the folder.

    Args:
        settings: any of the keys of BUDGET and VARIED; the others have their defaults. Lags do not concern reber.
        folder: made if it is not there. One that holds trials must hold some with the same budget.
        jobs, dask, progress: as for ``run_sweep``.

    Writes config.json, trials.jsonl, results.csv and figure-TASK.png into the folder. Raises ArgumentError and DataError in
    words, before anything is computed, where settings and folder do not fit.
    """
    unknown = sorted(set(settings) - set(BUDGET) - set(VARIED))
    if unknown:
        raise ml.ArgumentError(f"settings: there is no {unknown[0]!r}")
    if jobs != -1:
        check_positive_int("jobs (a number of processes, or -1)", jobs)
    check_installed("matplotlib", "pandas")
    budget = {name: settings.get(name, default) for name, default in BUDGET.items()}
    trials = list_trials(budget, {name: settings.get(name, default) for name, default in VARIED.items()})
    check_folder(folder, budget)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / CONFIG).exists():
        atomic_write(folder / CONFIG, [json.dumps({"budget": budget}, indent=2).encode("ascii") + b"\n"])
    try:
        run_sweep(train_on_task, trials, folder / TRIALS, jobs=jobs, dask=dask, progress=progress, describe=describe)
    finally:        # an interrupted run shows its results so far
        frame = results(folder)
        if len(frame):
            write_results(frame, folder)
    return frame


def list_trials(budget: dict[str, Any], varied: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the arguments of each trial, seeds last, so that an interrupted sweep has something of each setting."""
    shared = {**{name: value for name, value in budget.items() if name != "steps"}, "max_steps": budget["steps"]}
    pairs = [(task, T) for task in varied["task"] for T in ((None,) if task == "reber" else varied["lags"])]
    for task, T in pairs:
        make_problem(task, T)       # raises ArgumentError for a lag that is too short, before anything is computed
    return [{"task": task, "cell": cell, "T": T, "seed": seed, **shared}
            for seed in range(varied["seeds"]) for task, T in pairs for cell in varied["cells"]]


def load_budget(folder: Path) -> dict[str, Any]:
    """Return the budget of the trials in a folder. Raises DataError."""
    path = folder / CONFIG
    try:
        saved = json.loads(path.read_text(encoding="ascii"))["budget"]
        return {name: saved[name] for name in BUDGET}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise ml.DataError(f"{path}: does not describe the trials in this folder; choose another --out") from None


def check_folder(folder: Path, budget: dict[str, Any]) -> None:
    """Raise ArgumentError if ``folder`` contains anything other than trials with this budget."""
    if (folder / CONFIG).exists():
        saved = load_budget(folder)
        differing = [name for name in BUDGET if saved[name] != budget[name]]
        if differing:
            words = ", ".join(f"{option(name)} {saved[name]}, not {budget[name]}" for name in differing)
            raise ml.ArgumentError(f"{folder}: the trials in this folder have {words}; choose another --out")
    elif folder.exists() and (not folder.is_dir() or (folder / TRIALS).exists() or (folder / RESULTS).exists()):
        raise ml.ArgumentError(f"{folder}: contains other files; choose another --out")


def describe(row: dict[str, Any]) -> str:
    """Return the few words about a finished trial that stand beside the progress bar."""
    lag = "" if row["T"] is None else f", T={row['T']}"
    outcome = f"solved after {row['sequences']:,} sequences" if row["solved"] else f"error {row['error']:.3g}"
    return f"{row['task']}{lag}, {CELL_NAMES[row['cell']]}: {outcome}"


# The command line ----------------------------------------------------------------------------------------------------


def parse_arguments(argv: list[str] | None) -> dict[str, Any]:
    """Return the arguments that were given, and no others. Raises ArgumentError."""
    parser = Parser(PROGRAM, __doc__, argument_default=argparse.SUPPRESS)
    defaults = {**BUDGET, **VARIED}

    def add(flag: str, help: str, **options: Any) -> None:
        default = defaults.get(flag[2:].replace("-", "_"))
        words = ",".join(map(str, default)) if isinstance(default, tuple) else default
        target.add_argument(flag, help=help + ("" if default is None else f" (default: {words})"), **options)

    target = parser.add_argument_group("what to compare")
    add("--task", f"tasks, of {', '.join(TASKS)}", type=several(one_of(TASKS)), metavar="LIST")
    add("--cells", "recurrent cells, of rnn, gru and lstm", type=several(one_of(CELLS)), metavar="LIST")
    add("--lags", "steps T that a cell has to remember", type=several(whole(1)), metavar="LIST")
    add("--seeds", "trials of each setting, with the seeds 0 to N-1", type=whole(1, 1000), metavar="N")
    add("--quick", "short lags and a small budget, unless other options are given", action="store_true")
    target = parser.add_argument_group("the budget, one for a folder")
    add("--parameters", "numbers that the recurrent layer learns, as nearly as a cell allows; 4480 is an LSTM of 32 units in "
        "the adding problem", type=whole(1), metavar="N")
    add("--steps", "training steps of a trial at most", type=whole(1), metavar="N")
    add("--batch-size", "sequences in a step", type=whole(1), metavar="N")
    add("--lr", "learning rate of Adam", type=positive, metavar="RATE")
    add("--clip-norm", "rescale gradients with a larger norm", type=positive, metavar="NORM")
    add("--init", "initial weights: default (orthogonal, forget bias 1), uniform (PyTorch's) or chrono (gates that start with "
        "memories of up to T steps; an RNN has none, and takes the default)", choices=RECURRENT_INITS)
    add("--evaluate-every", "steps between two evaluations on unseen sequences", type=whole(1), metavar="N")
    target = parser.add_argument_group("how to run it")
    add("--out", f"folder of the trials; an existing one is continued (default: {FOLDER})", type=path_name, metavar="DIR")
    add("--jobs", "trials at a time, each on one core; -1: one for each core (default: 1)", type=int, metavar="N")
    add("--dask", "run the trials on the Dask cluster at this address", metavar="ADDRESS")
    add("--no-progress", "no progress bars", action="store_true")
    return vars(parser.parse_args(argv))


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, 2 for a user's mistake, 130 after Ctrl-C."""
    folder = FOLDER

    def body() -> None:
        nonlocal folder
        given = parse_arguments(argv)
        settings = {**BUDGET, **VARIED}
        if given.pop("quick", False):
            settings.update(QUICK)
            folder = folder.with_name(folder.name + "-quick")
        settings.update({name: value for name, value in given.items() if name in settings})
        folder = given.get("out") or folder
        frame = run(settings, folder, jobs=given.get("jobs", 1), dask=given.get("dask"),
                    progress=not given.get("no_progress", False))
        print(table(frame).to_string(index=False))
        print("\nSequences needed: the median over the seeds that solved it. Error: the median over all, on unseen sequences.")
        if frame["published"].notna().any():
            print("In 1997: sequences that Hochreiter & Schmidhuber's LSTM needed, one a step, without a forget gate.")
        if frame["diverged"].any():
            print(f"{frame['diverged'].sum()} of {frame['seeds'].sum()} trials ended early: a gradient was not finite.")
        print(f"Table, trials and figures are in {folder}", flush=True)
        show(*sorted(folder.glob("*.png")))         # in a notebook

    return run_program(PROGRAM, body, lambda _: f"Interrupted. The same command goes on with {folder}.",
                       "--batch-size, --parameters or --lags")


if __name__ == "__main__":
    sys.exit(main())
