"""Grade the sets apart: ``python tests/grade_set/run_set.py [wrong] [unusual] [odd] [programs] [--check]``.

``--second`` takes the second set (wrong, unusual, programs) for the first. ``--check`` shows without minilstm
that wrong answers are wrong and right ones right, ``--only-check`` does nothing else; ``--few`` takes every
tenth entry, but for the odd ones; ``--words`` prints all that was said of each wrong answer.
"""

from __future__ import annotations

import ast
import csv
import difflib
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import check
import leaves
import numpy as np
from odd import ODD, STEPS, build
from wrong import Wrong

FEW, WORDS, SECOND, CHECK, ONLY_CHECK = (
    f"--{word}" in sys.argv for word in ("few", "words", "second", "check", "only-check"))
CHECK |= ONLY_CHECK
wrong, unusual, programs = (importlib.import_module(name + "_second" * SECOND)
                            for name in ("wrong", "unusual", "programs"))
ROOT = Path(__file__).parents[2]
UNNAMED = re.compile("a wrong gradient|a wrong line|not one that has a name|returns something else|"
                     r"stops with an error|cannot be checked|lines? [\d, and]+ of the derivation.*")


def chosen(entries: Any) -> list[Any]:
    return list(entries)[::10] if FEW else list(entries)


def library(arguments: list[str], folder: Path, path: str = "") -> subprocess.CompletedProcess[str]:
    """Run ``python -m minilstm`` in a folder, with ``path`` added to PYTHONPATH."""
    paths = os.pathsep.join(filter(None, (path, str(ROOT))))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-m", "minilstm", *arguments], cwd=folder, capture_output=True,
                          text=True, env=environment)


def graded(texts: list[tuple[int, str]]) -> list[dict[str, Any]]:
    """Return, for each (step, text), its functions by name."""
    with tempfile.TemporaryDirectory() as folder:
        for k, (step, text) in enumerate(texts):
            Path(folder, f"s{k:03d}_step{step:02d}.py").write_text(text, encoding="utf-8")
        answer = library(["grade", folder, "--json", "--seconds", "60"], Path(folder))
    rows = json.loads(answer.stdout)["submissions"]
    assert len(rows) == len(texts), f"{len(texts) - len(rows)} rows are missing"
    return [{one["function"]: one for part in row["steps"] if part["step"] == f"step{step:02d}"
             for one in part["functions"]} for row, (step, _) in zip(rows, texts)]


def changed(one: Wrong) -> tuple[str, set[int], dict[int, str]]:
    """Return the wrong text, the lines in it that are wrong, and all lines."""
    olds, news = ((part,) if isinstance(part, str) else part for part in (one.old, one.new))
    right = check.solved(one.step)
    text = check.replaced(right, one.inside or one.function, list(zip(olds, news)))
    a, b = right.splitlines(), text.splitlines()
    lines = {k + 1 for tag, _, _, start, end in difflib.SequenceMatcher(None, a, b, False).get_opcodes()
             for k in range(start, end) if tag != "equal"}
    lines |= {k for k, line in enumerate(b, 1) for more in one.also if more in line}
    return text, lines, dict(enumerate(b, 1))


def names_of(text: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "answer"}
    exec(compile(text, "answer", "exec"), names)
    return names


def functions_of(step: int) -> list[str]:
    """Return the functions of a step that a student writes: those with blanks."""
    path = check.SOLUTIONS.parent / check.FILES[step].name
    return [node.name for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.FunctionDef) and "..." in ast.unparse(node)]


def run_wrong() -> None:
    entries = chosen(wrong.WRONG)
    made = [changed(one) for one in entries]
    if CHECK:
        print("not wrong:", [one.word for one, (text, *_) in zip(entries, made)
                             if not check.wrong(one.step, names_of(text), one.function)])
    if ONLY_CHECK:
        print(f"wrong answers: {len(entries)} checked")
        return
    counts: Counter[str] = Counter()
    points: Counter[tuple[str, float]] = Counter()
    rows = graded([(one.step, text) for one, (text, *_) in zip(entries, made)])
    for one, row, (_, lines, source) in zip(entries, rows, made):
        got = row[one.function]
        mistakes = {part for part in got["mistake"].split("; ") if part} if got["mistake"] else set()
        shown = {int(k) for k in re.findall(r"\blines? (\d+)(?! of the)", got["hint"])}
        verdicts = ["caught" if got["score"] < got["max_score"] else "NOT CAUGHT"]
        verdicts += ["named" if mistakes & set(one.names.split("|")) - {""} else
                     "no name" if all(map(UNNAMED.fullmatch, mistakes)) else "ANOTHER NAME"]
        if verdicts[1] == "named" and mistakes == {"the forward is not the equations"}:
            counts["  of which only as 'the forward is not the equations'"] += 1
        defs = any(source.get(k, "").startswith("def ") for k in shown)
        verdicts += ["no line" if not shown else "its line" if shown <= lines else
                     "DEF LINE" if defs else "A RIGHT LINE"]
        others = [other for name, other in row.items() if name != one.function]
        verdicts += ["LOSES ELSEWHERE"] * any(other["score"] < other["max_score"] for other in others)
        counts.update(verdicts)
        if one.function.endswith("_backward") and one.step in (1, 2, 4, 5, 9):
            points[(one.function, got["score"])] += 1
        bad = [word for word in verdicts if word.isupper()]
        if bad or WORDS:
            print(f"step {one.step} {one.function}: {one.word} | {', '.join(verdicts)} | {got['score']:g}\n"
                  f"      said: {got['mistake']}: {got['detail']} | {got['hint']}")
    print(f"wrong answers: {len(entries)}; " + "; ".join(f"{word} {n}" for word, n in sorted(counts.items())))
    print("points of backwards:", {f"{name} {score:g}": n for (name, score), n in sorted(points.items())})


def run_unusual() -> None:
    entries = chosen(unusual.UNUSUAL)
    texts = [(one.step, check.solved(one.step, one.code)) for one in entries]
    failed = []
    for one, (step, text) in zip(entries, texts) if CHECK else ():
        names = names_of(text)
        for name in functions_of(step):
            if found := check.wrong(step, names, name, 3e-4 if one.loose else 1e-9):
                print(f"not right: {one.form}: {name}: {found}")
    if ONLY_CHECK:
        print(f"unusual right answers: {len(entries)} checked")
        return
    for one, (step, text), row in zip(entries, texts, graded(texts)):
        lost = [part for part in row.values() if part["score"] < part["max_score"]]
        failed += [one.form] * bool(lost)
        for part in lost:
            print(f"step {step} {one.form}: {part['function']} {part['score']:g} of {part['max_score']}\n"
                  f"      said: {part['mistake']}: {part['detail']} | {part['hint']}")
    print(f"unusual right answers: {len(entries) - len(failed)} of {len(entries)} have every point")


def run_odd() -> None:
    entries, failed, lost_rows = ODD, [], []
    with tempfile.TemporaryDirectory() as place:
        rows, cells = {}, {}
        for group, folder in build(Path(place)).items():
            table = Path(place, f"{group}.csv")
            options = ["--steps", STEPS[group], "--seconds", "20", "--json", "--csv", str(table)]
            answer = library(["grade", str(folder), *options], Path(place))
            try:
                rows.update({row["submission"]: row for row in json.loads(answer.stdout)["submissions"]})
            except ValueError:
                print(f"{group}: no table: {answer.stderr.strip()[-300:]}")
                continue
            data = table.read_bytes()
            print(f"{group}.csv begins with a byte order mark: {data.startswith(bytes.fromhex('efbbbf'))}")
            for cell in csv.reader(data.decode("utf-8-sig").splitlines()):
                cells[cell[0].lstrip("'")] = cell
                if any(part.startswith(("=", "+", "-", "@", "\t")) for part in cell):
                    print(f"{group}.csv: a cell is a formula: {cell}")
    for one in entries:
        row = rows.get(one.entry) or rows.get(Path(one.entry).stem)
        if row is None:
            lost_rows.append(one.entry)
            continue
        every = one.scores[-1] in (10, 30) and row["score"] == one.scores[-1] and len(one.scores) > 1
        words = json.dumps({**row, "submission": ""}, ensure_ascii=False).replace(one.entry, "")
        said = every or not one.said or re.search(one.said, words, re.IGNORECASE)
        known = one.entry in cells or Path(one.entry).stem in cells
        if row["score"] not in one.scores or not said or not known:
            failed.append(one.entry)
            reasons = [f"{part['mistake']}: {part['detail']} | {part['hint']}" for step in row["steps"]
                       for part in step["functions"] if part["mistake"]]
            print(f"{one.entry}: {row['score']:g}, expected {one.scores}{'' if known else '; not in the CSV'}"
                  f"{'' if said else f'; not said: {one.said}'}\n"
                  f"      said: {' / '.join(reasons)[:300] or 'nothing'}")
    extra = set(rows) - {name for one in entries for name in (one.entry, Path(one.entry).stem)}
    print(f"odd submissions: {len(entries)}; no row {len(lost_rows)} {lost_rows}; wrong row {len(failed)}; "
          f"right {len(entries) - len(lost_rows) - len(failed)}; rows of nobody {sorted(extra)}")


def given(code: str, target: str, file: str = "program.py") -> dict[str, Any]:
    rng = np.random.default_rng(2)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=shape)
    package = ".".join(Path(file).parts[:-1])
    names = {"np": np, "r": normal, "q": normal, "__name__": "program", "__package__": package}
    if "ml." in code + target:
        names["ml"] = importlib.import_module("minilstm")
    exec(compile(code, file, "exec"), names)
    return names


def doubt(one: Any, code: str, file: str = "program.py") -> str:
    """Return what is wrong with a program, at its inputs and a little beside them."""
    names, found = given(code, one.target, file), ""
    unused = tuple(re.findall(r"--allow-unused (\w+)", getattr(one, "arguments", "")))
    for nudge in (0.0, 0.1):
        target, inputs = eval(one.target, names), eval(one.inputs, names)
        data = "no gradient" in one.about
        outputs = getattr(one, "outputs", 1)
        found = found or leaves.wrong(target, inputs, one.how, outputs, data, nudge, unused)
    return found


def run_programs() -> None:
    calls, alarms = chosen(programs.CALLS), []
    for one in calls:
        if CHECK and (found := doubt(one, one.code)):
            print(f"not right: {one.about}: {found}")
        if ONLY_CHECK:
            continue
        import minilstm as ml
        names = given(one.code, one.target)
        target, inputs = eval(one.target, names), eval(one.inputs, names)
        try:
            report = ml.gradcheck(target, inputs, raise_exception=False)
            words = "" if report.right else str(report)
        except Exception as error:
            words = f"{type(error).__name__}: {error}"
        if words:
            alarms.append(one.about)
            print(f"{one.about}: {' '.join(words.split())[:300]}")
    commands = chosen(programs.COMMANDS)
    for one in commands:
        with tempfile.TemporaryDirectory() as folder:
            for name, text in one.files.items():
                Path(folder, name).parent.mkdir(parents=True, exist_ok=True)
                Path(folder, name).write_text(text, encoding="utf-8")
            if CHECK:
                file, code = next(iter(one.files.items()))
                paths = [folder, str(Path(folder, file).parent)]
                sys.path[:0] = paths
                if found := doubt(one, code, file):
                    print(f"not right: {one.about}: {found}")
                del sys.path[:len(paths)]
                own = {part.removesuffix(".py") for name in one.files for part in Path(name).parts}
                for name in [name for name in sys.modules if name.split(".")[0] in own]:
                    del sys.modules[name]
            if ONLY_CHECK:
                continue
            answer = library(["gradcheck", *one.arguments.split()], Path(folder), folder if one.path else "")
        if answer.returncode:
            alarms.append(one.about)
            words = " ".join((answer.stdout + answer.stderr).split())[:300]
            print(f"{one.about}: exit {answer.returncode}: {words}")
    total = len(calls) + len(commands)
    if ONLY_CHECK:
        print(f"right programs: {total} checked")
        return
    print(f"right programs: {total - len(alarms)} of {total} without an alarm")


if __name__ == "__main__":
    runs = {"wrong": run_wrong, "unusual": run_unusual, "odd": run_odd, "programs": run_programs}
    if SECOND or ONLY_CHECK:
        del runs["odd"]
    for name in [word for word in sys.argv[1:] if word in runs] or runs:
        runs[name]()
