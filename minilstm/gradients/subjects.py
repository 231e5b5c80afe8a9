"""One view of everything that gradcheck can check: named float64 tensors in, arrays out, gradients by name.

A layer, a loss and a pair of functions differ in how they are called and how they hand gradients back. A Subject hides
that. It works on a float64 copy, so the caller's object stays as it was.
"""

from __future__ import annotations

import copy
import inspect
import sys
import warnings
from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, get_array_module, to_numpy
from minilstm.backend.checks import is_array
from minilstm.backend.errors import ArgumentError, GradientError
from minilstm.backend.passes import one_pass
from minilstm.gradients.numerical import Tensors
from minilstm.layers.embedding import Embedding
from minilstm.layers.module import Module, draws


def _gate_names(gates: Any) -> tuple[str, ...]:
    """Return ``gates`` if it is a tuple of names, else (): a cell may use the attribute for something else."""
    return gates if isinstance(gates, tuple) and all(isinstance(gate, str) for gate in gates) else ()


def _is_floating(value: Any) -> bool:
    return is_array(value) and value.dtype.kind == "f"


def _flatten(tree: Any) -> list[Any]:
    return [leaf for branch in tree for leaf in _flatten(branch)] if isinstance(tree, (tuple, list)) else [tree]


def _rebuild(tree: Any, leaves: list[Any]) -> Any:
    """Return ``tree`` with its leaves replaced, in order (consumes ``leaves``)."""
    if isinstance(tree, (tuple, list)):
        return tuple(_rebuild(branch, leaves) for branch in tree)
    return leaves.pop(0)


def _outputs(title: str, tree: Any) -> list[Array]:
    leaves = [np.asarray(leaf) if np.isscalar(leaf) else leaf for leaf in _flatten(tree)]
    for leaf in leaves:
        if not is_array(leaf):
            raise ArgumentError(f"gradcheck {title}: forward returned {type(leaf).__name__}, expected arrays")
    return leaves


class Subject:
    """Base: holds the inputs' tree and the tensors to differentiate.

    Attributes:
        title: its name in messages.
        tensors: name -> float64 array; inputs first, then parameters.
        floating: the names of those tensors that are inputs. parameters: the names of the others.
        is_loss: the output is one number and backward takes no upstream gradient.
        notes: remarks that the report should add.
    """

    is_loss = False
    several_outputs = False
    parameters: tuple[str, ...] = ()

    def __init__(self, title: str, function: Any, inputs: Any, options: dict[str, Any]) -> None:
        self.title, self.options = title, options
        self.inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
        self.input_names = self._name_inputs(function)
        self.tensors: dict[str, Array] = {name: leaf.astype(np.float64) for name, leaf in
                                          zip(self.input_names, _flatten(self.inputs)) if _is_floating(leaf)}
        self.floating = list(self.tensors)      # the names of the inputs among the tensors
        self.notes: list[str] = []
        for name, tensor in self.tensors.items():
            if tensor.size == 0:
                raise ArgumentError(f"gradcheck {title}: {name} is empty, there is nothing to check")

    def _name_inputs(self, function: Any) -> list[str]:
        try:
            arguments = [p.name for p in inspect.signature(function).parameters.values() if p.kind not in (
                inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)]
        except (TypeError, ValueError):
            arguments = []
        names: list[str] = []
        for position, branch in enumerate(self.inputs):
            name = arguments[position] if position < len(arguments) else f"input {position}"
            leaves = _flatten(branch)
            names += [name] if len(leaves) == 1 and not isinstance(branch, (tuple, list)) else \
                [f"{name}[{k}]" for k in range(len(leaves))]
        return names

    def arguments(self, tensors: Tensors) -> tuple[Any, ...]:
        """Return the inputs with floating leaves taken from ``tensors``."""
        leaves = [tensors.get(name, leaf) for name, leaf in zip(self.input_names, _flatten(self.inputs))]
        return _rebuild(self.inputs, leaves)

    def match_gradients(self, gradients: Any) -> dict[str, Array]:
        """Give backward's return value names: one for each input (None for tokens), or one for each floating input.

        Raises GradientError when it returned too few, too many, or something that is no array.
        """
        leaves = _flatten(gradients)
        floating = [name for name in self.input_names if name in self.floating]
        names = self.input_names if len(leaves) == len(self.input_names) else floating
        if not self.counts_agree(len(leaves), len(names)):
            raise GradientError(f"gradcheck {self.title}: backward returned {len(leaves)} gradients for {len(names)} inputs "
                                f"({', '.join(names)})")
        named = {}
        for name, leaf in zip(names, leaves):
            if name in self.floating:
                if not is_array(leaf) and not np.isscalar(leaf):
                    got = type(leaf).__name__
                    raise GradientError(f"gradcheck {self.title}: backward returned {got} for {name}, expected an array")
                named[name] = leaf if is_array(leaf) else np.asarray(leaf)
        return named

    def counts_agree(self, returned: int, expected: int) -> bool:
        """Tell whether backward may return so many gradients; a loss has one, of the prediction and not of the target."""
        return returned == (1 if self.is_loss else expected)

    def reads(self, name: str) -> bool:
        """Return whether the outputs depend on a tensor: those of a forward that reads it change where it is NaN."""
        spoilt = {**self.tensors, name: get_array_module(self.tensors[name]).full_like(self.tensors[name], np.nan)}
        before = [to_numpy(y).tobytes() for y in self.run(self.tensors)]
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                after = [to_numpy(y).tobytes() for y in self.run(spoilt)]
        except Exception:       # it was read, and refused
            after = []
        self.run(self.tensors)      # a layer has its own values again
        return before != after

    def held_at_zero(self, name: str, numeric: np.ndarray) -> np.ndarray:
        """Return a numerical gradient with 0 where the layer means an entry to stay what it is."""
        return numeric

    def run(self, tensors: Tensors) -> list[Array]:
        """Evaluate the forward; return its outputs as a flat list."""
        raise TypeError("a subject defines run")

    def gradients(self, tensors: Tensors, upstream: list[Array | None]) -> dict[str, Array]:
        """Run forward and backward; return the analytic gradients by name."""
        raise TypeError("a subject defines gradients")

    def look_again(self, first: dict[str, Array], tensors: Tensors, upstream: list[Array | None]) -> None:
        """Raise GradientError if a second backward shows a bad habit, given the gradients of the first one."""

    # Names for people ------------------------------------------------------------------------------------------------

    def gates_of(self, name: str) -> tuple[str, ...]:
        """Return the gates whose blocks stand side by side in this tensor's columns; () if it has none."""
        return ()

    def gate_blocks(self, name: str) -> dict[str, slice]:
        """Return gate -> columns of this tensor."""
        gates, columns = self.gates_of(name), self.tensors[name].shape[-1] if self.tensors[name].ndim else 0
        if not gates or columns % len(gates):
            return {}
        H = columns // len(gates)
        return {gate: slice(k * H, (k + 1) * H) for k, gate in enumerate(gates)}

    def is_sequence(self, name: str) -> bool:
        """Tell whether this is the input (N, T, D), whose second axis is time; states come after it."""
        return name == self.input_names[0] and self.tensors[name].ndim == 3

    def describe(self, name: str, index: tuple[int, ...]) -> str:
        """Describe the entry: parameter, gate and unit, or sequence and time step."""
        shape = self.tensors[name].shape
        entry = f"{name}[{', '.join(map(str, index))}]" if index else name
        for gate, columns in self.gate_blocks(name).items():
            if columns.start <= index[-1] < columns.stop:
                H, words = columns.stop - columns.start, f"gate {gate}, unit {index[-1] - columns.start}"
                if len(shape) == 2:
                    words += f", from {'h' if index[0] < H else 'x'}[{index[0] if index[0] < H else index[0] - H}]"
                return f"{entry} ({words})"
        if self.is_sequence(name):
            return f"{entry} (sequence {index[0]}, time step {index[1]})"
        return entry


class FunctionSubject(Subject):
    """A pure pair: forward(*inputs) -> (y, ..., cache) and backward(dy, ..., cache) -> gradients."""

    def __init__(self, forward: Any, backward: Any, inputs: Any, options: dict[str, Any]) -> None:
        super().__init__(getattr(forward, "__name__", "function pair"), forward, inputs, options)
        self.forward, self.backward = forward, backward
        takes = [p for p in inspect.signature(backward).parameters.values()
                 if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        self.is_loss = len(takes) == 1      # a loss pair: backward(cache)
        home = sys.modules.get(getattr(forward, "__module__", ""))
        self.gates = _gate_names(getattr(home, "GATES", ()))
        self.biases = _gate_names(getattr(home, "BIASES", ())) or self.gates

    def _call(self, tensors: Tensors) -> tuple[Any, ...]:
        result = self.forward(*self.arguments(tensors), **self.options)
        if not isinstance(result, tuple) or len(result) < 2:
            raise GradientError(f"gradcheck {self.title}: forward must return (output, ..., cache)")
        return result

    def run(self, tensors: Tensors) -> list[Array]:
        return _outputs(self.title, self._call(tensors)[:-1])

    def gradients(self, tensors: Tensors, upstream: list[Array | None]) -> dict[str, Array]:
        *_, cache = self._call(tensors)
        arguments = [] if self.is_loss else upstream
        self._again = lambda: self.match_gradients(self.backward(*arguments, cache))
        return self._again()

    def look_again(self, first: dict[str, Array], tensors: Tensors, upstream: list[Array | None]) -> None:
        before = {name: to_numpy(value).tobytes() for name, value in first.items()}
        for name, value in self._again().items():
            if to_numpy(value).tobytes() != before[name]:
                raise GradientError(f"gradcheck {self.title}: a second backward gives another gradient of {name}: the "
                                    "first one wrote into the cache")

    def gates_of(self, name: str) -> tuple[str, ...]:
        return {"W": self.gates, "b": self.biases}.get(name, ())


class LayerSubject(Subject):
    """A layer, or anything else with params, grads, a call and backward(dy)."""

    def __init__(self, layer: Any, inputs: Any, options: dict[str, Any]) -> None:
        function = layer.forward if hasattr(layer, "forward") else layer
        short = len(repr(layer)) < 80 and "\n" not in repr(layer) and " at 0x" not in repr(layer)
        super().__init__(repr(layer) if short else type(layer).__name__, function, inputs, options)
        self.layer = copy.deepcopy(layer)
        if isinstance(self.layer, Module):
            self.layer.train().to(dtype=np.float64)
            self.owners: dict[str, tuple[Any, str]] = dict(self.layer.locate())
        else:
            self.owners = {name: (self.layer, name) for name in self.layer.params}
            for store in (self.layer.params, self.layer.grads):
                for name, value in store.items():
                    store[name] = value.astype(np.float64)
        self.generators = [m.rng for _, m in self.layer.modules() if draws(m)] if isinstance(self.layer, Module) \
            else [v for v in vars(self.layer).values() if isinstance(v, np.random.Generator)]
        self.random_states = [copy.deepcopy(g.bit_generator.state) for g in self.generators]
        for name, (owner, key) in self.owners.items():
            if name in self.tensors:
                raise ArgumentError(f"gradcheck {self.title}: {name!r} names both an input and a parameter; rename one")
            self.tensors[name] = owner.params[key]
        self.parameters = tuple(self.owners)

    def held_at_zero(self, name: str, numeric: np.ndarray) -> np.ndarray:
        owner, key = self.owners.get(name, (None, ""))
        if isinstance(owner, Embedding) and key == "W" and owner.padding_idx is not None:
            numeric = numeric.copy()
            numeric[owner.padding_idx] = 0.0
        return numeric

    def counts_agree(self, returned: int, expected: int) -> bool:
        """A layer called with ``return_state=True`` also returns gradients of initial states that were not given."""
        return returned == expected or returned > expected and self.several_outputs

    def _rewind(self, drop_caches: bool = True) -> None:
        for generator, state in zip(self.generators, self.random_states):
            generator.bit_generator.state = copy.deepcopy(state)
        if drop_caches and isinstance(self.layer, Module):
            self.layer.drop_caches()

    def run(self, tensors: Tensors) -> list[Array]:
        self._rewind()
        for name, (owner, key) in self.owners.items():
            owner.params[key] = tensors[name]
        outputs = self._forward(tensors)
        self.several_outputs = isinstance(outputs, tuple)
        return _outputs(self.title, outputs)

    def _forward(self, tensors: Tensors) -> Any:
        return self.layer(*self.arguments(tensors), **self.options)

    def gradients(self, tensors: Tensors, upstream: list[Array | None]) -> dict[str, Array]:
        for owner, key in self.owners.values():
            owner.grads[key] = get_array_module(owner.grads[key]).zeros_like(owner.grads[key])
        return self._accumulate(tensors, upstream)

    def _accumulate(self, tensors: Tensors, upstream: list[Array | None]) -> dict[str, Array]:
        self._rewind()
        return self._back(self._forward(tensors), upstream)

    def _back(self, outputs: Any, upstream: list[Array | None]) -> dict[str, Array]:
        arguments = _rebuild(outputs, list(upstream)) if isinstance(outputs, tuple) else tuple(upstream)
        named = self.match_gradients(self.layer.backward(*arguments))
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
            self.notes.append("it keeps one cache at a time, so it cannot be used twice in a model (push and pop keep a "
                              "stack)")

    def look_again(self, first: dict[str, Array], tensors: Tensors, upstream: list[Array | None]) -> None:
        second = self._accumulate(tensors, upstream)    # grads were not cleared, so they must double
        for name in self.owners:
            if not np.allclose(to_numpy(second[name]), 2 * to_numpy(first[name]), rtol=1e-9, atol=1e-12):
                raise GradientError(f"gradcheck {self.title}: the gradient of {name} is not accumulated: a second backward "
                                    "must add to grads, not overwrite them (write grads[name] += ...)")
        self._check_stack(first, tensors, upstream)

    def gates_of(self, name: str) -> tuple[str, ...]:
        if name not in self.owners:
            return ()
        owner = self.owners[name][0]
        biases = _gate_names(getattr(owner, "biases", ())) if self.tensors[name].ndim == 1 else ()
        return biases or _gate_names(getattr(owner, "gates", ()))


class LossSubject(Subject):
    """A loss: criterion(prediction, target), then criterion.backward() without argument."""

    is_loss = True

    def __init__(self, criterion: Any, inputs: Any, options: dict[str, Any]) -> None:
        super().__init__(repr(criterion), getattr(criterion, "forward", criterion.__call__), inputs, options)
        self.criterion = copy.deepcopy(criterion)

    def run(self, tensors: Tensors) -> list[Array]:
        loss = copy.copy(self.criterion)(*self.arguments(tensors), **self.options)
        return [loss if is_array(loss) else np.asarray(loss)]

    def gradients(self, tensors: Tensors, upstream: list[Array | None]) -> dict[str, Array]:
        criterion = copy.copy(self.criterion)
        criterion(*self.arguments(tensors), **self.options)
        return self.match_gradients(criterion.backward())


def make_subject(target: Any, inputs: Any, options: dict[str, Any]) -> Subject:
    """Return the Subject for ``target``. Raises ArgumentError for something that cannot be checked."""
    if isinstance(target, type):
        raise ArgumentError(f"gradcheck: expected a layer, got the class {target.__name__}; make one first: "
                            f"{target.__name__}(...)")
    if isinstance(target, (tuple, list)) and len(target) == 2 and all(map(callable, target)):
        return FunctionSubject(target[0], target[1], inputs, options)
    if callable(target) and hasattr(target, "backward"):
        if hasattr(target, "params"):
            return LayerSubject(target, inputs, options)
        return LossSubject(target, inputs, options)
    raise ArgumentError("gradcheck: expected a layer (params, grads, call, backward), a loss or a pair (forward, backward), "
                        f"got {type(target).__name__}")
