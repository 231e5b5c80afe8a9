"""Grade submissions: one file, one folder of files, or a class, each step of each submission in a process of
its own.

A copy of the submission is what runs, in a folder of its own: a submission that deletes its file deletes the
    copy.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from minilstm.backend.errors import ArgumentError
from minilstm.backend.process import MEGABYTES, Failure, ProcessError, run_in_process
from minilstm.exercises.steps import STEPS, Function, Graded, Step, grade, is_step_file, steps_in
from minilstm.exercises.verdict import NOT_HANDED_IN, blanks
from minilstm.student.load import SUFFIXES, load, sources

SECONDS = 20.0          # for one step of one submission
MOST_BESIDE = 50 * 2 ** 20      # bytes
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz")
OUTCOMES = {Failure.ENDLESS: "endless", Failure.MEMORY: "memory", Failure.EXIT: "ends itself",
            Failure.OTHER: "not run"}


class Submission(NamedTuple):
    """A name, its files (.py and .ipynb) with the folder they lie in, files that they may import, and what it
    lacks, in words."""

    name: str
    root: Path
    files: tuple[Path, ...]
    beside: tuple[Path, ...] = ()
    lacks: str = ""


class Result(NamedTuple):
    """What a submission got: the functions by step; and what else there is to say of it."""

    submission: str
    steps: dict[str, list[Graded]]
    notes: tuple[str, ...] = ()

    @property
    def score(self) -> float:
        return sum(map(self.step_score, self.steps))

    @property
    def points(self) -> int:
        return sum(graded.points for functions in self.steps.values() for graded in functions)

    def step_score(self, step: str) -> float:
        return sum(graded.score for graded in self.steps[step])

    @property
    def mistakes(self) -> list[str]:
        """The mistakes' names with their functions, but for what was not handed in."""
        every = [graded for functions in self.steps.values() for graded in functions]
        wrong = [graded for graded in every if graded.mistakes and graded.handed_in]
        return [f"{graded.function}: {graded.mistake}" for graded in wrong]


def submissions(path: Path, single: bool = False) -> list[Submission]:
    """Return the submissions at a path: a file is one; so is a folder with an exercise's own file in it, or
    any if ``single``.

    Of any other folder every file and every folder in it is one, also one that holds nothing to grade. Raises
    ArgumentError where there is nothing at all, or another file.
    """
    if path.is_file():
        if not _is_code(path):
            raise ArgumentError(f"{path}: expected a Python file (.py) or a notebook (.ipynb)")
        root = path.resolve().parent
        beside = tuple(file for file in root.glob("*.py") if file.is_file())
        return [Submission(path.name, root, (root / path.name,), beside)]
    if not path.is_dir():
        raise ArgumentError(f"{path}: there is no such file or folder")
    inside = [entry for entry in sorted(path.iterdir()) if not entry.name.startswith((".", "__"))]
    if single or any(_is_code(entry) and is_step_file(entry.stem) for entry in inside):
        files = _files(path, deep=single)
        if not files:
            raise ArgumentError(f"{path}: {_lacks(path)}")
        return [Submission(path.resolve().name, path, files, _beside(path), _lacks(path))]
    if not inside:
        raise ArgumentError(f"{path}: holds no .py or .ipynb file")
    return list(map(_entry, inside))


def _entry(entry: Path) -> Submission:
    """Return the submission that an entry of a class's folder is."""
    root = entry if entry.is_dir() else entry.parent
    try:
        return Submission(entry.name, root, _files(entry), _beside(entry), _lacks(entry))
    except OSError as error:
        return Submission(entry.name, root, (), (), f"cannot be read: {error.strerror}")


def _lacks(path: Path) -> str:
    """Return in words why a submission may have no functions."""
    found = _inside(path)
    packed = [file.name for file in found if file.suffix.lower() in ARCHIVES]
    if packed:
        return f"holds {', '.join(packed)}: unpack it" if path.is_dir() else "an archive: unpack it"
    if any(map(_is_code, found)):
        return ""
    if not path.is_dir():
        kind = f"a {path.suffix or 'strange'} file" if path.exists() else "a link that leads nowhere"
        return f"{kind}, neither a Python file (.py) nor a notebook (.ipynb)"
    names = ", ".join(file.name for file in found[:3])
    return f"holds only {names}, no .py or .ipynb file" if found else "an empty folder"


def _inside(path: Path) -> list[Path]:
    """Return the files of a folder and its folders, but for hidden ones; a file as it is."""
    found = path.rglob("*") if path.is_dir() else [path]
    hidden = (".", "__pycache__", "__MACOSX", "site-packages")
    return sorted(file for file in found if file == path or file.is_file() and not any(
        part.startswith(hidden) for part in file.relative_to(path).parts))


def _is_code(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def _beside(path: Path) -> tuple[Path, ...]:
    """Return the other files of a submission's folder, which its code may import, unless very large."""
    found = _inside(path) if path.is_dir() else []
    return tuple(found) if sum(file.stat().st_size for file in found) < MOST_BESIDE else ()


def _files(path: Path, deep: bool = True) -> tuple[Path, ...]:
    """Return the files with code, but for the published solutions in a copy of the exercises' folder."""
    return tuple(file for file in _inside(path) if _is_code(file) and not file.name.startswith("__") and (
        deep or file.parent == path) and not (
        file.parent.name == "solutions" and file.parent.with_name(file.name).is_file()))


def grade_all(found: Sequence[Submission], steps: Sequence[Step] = (), *, seconds: float = SECONDS,
              megabytes: int | None = MEGABYTES, jobs: int | None = None) -> list[Result]:
    """Grade submissions, ``jobs`` at a time (by default as many as there are processors).

    Every submission is asked for the same steps: ``steps``, or those of which any has a function. Raises
    ArgumentError where none has.
    """
    read = list(map(_steps_of, found))
    holding = [steps_by_file for steps_by_file, _ in read]
    defined = {step.name for files in holding for has in files.values() for step in has}
    asked = list(steps) or [step for step in STEPS if step.name in defined]
    if not asked:
        why = [*read[0][1], found[0].lacks, "defines no function of an exercise, such as rnn_step"]
        raise ArgumentError(f"{found[0].name}: {next(filter(None, why))}")
    work = [(submission, step, _in_order(step, [file for file, has in files.items() if step in has]))
            for submission, files in zip(found, holding) for step in asked]
    with ThreadPoolExecutor(jobs or os.cpu_count()) as threads:         # which wait for processes
        apart = partial(_grade_apart, seconds=seconds, megabytes=megabytes)
        every = iter(list(threads.map(apart, *zip(*work))))
    return [_result(submission, unread, dict(zip([step.name for step in asked], every)))
            for submission, (_, unread) in zip(found, read)]


def _result(submission: Submission, notes: list[str],
            parts: dict[str, tuple[list[Graded], list[str]]]) -> Result:
    """Put a submission's steps together; the notes say why functions are missing."""
    steps = {step: functions for step, (functions, _) in parts.items()}
    there = [graded.handed_in for functions in steps.values() for graded in functions]
    if submission.lacks and not all(there):
        notes = [*notes, submission.lacks]
    notes = [*notes, *(words for _, found in parts.values() for words in found)]
    if not notes and not any(there):
        notes = ["defines none of the functions"]
    return Result(submission.name, steps, tuple(dict.fromkeys(notes)))


def _steps_of(submission: Submission) -> tuple[dict[Path, list[Step]], list[str]]:
    """Return the steps that each file has, and why files cannot be read."""
    found, notes = {}, []
    for file in submission.files:
        try:
            code = "\n".join(sources(file).values())
        except ArgumentError as error:
            code = ""
            notes.append(str(error).replace(f"{submission.root}{os.sep}", ""))
        found[file] = steps_in(code, file.name)
    return found, notes


def _in_order(step: Step, files: list[Path]) -> list[Path]:
    """Return the files with this step, first those named after it; of these the newest try, by the numbers
    behind that name (step03-1.py, step03 (2).py); what lies in an inner folder comes later."""
    def tries(file: Path) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", file.stem.lower().rpartition(step.name)[2])]
    newest = sorted(files, key=tries, reverse=True)
    return sorted(newest, key=lambda file: (step.name not in file.stem.lower(), len(file.parts)))


def _grade_apart(submission: Submission, step: Step, files: list[Path], seconds: float,
                 megabytes: int | None) -> tuple[list[Graded], list[str]]:
    """Grade one step of one submission, defined in ``files``, in a process of its own; return notes too.

    Where that process comes to no result, each function has one, without what stands outside of definitions.
    """
    if not files:
        why = submission.lacks or "there is no file with this step"
        return _nothing(step.functions, NOT_HANDED_IN, why), []
    with tempfile.TemporaryDirectory() as folder:
        every = (*submission.files, *submission.beside)
        copies = {file: Path(folder, file.relative_to(submission.root)) for file in every}

        def apart(names: Sequence[str], without: Sequence[str] = (), definitions: bool = False) -> None:
            for file, copy in copies.items():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)
            answer = run_in_process(
                grade_step, [str(copies[file]) for file in files], step.name, names, without, definitions,
                seconds=seconds, megabytes=megabytes, folder=Path(folder))
            graded.extend(Graded(**{**one, "mistakes": tuple(one["mistakes"])})
                          for one in answer["functions"])
            notes.extend(answer["notes"])
        graded: list[Graded] = []
        notes: list[str] = []
        try:
            apart([function.name for function in step.functions])
        except ProcessError as first:
            failed: list[str] = []
            for function in step.functions:
                try:
                    apart([function.name], failed, definitions=True)
                except ProcessError as error:
                    failed.append(function.name)
                    graded += _nothing([function], OUTCOMES[error.failure], str(error))
            if not failed:
                notes.append(str(first))
    place = f"{folder}{os.sep}"
    return ([one._replace(detail=one.detail.replace(place, "")) for one in graded],
            [note.replace(place, "") for note in notes])


def grade_step(files: Sequence[str], name: str, functions: Sequence[str], without: Sequence[str] = (),
               definitions: bool = False) -> dict[str, Any]:
    """Return {"functions": [...], "notes": [...]}: for each of the functions what ``steps.Graded`` has.

    Of ``files`` the first that defines a function without blanks counts. ``without``: functions taken as not
    handed in. ``definitions``: see ``load``.
    """
    step = next(step for step in STEPS if step.name == name)
    problems: list[str] = []
    loaded: list[dict[str, Any]] = []
    for file in files:
        try:
            loaded.append(vars(load(Path(file), problems, definitions=definitions)))
        except ArgumentError as error:
            problems.append(str(error))
    names = {key: value for every in reversed(loaded) for key, value in every.items()}
    for function in functions:
        own = [every for every in loaded
               if getattr(every.get(function), "__module__", "") == every["__name__"]]
        own.sort(key=lambda every: bool(blanks(every[function])))
        if own:
            names[function] = own[0][function]
        if own[1:]:
            first, *others = (every["__file__"] for every in own)
            problems.append(f"{function}: {first} counts, not {', '.join(others)}")
    names = {key: value for key, value in names.items() if key not in without}
    graded = list(grade(names, step._replace(functions=tuple(
        function for function in step.functions if function.name in functions))))
    graded = [one if one.handed_in or not problems else
              one._replace(mistakes=("not run",), detail=problems[0]) for one in graded]
    return {"functions": [one._asdict() for one in graded], "notes": problems}


def _nothing(functions: Sequence[Function], mistake: str, detail: str) -> list[Graded]:
    return [Graded(function.name, 0.0, function.points, (mistake,), detail, "") for function in functions]
