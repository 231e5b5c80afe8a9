"""Make the whole lab report, from training to conclusions, as one self-contained HTML file.

    python examples/lab_report.py --quick                          all of it on a small budget, to try it out: minutes
    python examples/lab_report.py --data "IMDB Dataset.csv"        the full report: hours on a laptop; it can be interrupted
    python examples/lab_report.py --reference runs/NAME --comparison runs/imdb-comparison     with existing results

Each stage (training, comparison of cells, long dependencies, gradients) has its own folder in --out. A finished stage is
not run again, and an interrupted one is resumed: the same command continues the report. The conclusions are computed from the
numbers.
"""

from __future__ import annotations

from minilstm.command_line.program import Parser, check_installed, path_name, run_program

# isort: split
import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import imdb_comparison
import imdb_lstm
import long_dependencies
import numpy as np
import vanishing_gradients
import word_by_word

import minilstm as ml
from minilstm.data.imdb import Reviews
from minilstm.lab import imdb_results, lag_results
from minilstm.lab import report_sections as sections
from minilstm.lab.explorer import Shown, write_page
from minilstm.lab.report import Section, write_report
from minilstm.lab.stages import run_stage
from minilstm.lab.words import model_parts
from minilstm.lab.words import word_by_word as read_words
from minilstm.training.evaluation import predict
from minilstm.training.predictions import digest_of
from minilstm.training.run_folder import BEST, HISTORY, LAST

TITLE = "An LSTM for sequential data"
PROGRAM = "lab_report.py"
REPORT, PAGE, RUN, TRIALS = "report.html", "explorer.html", "run", "trials"
QUICK_NOTE = ("A quick run: a small model, few reviews and few epochs. Its numbers show what the report is like, not what the "
              "cells can do; without --quick it is the full one. ")
REVIEW = ("At first I thought this film would be terrible: the opening is slow, boring and badly acted. But then it becomes a "
          "wonderful story, beautifully shot, and the end moved me to tears. Highly recommended!")

# Settings of each stage that differ from its defaults: for the full report, and for --quick.
FULL: dict[str, dict[str, Any]] = {
    "training": {"epochs": 25},
    "comparison": {},
    "tasks": {"task": ("adding", "temporal-order")},
    "gradients": {},
}
QUICK: dict[str, dict[str, Any]] = {
    "training": {"epochs": 8, "limit": 4_000, "num_words": 5_000, "max_length": 80, "hidden_size": 64},
    "comparison": {"train": 1_500, "validation": 500, "lengths": (30, 200), "seeds": 2, "hidden_size": 32, "epochs": 3,
                   "num_words": 2_000},
    "tasks": long_dependencies.QUICK,
    "gradients": vanishing_gradients.QUICK,
}


class Options(NamedTuple):
    """What the command line asks for."""

    out: Path
    data: Path | None = None
    quick: bool = False
    reference: Path | None = None
    comparison: Path | None = None
    tasks: Sequence[Path] = ()
    gradients: Path | None = None
    review: str = REVIEW
    jobs: int = 1
    progress: bool = True

    @property
    def plan(self) -> dict[str, dict[str, Any]]:
        """What each stage is given."""
        return QUICK if self.quick else FULL


def make_report(options: Options, tell: Callable[[str], Any] = print) -> Path:
    """Run the stages that are not finished, write the report and return its path.

    Raises ArgumentError, DataError and CheckpointError in words: a folder that holds something else, reviews that are not
    those of a folder, a damaged file. After Ctrl-C (KeyboardInterrupt) the same call goes on.
    """
    for folder in (options.reference, options.comparison, *options.tasks, options.gradients):
        if folder is not None and not folder.is_dir():
            raise ml.ArgumentError(f"{folder}: there is no such folder")
    check_installed("jinja2", "matplotlib", "pandas")
    settings = {**imdb_lstm.DEFAULTS, **options.plan["training"]}
    if options.reference is not None:
        imdb_lstm.check_run(options.reference, (BEST, LAST))
        settings = imdb_lstm.load_settings(options.reference)
    data = settings["data"] if options.data is None else options.data
    reviews = ml.load_imdb(data)
    digest = digest_of(reviews.texts, reviews.labels)
    settings["data"] = None if data is None else str(Path(data).resolve())
    check_reviews(options, settings, reviews)
    options.out.mkdir(parents=True, exist_ok=True)
    run = training_stage(options, settings, digest, tell)
    work = Work(run, settings, reviews)
    lengths = work.val_lengths if settings["mask"] else None
    probabilities = predict(work.model, work.val_x, lengths=lengths)[:, 0]      # p(positive), by the best epoch
    frame, config = compare(options, digest, tell)
    tasks = lags(options, tell)

    worst = int(np.abs(probabilities - work.val_labels).argmax())
    label = "positive" if work.val_labels[worst] else "negative"
    read = partial(read_words, work.model, work.tokenizer, max_length=settings["max_length"], padding=settings["padding"],
                   mask=settings["mask"])
    traces = [("A made-up review" if options.review == REVIEW else "The review that was given", read(options.review)),
              (f"The worst mistake, labelled {label}", read(work.val_texts[worst]))]
    chapters = [
        sections.aim(), sections.objectives(), sections.equations(),
        sections.data(work.source, work.texts, work.labels, work.sequences, (work.train_texts, work.val_texts),
                      work.tokenizer, settings),
        sections.model(work.model, settings), sections.training(work.history), sections.comparison(frame, config),
        sections.long_lags(tasks), flow(options, digest, tell), sections.paddings(frame),
        sections.mistakes(work.val_texts, work.val_labels, probabilities),
        sections.words(traces, explore(options.out, work.shown)),
    ]
    chapters.append(sections.conclude(chapters))
    subtitle = f"Made with minilstm {ml.__version__}, NumPy {np.__version__}, Python {platform.python_version()}."
    path = options.out / REPORT
    write_report(path, TITLE, (QUICK_NOTE if options.quick else "") + subtitle, chapters)
    return path


def explore(out: Path, shown: Shown) -> str | None:
    """Write the explorer's page of the model beside the report; return its name, or None for a model that it cannot show."""
    try:
        write_page([shown], out / PAGE)
    except (ml.ArgumentError, ml.DataError):
        return None
    return PAGE


def check_reviews(options: Options, settings: dict[str, Any], reviews: Reviews) -> None:
    """Raise ArgumentError or DataError, before anything is trained, where there are too few reviews for a stage."""
    imdb_lstm.check_labels(reviews.labels[:settings["limit"]], reviews.source)
    if options.comparison is None:
        needed = sum({**imdb_comparison.BUDGET, **options.plan["comparison"]}[part] for part in ("train", "validation"))
        if len(reviews.texts) < needed:
            raise ml.ArgumentError(f"{reviews.source}: too few for the comparison of cells, which needs {needed:,}; name "
                                   f"another file with --data{'' if options.quick else ', or try --quick, which needs fewer'}")
    if options.gradients is None and not (options.out / "gradients").exists():
        plan = {**vanishing_gradients.BUDGET, **vanishing_gradients.VARIED, **options.plan["gradients"]}
        vanishing_gradients.load_reviews(plan, options.data, lambda words: None)


class Work:
    """The trained model of a run and the reviews it was trained on, as numbers and split in two."""

    def __init__(self, run: Path, settings: dict[str, Any], reviews: Reviews) -> None:
        self.settings = settings
        self.texts, self.labels = reviews.texts[:settings["limit"]], reviews.labels[:settings["limit"]]
        file = settings["data"]
        self.source = reviews.source if file is None else f"{len(reviews.texts):,} reviews from {Path(file).name}"
        if len(self.texts) < len(reviews.texts):
            self.source = f"The first {len(self.texts):,} of {self.source}"
        self.tokenizer = ml.Tokenizer(num_words=settings["num_words"], oov_token="<OOV>")
        self.tokenizer.fit_on_texts(self.texts)
        imdb_lstm.save_tokenizer(self.tokenizer, run, resume=True)      # raises unless the run was trained on these reviews
        self.sequences = self.tokenizer.texts_to_sequences(self.texts)
        x, lengths = imdb_lstm.encode(self.sequences, settings)
        (self.train_texts, self.val_texts, _, self.val_labels, _, self.val_x, _, self.val_lengths) = ml.train_test_split(
            self.texts, self.labels, x, lengths, test_size=0.2, random_state=imdb_lstm.SPLIT_SEED)
        self.history = ml.History.read_csv(run / HISTORY)
        self.model = word_by_word.load_run(run)[0]
        model_parts(self.model)         # raises, early, for a model that cannot be read word by word
        self.shown = imdb_lstm.as_shown(run, self.model, self.tokenizer, settings)


# The stages ----------------------------------------------------------------------------------------------------------


def training_stage(options: Options, settings: dict[str, Any], digest: str, tell: Callable[[str], Any]) -> Path:
    """Return the folder of a finished training run: --reference, or one that is trained here."""
    if options.reference is not None:
        tell(f"training: the run in {options.reference}")
        return options.reference
    return run_stage("training", options.out / "training", {**settings, "data": digest},
                     lambda folder: train_run(settings, folder / RUN, options), tell=tell) / RUN


def train_run(settings: dict[str, Any], run: Path, options: Options) -> None:
    """Train a model in the folder ``run``, or go on with it."""
    resume = (run / LAST).exists()
    if not resume:
        shutil.rmtree(run, ignore_errors=True)      # of a process that was killed before its first checkpoint
    imdb_lstm.train(settings, run, resume, options.progress)


def compare(options: Options, digest: str, tell: Callable[[str], Any]) -> tuple[Any, dict[str, Any]]:
    """Return (trials, config) of the comparison of cells and of paddings on the reviews."""
    folder = options.comparison
    if folder is None:
        plan = options.plan["comparison"]

        def work(folder: Path) -> None:
            for varied in ({}, *({"cells": ("lstm",), "seeds": 1, "paddings": ("post",), "mask": mask}
                                 for mask in (True, False))):
                imdb_comparison.run({**plan, **varied}, folder / TRIALS, data=options.data, jobs=options.jobs,
                                    progress=options.progress, tell=lambda words: None)

        settings = {**imdb_comparison.BUDGET, **imdb_comparison.VARIED, **plan, "reviews": digest}
        folder = run_stage("comparison", options.out / "comparison", settings, work, tell=tell) / TRIALS
    frame = imdb_results.results(folder)
    if not len(frame):
        raise ml.ArgumentError(f"{folder}: holds no finished trial of examples/imdb_comparison.py")
    return frame, imdb_results.load_config(folder)


def lags(options: Options, tell: Callable[[str], Any]) -> list[tuple[dict[str, Any], Any]]:
    """Return (budget, results) of each folder of tasks with long lags."""
    folders = options.tasks
    if not folders:
        plan = options.plan["tasks"]

        def work(folder: Path) -> None:
            long_dependencies.run(plan, folder / TRIALS, jobs=options.jobs, progress=options.progress)

        settings = {**long_dependencies.BUDGET, **long_dependencies.VARIED, **plan}
        folders = [run_stage("tasks", options.out / "tasks", settings, work, tell=tell) / TRIALS]
    studies = [(long_dependencies.load_budget(folder), lag_results.results(folder)) for folder in folders]
    for folder, (_, frame) in zip(folders, studies):
        if not len(frame):
            raise ml.ArgumentError(f"{folder}: holds no finished trial of examples/long_dependencies.py")
    return studies


def flow(options: Options, digest: str, tell: Callable[[str], Any]) -> Section:
    """Return the gradient observations: each cell before, during and after a short training."""
    folder = options.gradients
    if folder is None:
        plan = options.plan["gradients"]

        def work(folder: Path) -> None:
            vanishing_gradients.run(plan, folder / TRIALS, data=options.data, jobs=options.jobs, progress=options.progress,
                                    tell=lambda words: None)

        settings = {**vanishing_gradients.BUDGET, **vanishing_gradients.VARIED, **plan, "reviews": digest}
        folder = run_stage("gradients", options.out / "gradients", settings, work, tell=tell) / TRIALS
    frames = vanishing_gradients.results(folder)
    if not len(frames["flow"]):
        raise ml.ArgumentError(f"{folder}: holds no finished trial of examples/vanishing_gradients.py")
    return sections.gradients(frames)


# The command line ----------------------------------------------------------------------------------------------------


def parse_arguments(argv: list[str] | None) -> Options:
    """Return the arguments. Raises ArgumentError."""
    parser = Parser(PROGRAM, __doc__)
    folder: dict[str, Any] = {"type": path_name, "metavar": "DIR"}
    add = parser.add_argument
    add("--out", help="folder of the report and its stages; an existing one is continued (default: runs/lab, or "
        "runs/lab-quick)", **folder)
    add("--data", help="CSV with columns review,sentiment (default: as examples/imdb_lstm.py)", type=path_name, metavar="CSV")
    small, large = QUICK["training"], FULL["training"]
    add("--quick", help=f"all of it on a small budget, in a few minutes, to try it out: {small['epochs']} epochs on "
        f"{small['limit']:,} reviews, not {large['epochs']} on all, and the other stages alike", action="store_true")
    add("--reference", help=f"a run of examples/imdb_lstm.py to use as the training (default: {large['epochs']} epochs are "
        f"trained, {small['epochs']} with --quick)", **folder)
    add("--comparison", help="a folder of examples/imdb_comparison.py (default: it is made)", **folder)
    add("--tasks", help="folders of examples/long_dependencies.py (default: one is made)", nargs="+", default=(), **folder)
    add("--gradients", help="a folder of examples/vanishing_gradients.py (default: it is made)", **folder)
    add("--review", help="the review that is read word by word (default: a mixed review)", metavar="TEXT", default=REVIEW)
    add("--jobs", help="trials at a time, each on one core; -1: one for each core (default: 1)", type=int, default=1,
        metavar="N")
    add("--no-progress", help="no progress bars", action="store_true")
    given = vars(parser.parse_args(argv))
    given["progress"] = not given.pop("no_progress")
    given["out"] = given["out"] or imdb_lstm.RUNS / ("lab-quick" if given["quick"] else "lab")
    if given["jobs"] != -1 and given["jobs"] < 1:
        raise ml.ArgumentError(f"--jobs: expected a number of processes, or -1, got {given['jobs']}")
    return Options(**given)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, 2 for a user's mistake, 130 after Ctrl-C."""
    def body() -> None:
        print(f"The report is {make_report(parse_arguments(argv), partial(print, flush=True))}", flush=True)

    return run_program(PROGRAM, body, lambda _: "Interrupted. The same command goes on with the report.")


if __name__ == "__main__":
    sys.exit(main())
