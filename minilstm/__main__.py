"""``python -m minilstm gradcheck FILE.py:Class [ARG ...]``: check the gradients of a layer in a file of yours.

    python -m minilstm gradcheck cell.py:MyCell 3 4 --shape 2,5,3

makes ``MyCell(3, 4)``, feeds it random numbers of shape (2, 5, 3), and exits with 0 if every gradient is right, 1 with the
report if one is wrong, 2 if it could not be tried.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np

from minilstm.errors import ArgumentError, GradientError
from minilstm.gradcheck import METHODS, gradcheck


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
    except Exception as error:
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
    sizes = tuple(int(part) for part in text.split(","))
    if min(sizes) < 1:
        raise ValueError
    return sizes


def build_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(prog="python -m minilstm", description="tools of minilstm")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("gradcheck", help="check the gradients of a layer in a file of yours")
    check.add_argument("target", metavar="FILE.py:Class")
    check.add_argument("arguments", metavar="ARG", nargs="*", type=literal, help="arguments of the class")
    check.add_argument("--shape", type=shape, default=(2, 5, 3), metavar="N,T,D", help="shape of the input (default: 2,5,3)")
    check.add_argument("--tokens", type=int, metavar="V", help="feed token ids below V instead of normal random numbers")
    check.add_argument("--method", choices=METHODS, default="both")
    check.add_argument("--seed", type=int, default=0)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    arguments = build_parser().parse_args(argv)
    rng = np.random.default_rng(arguments.seed)
    tokens = arguments.tokens
    x = rng.standard_normal(arguments.shape) if tokens is None else rng.integers(0, tokens, arguments.shape)
    try:
        target = load_class(arguments.target)(*arguments.arguments)
        print(gradcheck(target, x, method=arguments.method, rng=arguments.seed))
    except GradientError as error:
        print(error, file=sys.stderr)
        return 1
    except Exception as error:      # the user's own code may raise anything; a traceback of ours would only hide it
        print(f"minilstm: error: {type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
