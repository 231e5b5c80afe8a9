"""Is a program for gradcheck right? Differences of its own forward, without minilstm.

Every derivative, of each array of floats that goes in and of each parameter of an object, must be among what
backward returns and keeps, up to axes of length 1. Entries at a kink, where both sides differ, are left out;
then all arrays are moved a little and checked again.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

STEP = 1e-6
Place = tuple[Any, ...]


def _children(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, (list, tuple)):
        yield from enumerate(value)
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        yield from vars(value).items()


def leaves(value: Any, place: Place = (), depth: int = 6) -> Iterator[tuple[Place, Any]]:
    """Yield the arrays of floats, and floats, in lists, tuples, dicts and objects, with where they are."""
    if isinstance(value, (float, np.floating, np.ndarray)) and np.asarray(value).dtype.kind == "f":
        yield place, np.asarray(value)
    elif depth:
        for key, child in _children(value):
            yield from leaves(child, (*place, key), depth - 1)


def put(value: Any, place: Place, new: Any) -> Any:
    """Return the value with another array at a place; lists, dicts and objects are changed."""
    if not place:
        return float(new) if isinstance(value, float) else new
    key, rest = place[0], place[1:]
    if isinstance(value, tuple):
        children = [put(child, rest, new) if k == key else child for k, child in enumerate(value)]
        return type(value)(*children) if hasattr(value, "_fields") else tuple(children)
    if isinstance(value, (list, dict)):
        value[key] = put(value[key], rest, new)
    else:
        vars(value)[key] = put(vars(value)[key], rest, new)
    return value


def outputs_of(result: Any, how: str, outputs: int) -> list[Any]:
    kept = result if how == "object" else result[:1] if how != "pair" else result[:outputs]
    return [array for _, array in leaves(kept)]


def no_parameters(target: Any) -> Iterator[Place]:
    """Yield the places of an object's floats, and of the arrays it holds as dW besides W."""
    for place, _ in leaves(target):
        *above, name = place
        holder = target
        for key in above:
            holder = holder[key] if isinstance(holder, (list, tuple, dict)) else vars(holder)[key]
        held = dict(_children(holder))
        gradient = isinstance(name, str) and name[:1] == "d" and name[1:] in held
        if gradient or isinstance(held[name], float):
            yield place


class Program:
    """A target as a state (inputs and parameters) and two functions of it."""

    def __init__(self, target: Any, inputs: Any, how: str, outputs: int, unused: tuple[str, ...]) -> None:
        self.how, self.outputs, self.unused = how, outputs, unused
        self.target = target if how == "object" else None
        self.functions = target if isinstance(target, tuple) else (target, None)
        inputs = inputs if isinstance(inputs, (tuple, dict)) else (inputs,)
        self.state = {"inputs": inputs, "target": self.target}

    def parameters(self, state: Any) -> list[tuple[Place, Any]]:
        """Return the inputs, and what an object holds before its first forward."""
        found = list(leaves(state))
        if hasattr(self.target, "params"):
            return [(place, array) for place, array in found if place[0] == "inputs" or "params" in place]
        others = {("target", *place) for place in no_parameters(state["target"])}
        return [(place, array) for place, array in found
                if place not in others and place[-1] not in self.unused]

    def forward(self, state: Any) -> Any:
        inputs = state["inputs"]
        forward = self.functions[0]
        if self.how == "object":
            forward = getattr(state["target"], "forward", state["target"])
        return forward(**inputs) if isinstance(inputs, dict) else forward(*inputs)

    def loss(self, state: Any, place: Place, array: Any, upstream: list[Any]) -> float:
        moved = put(copy.deepcopy(state), place, array)
        ys = outputs_of(self.forward(moved), self.how, self.outputs)
        return sum(float((dy * y).sum()) for dy, y in zip(upstream, ys))

    def handed_back(self, state: Any, upstream: list[Any]) -> list[Any]:
        state = copy.deepcopy(state)
        before = dict(self.parameters(state))
        before = {place: array.copy() for place, array in before.items()}
        result = self.forward(state)
        dys = [dy.copy() for dy in upstream]
        if self.how == "object":
            got = state["target"].backward(*dys[:self.outputs])
        elif self.how == "closure":
            got = result[1](dys[0])
        elif self.how == "loss":
            got = self.functions[1](result[1])
        elif isinstance(result[0], list):
            got = self.functions[1](dys, result[-1])
        else:
            got = self.functions[1](*dys, result[-1])
        found = [array for _, array in leaves({"got": got, "target": state["target"]})]
        after = dict(leaves(state))
        return found + [(before[place] - after[place]) / 0.1 for place in before if place in after]


def _equal(found: Any, want: Any, sure: Any) -> bool:
    a, b = (tuple(k for k in array.shape if k != 1) for array in (found, want))
    if a != b:
        return False
    found = found.reshape(want.shape)
    return bool(np.all(~sure | (np.abs(found - want) <= 1e-5 * (1 + np.abs(want)))))


def wrong(target: Any, inputs: Any, how: str, outputs: int, data: bool, nudge: float = 0.0,
          unused: tuple[str, ...] = ()) -> str:
    """Return which derivative is not handed back, "" for none.

    ``data``: the first input needs none; ``unused``: nor do an object's arrays of these names.
    """
    program, rng = Program(target, inputs, how, outputs, unused), np.random.default_rng(5)
    state = copy.deepcopy(program.state)
    if nudge:
        for place, array in program.parameters(state):
            state = put(state, place, array + nudge * rng.normal(size=array.shape))
    ys = outputs_of(program.forward(copy.deepcopy(state)), how, outputs)
    upstream = [np.ones(())] if how == "loss" or not outputs else [rng.normal(size=y.shape) for y in ys]
    back, missing = program.handed_back(state, upstream), []
    for place, array in program.parameters(state):
        sides = []
        middle = program.loss(state, place, array, upstream)
        for sign in (1, -1):
            side = np.zeros(array.shape)
            for k in np.ndindex(array.shape):
                moved = array.copy()
                moved[k] += sign * STEP
                side[k] = sign * (program.loss(state, place, moved, upstream) - middle) / STEP
            sides.append(side)
        want = (sides[0] + sides[1]) / 2
        sure = np.abs(sides[0] - sides[1]) < 1e-4 * (1 + np.abs(want))
        if not any(_equal(found, want, sure) for found in back):
            missing.append(place)
    first = ("inputs", next(iter(inputs)) if isinstance(inputs, dict) else 0)
    missing = [place for place in missing if not data or place[:2] != first]
    return f"not handed back: {missing}" if missing else ""
