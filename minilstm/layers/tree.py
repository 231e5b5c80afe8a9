"""The tree of modules: which modules a module is made of, and what reaches all of them.

A module's children are those in its attributes, alone or in lists, tuples and dicts of any depth. Names are
dotted, as in ``encoder.cells.0.W``. A module that occurs twice counts once, where it comes first.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FunctionType, ModuleType, NoneType
from typing import Any, Self

import numpy as np

from minilstm.backend.arrays import Array
from minilstm.backend.checks import check_writeable
from minilstm.backend.errors import ArgumentError
from minilstm.backend.passes import thread
from minilstm.layers.summary import Summary, summarize

# Attributes of these types hold no modules, and neither do these attributes, so that a walk passes them by.
PLAIN = frozenset({bool, int, float, str, NoneType, np.random.Generator})
BOXES: tuple[type, ...] = (list, tuple, deque, dict, set, frozenset, map, type(iter([])))
NO_CHILDREN = frozenset({"params", "grads", "_caches"})


class Tree:
    """What modules have because they form a tree; ``Module`` derives from it."""

    params: dict[str, Array]
    grads: dict[str, Array]
    _caches: list[Any]
    _pass: int
    _outdated: bool
    _fast: bool
    _frozen: bool
    _training: bool

    def children(self) -> dict[str, Any]:
        """Return the modules this one is made of, by attribute name.

        Raises ArgumentError for modules where they are not looked for: in sets, functions, and other objects
        that are not modules.
        """
        found: dict[str, Any] = {}
        hidden: dict[str, Any] = {}
        for name, value in vars(self).items():
            if type(value) not in PLAIN and name not in NO_CHILDREN:
                _collect(f"{type(self).__name__}.{name}", name, value, found, hidden, ())
        for where, value in hidden.items():
            known = self, *found.values()
            if any(isinstance(part, Tree) and part not in known for part in _held(value)):
                raise ArgumentError(f"{where}: layers in this {type(value).__name__} would not be trained; "
                                    "keep them in a list or a dict, or derive the class from ml.Module")
        return found

    def modules(self, prefix: str = "") -> list[tuple[str, Any]]:
        """Return this module and all below it, each once, as (dotted name, module), in the order of their
        attributes."""
        found: dict[int, tuple[str, Any]] = {}
        stack: list[tuple[str, Any]] = [(prefix, self)]
        while stack:
            name, module = stack.pop()
            if id(module) in found:
                continue
            found[id(module)] = name, module
            for key, child in reversed(module.children().items()):
                stack.append((f"{name}.{key}" if name else key, child))
        return list(found.values())

    def locate(self) -> dict[str, tuple[Any, str]]:
        """Return dotted parameter name -> (the layer that owns it, its name there). A shared layer counts
        once."""
        return located(self.modules())

    def named_parameters(self) -> dict[str, Array]:
        """Return dotted name -> parameter array (the arrays themselves, not copies)."""
        return {name: module.params[key] for name, (module, key) in self.locate().items()}

    def named_gradients(self) -> dict[str, Array]:
        """Return dotted name -> gradient array, in the order of ``named_parameters``."""
        return {name: module.grads[key] for name, (module, key) in self.locate().items()}

    def parameters(self) -> list[Array]:
        """Return the parameter arrays, without their names. An optimiser takes the model itself:
        ``ml.Adam(model)``."""
        return list(self.named_parameters().values())

    def num_parameters(self) -> int:
        """Return how many numbers there are to learn."""
        return sum(int(p.size) for p in self.parameters())

    def chain(self) -> list[tuple[str, Any]]:
        """Return the layers that ``summary`` lists, as (name, layer) in the order of the forward; here, the
        module itself."""
        return [("", self)]

    # What reaches every module below
    # ---------------------------------------------------------------------------------

    @property
    def training(self) -> bool:
        return self._training and not thread.evaluating

    @training.setter
    def training(self, value: bool) -> None:
        self._training = bool(value)

    @property
    def fast(self) -> bool:
        return self._fast

    @fast.setter
    def fast(self, value: bool) -> None:
        for _, module in self.modules():
            module._fast = bool(value)

    @property
    def frozen(self) -> bool:
        return self._frozen

    @frozen.setter
    def frozen(self, value: bool) -> None:
        for _, module in self.modules():
            module._frozen = bool(value)

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode (or, with ``mode=False``, to evaluation mode); return self."""
        for _, module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Switch to evaluation mode: dropout is the identity and nothing is cached; return self."""
        return self.train(False)

    def zero_grad(self, set_to_none: bool = False) -> None:
        """Set every gradient to zero. A forward that is pending stays so.

        ``set_to_none``, PyTorch's argument, makes no difference: gradients are always arrays.
        """
        zero_gradients(self.modules())

    def drop_caches(self, number: int | None = None) -> None:
        """Discard pending forwards, of this module and all below it; with ``number``, those of that pass
        alone."""
        for _, module in self.modules():
            if number in (None, module._pass):
                module._caches = []

    def rng_streams(self) -> list[np.random.BitGenerator]:
        """Return the bit generators of all modules that draw random numbers."""
        return [module.rng.bit_generator for _, module in self.modules() if has_rng(module)]

    def summary(self, input_shape: tuple[int, ...] | None = None) -> Summary:
        """Return a table of layers, parameter counts and, given ``input_shape`` (with the batch axis), output
        shapes.

        Shapes are found by running an input of zeros through the layers in evaluation mode. Raises
        ArgumentError for an ``input_shape`` that is not a tuple of whole numbers, and whatever the layers
        raise if that input does not fit.
        """
        return summarize(self, input_shape)


def outdate(modules: list[tuple[str, Any]]) -> None:
    """Discard pending forwards of modules whose weights have changed."""
    for _, module in modules:
        module._outdated = module._outdated or bool(module._caches)
        module._caches = []


def located(modules: list[tuple[str, Any]]) -> dict[str, tuple[Any, str]]:
    """Return dotted parameter name -> (layer, its name there) for modules as ``Tree.modules`` returns
    them."""
    found = {}
    for prefix, module in modules:
        for key in module.params:
            found[f"{prefix}.{key}" if prefix else key] = module, key
    return found


def zero_gradients(modules: list[tuple[str, Any]]) -> None:
    """Set the gradients of modules to zero. Raises ArgumentError, DtypeError if one cannot be written to;
    none is then."""
    gradients = {f"gradient of {name}": module.grads[key] for name, (module, key) in located(modules).items()}
    check_writeable(gradients)
    for gradient in gradients.values():
        gradient.fill(0)


def has_rng(module: Any) -> bool:
    """Return whether a module has a random generator of its own."""
    return isinstance(getattr(module, "rng", None), np.random.Generator)


@contextmanager
def restored_modes(model: Tree) -> Iterator[None]:
    """Put each layer back into the mode (training or evaluation) it was in, at the end of a ``with``."""
    modes = [(module, module.training) for _, module in model.modules()]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _collect(where: str, name: str, value: Any, found: dict[str, Any], hidden: dict[str, Any],
             outer: tuple[Any, ...]) -> None:
    """Add to ``found`` the modules in an attribute, by dotted name, to ``hidden`` what may hold others;
    ``outer``: the containers that ``value`` is in."""
    if isinstance(value, Tree):
        found[name] = value
    elif isinstance(value, (list, tuple, deque, Mapping)):
        if any(value is container for container in outer):
            return
        for key, part in value.items() if isinstance(value, Mapping) else enumerate(value):
            if type(part) not in PLAIN:
                _collect(where, f"{name}.{key}", part, found, hidden, (*outer, value))
    elif type(value) is not np.ndarray or value.dtype.kind == "O":
        hidden[where] = value


def _held(value: Any) -> list[Any]:
    """Return what an object holds, by itself or in containers."""
    if isinstance(value, (type, ModuleType)):
        return []
    parts: list[Any]
    if isinstance(value, FunctionType):     # whose globals are not theirs
        parts = [cell.cell_contents for cell in value.__closure__ or ()]
    else:
        parts = list(value.flat) if isinstance(value, np.ndarray) else gc.get_referents(value)
    found = parts
    for _ in range(3):
        parts = gc.get_referents(*(part for part in parts if isinstance(part, BOXES)))
        found = found + parts
    return found
