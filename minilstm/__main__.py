"""The command line: are the gradients of a layer of yours right, where does training time go, does this machine do?

    python -m minilstm gradcheck cell.py:MyCell 3 4 --shape 2,5,3

makes ``MyCell(3, 4)``, feeds it random numbers of shape (2, 5, 3), and exits with 0 if every gradient is right, 1 with the
report if one is wrong, 2 if it could not be tried.

    python -m minilstm explain --batch-size 32 --hidden-size 256
    python -m minilstm explain cell.py:MyCell 3 4 --shape 64,200,3

prints what a training step of the reference model, or of yours, computes, keeps and takes, predicted and measured
(``minilstm/step_profile.py``); 2 if it could not be tried.

    python -m minilstm doctor

says what is here (NumPy, BLAS, CuPy, driver, GPU), tries it, and names what is missing; 0 if all that is here works, else 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from minilstm.backend import BACKENDS
from minilstm.command_line import OneLineParser, literal, load_class, make_target, shape, whole
from minilstm.errors import ArgumentError, GradientError
from minilstm.gradient_check import METHODS, gradcheck
from minilstm.module import Module
from minilstm.numerical import NotComplexError
from minilstm.recurrent import Recurrent

DTYPES = ("float32", "float64")
# What explain's flags change: the model and the batch of examples/imdb_lstm.py.
REFERENCE: dict[str, Any] = {"cell": "lstm", "batch_size": 64, "length": 200, "num_words": 10_000, "embedding_size": 64,
                             "hidden_size": 128, "num_layers": 1, "bidirectional": False}


def build_parser(command: str) -> argparse.ArgumentParser:
    """Return the parser of one command's arguments, the command among them (options may come before it)."""
    what = COMMANDS[command][0]
    parser = OneLineParser(prog="python -m minilstm", description=what)
    parser.add_argument("command", choices=(command,))
    if command == "doctor":
        parser.add_argument("--backend", choices=BACKENDS, help="a backend that has to work: exit with 1 if it does not")
        return parser
    if command == "gradcheck":
        parser.add_argument("target", metavar="FILE.py:Class", help="a class or function that makes a layer, a layer, or a "
                            "pair (forward, backward)")
    else:
        parser.add_argument("target", metavar="FILE.py:Class", nargs="?", help="a class or function that makes a model, or a "
                            "model (default: the reference model)")
    parser.add_argument("arguments", metavar="ARG", nargs="*", type=literal, help="arguments of the class")
    default = (2, 5, 3) if command == "gradcheck" else None
    parser.add_argument("--shape", type=shape, default=default, metavar="N,T,D",
                        help="shape of the input" + (" (default: 2,5,3)" if default else ", with FILE.py:Class"))
    parser.add_argument("--tokens", type=whole(1), metavar="V",
                        help="feed token ids below V instead of normal random numbers")
    parser.add_argument("--seed", type=whole(0), default=0)
    if command == "gradcheck":
        parser.add_argument("--method", choices=METHODS, default="both")
        return parser
    parser.add_argument("--steps", type=whole(1), default=5, metavar="N", help="steps to measure (default: 5)")
    parser.add_argument("--threads", type=whole(1), metavar="N", help="threads to use (default: as BLAS)")
    parser.add_argument("--dtype", choices=DTYPES, help="dtype of the numbers (default: the model's)")
    parser.add_argument("--readable", action="store_true", help="use the readable functions, not their fast twins")
    group = parser.add_argument_group("the reference model")
    for name, value in REFERENCE.items():
        options: dict[str, Any] = {"default": None, "help": f"(default: {value})"}
        if name == "cell":
            options["choices"] = ("lstm", "gru", "rnn")
        elif value is False:
            options = {"default": None, "action": "store_true"}
        else:
            options |= {"type": whole(1), "metavar": "N"}
        group.add_argument("--" + name.replace("_", "-"), **options)
    return parser


def run_doctor(arguments: argparse.Namespace) -> int:
    """Print what is here and whether it works; return the exit status."""
    from minilstm.doctor import report
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


def reference_model(cell: str, num_words: int, embedding_size: int, hidden_size: int, num_layers: int, bidirectional: bool,
                    seed: int) -> Module:
    """Return the model of examples/imdb_lstm.py."""
    import minilstm as ml
    rng = np.random.default_rng(seed)
    make = {"lstm": ml.LSTM, "gru": ml.GRU, "rnn": ml.RNN}[cell]
    return ml.Sequential(
        ml.Embedding(num_words, embedding_size, rng=rng),
        make(embedding_size, hidden_size, num_layers, bidirectional=bidirectional, return_sequences=False, rng=rng),
        ml.Dropout(0.5, rng=rng), ml.Linear(2 * hidden_size if bidirectional else hidden_size, 1, rng=rng), ml.Sigmoid())


def run_explain(arguments: argparse.Namespace) -> None:
    """Explain the model that the arguments name and print the table."""
    from minilstm.step_profile import explain
    given = {name: value for name, value in vars(arguments).items() if name in REFERENCE and value is not None}
    if arguments.target is None:
        if arguments.shape is not None or arguments.tokens is not None:
            flag, own = ("shape", "--batch-size and --length") if arguments.shape is not None else ("tokens", "--num-words")
            raise ArgumentError(f"--{flag} is for FILE.py:Class; the reference model takes {own}")
        settings = REFERENCE | given
        sizes = settings.pop("batch_size"), settings.pop("length")
        model = reference_model(**settings, seed=arguments.seed)
    else:
        if given:
            raise ArgumentError(f"--{next(iter(given)).replace('_', '-')} is for the reference model, not for FILE.py:Class")
        if arguments.shape is None:
            raise ArgumentError("FILE.py:Class needs --shape, such as --shape 64,200")
        sizes = arguments.shape
        model = make_target(load_class(arguments.target), arguments.arguments)
        if not isinstance(model, Module):
            raise ArgumentError(f"{arguments.target} made a {type(model).__name__}, not a minilstm Module")
    for _, module in model.modules():
        if arguments.readable and isinstance(module, Recurrent):
            module.fast = False
    print(explain(model, sizes, steps=arguments.steps, tokens=arguments.tokens, dtype=arguments.dtype,
                  threads=arguments.threads, seed=arguments.seed))


COMMANDS: dict[str, tuple[str, Callable[[argparse.Namespace], int | None]]] = {
    "gradcheck": ("Check the gradients of a layer in a file of yours.", run_gradcheck),
    "explain": ("Say what a training step computes, keeps and takes, predicted and measured.", run_explain),
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
