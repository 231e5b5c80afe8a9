"""The arguments of ``python -m minilstm gradcheck``: literals, sizes and shapes."""

from __future__ import annotations

import argparse
import ast
import math
from typing import Any

MOST_NUMBERS = 10_000_000       # limit of an input's size: each number costs several forward passes
LETTERS = "NTDHV"


def literal(text: str) -> Any:
    """Return the value of a Python literal (3, 0.5, True, None, (1, 2)), or else the text itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def shape(text: str) -> tuple[int, ...]:
    """Parse a shape such as 2,5,3."""
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        sizes = (0,)
    if min(sizes) < 1 or math.prod(sizes) > MOST_NUMBERS:
        raise argparse.ArgumentTypeError("expected whole numbers of at least 1, such as 2,5,3, with a "
                                         f"product of at most {MOST_NUMBERS:,}, got {text[:40]!r}")
    return sizes


def sizes(text: str) -> dict[str, int] | tuple[int, ...]:
    """Parse sizes by letter, such as N=2,T=4,D=3,H=5, or the shape of the input, such as 2,4,3."""
    if "=" not in text:
        return shape(text)
    pairs = [part.partition("=")[::2] for part in text.split(",")]
    letters = [letter.strip() for letter, _ in pairs]
    if not set(letters) <= set(LETTERS) or len(set(letters)) < len(letters):
        raise argparse.ArgumentTypeError(f"expected sizes of {', '.join(LETTERS)}, such as N=2,T=4,D=3,H=5, "
                                         f"got {text[:40]!r}")
    return dict(zip(letters, shape(",".join(value for _, value in pairs))))


def named_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """Parse the shape of one array, such as Wx=3,20."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip().isidentifier():
        raise argparse.ArgumentTypeError(f"expected NAME=SIZES, such as Wx=3,20, got {text[:40]!r}")
    return name.strip(), shape(value)
