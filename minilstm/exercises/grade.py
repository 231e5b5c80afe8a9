"""Grade submissions: one file, one folder of files, or a class, each step of each submission in a process of
its own.

A copy of the submission is what runs, in a folder of its own: a submission that deletes its file deletes the
    copy.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from minilstm.backend.errors import ArgumentError
from minilstm.backend.process import MEGABYTES, Failure, ProcessError, run_in_process
from minilstm.exercises.steps import STEPS, Graded, Step, grade, steps_in
from minilstm.exercises.verdict import NOT_HANDED_IN
from minilstm.student.load import load

SECONDS = 20.0          # for one step of one submission
MOST_BESIDE = 50 * 2 ** 20      # bytes
OUTCOMES = {Failure.ENDLESS: "endless", Failure.MEMORY: "memory", Failure.EXIT: "ends itself",
            Failure.OTHER: "not run"}


class Submission(NamedTuple):
    """A name, its files (.py and .ipynb) with the folder they lie in, and files that they may import."""

    name: str
    root: Path
    files: tuple[Path, ...]
    beside: tuple[Path, ...] = ()


class Result(NamedTuple):
    """What a submission got: the functions by step."""

    submission: str
    steps: dict[str, list[Graded]]

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

    Of any other folder each file and each folder in it is one. Raises ArgumentError where there is none, or
    another file.
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
    if single or {entry.stem for entry in inside} & {step.stem for step in STEPS}:
        found = [Submission(path.resolve().name, path, _files(path, deep=single), _beside(path))]
    else:
        found = [Submission(entry.name, entry if entry.is_dir() else path, _files(entry), _beside(entry))
                 for entry in inside if entry.is_dir() or _is_code(entry)]
    found = [submission for submission in found if submission.files]
    if not found:
        raise ArgumentError(f"{path}: holds no .py or .ipynb file")
    return found


def _is_code(path: Path) -> bool:
    return path.suffix in (".py", ".ipynb") and path.is_file()


def _beside(path: Path) -> tuple[Path, ...]:
    """Return the other files of a submission's folder, which its code may import, unless very large."""
    found = [file for file in path.rglob("*") if file.is_file() and not _is_hidden(file, path)]
    return tuple(found) if sum(file.stat().st_size for file in found) < MOST_BESIDE else ()


def _is_hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith((".", "__pycache__")) for part in file.relative_to(folder).parts)


def _files(path: Path, deep: bool = True) -> tuple[Path, ...]:
    if path.is_file():
        return (path,)
    found = path.rglob("*") if deep else path.iterdir()
    return tuple(sorted(file for file in found if _is_code(file) and not any(
        part.startswith((".", "__")) for part in file.relative_to(path).parts)))


def grade_all(found: Sequence[Submission], steps: Sequence[Step] = (), *, seconds: float = SECONDS,
              megabytes: int | None = MEGABYTES, jobs: int | None = None) -> list[Result]:
    """Grade submissions, ``jobs`` at a time (by default as many as there are processors).

    Every submission is asked for the same steps: ``steps``, or those of which any has a function. Raises
    ArgumentError where none has.
    """
    holding = [{file: steps_in(_text(file), file.name) for file in submission.files} for submission in found]
    defined = {step.name for files in holding for has in files.values() for step in has}
    asked = list(steps) or [step for step in STEPS if step.name in defined]
    if not asked:
        raise ArgumentError(f"{found[0].name}: defines no function of an exercise, such as "
                            f"{STEPS[0].functions[0].name}")
    work = [(submission, step, _in_order(step, [file for file, has in files.items() if step in has]))
            for submission, files in zip(found, holding) for step in asked]
    several = (jobs or os.cpu_count() or 1) > 1 and len(work) > 1
    if several and importlib.util.find_spec("joblib") is not None:
        import joblib
        graded = joblib.Parallel(n_jobs=jobs or -1, prefer="threads")(      # threads that wait for processes
            joblib.delayed(_grade_apart)(*each, seconds, megabytes) for each in work)
    else:
        graded = [_grade_apart(*each, seconds, megabytes) for each in work]
    every = iter(graded)
    return [Result(submission.name, {step.name: next(every) for step in asked}) for submission in found]


def _in_order(step: Step, files: list[Path]) -> list[Path]:
    """Return the files with this step, first those named after it."""
    return sorted(files, key=lambda file: (file.stem != step.stem, not file.stem.startswith(step.name)))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ArgumentError(f"{file}: cannot be read: {error}") from error


def _grade_apart(submission: Submission, step: Step, files: list[Path], seconds: float,
                 megabytes: int | None) -> list[Graded]:
    """Grade one step of one submission, defined in ``files``, in a process of its own."""
    if not files:
        return _nothing(step, NOT_HANDED_IN, "there is no file with this step")
    with tempfile.TemporaryDirectory() as folder:
        every = (*submission.files, *submission.beside)
        copies = {file: Path(folder, file.relative_to(submission.root)) for file in every}
        for file, copy in copies.items():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        try:
            answer = run_in_process(grade_step, [str(copies[file]) for file in files], step.name,
                                    seconds=seconds, megabytes=megabytes, folder=Path(folder))
        except ProcessError as error:
            return _nothing(step, OUTCOMES[error.failure], str(error).replace(f"{folder}{os.sep}", ""))
    return [Graded(**{**graded, "mistakes": tuple(graded["mistakes"])}) for graded in answer["functions"]]


def grade_step(files: Sequence[str], name: str) -> dict[str, Any]:
    """Return {"functions": [...]}, for each function of the step what ``steps.Graded`` has.

    Of ``files`` the first that defines a name counts.
    """
    names: dict[str, Any] = {}
    for file in files:
        names = {**vars(load(Path(file))), **names}
    step = next(step for step in STEPS if step.name == name)
    return {"functions": [graded._asdict() for graded in grade(names, step)]}


def _nothing(step: Step, mistake: str, detail: str) -> list[Graded]:
    return [Graded(function.name, 0.0, function.points, (mistake,), detail, "")
            for function in step.functions]
