"""What gradcheck can be pointed at: pairs of functions, layers, and (foreign.py) objects of any other class."""

from __future__ import annotations

import copy
import sys
from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, get_array_module, to_numpy
from minilstm.backend.errors import ArgumentError, GradientError
from minilstm.backend.passes import one_pass
from minilstm.gradients.conventions import CACHE_NAME, Upstream, methods_of, rebuild, refuse, required_names
from minilstm.gradients.failures import check_returned, place, told
from minilstm.gradients.foreign import ForeignSubject
from minilstm.gradients.numerical import Tensors
from minilstm.gradients.view import Subject, outputs_of, title_of
from minilstm.layers.embedding import Embedding
from minilstm.layers.module import Module
from minilstm.layers.tree import has_rng


def _gate_names(gates: Any) -> tuple[str, ...]:
    """Return ``gates`` if it is a tuple of names, else (): a cell may use the attribute for something else."""
    return gates if isinstance(gates, tuple) and all(isinstance(gate, str) for gate in gates) else ()


class FunctionSubject(Subject):
    """A pure pair: forward(*inputs) -> (y, ..., cache) and backward(dy, ..., cache) -> gradients.

    Or a forward alone (``backward`` is None) that returns its own backward in place of the cache.
    """

    def __init__(self, forward: Any, backward: Any, inputs: Any, options: dict[str, Any]) -> None:
        super().__init__(getattr(forward, "__name__", "function pair"), forward, inputs, options)
        self.forward, self.backward = forward, backward
        self.upstream: Upstream | None = None       # known once the forward has run
        self.caches = 1                             # how many of the things that forward returns are for backward alone
        names = [] if backward is None else required_names(backward)
        self.cache_first = len(names) > 1 and CACHE_NAME.match(names[0]) is not None and not CACHE_NAME.match(names[-1])
        home = sys.modules.get(getattr(forward, "__module__", ""))
        self.gates = _gate_names(getattr(home, "GATES", ()))
        self.biases = _gate_names(getattr(home, "BIASES", ())) or self.gates

    def _call(self, tensors: Tensors) -> tuple[Any, ...]:
        result = self.call(self.forward, tensors)
        closure = self.backward is None
        if isinstance(result, list) and not closure:
            result = tuple(result)
        wanted = "(y, backward)" if closure else "(output, ..., cache)"
        if not closure:
            check_returned(self.title, "forward", self.forward, result, wanted)
        if not isinstance(result, tuple) or len(result) < 2 or closure and not callable(result[-1]):
            if closure:
                raise refuse(self.forward, f"it returned {type(result).__name__}, not (y, backward){place(self.forward)}; to "
                             "check a forward, give its backward too; if it returns a loss and gradients, "
                             "help(minilstm.gradcheck) shows how to split it")
            advice = "; to check an object, give it instead of its methods" if hasattr(self.forward, "__self__") else ""
            raise GradientError(f"gradcheck {self.title}: forward must return {wanted}, got {type(result).__name__}{advice}"
                                f"{place(self.forward)}")
        if self.upstream is None:
            self.caches = 1 if closure else self._count_caches(result, tensors)
            outputs = result[:len(result) - self.caches]
            outputs_of(self.title, self.forward, outputs)
            backward, others = (result[-1], 0) if closure else (self.backward, self.caches)
            self.upstream = self.take_upstream(backward, outputs, others)
        return result

    def _count_caches(self, result: tuple[Any, ...], tensors: Tensors) -> int:
        """Return how many of the last things that forward returned are for backward alone.

        Usually one. More where one of the others is an input as it was, and backward takes as many arguments as forward
        returns: (y, x, h, W) and backward(dy, x, h, W).
        """
        inputs = {id(value) for value in tensors.values()}
        first = next((k for k, value in enumerate(result[1:-1], 1) if id(value) in inputs), len(result) - 1)
        taken = required_names(self.backward)
        return len(result) - first if len(taken) == len(result) else 1

    def evaluate(self, tensors: Tensors) -> list[Array]:
        result = self._call(tensors)
        return outputs_of(self.title, self.forward, result[:len(result) - self.caches])

    def gradients(self, tensors: Tensors, upstream: list[Array | None]) -> dict[str, Array]:
        self._last = self._call(tensors)
        return self._back(upstream)

    def _back(self, upstream: list[Array | None]) -> dict[str, Array]:
        outputs, caches = self._last[:-self.caches], self._last[-self.caches:]
        backward, caches = (caches[0], ()) if self.backward is None else (self.backward, caches)
        assert self.upstream is not None
        arguments = self.upstream.hand_over(outputs, upstream)
        with told(self.title, "backward", backward):
            gradients = backward(*caches, *arguments) if self.cache_first else backward(*arguments, *caches)
        return self.match_gradients(gradients, backward)

    def look_again(self, first: dict[str, Array], tensors: Tensors, upstream: list[Array | None]) -> list[str]:
        before = {name: to_numpy(value).tobytes() for name, value in first.items()}
        if any(to_numpy(value).tobytes() != before.get(name) for name, value in self.gradients(tensors, upstream).items()):
            return []           # not from the same cache: it keeps random numbers or a state, which other checks tell of
        try:
            second = self._back(upstream)
        except Exception:
            self.add_note("right, but backward uses its cache up: a second backward of the same cache fails")
            return []
        return [f"a second backward gives another gradient of {name}: the first one wrote into the cache"
                for name, value in second.items() if to_numpy(value).tobytes() != before.get(name)][:1]

    def gates_of(self, name: str) -> tuple[str, ...]:
        return {"W": self.gates, "b": self.biases}.get(name, ())


class LayerSubject(Subject):
    """A layer: a Module, with params, grads, a call and backward(dy)."""

    def __init__(self, layer: Module, inputs: Any, options: dict[str, Any]) -> None:
        super().__init__(title_of(layer), getattr(layer, "forward", layer), inputs, options)
        self.layer = copy.deepcopy(layer)
        self.layer.train().to(dtype=np.float64)
        self.owners: dict[str, tuple[Any, str]] = dict(self.layer.locate())
        self.generators = [m.rng for _, m in self.layer.modules() if has_rng(m)]
        self.random_states = [copy.deepcopy(g.bit_generator.state) for g in self.generators]
        self.add_parameters({name: owner.params[key] for name, (owner, key) in self.owners.items()})

    def held_at_zero(self, name: str, numeric: np.ndarray) -> np.ndarray:
        owner, key = self.owners.get(name, (None, ""))
        if isinstance(owner, Embedding) and key == "W" and owner.padding_idx is not None:
            numeric = numeric.copy()
            numeric[owner.padding_idx] = 0.0
        return numeric

    def counts_agree(self, returned: int, expected: int) -> bool:
        """A layer called with ``return_state=True`` also returns gradients of initial states that were not given."""
        return returned == expected or returned > expected and self.several_outputs

    def spelled(self, name: str) -> str:
        return f"params[{name!r}]"

    def _rewind(self, drop_caches: bool = True) -> None:
        for generator, state in zip(self.generators, self.random_states):
            generator.bit_generator.state = copy.deepcopy(state)
        if drop_caches:
            self.layer.drop_caches()

    def evaluate(self, tensors: Tensors) -> list[Array]:
        self._rewind()
        outputs = self._forward(tensors)
        self.several_outputs = isinstance(outputs, tuple)
        return outputs_of(self.title, self.function, outputs)

    def _forward(self, tensors: Tensors) -> Any:
        for name, (owner, key) in self.owners.items():
            owner.params[key] = tensors[name]
        return self.call(self.layer, tensors)

    def gradients(self, tensors: Tensors, upstream: list[Array | None]) -> dict[str, Array]:
        for owner, key in self.owners.values():
            owner.grads[key] = get_array_module(owner.grads[key]).zeros_like(owner.grads[key])
        return self._accumulate(tensors, upstream)

    def _accumulate(self, tensors: Tensors, upstream: list[Array | None]) -> dict[str, Array]:
        self._rewind()
        return self._back(self._forward(tensors), upstream)

    def _back(self, outputs: Any, upstream: list[Array | None]) -> dict[str, Array]:
        arguments = rebuild(outputs, list(upstream)) if isinstance(outputs, tuple) else tuple(upstream)
        with told(self.title, "backward", self.layer.backward):
            gradients = self.layer.backward(*arguments)
        named = self.match_gradients(gradients, self.layer.backward)
        return {**named, **{name: owner.grads[key].copy() for name, (owner, key) in self.owners.items()}}

    def _check_stack(self, first: dict[str, Array], tensors: Tensors, upstream: list[Array | None]) -> None:
        """Run two forwards, then two backwards; add a note if the second backward does not find the first forward's cache."""
        others = {name: 0.5 * value if name in self.floating else value for name, value in tensors.items()}
        self._rewind()
        try:
            with one_pass():
                outputs = self._forward(tensors)
                self._rewind(drop_caches=False)
                later = self._forward(others)
            self._back(later, upstream)
            again = self._back(outputs, upstream)
        except Exception:       # a cell of one's own may keep one cache only and say so in its own way
            again = {}
        if not all(name in again and np.allclose(to_numpy(again[name]), to_numpy(first[name]), rtol=1e-9, atol=1e-12)
                   for name in first if name in self.floating):
            self.add_note("it keeps one cache at a time, so it cannot be used twice in a model (push and pop keep a stack)")

    def look_again(self, first: dict[str, Array], tensors: Tensors, upstream: list[Array | None]) -> list[str]:
        self.gradients(tensors, upstream)               # the parameters were moved since
        second = self._accumulate(tensors, upstream)    # grads were not cleared, so they must double
        for name in self.owners:
            if not np.allclose(to_numpy(second[name]), 2 * to_numpy(first[name]), rtol=1e-9, atol=1e-12):
                return [f"the gradient of {name} is not accumulated: a second backward must add to grads, not overwrite them "
                        "(write grads[name] += ...)"]
        self._check_stack(first, tensors, upstream)
        return []

    def gates_of(self, name: str) -> tuple[str, ...]:
        if name not in self.owners:
            return ()
        owner = self.owners[name][0]
        biases = _gate_names(getattr(owner, "biases", ())) if self.tensors[name].ndim == 1 else ()
        return biases or _gate_names(getattr(owner, "gates", ()))


def make_subject(target: Any, inputs: Any, options: dict[str, Any]) -> Subject:
    """Return the Subject for ``target``. Raises ArgumentError for something that cannot be checked."""
    if isinstance(target, type):
        raise ArgumentError(f"gradcheck: expected a layer, got the class {target.__name__}; make one first: "
                            f"{target.__name__}(...)")
    if isinstance(target, (tuple, list)):
        if len(target) == 2 and all(map(callable, target)):
            return FunctionSubject(target[0], target[1], inputs, options)
        parts = ", ".join(type(part).__name__ for part in target)
        raise refuse(target, f"a pair has two functions, this has {parts or 'nothing'}")
    has_forward, has_backward = callable(target) or hasattr(target, "forward"), hasattr(target, "backward")
    if has_backward and has_forward:
        return (LayerSubject if isinstance(target, Module) else ForeignSubject)(target, inputs, options)
    if callable(target) and not hasattr(target, "forward"):
        try:
            return FunctionSubject(target, None, inputs, options)
        except ArgumentError as error:      # perhaps its backward was forgotten: the inputs are not to blame
            raise refuse(target, str(error).partition(": ")[2]) from None
    methods = ", ".join(methods_of(target))
    raise refuse(target, "it has forward but no backward" if has_forward else "it has backward but no forward" if has_backward
                 else f"it has neither forward nor backward{f', only {methods}' if methods else ''}")
