"""``python -m minilstm grade``: the exercises of examples/exercises, graded."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from minilstm.backend.errors import ArgumentError
from minilstm.backend.process import MEGABYTES
from minilstm.command_line.program import path_name, positive, several, whole
from minilstm.exercises.grade import SECONDS, grade_all, submissions
from minilstm.exercises.results import as_csv, as_json, gradescope, table, text
from minilstm.exercises.steps import STEPS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("path", type=path_name, metavar="FILE_OR_FOLDER", help="a Python file or notebook; a "
                        "folder of one student's steps; or a folder with a file or folder for each student")
    parser.add_argument("--steps", type=several(whole(1, len(STEPS))), default=(), metavar="1,2,...",
                        help="the steps that are asked for (default: those that are found)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--results", type=path_name, metavar="FILE.json",
                        help="write Gradescope's results.json; all files are one submission")
    parser.add_argument("--csv", type=path_name, metavar="FILE.csv", help="write a table")
    parser.add_argument("--jobs", type=whole(1), help="processes at a time (default: all processors)")
    parser.add_argument("--seconds", type=positive, default=SECONDS,
                        help=f"limit of time of each step (default: {SECONDS:g})")
    parser.add_argument("--memory", type=whole(64), default=MEGABYTES, metavar="MB",
                        help=f"limit of memory (default: {MEGABYTES}; has no effect on Windows)")


def run_grade(arguments: argparse.Namespace) -> int:
    """Grade and print; return 0 if every submission is right in all steps, else 1."""
    try:
        found = submissions(arguments.path, single=arguments.results is not None)
        steps = [STEPS[number - 1] for number in arguments.steps]
        results = grade_all(found, steps, seconds=arguments.seconds, megabytes=arguments.memory,
                            jobs=arguments.jobs)
    except ArgumentError as error:
        if arguments.results is not None:       # the student must see why
            _write(arguments.results, _dumped({"score": 0, "output": str(error)}))
        raise
    if arguments.results is not None:
        _write(arguments.results, _dumped(gradescope(results[0])))
    if arguments.csv is not None:
        _write(arguments.csv, "\ufeff" + as_csv(results))     # by which Excel knows UTF-8
    if arguments.json:
        print(_dumped(as_json(results)))
    else:
        print(table(results) if len(results) > 1 else text(results[0]))
    return 0 if all(result.score == result.points for result in results) else 1


def _dumped(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False)


def _write(path: Path, words: str) -> None:
    try:
        path.write_text(words, encoding="utf-8", errors="replace")
    except OSError as error:
        raise ArgumentError(f"{path}: cannot be written: {error.strerror}") from error
