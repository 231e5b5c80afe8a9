"""How forward and backward are called: the inputs in order, and the upstream gradients."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.checks import is_array
from minilstm.backend.errors import ArgumentError
from minilstm.gradients.targets.trees import children, flatten, rebuild


class Inputs(NamedTuple):
    """Names and values in the order of forward's arguments; ``keywords`` are passed by name."""

    names: list[str]
    values: tuple[Any, ...]
    keywords: tuple[str, ...] = ()


def arrange(function: Any, inputs: Any, options: Mapping[str, Any]) -> Inputs:
    """Match ``inputs`` (one value, a tuple, or a dict by name) with forward's arguments.

    Raises ArgumentError where forward cannot be called with them.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):         # built in: its arguments have no names
        signature = inspect.signature(lambda *inputs, **options: None)
    Kind = inspect.Parameter
    kinds = {name: p.kind for name, p in signature.parameters.items()}
    several = [name for name, kind in kinds.items() if kind in (Kind.VAR_POSITIONAL, Kind.VAR_KEYWORD)]
    positional = [name for name, kind in kinds.items()
                  if kind in (Kind.POSITIONAL_ONLY, Kind.POSITIONAL_OR_KEYWORD)]
    named = [name for name in kinds if name not in several]
    keywords: tuple[str, ...] = ()
    if isinstance(inputs, dict) and set(inputs) & set(named):
        by_keyword = {name: inputs[name] for name in (*named, *inputs) if name in inputs}
        keywords = tuple(name for name in by_keyword if kinds.get(name) is not Kind.POSITIONAL_ONLY)
        names, values = list(by_keyword), tuple(by_keyword.values())
    elif isinstance(inputs, dict) and not named:        # *inputs: their order counts, and the dict names them
        names, values = list(map(str, inputs)), tuple(inputs.values())
        keywords = () if several and kinds[several[0]] is Kind.VAR_POSITIONAL else tuple(names)
    else:
        branches = None if isinstance(inputs, dict) else children(inputs)
        if isinstance(inputs, list) and len(inputs) > len(positional) == 1 and not several:     # of steps
            branches = None
        values = (inputs,) if branches is None else tuple(branches)
        names = [positional[k] if k < len(positional) else f"input {k}" for k in range(len(values))]
    arranged = Inputs(names, values, keywords)
    try:
        arguments, by_name = pass_on(arranged, values)
        signature.bind(*arguments, **by_name, **options)
    except TypeError as error:
        raise ArgumentError(f"forward cannot be called with these inputs: {error} "
                            f"(it takes {', '.join(named) or 'nothing'})") from None
    return arranged


def pass_on(inputs: Inputs, values: Iterable[Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and the keyword arguments of a call with these values."""
    pairs = list(zip(inputs.names, values))
    return ([value for name, value in pairs if name not in inputs.keywords],
            {name: value for name, value in pairs if name in inputs.keywords})


class HandOver(NamedTuple):
    """Which upstream gradients a backward takes: those of the first ``arguments`` outputs."""

    arguments: int      # 0: it takes none, since the output is a loss
    leaves: int         # how many output arrays those are
    flat: bool          # a nested output's arrays are handed over as arguments of their own

    def hand_over(self, outputs: tuple[Any, ...], upstream: list[Any]) -> tuple[Any, ...]:
        """Return backward's first arguments."""
        leaves = list(upstream[:self.leaves])
        return tuple(leaves) if self.flat else rebuild(outputs[:self.arguments], leaves)


def read_upstream(backward: Any, outputs: tuple[Any, ...], others: int) -> HandOver | str:
    """Tell from backward's signature which upstream gradients it takes before its ``others`` last arguments
    (the cache).

    Returns what is wrong, in words, where the signature fits no reading.
    """
    flat = flatten(outputs)
    first = flat[0] if is_array(flat[0]) else np.asarray(flat[0])
    try:
        taken = [p for p in inspect.signature(backward).parameters.values()
                 if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]
    except (TypeError, ValueError):         # built in
        return HandOver(len(flat), len(flat), True)
    needed = sum(p.default is p.empty and p.kind is not p.VAR_POSITIONAL for p in taken) - others
    most = math.inf if any(p.kind is p.VAR_POSITIONAL for p in taken) else len(taken) - others
    if most < 0:
        return "backward takes no argument, expected backward(dy, ..., cache), or backward(cache) for a loss"
    if most == 0 or needed < 1 and most < math.inf and first.size == 1:
        if first.size == 1:
            return HandOver(0, 0, True)
        return ("backward takes no upstream gradient, so forward must return a loss (one number); it "
                f"returned an array of shape {tuple(first.shape)}")
    # nested outputs, an argument for each array
    if needed <= len(flat) <= most and len(flat) != len(outputs):
        return HandOver(len(flat), len(flat), True)
    count = int(min(len(outputs), most))
    if count < needed:
        return (f"backward takes {needed + others} arguments, expected {len(outputs) + others}: the upstream "
                f"gradient of each of {len(outputs)} outputs{', and the cache' if others else ''}")
    return HandOver(count, len(flatten(outputs[:count])), False)
