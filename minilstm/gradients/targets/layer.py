"""Layers: Modules of this library, or a user's own."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, get_array_module, to_numpy
from minilstm.backend.passes import one_pass
from minilstm.gradients.targets.failures import errors_located
from minilstm.gradients.targets.side_effects import SideEffect
from minilstm.gradients.targets.steps import Steps
from minilstm.gradients.targets.target import Target, Tensors, gate_names, outputs_of, title_of
from minilstm.gradients.targets.trees import rebuild
from minilstm.layers.embedding import Embedding
from minilstm.layers.module import Module
from minilstm.layers.tree import has_rng


class LayerTarget(Target):
    """A layer: a Module, with params, grads, a call and backward(dy)."""

    def __init__(self, layer: Module, inputs: Any, options: dict[str, Any]) -> None:
        super().__init__(title_of(layer), getattr(layer, "forward", layer), inputs, options)
        self.layer = copy.deepcopy(layer)
        self.layer.train().to(dtype=np.float64)
        self.owners: dict[str, tuple[Any, str]] = dict(self.layer.locate())
        self.generators = [m.rng for _, m in self.layer.modules() if has_rng(m)]
        self.random_states = [copy.deepcopy(g.bit_generator.state) for g in self.generators]
        self.add_parameters({name: owner.params[key] for name, (owner, key) in self.owners.items()})

    def zero_fixed_entries(self, name: str, numeric: np.ndarray) -> np.ndarray:
        owner, key = self.owners.get(name, (None, ""))
        if isinstance(owner, Embedding) and key == "W" and owner.padding_idx is not None:
            numeric = numeric.copy()
            numeric[owner.padding_idx] = 0.0
        return numeric

    def gradient_count_fits(self, returned: int, expected: int) -> bool:
        """With ``return_state=True`` it returns gradients of initial states that were not given, too."""
        return returned == expected or returned > expected and self.several_outputs

    def as_written(self, name: str) -> str:
        return f"params[{name!r}]"

    def _rewind(self, drop_caches: bool = True) -> None:
        for generator, state in zip(self.generators, self.random_states):
            generator.bit_generator.state = copy.deepcopy(state)
        if drop_caches:
            self.layer.drop_caches()

    def evaluate(self, tensors: Tensors) -> list[Array]:
        self._rewind()
        return outputs_of(self.title, self.function, self._forward(tensors))

    def _forward(self, tensors: Tensors) -> tuple[Any, ...]:
        for name, (owner, key) in self.owners.items():
            owner.params[key] = tensors[name]
        outputs = self.call(self.layer, tensors)
        self.several_outputs = isinstance(outputs, tuple)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    def gradients(self, tensors: Tensors, upstream: list[Array | None]) -> dict[str, Array]:
        for owner, key in self.owners.values():
            owner.grads[key] = get_array_module(owner.grads[key]).zeros_like(owner.grads[key])
        return self._accumulate(tensors, upstream)

    def _accumulate(self, tensors: Tensors, upstream: list[Array | None]) -> dict[str, Array]:
        self._rewind()
        return self._back(self._forward(tensors), upstream)

    def _back(self, outputs: tuple[Any, ...], upstream: list[Array | None]) -> dict[str, Array]:
        arguments = rebuild(outputs, list(upstream))
        with errors_located(self.title, "backward", self.layer.backward):
            gradients = self.layer.backward(*arguments)
        named = self.match_gradients(gradients, self.layer.backward)
        return {**named, **{name: owner.grads[key].copy() for name, (owner, key) in self.owners.items()}}

    def with_arrays(self) -> Target | None:
        self._rewind()
        steps = Steps(self.inputs, self._forward(self.tensors))
        return LayerTarget(steps.of_object(self.layer), steps.stacked(), self.options) if steps else None

    def _check_stack(self, first: dict[str, Array], tensors: Tensors, upstream: list[Array | None]) -> None:
        """Run two forwards, then two backwards; note whether the second finds the first's cache."""
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
        inputs = [name for name in first if name in self.floating]
        if not all(name in again and _close(again[name], first[name]) for name in inputs):
            self.add_note("it keeps one cache at a time, so it cannot be used twice in a model (push and pop "
                          "keep a stack)")

    def check_second_backward(self, first: dict[str, Array], tensors: Tensors,
                              upstream: list[Array | None]) -> list[SideEffect]:
        self.gradients(tensors, upstream)               # the parameters were moved since
        second = self._accumulate(tensors, upstream)    # grads were not cleared, so they must double
        for name in self.owners:
            if not _close(second[name], 2 * first[name]):
                return [SideEffect("not accumulated", (name,))]
        self._check_stack(first, tensors, upstream)
        return []

    def gates_of(self, name: str) -> tuple[str, ...]:
        if name not in self.owners:
            return ()
        owner = self.owners[name][0]
        biases = gate_names(getattr(owner, "biases", ())) if self.tensors[name].ndim == 1 else ()
        return biases or gate_names(getattr(owner, "gates", ()))


def _close(a: Array, b: Array) -> bool:
    return bool(np.allclose(to_numpy(a), to_numpy(b), rtol=1e-9, atol=1e-12))
