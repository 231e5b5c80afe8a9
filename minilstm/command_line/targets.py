"""The target of ``python -m minilstm gradcheck``: a class or function in a user's file, and its arguments."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import inspect
import math
import sys
from pathlib import Path
from typing import Any

from minilstm.backend.errors import ArgumentError

MOST_NUMBERS = 10_000_000       # limit of an input's size: each number costs several forward passes


def load_class(spec: str) -> Any:
    """Return the class (or function) named by "FILE.py:Name". Raises ArgumentError with the reason."""
    file, colon, name = spec.rpartition(":")
    if not colon or not name.isidentifier():
        raise ArgumentError(f"expected FILE.py:Class, got {spec!r}")
    if not Path(file).is_file():
        raise ArgumentError(f"{file}: there is no such file")
    module_spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    if module_spec is None or module_spec.loader is None:
        raise ArgumentError(f"{file}: is not a Python file")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules.setdefault(module_spec.name, module)
    sys.path.insert(0, str(Path(file).resolve().parent))
    try:
        module_spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ArgumentError(f"{file}: cannot be imported: {type(error).__name__}: {error}") from error
    if not hasattr(module, name):
        raise ArgumentError(f"{file}: defines no {name}")
    return getattr(module, name)


def literal(text: str) -> Any:
    """Return the value of a Python literal (3, 0.5, True, None, (1, 2)), or the text itself if it is not one."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def shape(text: str) -> tuple[int, ...]:
    """Parse sizes such as 2,5,3."""
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        sizes = (0,)
    if min(sizes) < 1 or math.prod(sizes) > MOST_NUMBERS:
        raise argparse.ArgumentTypeError(f"expected whole numbers of at least 1, such as 2,5,3, with a product of at most "
                                         f"{MOST_NUMBERS:,}, got {text[:40]!r}")
    return sizes


def make_target(named: Any, arguments: list[Any]) -> Any:
    """Return the object to check: ``named`` itself if it is a layer or a pair of functions, else the result of calling it."""
    if isinstance(named, (tuple, list)):
        if len(named) != 2 or not all(map(callable, named)):
            raise ArgumentError("expected a pair of functions (forward, backward)")
        needed = [p.name for p in inspect.signature(named[0]).parameters.values()
                  if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        if len(needed) != 1:
            raise ArgumentError(f"the pair's forward takes {', '.join(needed) or 'nothing'}; this command passes one; "
                                "check it from Python: ml.gradcheck((forward, backward), inputs)")
    elif isinstance(named, type) or not hasattr(named, "backward"):
        return named(*arguments)
    if arguments:
        raise ArgumentError("ARG is for a class or a function; a layer or a pair takes no ARG")
    return named
