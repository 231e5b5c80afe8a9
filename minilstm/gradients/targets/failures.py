"""What went wrong in somebody else's forward or backward, told with the file and line where it stands.

A traceback through gradcheck shows mostly gradcheck. Who wrote the function needs three things instead: what
was raised, in which line of their own file, and what that line says.
"""

from __future__ import annotations

import inspect
import linecache
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minilstm.backend.errors import ArgumentError, GradientError, MinilstmError
from minilstm.backend.paths import NOT_THEIRS


def student_line(error: BaseException) -> str:
    """Return the innermost line of the student's own code that raised: "cell.py, line 3: dh = ...", or ""."""
    theirs = [frame for frame in traceback.extract_tb(error.__traceback__)
              if not frame.filename.startswith((*NOT_THEIRS, "<frozen", "<__array_function__"))]
    if not theirs:
        return ""
    frame = theirs[-1]
    text = linecache.getline(frame.filename, frame.lineno or 0).strip()
    return f"{Path(frame.filename).name}, line {frame.lineno}" + (f": {text}" if text else "")


def at_line(error: BaseException) -> str:
    """Return " in " and that line, or ""."""
    line = student_line(error)
    return f" in {line}" if line else ""


def definition_site(function: Any) -> str:
    """Return where a function, or an object's class, is defined: " (cell.py, line 12)", or ""."""
    try:
        found = function if inspect.isroutine(function) or inspect.isclass(function) else type(function)
        found = inspect.unwrap(found)
        return f" ({Path(inspect.getsourcefile(found) or '').name}, line {inspect.getsourcelines(found)[1]})"
    except (TypeError, OSError, IndexError):
        return ""


@contextmanager
def errors_located(title: str, what: str, function: Any) -> Iterator[None]:
    """Turn an exception of the student's function into a GradientError that says where it arose."""
    try:
        yield
    except MinilstmError:
        raise
    except Exception as error:
        words = ": ".join(filter(None, (type(error).__name__, " ".join(str(error).split())[:300])))
        place = at_line(error) or definition_site(function)
        raise GradientError(f"gradcheck {title}: {what} raised {words}{place}") from error


def check_returned(title: str, what: str, function: Callable[..., Any], result: Any, expected: str) -> None:
    """Raise GradientError if a function returned None, which is what a missing return gives."""
    if result is None:
        place = definition_site(function)
        raise GradientError(f"gradcheck {title}: {what} returned None, expected {expected}: is a return "
                            f"missing?{place}")


def not_a_target(target: Any, missing: str) -> ArgumentError:
    """Return the error for a target that cannot be checked, with what it lacks."""
    return ArgumentError("gradcheck: expected a layer (forward and backward), a loss, a pair of functions "
                         "(forward, backward) or a function that returns (y, backward), got "
                         f"{type(target).__name__}: {missing}")
