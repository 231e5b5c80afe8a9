"""Results for people and for programs: text, a table, CSV, JSON, and Gradescope's results.json."""

from __future__ import annotations

import csv
import io
import re
import textwrap
from collections.abc import Sequence
from typing import Any

from minilstm.exercises.grade import Result
from minilstm.exercises.steps import STEPS, Graded
from minilstm.exercises.verdict import NOT_HANDED_IN

TITLES = {step.name: step.title for step in STEPS}


def text(result: Result) -> str:
    """Return one submission's result for its author."""
    lines = [result.submission]
    for note in result.notes:
        lines += textwrap.wrap(note, 100, initial_indent="  ", subsequent_indent="    ")
    for step, functions in result.steps.items():
        lines.append(f"  {step} {TITLES[step]}: {result.step_score(step):g} of "
                     f"{sum(graded.points for graded in functions)}")
        for graded in functions:
            right = ", right" * (not graded.mistakes)
            lines.append(f"    {graded.function}: {graded.score:g} of {graded.points}{right}")
            for line in feedback(graded):
                lines += textwrap.wrap(line, 100, initial_indent=" " * 6, subsequent_indent=" " * 8)
    return "\n".join([*lines, f"  total: {result.score:g} of {result.points}"])


def feedback(graded: Graded) -> list[str]:
    """Return what is said about a function: the mistake with what shows it, and the hint."""
    mistake = f"{graded.mistake}: {graded.detail}" if graded.detail else graded.mistake
    return [line for line in (mistake, graded.hint) if line]


def table(results: Sequence[Result]) -> str:
    """Return a class as a table for the terminal; a dash stands for a step that was not handed in."""
    rows = [[*row[:-1], textwrap.shorten(row[-1], 60, placeholder=" ...")] for row in _rows(results, "-")]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) if k in (0, len(row) - 1) else cell.rjust(width)
                               for k, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in rows)


def as_csv(results: Sequence[Result]) -> str:
    """Return a class as CSV. A cell that a spreadsheet might take for a formula begins with an apostrophe."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(
        [f"'{cell}" if re.match(r"\s*[=+@-]", cell) else cell for cell in row] for row in _rows(results))
    return out.getvalue()


def _rows(results: Sequence[Result], missing: str = "0") -> list[list[str]]:
    rows = [["submission", *results[0].steps, "total", "of", "mistakes"]]
    for result in results:
        handed_in = [step for step, functions in result.steps.items()
                     if any(graded.handed_in for graded in functions)]
        scores = [f"{result.step_score(step):g}" if step in handed_in else missing for step in result.steps]
        absent = [f"{step}: {NOT_HANDED_IN}" for step in result.steps if handed_in and step not in handed_in]
        mistakes = "; ".join([*result.mistakes, *absent, *result.notes])
        rows.append([result.submission, *scores, f"{result.score:g}", str(result.points), mistakes])
    return rows


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """Return all results as plain values."""
    return {"version": 1, "submissions": [
        {"submission": result.submission, "score": result.score, "max_score": result.points,
         "notes": list(result.notes), "steps": [
            {"step": step, "title": TITLES[step], "score": result.step_score(step), "functions": [
                {**graded._asdict(), "mistake": graded.mistake, "max_score": graded.points}
                for graded in functions]}
            for step, functions in result.steps.items()]} for result in results]}


def gradescope(result: Result) -> dict[str, Any]:
    """Return a results.json (gradescope-autograders.readthedocs.io, specs): a test for each function."""
    return {"output": "\n".join([*result.notes, f"{result.score:g} of {result.points}"]), "tests": [
        {"name": f"{step} {TITLES[step]}: {graded.function}", "score": graded.score,
         "max_score": graded.points,
         "output": "\n".join(feedback(graded)) or "right", "visibility": "visible"}
        for step, functions in result.steps.items() for graded in functions]}
