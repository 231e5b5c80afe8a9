"""One view of everything that gradcheck can check: named float64 tensors in, arrays out, gradients by name.

A layer, a loss and a pair of functions differ in how they are called and how they hand gradients back. A
Target hides that. It works on a float64 copy, so the caller's object stays as it was.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, get_array_module, refuse_other_arithmetic, to_numpy
from minilstm.backend.checks import is_array
from minilstm.backend.errors import ArgumentError, GradientError
from minilstm.gradients.targets.arguments import HandOver, arrange, pass_on, read_upstream
from minilstm.gradients.targets.failures import check_returned, definition_site, errors_located
from minilstm.gradients.targets.names import GRADIENT_NAMES, find_key, is_data, split_gradients, whole
from minilstm.gradients.targets.side_effects import SideEffect
from minilstm.gradients.targets.trees import aligned, flatten, is_floating, name_leaves, rebuild

Tensors = Mapping[str, Array]


def gate_names(gates: Any) -> tuple[str, ...]:
    """Return ``gates`` if it is a tuple of names, else (): a cell may mean something else by it."""
    return gates if isinstance(gates, tuple) and all(isinstance(gate, str) for gate in gates) else ()


def title_of(thing: Any) -> str:
    """Return an object's name in messages: its repr where that is short, else its class."""
    words = repr(thing)
    return type(thing).__name__ if len(words) >= 80 or "\n" in words or " at 0x" in words else words


def outputs_of(title: str, forward: Any, tree: Any) -> list[Array]:
    """Return forward's outputs as a flat list. Raises where one of them is no array."""
    check_returned(title, "forward", forward, tree, "an array")
    leaves = [np.asarray(leaf) if np.isscalar(leaf) else leaf for leaf in flatten(tree)]
    for leaf in leaves:
        if not is_array(leaf):
            raise ArgumentError(f"gradcheck {title}: forward returned {type(leaf).__name__}, expected arrays"
                                f"{definition_site(forward)}")
    return leaves


def _shape(leaf: Any) -> tuple[int, ...]:
    return tuple(getattr(leaf, "shape", ()))


class Target:
    """Base: holds the inputs' tree and the tensors to differentiate.

    Attributes:
        title: its name in messages.
        tensors: name -> float64 array; inputs first, then parameters.
        floating: the names of those tensors that are inputs. parameters: the names of the others.
        is_loss: the output is one number and backward takes no upstream gradient.
        notes: remarks that the report should add.
        covered: how many outputs backward takes an upstream gradient of; None for all.
        missing: names of tensors that backward gives no gradient, and that no covered output depends on.
        constants: names of arrays that an object keeps and that are no parameters;
            without_gradient: of those that have no gradient anywhere and that its outputs depend on.
        axes: the letters of the first input's axes, N, T and D; "" if they are not known.
    """

    is_loss = False
    several_outputs = False
    parameters: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()
    without_gradient: tuple[str, ...] = ()
    covered: int | None = None
    axes = ""

    def __init__(self, title: str, function: Any, inputs: Any, options: dict[str, Any]) -> None:
        self.title, self.options, self.function = title, options, function
        try:
            self.inputs = arrange(function, inputs, options)
        except ArgumentError as error:
            raise self.refusal(str(error)) from None
        self.input_names = name_leaves(zip(self.inputs.names, self.inputs.values))
        for name, times in Counter(self.input_names).items():
            if times > 1:
                raise self.refusal(f"{times} inputs are called {name}; rename them")
        self.leaves = dict(zip(self.input_names, flatten(self.inputs.values)))
        if all(type(leaf) is float for leaf in self.leaves.values()):
            self.leaves = {name: np.array(leaf) for name, leaf in self.leaves.items()}
        for name, leaf in self.leaves.items():
            refuse_other_arithmetic(name, leaf)
        self.tensors: dict[str, Array] = {
            name: leaf.astype(np.float64) for name, leaf in self.leaves.items() if is_floating(leaf)}
        self.floating = list(self.tensors)      # the names of the inputs among the tensors
        self.notes: list[str] = []
        self.missing: list[str] = []
        for name, tensor in self.tensors.items():
            if tensor.size == 0:
                raise self.refusal(f"{name} is empty, there is nothing to check")

    def refusal(self, words: str) -> ArgumentError:
        """Return the error for a target that cannot be checked."""
        return ArgumentError(f"gradcheck {self.title}: {words}")

    def failure(self, words: str, function: Any = None) -> GradientError:
        """Return the error for what is wrong with forward or backward; ``function``: which, for its line."""
        return GradientError(f"gradcheck {self.title}: "
                             f"{words}{definition_site(function) if function else ''}")

    def add_parameters(self, parameters: dict[str, Array]) -> None:
        """Add what the target keeps itself to the tensors."""
        for name, value in parameters.items():
            if name in self.tensors:
                raise self.refusal(f"{name!r} names both an input and a parameter; rename one")
            self.tensors[name] = value
        self.parameters = tuple(parameters)

    def call(self, function: Any, tensors: Tensors) -> Any:
        """Call a forward with the inputs, floating leaves taken from ``tensors``."""
        leaves = [tensors.get(name, leaf) for name, leaf in self.leaves.items()]
        arguments, by_name = pass_on(self.inputs, rebuild(self.inputs.values, leaves))
        with errors_located(self.title, "forward", self.function):
            return function(*arguments, **by_name, **self.options)

    def match_gradients(self, gradients: Any, backward: Any) -> dict[str, Array]:
        """Give what backward returned names: the keys of a dict; else one for each input, or for each
        floating input. Data, by its name, may be left out.

        Raises GradientError when it returned too few, too many, or something that is no array.
        """
        floating = ", ".join(self.floating)
        data = list(filter(is_data, self.floating))
        if gradients is None and self.parameters and data == self.floating:
            gradients = {}
        if self.floating:
            check_returned(self.title, "backward", backward, gradients, f"gradients ({floating})")
        entries, rest = split_gradients(self._by_input(gradients))
        keys = {name: key for name in self.floating if (key := find_key(name, entries)) is not None}
        found = {name: entries[key] for name, key in keys.items()}
        left_out: list[str] = []
        if rest or not (entries or data):
            names = [name for name in self.input_names if name not in found]
            if len(rest) != len(names):
                names = [name for name in names if name in self.floating]
            kept = [name for name in names if name not in data]
            shapes = [_shape(self.leaves[name]) for name in kept]
            if sorted(map(_shape, rest)) == sorted(shapes) and not {*shapes} & {
                    _shape(self.leaves[name]) for name in data if name not in found}:   # which is left out?
                names = kept
            if not self.gradient_count_fits(len(rest), len(names)):
                advice = "; give what needs no gradient as a keyword argument of gradcheck" * self.is_loss
                raise self.failure(f"backward returned {len(rest)} gradients for {len(names)} inputs "
                                   f"({', '.join(names)}){advice}", backward)
            found.update(zip(names, self._in_order(names, rest, backward)))
            left_out = names[len(rest):]        # a loss's target
        found = {name: leaf for name, leaf in found.items() if leaf is not None or name not in data}
        self.missing = [name for name in self.floating if name not in (*found, *left_out)]
        needed = [name for name in self.missing if self.depends_on(name, self.covered)]
        if needed and set(needed) <= {*data} and (found or self.parameters):
            variables = getattr(getattr(inspect.unwrap(backward), "__code__", None), "co_varnames", ())
            made = [key for name in needed if (key := find_key(whole(name), variables))]
            also = f", though backward has {', '.join(dict.fromkeys(made))}" * bool(made)
            self.add_note(f"no gradient of {', '.join(needed)} was returned{also}: taken for data, not "
                          "checked")
            self.missing = []
        elif needed:
            form = GRADIENT_NAMES[0].format(needed[0])
            raise self.failure(
                f"backward returned {len(found)} gradients for {len(self.floating)} inputs ({floating}): "
                f"no key names the gradient of {', '.join(needed)}, such as {form}; its keys are "
                f"{', '.join(entries)}", backward)
        known = {*keys.values(), *(find_key(name, entries) for name in self.parameters)}
        others = [key for key in entries if key not in known]
        if others:
            self.add_note(f"backward also returned {', '.join(others)}, which no input is called after")
        for name, leaf in found.items():
            if not is_array(leaf) and not np.isscalar(leaf) and name in self.floating:
                got = type(leaf).__name__
                raise self.failure(f"backward returned {got} for {name}, expected an array", backward)
        return {name: self.fitted(name, found[name] if is_array(found[name]) else np.asarray(found[name]))
                for name in self.floating if name in found}

    def _by_input(self, gradients: Any) -> Any:
        """Return what backward returned; those of two dicts of the same keys under the dicts' names; those of
        time steps in an array or in a list, as the input has them."""
        def steps(name: str, gradient: Any) -> Any:
            value = values.get(name)
            if isinstance(value, (tuple, list)) and _shape(gradient)[:1] == (len(value),):
                return list(gradient)
            if isinstance(gradient, list) and _shape(value)[1:] and (
                    {*map(_shape, gradient)} == {_shape(value)[1:]}):
                return get_array_module(value).stack(gradient)
            return gradient
        values = dict(zip(self.inputs.names, self.inputs.values))
        if len(values) == 1 and not isinstance(gradients, dict):
            gradients = steps(next(iter(values)), gradients)
        if isinstance(gradients, dict):
            names = {find_key(name, gradients): name for name in values}
            return {key: steps(names.get(key, ""), gradient) for key, gradient in gradients.items()}
        if not isinstance(gradients, (tuple, list)) or hasattr(gradients, "_fields"):
            return gradients
        if len(gradients) == len(values):
            gradients = list(map(steps, values, gradients))
            leaves = aligned(list(values.values()), gradients)
            if leaves is not None:
                return leaves
        dicts = [name for name, value in values.items() if isinstance(value, dict)]
        given = [part for part in gradients if isinstance(part, dict)]
        if len(given) != len(dicts) or len(dicts) < 2:
            return gradients
        return [*(part for part in gradients if not isinstance(part, dict)), dict(zip(dicts, given))]

    def _in_order(self, names: list[str], gradients: list[Any], backward: Any) -> list[Any]:
        """Return the gradients in the order of the names, if need be by their shapes."""
        if not set(names) <= set(self.floating):
            return gradients
        wanted, shapes = [self.tensors[name].shape for name in names], list(map(_shape, gradients))
        if shapes == wanted or sorted(shapes) != sorted(wanted):
            return gradients
        if len(set(wanted)) < len(wanted):
            raise self.failure("backward returned gradients in another order than "
                               f"{', '.join(names)}; some shapes are alike: return a dict by name", backward)
        self.add_note("gradients in another order, told apart by their shapes")
        return [gradients[shapes.index(shape)] for shape in wanted]

    def fitted(self, name: str, gradient: Array) -> Array:
        """Return a gradient in its tensor's shape where only axes of length 1 differ."""
        want, got = self.tensors[name].shape, gradient.shape
        if got == want or [n for n in got if n > 1] != [n for n in want if n > 1]:
            return gradient
        update = np.broadcast_shapes(got, want)
        words = f", and an update would broadcast to {update}" * (math.prod(update) > gradient.size)
        self.add_note(f"the gradient of {name} has shape {got}, {name} {want}{words}")
        return gradient.reshape(want)

    def add_note(self, note: str) -> None:
        """Add a remark to the report, once."""
        if note not in self.notes:
            self.notes.append(note)

    def take_upstream(self, backward: Any, outputs: tuple[Any, ...], others: int) -> HandOver:
        """Find out which upstream gradients backward takes. Raises GradientError if none fit."""
        upstream = read_upstream(backward, outputs, others)
        if isinstance(upstream, str):
            raise self.failure(upstream, backward)
        self.is_loss = upstream.arguments == 0
        count = len(flatten(outputs))
        if not self.is_loss and upstream.leaves < count:
            self.covered = upstream.leaves
            self.add_note(f"backward takes upstream gradients of {upstream.leaves} of {count} outputs; the "
                          "others were not checked")
        elif self.is_loss:
            self.covered = 1
        return upstream

    def gradient_count_fits(self, returned: int, expected: int) -> bool:
        """Tell whether backward may return so many gradients; a loss may leave out those of its targets."""
        if self.is_loss and returned == 1:
            shape = self.tensors[self.floating[0]].shape
            return all(self.tensors[name].shape == shape[:self.tensors[name].ndim] for name in self.floating)
        return returned == expected

    def depends_on(self, name: str, outputs: int | None = None) -> bool:
        """Return whether the (first) outputs depend on a tensor: do they change where it is NaN?"""
        value = self.value_of(name)
        spoilt = {**self.tensors, name: get_array_module(value).full_like(value, np.nan)}
        before = [to_numpy(y).tobytes() for y in self.run(self.tensors)[:outputs]]
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                after = [to_numpy(y).tobytes() for y in self.run(spoilt)[:outputs]]
        except Exception:       # it was read, and refused
            after = []
        return before != after

    def with_arrays(self) -> Target | None:
        """Return the target for arrays in place of lists of steps; None where there are none, or no way."""
        return None

    def value_of(self, name: str) -> Array:
        """Return the value of a tensor, or of another array that the forward may read."""
        return self.tensors[name]

    def as_written(self, name: str) -> str:
        """Return a tensor as its author writes it."""
        return f"the input {name}"

    def zero_fixed_entries(self, name: str, numeric: np.ndarray) -> np.ndarray:
        """Return a numerical gradient with 0 where the layer means an entry to stay what it is."""
        return numeric

    def run(self, tensors: Tensors) -> list[Array]:
        """Evaluate the forward on copies, so that nothing it writes into them reaches the next evaluation."""
        return self.evaluate({name: value.copy() for name, value in tensors.items()})

    def evaluate(self, tensors: Tensors) -> list[Array]:
        """Evaluate the forward; return its outputs as a flat list."""
        raise TypeError("a target defines evaluate")

    def gradients(self, tensors: Tensors, upstream: list[Array | None]) -> dict[str, Array]:
        """Run forward and backward; return the analytic gradients by name."""
        raise TypeError("a target defines gradients")

    def check_second_backward(self, first: dict[str, Array], tensors: Tensors,
                              upstream: list[Array | None]) -> list[SideEffect]:
        """Return the side effects that a second backward shows, given the gradients of the first one."""
        return []

    # Names for people
    # ------------------------------------------------------------------------------------------------

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

    def name_axes(self, axes: str | None, outputs: list[Array]) -> None:
        """Note which axis of the first input is the sequence (N) and which is time (T).

        Where ``axes`` does not say so, three axes are (N, T, D) if the output has the same N and T; else
        nothing is claimed.
        """
        first = self.input_names[0] if self.input_names else ""
        shape = self.tensors[first].shape if first in self.floating else ()
        if axes is None:
            axes = "NTD" if len(shape) == 3 and outputs[0].shape[:2] == shape[:2] else ""
        elif not isinstance(axes, str) or not len(axes) == len(shape) == len(set(axes) & set("NTD")):
            raise ArgumentError(f"axes: expected {len(shape)} different letters of N, T and D, one for each "
                                f"axis of the first input, got {axes!r}")
        self.axes = axes

    def time_axis(self, name: str) -> int | None:
        """Return which axis of this tensor is time; None if none is, or if that is not known."""
        return self.axes.index("T") if name == self.input_names[0] and "T" in self.axes else None

    def describe(self, name: str, index: tuple[int, ...]) -> str:
        """Describe the entry: parameter, gate and unit, or sequence and time step."""
        shape = self.tensors[name].shape
        entry = f"{name}[{', '.join(map(str, index))}]" if index else name
        for gate, columns in self.gate_blocks(name).items():
            if columns.start <= index[-1] < columns.stop:
                H, words = columns.stop - columns.start, f"gate {gate}, unit {index[-1] - columns.start}"
                if len(shape) == 2:
                    words += f", from h[{index[0]}]" if index[0] < H else f", from x[{index[0] - H}]"
                return f"{entry} ({words})"
        if self.time_axis(name) is not None:
            kinds = {"N": "sequence", "T": "time step"}
            places = [f"{kinds[axis]} {index[self.axes.index(axis)]}" for axis in "NT" if axis in self.axes]
            return f"{entry} ({', '.join(places)})"
        return entry
