"""Trees of arrays: tuples, lists and dicts, nested; their leaves in order, and a name for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from minilstm.backend.checks import is_array


def is_floating(value: Any) -> bool:
    """Tell whether this is an array of floating point numbers."""
    return is_array(value) and value.dtype.kind == "f"


def holds_only_integers(tree: Any) -> bool:
    """Tell whether a list (of lists) holds whole numbers alone, as token ids: one value."""
    if isinstance(tree, (tuple, list)):
        return len(tree) > 0 and all(map(holds_only_integers, tree))
    return isinstance(tree, (int, np.integer))


def children(tree: Any) -> list[Any] | None:
    """Return the values of a tuple, list or dict; None for a leaf."""
    if isinstance(tree, dict):
        return list(tree.values())
    return list(tree) if isinstance(tree, (tuple, list)) and not holds_only_integers(tree) else None


def flatten(tree: Any) -> list[Any]:
    """Return the leaves of nested tuples, lists and dicts, in order."""
    branches = children(tree)
    return [tree] if branches is None else [leaf for branch in branches for leaf in flatten(branch)]


def rebuild(tree: Any, leaves: list[Any]) -> Any:
    """Return ``tree`` with its leaves replaced, in order (consumes ``leaves``)."""
    branches = children(tree)
    if branches is None:
        return leaves.pop(0)
    made = [rebuild(branch, leaves) for branch in branches]
    if isinstance(tree, dict):
        return dict(zip(tree, made))
    return type(tree)(*made) if hasattr(tree, "_fields") else type(tree)(made)


def aligned(tree: Any, other: Any) -> list[Any] | None:
    """Return the leaves of another tree in the order of ``tree``; None unless it has the same form."""
    branches = children(tree)
    if branches is None:
        return [other]
    parts: list[Any] = []
    if isinstance(tree, dict) and isinstance(other, dict) and other.keys() == tree.keys():
        parts = [other[key] for key in tree]
    elif not isinstance(tree, dict) and isinstance(other, (tuple, list)):
        parts = list(other)
    found = list(map(aligned, branches, parts)) if len(parts) == len(branches) else [None]
    return None if None in found else [leaf for leaves in found for leaf in leaves or ()]


def name_leaves(branches: Iterable[tuple[str, Any]]) -> list[str]:
    """Return a name for each leaf: its own, its key in a dict, or ``name[k]`` in a tuple or list.

    A key that occurs twice (W of two layers) is preceded by the key of its dict: ``layer1.W``.
    """
    def visit(name: str, parent: str, tree: Any) -> Iterable[tuple[str, str]]:
        if isinstance(tree, dict):
            for key, branch in tree.items():
                yield from visit(str(key), name, branch)
        elif children(tree) is None:
            yield name, f"{parent}.{name}" if parent else name
        else:
            for k, branch in enumerate(tree):
                yield from visit(f"{name}[{k}]", parent, branch)
    names = [pair for name, tree in branches for pair in visit(name, "", tree)]
    times = Counter(short for short, _ in names)
    return [short if times[short] == 1 else long for short, long in names]
