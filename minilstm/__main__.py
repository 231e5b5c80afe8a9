"""The command line: check the gradients of your own layer, or check this installation.

    python -m minilstm gradcheck cell.py:MyCell 3 4 --shape 2,5,3

creates ``MyCell(3, 4)`` and feeds it random numbers of shape (2, 5, 3). The exit status is 0 if every gradient is correct, 1
(with the report) if one is wrong, and 2 if the check could not be carried out.

    python -m minilstm doctor

lists NumPy, BLAS, CuPy, driver and GPU, tests each of them, and names what is missing. The exit status is 0 if everything that
is installed works, and 1 otherwise.

    python -m minilstm mistakes

prints the catalogue of mistakes in a hand-written backward pass.
"""

from __future__ import annotations

from minilstm.command_line.program import Parser, run_program, seed, whole

# isort: split
import argparse
import sys
from collections.abc import Callable
from importlib.metadata import version

import numpy as np

from minilstm.backend.arrays import BACKENDS
from minilstm.backend.errors import ArgumentError, GradientError, MinilstmError
from minilstm.command_line.doctor import report
from minilstm.command_line.targets import literal, load_class, make_target, shape
from minilstm.gradients.diagnosis.catalogue import table
from minilstm.gradients.gradcheck import METHODS, gradcheck

PROGRAM = "python -m minilstm"


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser for one command's arguments, including the command itself (options may precede it)."""
    parser = Parser(PROGRAM, COMMANDS[command][0])
    parser.add_argument("command", choices=(command,), metavar=command, help=argparse.SUPPRESS)
    if command == "mistakes":
        return parser
    if command == "doctor":
        parser.add_argument("--backend", choices=BACKENDS, help="a backend that must work: exit with status 1 if it does not")
        return parser
    parser.add_argument("target", metavar="FILE.py:NAME", help="a file, and the name in it of a layer class, a layer, a "
                        "function that returns a layer, or a pair (forward, backward)")
    parser.add_argument("arguments", metavar="ARG", nargs="*", type=literal,
                        help="arguments of the class: 3 4 for MyCell(3, 4)")
    parser.add_argument("--shape", type=shape, default=(2, 5, 3), metavar="N,T,D", help="shape of the input (default: 2,5,3)")
    parser.add_argument("--tokens", type=whole(1), metavar="V",
                        help="feed token ids below V instead of normal random numbers")
    parser.add_argument("--seed", type=seed, default=0, help="seed of the random numbers (default: 0)")
    parser.add_argument("--method", choices=METHODS, default="both",
                        help="method of numerical differentiation (default: both)")
    return parser


def run_doctor(arguments: argparse.Namespace) -> int:
    """Print what is installed and whether it works; return the exit status."""
    text, status = report(arguments.backend)
    print(text)
    return status


def run_mistakes(arguments: argparse.Namespace) -> int:
    """Print the catalogue of mistakes; return the exit status."""
    print(table())
    return 0


def run_gradcheck(arguments: argparse.Namespace) -> int:
    """Check a layer's gradients and print the report; return the exit status."""
    rng = np.random.default_rng(arguments.seed)
    tokens = arguments.tokens
    x = rng.standard_normal(arguments.shape) if tokens is None else rng.integers(0, tokens, arguments.shape)
    try:
        target = make_target(load_class(arguments.target), arguments.arguments)
        checked = gradcheck(target, x, method=arguments.method, rng=arguments.seed)
    except GradientError as error:
        print(error, file=sys.stderr)
        return 2 if error.__cause__ is not None else 1      # 2: the gradient could not be checked
    except MinilstmError:
        raise
    except (Exception, SystemExit) as error:    # the user's code may raise any error; our traceback would hide it
        raise ArgumentError(f"{type(error).__name__}: {error}") from error
    print(checked)
    return 0


COMMANDS: dict[str, tuple[str, Callable[[argparse.Namespace], int]]] = {
    "gradcheck": ("Check the gradients of a layer defined in your own file.", run_gradcheck),
    "doctor": ("List what is installed (NumPy, Numba, CuPy, GPU), whether it works, and what is missing.", run_doctor),
    "mistakes": ("List the mistakes that gradcheck names: what one sees, which line, what to ask oneself.", run_mistakes),
}
HELP = f"""usage: {PROGRAM} COMMAND ...

commands:
{"".join(f"  {name:10} {what}{chr(10)}" for name, (what, _) in COMMANDS.items())}
options:
  -h, --help  show this message, or after a command, its arguments
  --version   show the version
"""


def run(words: list[str]) -> int:
    """Run the command named in ``words``, with the other words as its arguments; return the exit status."""
    command = next((word for word in words if word in COMMANDS), None)
    if command is not None:
        return COMMANDS[command][1](build_parser(command).parse_intermixed_args(words))
    if words == ["--version"]:
        print("minilstm", version("minilstm"))
    elif words in ([], ["-h"], ["--help"]):
        print(HELP, end="")
    else:
        raise ArgumentError(f"expected one of the commands {', '.join(COMMANDS)}, got {words[0]!r}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    return run_program("minilstm", lambda: run(words), lambda _: "minilstm: interrupted")


if __name__ == "__main__":
    sys.exit(main())
