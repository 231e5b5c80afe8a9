"""What all command-line programs here share: argument parsing and error handling.

A user's mistake gives one line on standard error and exit status 2, a warning one line; Ctrl-C gives one line
and status 130. If the reader of the output closes the pipe (``| head``), the program ends without a message,
with status 141.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import math
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from minilstm.backend.errors import ArgumentError, MinilstmError
from minilstm.backend.paths import as_path

# limit of any size or count, so that the number of bytes of an array cannot overflow
LARGEST = 10_000_000


class Parser(argparse.ArgumentParser):
    """An argument parser that raises ArgumentError for invalid arguments and accepts no abbreviations."""

    def __init__(self, prog: str, doc: str | None, **options: Any) -> None:
        description = (doc or "").partition("\n\n")[0]
        super().__init__(prog=prog, description=description, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        raise ArgumentError(message)


def number(kind: Callable[[str], Any], fits: Callable[[Any], bool], words: str) -> Callable[[str], Any]:
    """Return a function that parses a number; ``words`` describe what is expected."""
    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not fits(value):
            raise argparse.ArgumentTypeError(f"expected {words}, got {text[:40]!r}")
        return value
    return read


def whole(least: int, most: int = LARGEST) -> Callable[[str], int]:
    """Return a function that parses a whole number from ``least`` to ``most``."""
    words = f"a whole number of at least {least} and at most {most}"
    return number(int, lambda value: least <= value <= most, words)


finite = number(float, math.isfinite, "a number")
positive = number(float, lambda value: 0.0 < value < math.inf, "a number above 0")
probability = number(float, lambda value: 0.0 <= value < 1.0, "a number from 0 up to, but not including, 1")
seed = whole(0, 2 ** 63 - 1)


def one_of(choices: Sequence[str]) -> Callable[[str], str]:
    """Return a function that accepts one of the given choices."""
    def read(text: str) -> str:
        if text not in choices:
            raise argparse.ArgumentTypeError(f"expected one of {', '.join(choices)}, got {text[:40]!r}")
        return text
    return read


def several(kind: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    """Return a function that parses a list such as 50,100,150, without repetitions."""
    def read(text: str) -> tuple[Any, ...]:
        return tuple(dict.fromkeys(kind(part.strip()) for part in text.split(",")))
    return read


def path_name(text: str) -> Path:
    """Return the path of a file or folder; ``~`` is the home folder (the shell leaves it in --out=~/x)."""
    if not text:
        raise argparse.ArgumentTypeError("expected the name of a file or folder, got nothing")
    try:
        return as_path("path", text)
    except ArgumentError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def check_installed(*packages: str) -> None:
    """Raise ArgumentError unless ``packages`` are installed: before work whose results need them."""
    for package in packages:
        try:
            found = importlib.util.find_spec(package) is not None
        except (ImportError, ValueError):
            found = False
        if not found:
            raise ArgumentError(f'tables and figures need {package}: pip install -e ".[examples]"')


def option(name: str) -> str:
    """Return the command-line option of a setting."""
    return "--" + name.replace("_", "-")


def run_program(prog: str, body: Callable[[], Any],
                interrupted: Callable[[KeyboardInterrupt], str] = lambda _: "Interrupted.",
                memory: str = "") -> int:
    """Call ``body`` and return the exit status.

    The status is the value that ``body`` returns (0 for None), 2 after a user's mistake, 130 after Ctrl-C,
    and 141 if the pipe was closed.

    Args:
        prog: the program's name, for messages.
        interrupted: returns the line that is printed after Ctrl-C.
        memory: what to make smaller if there is not enough memory.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):      # not in a notebook
            # a letter that the terminal cannot show becomes a question mark
            stream.reconfigure(errors="replace")
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: print(f"{prog}: warning: {message}", file=sys.stderr)
            status = body()
        if sys.stdout is not None:      # None: closed by the caller (>&-)
            sys.stdout.flush()          # a closed pipe raises its error here, not at exit
        return status or 0
    except KeyboardInterrupt as error:
        print(f"\n{interrupted(error)}", file=sys.stderr)
        return 130
    except BrokenPipeError:     # nothing more can be printed or flushed
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        words = f"{error.filename}: {error.strerror}" if error.filename is not None else str(error)
    except MemoryError as error:
        words = f"there is not enough memory ({error or 'an allocation failed'})"
        words += f": make {memory} smaller" if memory else ""
    except MinilstmError as error:
        words = str(error)
    print(f"{prog}: error: {' '.join(words.split())}", file=sys.stderr)
    return 2
