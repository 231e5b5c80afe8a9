"""The command line: check the gradients of your own code, grade exercises, list known mistakes, or check this
installation.

    python -m minilstm gradcheck student.py:forward,backward
    python -m minilstm gradcheck student.py:MyLSTM
    python -m minilstm gradcheck notebook.ipynb:forward,backward

runs the code in a process of its own, with arrays made from the names of forward's arguments. The exit status
is 0 if every gradient is right, 1 (with the report) if one is wrong, and 2 if the check could not be carried
out.

    python -m minilstm grade FILE_OR_FOLDER

grades exercises (examples/exercises): a score for each step, the mistake by name, and a hint. The exit status
is 0 if all is right, 1 if not, and 2 if nothing could be graded.

    python -m minilstm doctor

lists NumPy, BLAS, CuPy, driver and GPU, tests each of them, and names what is missing. The exit status is 0
if everything that is installed works, and 1 otherwise.

    python -m minilstm mistakes

prints the catalogue of mistakes in a hand-written backward pass.

    python -m minilstm expect

prints which losses a training loop should reach (examples/expected_numbers.md).
"""

from __future__ import annotations

from minilstm.command_line.program import Parser, positive, run_program, seed, whole

# isort: split
import argparse
import json
import sys
import textwrap
from collections.abc import Callable
from importlib.metadata import version

from minilstm.backend.arrays import BACKENDS
from minilstm.backend.errors import ArgumentError
from minilstm.backend.process import SECONDS, run_in_process
from minilstm.command_line.doctor import report
from minilstm.command_line.expect import expected
from minilstm.command_line.grade import add_arguments, run_grade
from minilstm.command_line.targets import literal, named_shape, sizes
from minilstm.gradients.check.check import METHODS
from minilstm.gradients.diagnosis.mistakes import table
from minilstm.student.gradcheck import Request, check_file

PROGRAM = "python -m minilstm"


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser for one command's arguments, with the command itself among them."""
    parser = Parser(f"{PROGRAM} {command}", COMMANDS[command][0])
    parser.add_argument("command", choices=(command,), metavar=command, help=argparse.SUPPRESS)
    if command in ("mistakes", "expect"):
        return parser
    if command == "grade":
        add_arguments(parser)
        return parser
    if command == "doctor":
        parser.add_argument("--backend", choices=BACKENDS, help="a backend that must work")
        return parser
    parser.add_argument("target", metavar="FILE:NAME", help="a Python file or notebook, and in it a pair "
                        "of functions FORWARD,BACKWARD, a layer or class with both, or a function that "
                        "returns one")
    parser.add_argument("arguments", metavar="ARG", nargs="*", type=literal,
                        help="arguments of the class: 3 4 for MyCell(3, 4); by default made from their names")
    parser.add_argument("--shape", type=sizes, default={}, metavar="N=2,T=4,D=3,H=5",
                        help="sizes of the arrays (V: classes or words), or the shape of the input: 2,4,3")
    parser.add_argument("--array", type=named_shape, action="append", default=[], metavar="NAME=3,20",
                        help="the shape of one array whose name does not tell it; may be repeated")
    parser.add_argument("--allow-unused", action="append", default=[], metavar="NAME",
                        help="an array of the object that is a constant, without a gradient; may be repeated")
    parser.add_argument("--tokens", type=whole(1), metavar="V",
                        help="feed token ids below V instead of normal random numbers")
    parser.add_argument("--seed", type=seed, default=0, help="seed of the random numbers (default: 0)")
    parser.add_argument("--method", choices=METHODS, default="both",
                        help="method of numerical differentiation (default: both)")
    parser.add_argument("--seconds", type=positive, default=SECONDS, help=f"limit (default: {SECONDS:g})")
    parser.add_argument("--thorough", action="store_true", help="try more changes of a wrong backward "
                        "(15,000, pairs of lines, the forward): up to a minute")
    parser.add_argument("--show-repair", action="store_true", help="show the changed line that makes every "
                        "gradient right (found for 78 %% of 197 mistakes kept apart)")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs that grade "
                        "(minilstm/student/gradcheck.py documents it)")
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


def run_expect(arguments: argparse.Namespace) -> int:
    """Print the losses that a training loop should reach; return the exit status."""
    print(expected())
    return 0


def run_gradcheck(arguments: argparse.Namespace) -> int:
    """Check somebody's gradients and print the report; return the exit status."""
    file, colon, names = arguments.target.rpartition(":")
    if not colon or not all(name.strip().isidentifier() for name in names.split(",")) or names.count(",") > 1:
        raise ArgumentError(f"expected FILE:NAME or FILE:FORWARD,BACKWARD, got {arguments.target!r}")
    by_letter = isinstance(arguments.shape, dict)
    request = Request(
        arguments.target, arguments.arguments, sizes=arguments.shape if by_letter else {},
        shape=None if by_letter else arguments.shape, arrays=dict(arguments.array), tokens=arguments.tokens,
        seed=arguments.seed, method=arguments.method, allow_unused=arguments.allow_unused,
        show_repair=arguments.show_repair, thorough=arguments.thorough)
    try:
        found = run_in_process(check_file, request, seconds=arguments.seconds)
    except ArgumentError as error:
        if not arguments.json:
            raise
        found = {"status": "not run", "message": str(error), "tensors": [], "diagnosis": None}
    if arguments.json:
        kept = {name: found[name] for name in ("status", "message", "tensors", "diagnosis")}
        print(json.dumps({"version": 1, "target": arguments.target, **kept}, indent=2, ensure_ascii=False))
    else:
        first, *rest = found["message"].splitlines()
        if found["status"] == "right":
            other_forward = found["diagnosis"] and found["diagnosis"]["slips"]
            first, rest = found["summary"], [first, *rest] if other_forward else []
        wrap = textwrap.TextWrapper(80, subsequent_indent=" " * 4, break_long_words=False,
                                    break_on_hyphens=False)
        print("\n".join([wrap.fill(first), found["table"], *map(wrap.fill, rest)]))
        if found["printed"]:
            print(f"minilstm: the code printed: {found['printed'].splitlines()[0][:60]} ...", file=sys.stderr)
    return {"right": 0, "wrong": 1, "not run": 2}[found["status"]]


COMMANDS: dict[str, tuple[str, Callable[[argparse.Namespace], int]]] = {
    "gradcheck": ("Check the gradients of a layer or of functions in your file or notebook.", run_gradcheck),
    "doctor": ("List what is installed (NumPy, Numba, CuPy, GPU), and whether it works.", run_doctor),
    "mistakes": ("List the mistakes that gradcheck names, with lines and questions.", run_mistakes),
    "expect": ("List the losses that your own training loop should reach.", run_expect),
    "grade": ("Grade exercises: a score for each step, the mistake by name, and a hint.", run_grade),
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
