"""The command line: are the gradients of a layer of yours right, and does everything here work?

    python -m minilstm gradcheck cell.py:MyCell 3 4 --shape 2,5,3

makes ``MyCell(3, 4)``, feeds it random numbers of shape (2, 5, 3), and exits with 0 if every gradient is right, 1 with the
report if one is wrong, 2 if it could not be tried.

    python -m minilstm doctor

says what is here (NumPy, BLAS, CuPy, driver, GPU), tries it, and names what is missing; 0 if all that is here works, else 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import numpy as np

from minilstm.backend.arrays import BACKENDS
from minilstm.backend.errors import GradientError
from minilstm.command_line.arguments import OneLineParser, literal, load_class, make_target, shape, whole
from minilstm.gradients.gradcheck import METHODS, gradcheck
from minilstm.gradients.numerical import NotComplexError


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of one command's arguments, the command among them (options may come before it)."""
    what = COMMANDS[command][0]
    parser = OneLineParser(prog="python -m minilstm", description=what)
    parser.add_argument("command", choices=(command,))
    if command == "doctor":
        parser.add_argument("--backend", choices=BACKENDS, help="a backend that has to work: exit with 1 if it does not")
        return parser
    parser.add_argument("target", metavar="FILE.py:Class", help="a class or function that makes a layer, a layer, or a "
                        "pair (forward, backward)")
    parser.add_argument("arguments", metavar="ARG", nargs="*", type=literal, help="arguments of the class")
    parser.add_argument("--shape", type=shape, default=(2, 5, 3), metavar="N,T,D", help="shape of the input (default: 2,5,3)")
    parser.add_argument("--tokens", type=whole(1), metavar="V",
                        help="feed token ids below V instead of normal random numbers")
    parser.add_argument("--seed", type=whole(0), default=0)
    parser.add_argument("--method", choices=METHODS, default="both")
    return parser


def run_doctor(arguments: argparse.Namespace) -> int:
    """Print what is here and whether it works; return the exit status."""
    from minilstm.command_line.doctor import report
    text, status = report(arguments.backend)
    print(text)
    return status


def run_gradcheck(arguments: argparse.Namespace) -> None:
    """Check a layer's gradients and print the report."""
    rng = np.random.default_rng(arguments.seed)
    tokens = arguments.tokens
    x = rng.standard_normal(arguments.shape) if tokens is None else rng.integers(0, tokens, arguments.shape)
    target = make_target(load_class(arguments.target), arguments.arguments)
    print(gradcheck(target, x, method=arguments.method, rng=arguments.seed))


COMMANDS: dict[str, tuple[str, Callable[[argparse.Namespace], int | None]]] = {
    "gradcheck": ("Check the gradients of a layer in a file of yours.", run_gradcheck),
    "doctor": ("Say what is here (NumPy, CuPy, GPU), whether it works, and what is missing.", run_doctor),
}


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Parse the command line. The first word that is a command's name says whose arguments the others are."""
    words = sys.argv[1:] if argv is None else list(argv)
    command = next((word for word in words if word in COMMANDS), None)
    if command is not None:
        return build_parser(command).parse_intermixed_args(words)
    parser = OneLineParser(prog="python -m minilstm", epilog="COMMAND --help says more.",
                           description=" ".join(f"{name}: {what}" for name, (what, _) in COMMANDS.items()))
    parser.add_argument("command", choices=COMMANDS)
    return parser.parse_args(words)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    arguments = parse(argv)
    try:
        return COMMANDS[arguments.command][1](arguments) or 0
    except GradientError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error.__cause__, NotComplexError) else 1     # the second: not wrong, but not checked either
    except KeyboardInterrupt:
        print("minilstm: interrupted", file=sys.stderr)
        return 130
    except (Exception, SystemExit) as error:    # the user's own code may raise anything; a traceback of ours would hide it
        print(f"minilstm: error: {type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
