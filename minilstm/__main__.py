"""``python -m minilstm gradcheck FILE.py:Class [ARG ...]``: check the gradients of a layer in a file of yours.

    python -m minilstm gradcheck cell.py:MyCell 3 4 --shape 2,5,3

makes ``MyCell(3, 4)``, feeds it random numbers of shape (2, 5, 3), and exits with 0 if every gradient is right, 1 with the
report if one is wrong, 2 if it could not be tried.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import inspect
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from minilstm.errors import ArgumentError, GradientError
from minilstm.gradient_check import METHODS, gradcheck
from minilstm.numerical import NotComplexError

MOST_NUMBERS = 10_000_000       # of an input: each costs several forward passes


def load_class(spec: str) -> Any:
    """Return the class (or function) named by "FILE.py:Name". Raises ArgumentError in words."""
    file, colon, name = spec.rpartition(":")
    if not colon or not name.isidentifier():
        raise ArgumentError(f"expected FILE.py:Class, got {spec!r}")
    if not Path(file).is_file():
        raise ArgumentError(f"{file}: there is no such file")
    module_spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    if module_spec is None or module_spec.loader is None:
        raise ArgumentError(f"{file}: is no Python file")
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
    """A Python literal (3, 0.5, True, None, (1, 2)), or the text itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def shape(text: str) -> tuple[int, ...]:
    """Sizes such as 2,5,3."""
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        sizes = (0,)
    if min(sizes) < 1 or math.prod(sizes) > MOST_NUMBERS:
        raise argparse.ArgumentTypeError(f"expected whole numbers of at least 1, such as 2,5,3, with a product of at most "
                                         f"{MOST_NUMBERS:,}, got {text[:40]!r}")
    return sizes


def whole(least: int) -> Callable[[str], int]:
    """Return what reads a whole number of at least ``least``."""
    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value < 2 ** 63:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {least}, got {text[:40]!r}")
        return value
    return read


class OneLineParser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong with its arguments."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"minilstm: error: {message}\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = OneLineParser(prog="python -m minilstm", description="Check the gradients of a layer in a file of yours.")
    parser.add_argument("command", choices=("gradcheck",))
    parser.add_argument("target", metavar="FILE.py:Class", help="a class or function that makes a layer, a layer, or a pair "
                        "(forward, backward)")
    parser.add_argument("arguments", metavar="ARG", nargs="*", type=literal, help="arguments of the class")
    parser.add_argument("--shape", type=shape, default=(2, 5, 3), metavar="N,T,D", help="shape of the input (default: 2,5,3)")
    parser.add_argument("--tokens", type=whole(1), metavar="V",
                        help="feed token ids below V instead of normal random numbers")
    parser.add_argument("--method", choices=METHODS, default="both")
    parser.add_argument("--seed", type=whole(0), default=0)
    return parser


def make_target(named: Any, arguments: list[Any]) -> Any:
    """Return what to check: ``named`` itself where it is a layer or a pair of functions, else what calling it makes."""
    if isinstance(named, (tuple, list)):
        if len(named) != 2 or not all(map(callable, named)):
            raise ArgumentError("expected a pair of functions (forward, backward)")
        needed = [p.name for p in inspect.signature(named[0]).parameters.values()
                  if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        if len(needed) != 1:
            raise ArgumentError(f"the pair's forward takes {', '.join(needed) or 'nothing'}; this command makes one; "
                                "check it from Python: ml.gradcheck((forward, backward), inputs)")
    elif isinstance(named, type) or not hasattr(named, "backward"):
        return named(*arguments)
    if arguments:
        raise ArgumentError("ARG is for a class; a layer or a pair that is made already takes none")
    return named


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    arguments = build_parser().parse_intermixed_args(argv)
    rng = np.random.default_rng(arguments.seed)
    tokens = arguments.tokens
    try:
        x = rng.standard_normal(arguments.shape) if tokens is None else rng.integers(0, tokens, arguments.shape)
        target = make_target(load_class(arguments.target), arguments.arguments)
        print(gradcheck(target, x, method=arguments.method, rng=arguments.seed))
    except GradientError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error.__cause__, NotComplexError) else 1     # the second: not wrong, but not checked either
    except KeyboardInterrupt:
        print("minilstm: interrupted", file=sys.stderr)
        return 130
    except (Exception, SystemExit) as error:    # the user's own code may raise anything; a traceback of ours would hide it
        print(f"minilstm: error: {type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
