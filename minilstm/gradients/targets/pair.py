"""Pairs of functions, forward and backward, and functions that return their own backward."""

from __future__ import annotations

import sys
from typing import Any

from minilstm.backend.arrays import Array, to_numpy
from minilstm.gradients.targets.arguments import HandOver
from minilstm.gradients.targets.failures import check_returned, definition_site, errors_located, not_a_target
from minilstm.gradients.targets.names import is_cache, required_names
from minilstm.gradients.targets.side_effects import SideEffect
from minilstm.gradients.targets.steps import Steps
from minilstm.gradients.targets.target import Target, Tensors, gate_names, outputs_of


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
        result = self._call({name: value.copy() for name, value in self.tensors.items()})
        steps = Steps(self.inputs, result[:len(result) - self.caches])
        if self.backward is None or not steps:
            return None
        pair = steps.of_pair(self.forward, self.backward, shift=self.caches * self.cache_first)
        return PairTarget(*pair, steps.stacked(), self.options)

    def gates_of(self, name: str) -> tuple[str, ...]:
        return {"W": self.gates, "b": self.biases}.get(name, ())
