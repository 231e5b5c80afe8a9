"""Does a submission call minilstm's own answer?

While a submission's functions run, Python reports every call. One of the answers (cells, layers, losses,
optimisers, ...) that is not called by minilstm itself is borrowed, whatever name, alias or import it goes by.
Checking (``ml.gradcheck``) is allowed, and so are the activations. Whoever wants to get round this can: it is
no sandbox.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from minilstm.exercises.verdict import student_function

ROOT = str(Path(__file__).parents[1])
ROOMS = ("cells", "data", "kernels", "lab", "layers", "losses", "optim", "training")
ANSWERS = tuple(str(Path(ROOT, room)) for room in ROOMS)
ALLOWED = str(Path(ROOT, "cells", "activations.py"))
# What calls the student's functions.
WRAPPER = next(code for code in student_function.__code__.co_consts if getattr(code, "co_name", "") == "call")


@contextmanager
def library_calls() -> Iterator[list[str]]:
    """Yield a list that fills with the names of minilstm's own functions that somebody else calls."""
    found: list[str] = []

    def look(frame: FrameType, event: str, argument: Any) -> None:
        code, caller = frame.f_code, frame.f_back
        if event != "call" or caller is None or code.co_filename == ALLOWED:
            return
        if not code.co_filename.startswith(ANSWERS):
            return
        if caller.f_code is WRAPPER or not caller.f_code.co_filename.startswith(ROOT):
            if code.co_name != "<module>" and not caller.f_code.co_filename.startswith("<frozen"):
                found.append(code.co_name)

    before = sys.getprofile(), threading.getprofile()
    threading.setprofile(look)          # of threads that begin from now on
    sys.setprofile(look)
    try:
        yield found
    finally:
        sys.setprofile(before[0])
        threading.setprofile(before[1])
