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
from minilstm.backend.errors import ArgumentError, GradientError, MinilstmError
from minilstm.command_line.doctor import report
from minilstm.command_line.program import Parser, run_program, seed, whole
from minilstm.command_line.targets import literal, load_class, make_target, shape
from minilstm.gradients.gradcheck import METHODS, gradcheck
from minilstm.gradients.numerical import NotComplexError

PROGRAM = "python -m minilstm"


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of one command's arguments, the command among them (options may come before it)."""
    parser = Parser(PROGRAM, COMMANDS[command][0])
    parser.add_argument("command", choices=(command,))
    if command == "doctor":
        parser.add_argument("--backend", choices=BACKENDS, help="a backend that has to work: exit with 1 if it does not")
        return parser
    parser.add_argument("target", metavar="FILE.py:Class", help="a class or function that makes a layer, a layer, or a "
                        "pair (forward, backward)")
    parser.add_argument("arguments", metavar="ARG", nargs="*", type=literal,
                        help="arguments that the class is made with, such as 3 4")
    parser.add_argument("--shape", type=shape, default=(2, 5, 3), metavar="N,T,D", help="shape of the input (default: 2,5,3)")
    parser.add_argument("--tokens", type=whole(1), metavar="V",
                        help="feed token ids below V instead of normal random numbers")
    parser.add_argument("--seed", type=seed, default=0, help="of the random numbers (default: 0)")
    parser.add_argument("--method", choices=METHODS, default="both", help="how to differentiate (default: both)")
    return parser


def run_doctor(arguments: argparse.Namespace) -> int:
    """Print what is here and whether it works; return the exit status."""
    text, status = report(arguments.backend)
    print(text)
    return status


def run_gradcheck(arguments: argparse.Namespace) -> int:
    """Check a layer's gradients and print the report; return the exit status."""
    rng = np.random.default_rng(arguments.seed)
    tokens = arguments.tokens
    x = rng.standard_normal(arguments.shape) if tokens is None else rng.integers(0, tokens, arguments.shape)
    try:
        target = make_target(load_class(arguments.target), arguments.arguments)
        print(gradcheck(target, x, method=arguments.method, rng=arguments.seed))
    except GradientError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error.__cause__, NotComplexError) else 1     # the second: not wrong, but not checked either
    except MinilstmError:
        raise
    except (Exception, SystemExit) as error:    # the user's own code may raise anything; a traceback of ours would hide it
        raise ArgumentError(f"{type(error).__name__}: {error}") from error
    return 0


COMMANDS: dict[str, tuple[str, Callable[[argparse.Namespace], int]]] = {
    "gradcheck": ("Check the gradients of a layer in a file of yours.", run_gradcheck),
    "doctor": ("Say what is here (NumPy, CuPy, GPU), whether it works, and what is missing.", run_doctor),
}


def parse(words: list[str]) -> argparse.Namespace:
    """Parse the command line. The first word that is a command's name says whose arguments the others are."""
    command = next((word for word in words if word in COMMANDS), None)
    if command is not None:
        return build_parser(command).parse_intermixed_args(words)
    parser = Parser(PROGRAM, " ".join(f"{name}: {what}" for name, (what, _) in COMMANDS.items()),
                    epilog="COMMAND --help says more.")
    parser.add_argument("command", choices=COMMANDS)
    return parser.parse_args(words)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    def body() -> int:
        arguments = parse(sys.argv[1:] if argv is None else list(argv))
        return COMMANDS[arguments.command][1](arguments)
    return run_program("minilstm", body, lambda _: "minilstm: interrupted")


if __name__ == "__main__":
    sys.exit(main())
