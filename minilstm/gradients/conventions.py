"""The conventions students write in: how inputs are packed, what gradients are called, where an object keeps them.

Nothing here computes a gradient. These functions give names to arrays in tuples, lists and dicts, find the gradient that
belongs to a name (``dWf``, ``Wf_grad``, ... for ``Wf``), and tell how many upstream gradients a backward takes. What an object
keeps is found by kept.py.
"""

from __future__ import annotations

import inspect
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.checks import is_array
from minilstm.backend.errors import ArgumentError

# What the gradient of a name is called; the last one only in a store of gradients.
GRADIENT_NAMES = ("d{}", "{}_grad", "{}_diff", "d_{}", "grad_{}", "g{}", "g_{}", "grad{}", "{}grad", "{}_gradient", "dL{}",
                  "dLd{}", "dL_d{}", "delta_{}", "D_{}", "nabla_{}", "d{}_", "_d{}", "d{}_sum", "{}_g", "{}")
CACHE_NAME = re.compile("(?i)^_?(cache|ctx|context|memory|mem|tape|saved|stored|store|record|history)")


# Trees of arrays -------------------------------------------------------------------------------------------------------

def is_floating(value: Any) -> bool:
    """Tell whether this is an array of floating point numbers."""
    return is_array(value) and value.dtype.kind == "f"


def holds_only_integers(tree: Any) -> bool:
    """Tell whether a list (of lists) holds nothing but whole numbers, as token ids do: one value, not many inputs."""
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


# Arguments -------------------------------------------------------------------------------------------------------------

class Inputs(NamedTuple):
    """Inputs in the order of forward's arguments: names and values; those in ``keywords`` are passed by name."""

    names: list[str]
    values: tuple[Any, ...]
    keywords: tuple[str, ...] = ()


def arrange(title: str, function: Any, inputs: Any, options: Mapping[str, Any]) -> Inputs:
    """Match ``inputs`` (one value, a tuple, or a dict by name) with forward's arguments.

    Raises ArgumentError where forward cannot be called with them.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):         # built in: its arguments have no names
        signature = inspect.signature(lambda *inputs, **options: None)
    kinds = {name: p.kind for name, p in signature.parameters.items()}
    several = [name for name, kind in kinds.items() if kind in (
        inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)]
    positional = [name for name, kind in kinds.items() if kind in (
        inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    named = [name for name in kinds if name not in several]
    keywords: tuple[str, ...] = ()
    if isinstance(inputs, dict) and set(inputs) & set(named):
        by_keyword = {name: inputs[name] for name in (*named, *inputs) if name in inputs}
        keywords = tuple(name for name in by_keyword if kinds.get(name) is not inspect.Parameter.POSITIONAL_ONLY)
        names, values = list(by_keyword), tuple(by_keyword.values())
    elif isinstance(inputs, dict) and not named:                    # *inputs: their order counts, and the dict names them
        names, values = list(map(str, inputs)), tuple(inputs.values())
        keywords = () if several and kinds[several[0]] is inspect.Parameter.VAR_POSITIONAL else tuple(names)
    else:
        one = not isinstance(inputs, (tuple, list)) or isinstance(inputs, list) and holds_only_integers(inputs)
        values = (inputs,) if one else tuple(inputs)
        names = [positional[k] if k < len(positional) else f"input {k}" for k in range(len(values))]
    arranged = Inputs(names, values, keywords)
    try:
        arguments, by_name = pass_on(arranged, values)
        signature.bind(*arguments, **by_name, **options)
    except TypeError as error:
        raise ArgumentError(f"gradcheck {title}: forward cannot be called with these inputs: {error} (it takes "
                            f"{', '.join(named) or 'nothing'})") from None
    return arranged


def pass_on(inputs: Inputs, values: Iterable[Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and the keyword arguments of a call with these values."""
    pairs = list(zip(inputs.names, values))
    return ([value for name, value in pairs if name not in inputs.keywords],
            {name: value for name, value in pairs if name in inputs.keywords})


class Upstream(NamedTuple):
    """Which upstream gradients a backward takes: the first ``arguments`` outputs', one argument each, or flat."""

    arguments: int      # 0: it takes none, since the output is a loss
    leaves: int         # how many output arrays those are
    flat: bool          # a nested output's arrays are handed over as arguments of their own

    def hand_over(self, outputs: tuple[Any, ...], upstream: list[Any]) -> tuple[Any, ...]:
        """Return backward's first arguments."""
        leaves = list(upstream[:self.leaves])
        return tuple(leaves) if self.flat else rebuild(outputs[:self.arguments], leaves)


def read_upstream(backward: Any, outputs: tuple[Any, ...], others: int) -> Upstream | str:
    """Tell from backward's signature which upstream gradients it takes before its ``others`` last arguments (the cache).

    Returns what is wrong, in words, where the signature fits no reading.
    """
    flat = flatten(outputs)
    first = flat[0] if is_array(flat[0]) else np.asarray(flat[0])
    try:
        taken = [p for p in inspect.signature(backward).parameters.values()
                 if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]
    except (TypeError, ValueError):         # built in
        return Upstream(len(flat), len(flat), True)
    needed = sum(p.default is p.empty and p.kind is not p.VAR_POSITIONAL for p in taken) - others
    most = math.inf if any(p.kind is p.VAR_POSITIONAL for p in taken) else len(taken) - others
    if most < 0:
        return "backward takes no argument, expected backward(dy, ..., cache), or backward(cache) for a loss"
    if most == 0 or needed < 1 and most < math.inf and first.size == 1:
        if first.size == 1:
            return Upstream(0, 0, True)
        return ("backward takes no upstream gradient, so forward must return a loss (one number); it returned an array of "
                f"shape {tuple(first.shape)}")
    if needed <= len(flat) <= most and len(flat) != len(outputs):       # nested outputs, one argument for each array
        return Upstream(len(flat), len(flat), True)
    count = int(min(len(outputs), most))
    if count < needed:
        return (f"backward takes {needed + others} arguments, expected {len(outputs) + others}: the upstream gradient of each "
                f"of {len(outputs)} outputs{', and the cache' if others else ''}")
    return Upstream(count, len(flatten(outputs[:count])), False)


def required_names(function: Any, keyword_only: bool = False) -> list[str]:
    """Return the names of a function's required arguments (those by keyword only too, if wanted); none if it hides them."""
    try:
        return [p.name for p in inspect.signature(function).parameters.values() if p.default is p.empty and (
            p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) or keyword_only and p.kind is p.KEYWORD_ONLY)]
    except (TypeError, ValueError):
        return []


def takes_cache(backward: Any) -> bool:
    """Tell from the name of backward's last argument whether it takes what forward returned last: a cache."""
    return any(CACHE_NAME.match(name) for name in required_names(backward)[-1:])


# Gradients by name -----------------------------------------------------------------------------------------------------

def find_key(name: str, keys: Iterable[str], forms: Iterable[str] = GRADIENT_NAMES) -> str | None:
    """Return the key that names the gradient of ``name`` (``layer1.W[0]`` has ``layer1.dW[0]``); None if there is none."""
    keys = set(keys)
    parent, own, place = re.fullmatch(r"(.*\.)?([^\[]*)(.*)", name, re.DOTALL).groups()     # type: ignore[union-attr]
    candidates = (key for form in forms for key in (f"{parent or ''}{form.format(own)}{place}", form.format(name)))
    return next((key for key in candidates if key in keys), None)


def look_up(name: str, gradients: Mapping[str, Any]) -> Any:
    """Return the gradient of ``name`` in a store of gradients; None if there is none."""
    key = find_key(name, gradients)
    return None if key is None else gradients[key]


def split_gradients(gradients: Any) -> tuple[dict[str, Any], list[Any]]:
    """Return what backward handed back by name (the entries of its dicts) and by position (all other leaves)."""
    if hasattr(gradients, "_asdict"):       # a named tuple: its fields may have names of gradients
        gradients = gradients._asdict()
    if isinstance(gradients, dict):
        return dict(zip(name_leaves([("", gradients)]), flatten(gradients))), []
    branches = children(gradients)
    if branches is None:
        return {}, [gradients]
    by_name: dict[str, Any] = {}
    by_position: list[Any] = []
    for branch in branches:
        named, rest = split_gradients(branch)
        by_name.update(named)
        by_position += rest
    return by_name, by_position


# Refusals ------------------------------------------------------------------------------------------------------------

def methods_of(thing: Any) -> list[str]:
    """Return the names of an object's own public methods, which a message may suggest."""
    return [name for name, value in vars(type(thing)).items() if callable(value) and not name.startswith("_")]


def refuse(target: Any, missing: str) -> ArgumentError:
    """Return the error for a target that cannot be checked, with what it lacks."""
    return ArgumentError("gradcheck: expected a layer (forward and backward), a loss, a pair of functions (forward, backward) "
                         f"or a function that returns (y, backward), got {type(target).__name__}: {missing}")
