"""Pairs of functions, forward and backward, and functions that return their own backward."""

from __future__ import annotations

import functools
import sys
from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, to_numpy
from minilstm.gradients.targets.arguments import HandOver
from minilstm.gradients.targets.failures import check_returned, definition_site, errors_located, not_a_target
from minilstm.gradients.targets.names import is_cache, is_data, required_names
from minilstm.gradients.targets.side_effects import SideEffect
from minilstm.gradients.targets.target import Target, Tensors, gate_names, outputs_of
from minilstm.gradients.targets.trees import is_floating


def _is_steps(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) > 0 and all(map(is_floating, value)) and len(
        {one.shape for one in value}) == 1


class PairTarget(Target):
    """A pure pair: forward(*inputs) -> (y, ..., cache) and backward(dy, ..., cache) -> gradients.

    Or a forward alone (``backward`` is None) that returns its own backward in place of the cache.
    """

    def __init__(self, forward: Any, backward: Any, inputs: Any, options: dict[str, Any]) -> None:
        super().__init__(getattr(forward, "__name__", "function pair"), forward, inputs, options)
        self.forward, self.backward = forward, backward
        self.upstream: HandOver | None = None       # known once the forward has run
        self.caches = 1         # how many of the things that forward returns are for backward alone
        names = [] if backward is None else required_names(backward)
        self.cache_first = len(names) > 1 and is_cache(names[0]) and not is_cache(names[-1])
        home = sys.modules.get(getattr(forward, "__module__", ""))
        self.gates = gate_names(getattr(home, "GATES", ()))
        self.biases = gate_names(getattr(home, "BIASES", ())) or self.gates

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
                raise not_a_target(
                    self.forward, f"it returned {type(result).__name__}, not "
                    f"{wanted}{definition_site(self.forward)}; to check a forward, give its backward too; if "
                    "it returns a loss and gradients, help(minilstm.gradcheck) shows how to split it")
            words = f"forward must return {wanted}, got {type(result).__name__}"
            if hasattr(self.forward, "__self__"):
                words += "; to check an object, give it instead of its methods"
            raise self.failure(words, self.forward)
        if self.upstream is None:
            self.caches = 1 if closure else self._count_caches(result, tensors)
            outputs = result[:len(result) - self.caches]
            outputs_of(self.title, self.forward, outputs)
            backward, others = (result[-1], 0) if closure else (self.backward, self.caches)
            self.upstream = self.take_upstream(backward, outputs, others)
        return result

    def _count_caches(self, result: tuple[Any, ...], tensors: Tensors) -> int:
        """Return how many of the last things that forward returned are for backward alone.

        Usually one. More where one of the others is an input as it was, and backward takes as many arguments
        as forward returns: (y, x, h, W) and backward(dy, x, h, W).
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
        with errors_located(self.title, "backward", backward):
            gradients = backward(*caches, *arguments) if self.cache_first else backward(*arguments, *caches)
        return self.match_gradients(gradients, backward)

    def check_second_backward(self, first: dict[str, Array], tensors: Tensors,
                              upstream: list[Array | None]) -> list[SideEffect]:
        def changed(gradients: dict[str, Array]) -> list[str]:
            return [name for name, value in gradients.items()
                    if to_numpy(value).tobytes() != to_numpy(first[name]).tobytes()]
        if changed(self.gradients(tensors, upstream)):
            return []           # it keeps random numbers or a state, which other checks tell of
        try:
            second = self._back(upstream)
        except Exception:
            self.add_note("right, but backward uses its cache up: a second backward of the same cache fails")
            return []
        return [SideEffect("cache written", (name,)) for name in changed(second)[:1]]

    def with_arrays(self) -> Target | None:
        """Return the pair for arrays (T, ...) in place of lists of T steps; None where it has none."""
        result = self._call({name: value.copy() for name, value in self.tensors.items()})
        names = [name for name, value in zip(self.inputs.names, self.inputs.values)
                 if _is_steps(value) and is_data(name)]
        listed = [k for k, y in enumerate(result[:len(result) - self.caches]) if _is_steps(y)]
        if self.backward is None or not names + listed:
            return None
        by_position = [name for name in self.inputs.names if name not in self.inputs.keywords]
        shift = self.caches * self.cache_first

        @functools.wraps(self.forward)
        def forward(*values: Any, **named: Any) -> Any:
            given = [list(value) if name in names else value for name, value in zip(by_position, values)]
            named = {name: list(value) if name in names else value for name, value in named.items()}
            found = self.forward(*given, **named)
            return tuple(np.stack(y) if k in listed else y for k, y in enumerate(found))

        @functools.wraps(self.backward)
        def backward(*arguments: Any) -> Any:
            return self.backward(*(list(one) if k - shift in listed and one is not None else one
                                   for k, one in enumerate(arguments)))
        values = {name: np.stack(value) if name in names else value
                  for name, value in zip(self.inputs.names, self.inputs.values)}
        return PairTarget(forward, backward, values, self.options)

    def gates_of(self, name: str) -> tuple[str, ...]:
        return {"W": self.gates, "b": self.biases}.get(name, ())
