"""One step of one submission, graded in a process of its own: ``run_apart("minilstm.grading.submission", ...)``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minilstm.grading.apart import serve
from minilstm.grading.source import load
from minilstm.grading.steps import STEPS, grade


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return {"functions": [...]}, for each function of the step what ``steps.Graded`` has.

    ``request``: "files", of which the first that defines a name counts, and "step", its name.
    """
    names: dict[str, Any] = {}
    for file in request["files"]:
        names = {**vars(load(Path(file))), **names}
    step = next(step for step in STEPS if step.name == request["step"])
    return {"functions": [one._asdict() for one in grade(names, step)]}


if __name__ == "__main__":
    serve(answer)
