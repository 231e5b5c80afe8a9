"""Lists of time steps: the same forward and backward for arrays (T, ...) in place of lists of T arrays."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from minilstm.gradients.targets.arguments import Inputs
from minilstm.gradients.targets.names import is_data
from minilstm.gradients.targets.trees import is_floating


def is_steps(value: Any) -> bool:
    """Tell whether this is a list of arrays of one shape."""
    return isinstance(value, (tuple, list)) and len(value) > 0 and all(map(is_floating, value)) and len(
        {one.shape for one in value}) == 1


class Steps:
    """Which inputs and which outputs are lists of steps."""

    def __init__(self, inputs: Inputs, outputs: Sequence[Any]) -> None:
        self.inputs = inputs
        self.names = [name for name, value in zip(inputs.names, inputs.values)
                      if is_steps(value) and is_data(name)]
        self.listed = [k for k, y in enumerate(outputs) if is_steps(y)]

    def __bool__(self) -> bool:
        return bool(self.names or self.listed)

    def stacked(self) -> dict[str, Any]:
        """Return the inputs by name, lists as arrays."""
        return {name: np.stack(value) if name in self.names else value
                for name, value in zip(self.inputs.names, self.inputs.values)}

    def of_pair(self, forward: Callable[..., Any], backward: Callable[..., Any], before: Collection[str] = (),
                shift: int = 0) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Return two functions for arrays. ``before``: arguments of forward that come before the inputs;
        ``shift``: how many arguments of backward come before the upstream gradients."""
        arguments = [*before, *(name for name in self.inputs.names if name not in self.inputs.keywords)]

        @functools.wraps(forward)
        def run(*values: Any, **named: Any) -> Any:
            given = [list(value) if name in self.names else value for name, value in zip(arguments, values)]
            named = {name: list(value) if name in self.names else value for name, value in named.items()}
            found = forward(*given, **named)
            if before and not isinstance(found, tuple):
                return np.stack(found) if self.listed else found
            return tuple(np.stack(y) if k in self.listed else y for k, y in enumerate(found))

        @functools.wraps(backward)
        def back(*given: Any) -> Any:
            return backward(*(list(one) if k - shift in self.listed and one is not None else one
                              for k, one in enumerate(given)))
        return run, back

    def of_object(self, thing: Any) -> Any:
        """Return a copy of an object whose call and backward are for arrays."""
        kind, call = type(thing), "__call__" if callable(thing) else "forward"
        run, back = self.of_pair(getattr(kind, call), kind.backward, ["self"], 1)
        other = copy.copy(thing)
        other.__class__ = type(kind.__name__, (kind,), {call: run, "backward": back, "__slots__": ()})
        return other
