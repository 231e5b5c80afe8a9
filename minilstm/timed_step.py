"""A training step, taken apart: how long each layer's forward and backward take, and how many bytes each keeps in between.

Layers are timed where they are called, so the model may call them as it likes. A layer inside another one counts for itself
and not for the outer one; containers that only chain layers (``Sequential``) are not timed.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from minilstm.activations import Sigmoid
from minilstm.backend import Array, asarray, backend_name, synchronize
from minilstm.checks import is_array
from minilstm.errors import ArgumentError
from minilstm.flops import Call
from minilstm.losses import BCELoss, MSELoss
from minilstm.module import Module, Sequential
from minilstm.optim import Adam

Key = tuple[str, str]       # ("forward" or "backward", a layer's dotted name), or one of those of TimedStep


class Watch:
    """Times calls. ``spent``: seconds by key, without those of timed calls inside; ``calls``: shapes by layer."""

    def __init__(self, like: Array) -> None:
        self.spent: dict[Key, float] = defaultdict(float)
        self.calls: dict[str, list[Call | None]] = {}
        self._like, self._inside = like, [0.0]

    def timed(self, key: Key, function: Callable[[], Any]) -> Any:
        start = perf_counter()
        self._inside.append(0.0)
        try:
            result = function()
            synchronize(self._like)     # a device works on after the call has returned
            return result
        finally:
            elapsed = perf_counter() - start
            self.spent[key] += elapsed - self._inside.pop()
            self._inside[-1] += elapsed

    def attach(self, name: str, module: Module) -> None:
        """Time this module's forward and backward from now on, and note each call's shapes."""
        forward, backward = module.forward, module.backward
        calls = self.calls[name] = []

        @functools.wraps(forward)       # Sequential looks at the signature
        def timed_forward(*args: Any, **options: Any) -> Any:
            y = self.timed(("forward", name), lambda: forward(*args, **options))
            calls.append(_call([*args, *options.values()], y))
            return y

        @functools.wraps(backward)
        def timed_backward(*args: Any, **options: Any) -> Any:
            return self.timed(("backward", name), lambda: backward(*args, **options))
        vars(module).update(forward=timed_forward, backward=timed_backward)


def _call(arguments: list[Any], y: Any) -> Call | None:
    """Return a call's shapes; of several outputs the first one's. None: these are no arrays."""
    x: Any = arguments[0] if arguments else None
    y = y[0] if isinstance(y, (tuple, list)) and y else y
    if not is_array(x) or not is_array(y):
        return None
    return Call(tuple(x.shape), int(x.nbytes), tuple(y.shape), int(y.nbytes), x.dtype.kind not in "fc",
                backend_name(x) == "numpy")


class TimedStep:
    """A training step that can be taken again and again: Adam's learning rate is 0, so each one does the same work.

    Attributes:
        layers: dotted name -> layer that is timed, in the order of ``model.modules()``.
        watch: what was spent, by ("forward" or "backward", name), ("loss", "forward" or "backward"), ("optimizer", "") and
            ("step", ""), which is the rest.
        kept: dotted name -> bytes of the arrays in the layer's caches after the first forward. An array that several
            layers keep counts for the first of them; parameters are not kept but referred to.
        like: one of the parameters.
    """

    def __init__(self, model: Module, x: Array, rng: np.random.Generator) -> None:
        self.model, self.x, self.rng = model, x, rng
        self.optimizer = Adam(model, lr=0.0)
        self.like = next(iter(model.named_parameters().values()))
        self.watch = Watch(self.like)
        self.layers = {name: module for name, module in model.modules() if type(module) is not Sequential}
        for name, module in self.layers.items():
            self.watch.attach(name, module)
        leaf = [module for _, module in model.modules() if not module.children()][-1]
        self.criterion = BCELoss() if isinstance(leaf, Sigmoid) else MSELoss()
        self.target: Array = None
        self.kept: dict[str, int] = {}

    def take(self) -> None:
        """Take one step. Raises ArgumentError where the model's output is not one array of real numbers."""
        self.watch.timed(("step", ""), self._parts)

    def _parts(self) -> None:
        self.model.zero_grad()
        y = self.model(self.x)
        if self.target is None:
            self._look(y)
        self.watch.timed(("loss", "forward"), lambda: self.criterion(y, self.target))
        dy = self.watch.timed(("loss", "backward"), self.criterion.backward)
        self.model.backward(dy)
        self.watch.timed(("optimizer", ""), self.optimizer.step)

    def _look(self, y: Any) -> None:
        """Weigh the caches, and draw a target for the output."""
        if not is_array(y) or y.dtype.kind != "f":
            got = f"dtype {y.dtype}" if is_array(y) else f"a {type(y).__name__}"
            raise ArgumentError(f"explain: expected a model that returns one array of real numbers, got {got}")
        seen = {id(_owner(p)) for p in self.model.named_parameters().values()}      # referred to, not kept
        self.kept = {name: _weigh(module._caches, seen) for name, module in self.layers.items()}
        draw = self.rng.random(y.shape)
        target = draw < 0.5 if isinstance(self.criterion, BCELoss) else draw
        self.target = asarray(target.astype(y.dtype), backend_name(y))


def _owner(array: Array) -> Array:
    """Return the array whose memory this one looks into."""
    while is_array(getattr(array, "base", None)):
        array = array.base
    return array


def _weigh(tree: Any, seen: set[int]) -> int:
    """Return the bytes of the arrays reachable through tuples, lists, dicts and dataclasses, but for those in ``seen``."""
    total, stack = 0, [tree]
    while stack:
        item = stack.pop()
        item = _owner(item) if is_array(item) else item
        if id(item) in seen:
            continue
        if is_array(item):
            seen.add(id(item))
            total += int(item.nbytes)
        elif isinstance(item, (tuple, list, set, dict)):
            seen.add(id(item))
            stack.extend(item.values() if isinstance(item, dict) else item)
        elif dataclasses.is_dataclass(item) and not isinstance(item, type):
            seen.add(id(item))
            stack.extend(vars(item).values())
    return total
