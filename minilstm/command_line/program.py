"""What every program here has in common on the command line: reading arguments, and ending well.

A user's mistake is one line on standard error and exit status 2, Ctrl-C one line and 130; a reader that has seen enough of the
output (``| head``) ends it quietly.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
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
seed = whole(0, 2 ** 63 - 1)


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


def run_program(prog: str, body: Callable[[], Any], interrupted: Callable[[KeyboardInterrupt], str] = lambda _: "Interrupted.",
                memory: str = "") -> int:
    """Call ``body`` and return the exit status: what it returns or 0, 2 for a user's mistake, 130 after Ctrl-C, 141 for a
    closed pipe.

    Args:
        prog: the program's name, for messages.
        interrupted: returns the line that is printed after Ctrl-C.
        memory: what to make smaller where there is not enough memory.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):      # not in a notebook
            stream.reconfigure(errors="replace")        # a terminal that lacks a letter gets a question mark
    try:
        status = body()
        sys.stdout.flush()      # a closed pipe shows here, not after the end
        return status or 0
    except KeyboardInterrupt as error:
        print(f"\n{interrupted(error)}", file=sys.stderr)
        return 130
    except BrokenPipeError:     # nothing more to say, nor to flush
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        words = f"{error.filename}: {error.strerror}" if error.filename is not None else str(error)
    except MemoryError as error:
        words = f"there is not enough memory ({error or 'no more is to be had'})"
        words += f": make {memory} smaller" if memory else ""
    except MinilstmError as error:
        words = str(error)
    print(f"{prog}: error: {' '.join(words.split())}", file=sys.stderr)
    return 2
