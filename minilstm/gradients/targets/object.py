"""Objects of classes that are not of this library.

A student's class has forward and backward and keeps its parameters and gradients somewhere: in ``params`` and
``grads`` (lists or dicts), or as attributes W and dW, its own or those of the objects it is made of
(object_arrays.py finds them). Each evaluation works on a fresh deep copy, in which the parameters are
replaced wherever they occur. So states, caches and generators that the object keeps are as they were at first
each time, and gradients may be overwritten or added up. An object that makes its parameters in its first
forward is checked as it is after that.
"""

from __future__ import annotations

import copy
import sys
from types import FrameType
from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, get_array_module, to_numpy
from minilstm.gradients.targets.arguments import HandOver
from minilstm.gradients.targets.failures import errors_located
from minilstm.gradients.targets.names import look_up, split_gradients, takes_cache
from minilstm.gradients.targets.object_arrays import stored_arrays
from minilstm.gradients.targets.steps import Steps
from minilstm.gradients.targets.target import Target, Tensors, outputs_of, title_of
from minilstm.gradients.targets.trees import is_floating

RATES = ("lr", "learning_rate", "alpha", "eta", "step_size")
Run = tuple[tuple[Any, ...], tuple[Any, ...]]       # the outputs of a forward, and its caches


class ObjectTarget(Target):
    """An object of somebody's own class, which keeps its gradients: forward(*inputs) -> y, then backward(dy)
    -> dx.

    Or a loss inside: forward(*inputs) -> loss, then backward(). Or a cache: forward(*inputs) -> (y, cache),
    then backward(dy, cache).
    """

    def __init__(self, thing: Any, inputs: Any, options: dict[str, Any]) -> None:
        super().__init__(title_of(thing), getattr(thing, "forward", thing), inputs, options)
        self.with_cache = takes_cache(thing.backward)
        self.movable: set[str] = set()              # the arrays that take their value from the tensors
        self.upstream: HandOver | None = None       # known once the forward has run
        self.rate: float = 0        # of an update in backward
        self.updated: set[str] | None = None        # not known yet
        try:
            self._keep(copy.deepcopy(thing))
        except Exception as error:
            raise self.refusal(f"it cannot be copied ({type(error).__name__}: {error})") from error
        warm = self._fresh(self.tensors)
        self._back(warm, self._forward(warm, self.tensors))
        made = {name: entry for name, entry in stored_arrays(warm).items() if is_floating(entry.array)}
        new = made.keys() - self.originals.keys() - set(self.floating)
        if any(made[name].gradient is not None for name in new):
            self._keep(warm)        # its parameters, or the gradients' places, were made just now
        self._find_parameters()

    def _keep(self, thing: Any) -> None:
        """Note the arrays that the object keeps."""
        self.thing = thing
        kept = {name: entry for name, entry in stored_arrays(self.thing).items() if is_floating(entry.array)}
        self.originals = {name: entry.array for name, entry in kept.items()}
        self.paths = {name: entry.path for name, entry in kept.items()}
        self.old_gradients = [entry.gradient for entry in kept.values() if is_floating(entry.gradient)]

    def _find_parameters(self) -> None:
        """Run forward and backward once: only then it shows which arrays are parameters."""
        thing = self._fresh(self.tensors)
        before = {name: entry.array for name, entry in stored_arrays(thing).items() if name in self.originals}
        values = {name: to_numpy(array).tobytes() for name, array in before.items()}
        run = self._forward(thing, self.tensors)
        after = stored_arrays(thing)

        def lasts(name: str) -> bool:
            """An array that the forward itself puts in place (its input, a state) is no parameter."""
            declared, array = after[name].declared, after[name].array
            return declared or array is before[name] and to_numpy(array).tobytes() == values[name]
        lasting = [name for name in before if name in after and lasts(name)]
        returned = split_gradients(self._back(thing, run))[0]
        kept = stored_arrays(thing)
        has_gradient = {name for name, entry in kept.items()
                        if entry.gradient is not None or look_up(name, returned) is not None}
        self.updated = {name for name in lasting if name in kept
                        and to_numpy(kept[name].array).tobytes() != values[name]}
        names = ", ".join(sorted(self.updated - has_gradient))
        if names:
            self.add_note(f"gradients of {names} are those of backward's update")
            if not self.rate:
                raise self.failure(f"backward changes {names}, and the learning rate is not found: name it "
                                   "lr, with a default, or keep it in self.lr", thing.backward)
        has_gradient |= self.updated
        missing = [entry.path for name, entry in kept.items() if entry.declared and name not in has_gradient]
        if missing:
            empty = not len(getattr(thing, "grads", "nested"))
            words = f"backward puts no gradient of {', '.join(missing)} into grads"
            if empty:
                words = "grads is empty at first and backward never fills it"
            raise self.failure(words, thing.backward)
        self.add_parameters({name: self.originals[name].astype(np.float64)
                             for name in lasting if name in has_gradient})
        # perhaps under a second name too
        checked = {id(self.originals[name]) for name in self.parameters}
        others = [name for name in before if name not in self.floating]
        constants = [name for name in others if name in lasting and id(self.originals[name]) not in checked]
        states = [name for name in others if name not in lasting and name in has_gradient]
        self.movable = {*self.parameters, *constants, *states}
        self.constants = tuple(others)
        self.without_gradient = tuple(filter(self.depends_on, constants))
        for name in filter(self.depends_on, states):
            self.add_note(f"the forward reads and replaces {self.as_written(name)}: it is taken for a state, "
                          "not compared")

    def _fresh(self, tensors: Tensors) -> Any:
        """Return a copy of the object, parameters from ``tensors`` and gradients 0.

        A deep copy looks up in ``memo`` what it has copied already; what stands there takes the array's place
        everywhere.
        """
        memo: dict[int, Any] = {id(value): value.astype(np.float64) for value in self.originals.values()}
        memo.update({id(self.originals[name]): tensors[name] for name in self.movable if name in tensors})
        memo.update({id(g): get_array_module(g).zeros(g.shape) for g in self.old_gradients})
        return copy.deepcopy(self.thing, memo)

    def _forward(self, thing: Any, tensors: Tensors) -> Run:
        """Return the outputs, and the cache if backward takes one."""
        result = self.call(thing if callable(thing) else thing.forward, tensors)
        outputs = result if isinstance(result, tuple) else (result,)
        caches = outputs[-1:] if self.with_cache and len(outputs) > 1 else ()
        outputs = outputs[:len(outputs) - len(caches)]
        if self.upstream is None:
            outputs_of(self.title, self.function, outputs)
            self.upstream = self.take_upstream(thing.backward, outputs, len(caches))
        return outputs, caches

    def _back(self, thing: Any, run: Run, upstream: list[Array | None] | None = None) -> Any:
        """Return what backward returns; the upstream gradients are 1 if none are given."""
        outputs, caches = run
        if upstream is None:
            arrays = outputs_of(self.title, self.function, outputs)
            upstream = [get_array_module(y).ones_like(y) for y in arrays]
        assert self.upstream is not None
        arguments = self.upstream.hand_over(outputs, upstream)
        if self.updated is not None and not self.updated:
            with errors_located(self.title, "backward", thing.backward):
                return thing.backward(*arguments, *caches)
        before = sys.getprofile()

        def look(frame: FrameType, event: str, argument: Any) -> None:
            """Note the learning rate: an argument or another variable, or an attribute."""
            if event == "return" and frame.f_code is code:
                known = [frame.f_locals.get(name, getattr(thing, name, None)) for name in RATES]
                self.rate = next((rate for rate in known if isinstance(rate, (int, float))), 0)
        code = getattr(thing.backward, "__code__", None)
        with errors_located(self.title, "backward", thing.backward):
            sys.setprofile(look)
            try:
                return thing.backward(*arguments, *caches)
            finally:
                sys.setprofile(before)

    def evaluate(self, tensors: Tensors) -> list[Array]:
        return outputs_of(self.title, self.function, self._forward(self._fresh(tensors), tensors)[0])

    def gradients(self, tensors: Tensors, upstream: list[Array | None]) -> dict[str, Array]:
        thing = self._fresh({**tensors, **{name: tensors[name].copy() for name in self.updated or ()}})
        returned = self._back(thing, self._forward(thing, tensors), upstream)
        named = {}
        if returned is None and self.is_loss and self.parameters:       # those of a whole network are in it
            self.add_note(f"backward returns nothing, so no gradient of {', '.join(self.floating)} was "
                          "compared")
        else:
            named = self.match_gradients(returned, thing.backward)
        kept, by_name = stored_arrays(thing), split_gradients(returned)[0]
        for name in self.parameters:
            gradient = kept[name].gradient
            gradient = look_up(name, by_name) if gradient is None else gradient
            if gradient is None and name in (self.updated or ()):
                gradient = (tensors[name] - kept[name].array) / self.rate
            if not hasattr(gradient, "shape"):
                raise self.failure(f"the gradient of {self.as_written(name)} is {type(gradient).__name__}, "
                                   "expected an array", thing.backward)
            named[name] = self.fitted(name, gradient)
        return named

    def with_arrays(self) -> Target | None:
        steps = Steps(self.inputs, self._forward(self._fresh(self.tensors), self.tensors)[0])
        return ObjectTarget(steps.of_object(self.thing), steps.stacked(), self.options) if steps else None

    def value_of(self, name: str) -> Array:
        return self.tensors[name] if name in self.tensors else self.originals[name].astype(np.float64)

    def as_written(self, name: str) -> str:
        return f"self.{self.paths[name]}"
