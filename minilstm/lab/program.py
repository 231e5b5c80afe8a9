"""What the laboratory's programs (examples/) have in common on the command line: reading arguments, and ending well.

A user's mistake is one line on standard error and exit status 2, Ctrl-C one line and 130.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from minilstm.backend.errors import ArgumentError, MinilstmError

LARGEST = 10_000_000        # of any size or count: so that no array has more bytes than a machine can count


class Parser(argparse.ArgumentParser):
    """An argument parser that raises ArgumentError for what it cannot read; abbreviations are not taken."""

    def __init__(self, prog: str, doc: str | None, **options: Any) -> None:
        super().__init__(prog=prog, description=(doc or "").partition("\n\n")[0], allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        raise ArgumentError(message)


def number(kind: Callable[[str], Any], fits: Callable[[Any], bool], words: str) -> Callable[[str], Any]:
    """Return what reads a number; ``words`` say what is expected."""
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
    """Return what reads a whole number from ``least`` to ``most``."""
    return number(int, lambda value: least <= value <= most, f"a whole number of at least {least} and at most {most}")


finite = number(float, math.isfinite, "a number")
positive = number(float, lambda value: 0.0 < value < math.inf, "a number above 0")
probability = number(float, lambda value: 0.0 <= value < 1.0, "a number from 0 up to, but not including, 1")


def one_of(choices: Sequence[str]) -> Callable[[str], str]:
    """Return what reads one of a few words."""
    def read(text: str) -> str:
        if text not in choices:
            raise argparse.ArgumentTypeError(f"expected one of {', '.join(choices)}, got {text[:40]!r}")
        return text
    return read


def several(kind: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    """Return what reads a list such as 50,100,150, without repetitions."""
    def read(text: str) -> tuple[Any, ...]:
        return tuple(dict.fromkeys(kind(part.strip()) for part in text.split(",")))
    return read


def folder_name(text: str) -> Path:
    """Return a folder's path."""
    if not text:
        raise argparse.ArgumentTypeError("expected the name of a folder, got nothing")
    return Path(text)


def option(name: str) -> str:
    """Return the flag of a setting."""
    return "--" + name.replace("_", "-")


def run_program(prog: str, body: Callable[[], Any], interrupted: Callable[[], str], memory: str = "") -> int:
    """Call ``body`` and return the exit status: 0, 2 for a user's mistake, 130 after Ctrl-C.

    Args:
        prog: the program's name, for messages.
        interrupted: returns the line that is printed after Ctrl-C.
        memory: what to make smaller where there is not enough memory.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):      # not in a notebook
            stream.reconfigure(errors="replace")        # a terminal that lacks a letter gets a question mark
    try:
        body()
        return 0
    except KeyboardInterrupt:
        print(f"\n{interrupted()}", file=sys.stderr)
        return 130
    except OSError as error:
        words = f"{error.filename}: {error.strerror}" if error.filename is not None else str(error)
    except MemoryError as error:
        words = str(error) or "there is not enough memory" + (f": make {memory} smaller" if memory else "")
    except MinilstmError as error:
        words = str(error)
    print(f"{prog}: error: {' '.join(words.split())}", file=sys.stderr)
    return 2
