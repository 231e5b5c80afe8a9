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
from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, get_array_module, to_numpy
from minilstm.backend.errors import ArgumentError, GradientError
from minilstm.gradients.targets.arguments import Upstream
from minilstm.gradients.targets.failures import definition_site, errors_located
from minilstm.gradients.targets.names import look_up, split_gradients, takes_cache
from minilstm.gradients.targets.object_arrays import stored_arrays
from minilstm.gradients.targets.target import Target, Tensors, outputs_of, title_of
from minilstm.gradients.targets.trees import is_floating


class ObjectTarget(Target):
    """An object of somebody's own class: forward(*inputs) -> y, then backward(dy) -> dx, gradients kept in
    the object.

    Or a loss inside: forward(*inputs) -> loss, then backward(). Or a cache: forward(*inputs) -> (y, cache),
    then backward(dy, cache).
    """

    def __init__(self, thing: Any, inputs: Any, options: dict[str, Any]) -> None:
        super().__init__(title_of(thing), getattr(thing, "forward", thing), inputs, options)
        self.with_cache = takes_cache(thing.backward)
        self.movable: set[str] = set()              # the names of those arrays that take their value from the tensors
        self.upstream: Upstream | None = None       # known once the forward has run
        try:
            self._keep(copy.deepcopy(thing))
        except Exception as error:
            raise ArgumentError(f"gradcheck {self.title}: it cannot be copied ({type(error).__name__}: {error})") from error
        warm = self._fresh(self.tensors)
        outputs, caches = self._forward(warm, self.tensors)
        self._back(warm, outputs, caches, self._ones(outputs))
        if any(entry.gradient is not None and is_floating(entry.array) for name, entry in stored_arrays(warm).items()
               if name not in self.originals and name not in self.floating):
            self._keep(warm)                        # its parameters, or the gradients' places, were made just now
        self._try_out()

    def _keep(self, thing: Any) -> None:
        """Note the arrays that the object keeps."""
        self.thing = thing
        kept = {name: entry for name, entry in stored_arrays(self.thing).items() if is_floating(entry.array)}
        self.originals = {name: entry.array for name, entry in kept.items()}
        self.paths = {name: entry.path for name, entry in kept.items()}
        self.old_gradients = [entry.gradient for entry in kept.values() if is_floating(entry.gradient)]

    def _ones(self, outputs: tuple[Any, ...]) -> list[Array | None]:
        return [get_array_module(y).ones_like(y) for y in outputs_of(self.title, self.function, outputs)]

    def _try_out(self) -> None:
        """Run forward and backward once: only then it shows which arrays are parameters."""
        thing = self._fresh(self.tensors)
        before = {name: (entry.array, to_numpy(entry.array).tobytes()) for name, entry in stored_arrays(thing).items()
                  if name in self.originals}
        outputs, caches = self._forward(thing, self.tensors)
        kept = stored_arrays(thing)
        # An array that the forward itself puts in place (its input, a state) is none of the object's
        # parameters.
        lasting = [name for name, (array, values) in before.items() if name in kept
                   and (kept[name].declared or kept[name].array is array and to_numpy(array).tobytes() == values)]
        returned = split_gradients(self._back(thing, outputs, caches, self._ones(outputs)))[0]
        kept = {name: entry._replace(gradient=look_up(name, returned)) if entry.gradient is None else entry
                for name, entry in stored_arrays(thing).items()}
        missing = [name for name, entry in kept.items() if entry.declared and entry.gradient is None]
        if missing:
            empty = not len(getattr(thing, "grads", "nested"))
            words = "grads is empty at first and backward never fills it" if empty else \
                f"backward puts no gradient of {', '.join(kept[name].path for name in missing)} into grads"
            raise GradientError(f"gradcheck {self.title}: {words}{definition_site(thing.backward)}")
        self.add_parameters({name: self.originals[name].astype(np.float64) for name in lasting
                             if name in kept and kept[name].gradient is not None})
        checked = {id(self.originals[name]) for name in self.parameters}        # perhaps under a second name too
        constants = [name for name in lasting if id(self.originals[name]) not in checked and name not in self.floating]
        replaced = [name for name in before if name not in lasting and name in kept and kept[name].gradient is not None
                    and name not in self.floating]
        self.movable = {*self.parameters, *constants, *replaced}
        self.without_gradient = tuple(name for name in constants if self.depends_on(name))
        for name in replaced:
            if self.depends_on(name):
                self.add_note(f"the forward reads and replaces {self.as_written(name)}: it is taken for a state, not compared")

    def _fresh(self, tensors: Tensors) -> Any:
        """Return a copy of the object, parameters from ``tensors`` and gradients 0.

        A deep copy looks up in ``memo`` what it has copied already; what stands there takes the array's place
        everywhere.
        """
        memo: dict[int, Any] = {id(value): value.astype(np.float64) for value in self.originals.values()}
        memo.update({id(self.originals[name]): tensors[name] for name in self.movable if name in tensors})
        memo.update({id(g): get_array_module(g).zeros(g.shape) for g in self.old_gradients})
        return copy.deepcopy(self.thing, memo)

    def _forward(self, thing: Any, tensors: Tensors) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the outputs, and the cache if backward takes one."""
        result = self.call(thing if callable(thing) else thing.forward, tensors)
        outputs = result if isinstance(result, tuple) else (result,)
        caches = outputs[-1:] if self.with_cache and len(outputs) > 1 else ()
        outputs = outputs[:len(outputs) - len(caches)]
        if self.upstream is None:
            outputs_of(self.title, self.function, outputs)
            self.upstream = self.take_upstream(thing.backward, outputs, len(caches))
        return outputs, caches

    def _back(self, thing: Any, outputs: tuple[Any, ...], caches: tuple[Any, ...], upstream: list[Array | None]) -> Any:
        assert self.upstream is not None
        with errors_located(self.title, "backward", thing.backward):
            return thing.backward(*self.upstream.hand_over(outputs, upstream), *caches)

    def evaluate(self, tensors: Tensors) -> list[Array]:
        return outputs_of(self.title, self.function, self._forward(self._fresh(tensors), tensors)[0])

    def gradients(self, tensors: Tensors, upstream: list[Array | None]) -> dict[str, Array]:
        thing = self._fresh(tensors)
        returned = self._back(thing, *self._forward(thing, tensors), upstream)
        if returned is None and self.is_loss and self.parameters:       # the gradients of a whole network are in it
            self.add_note(f"backward returns nothing, so no gradient of {', '.join(self.floating)} was compared")
            named = {}
        else:
            named = self.match_gradients(returned, thing.backward)
        kept, by_name = stored_arrays(thing), split_gradients(returned)[0]
        for name in self.parameters:
            gradient = kept[name].gradient
            gradient = look_up(name, by_name) if gradient is None else gradient
            if not hasattr(gradient, "shape"):
                raise GradientError(f"gradcheck {self.title}: the gradient of {self.as_written(name)} is "
                                    f"{type(gradient).__name__}, expected an array{definition_site(thing.backward)}")
            named[name] = gradient
        return named

    def value_of(self, name: str) -> Array:
        return self.tensors[name] if name in self.tensors else self.originals[name].astype(np.float64)

    def as_written(self, name: str) -> str:
        return f"self.{self.paths[name]}"
