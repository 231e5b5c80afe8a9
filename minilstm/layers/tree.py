"""The tree of modules: which modules a module is made of, and what reaches all of them.

A module's children are those in its attributes, alone or in lists, tuples and dicts of any depth. Names are
dotted, as in ``encoder.cells.0.W``. A module that occurs twice counts once, where it comes first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from operator import attrgetter
from types import NoneType
from typing import Any, Self

import numpy as np

from minilstm.backend.arrays import Array
from minilstm.backend.checks import check_writeable
from minilstm.backend.errors import ArgumentError
from minilstm.backend.passes import thread
from minilstm.layers.containers import held
from minilstm.layers.summary import Summary, summarize

# A walk passes by attributes of these types, and those of these names: they hold no modules.
PLAIN = frozenset({bool, int, float, str, NoneType, np.random.Generator})
NO_CHILDREN = frozenset({"params", "grads", "_caches"})


def _setting(name: str) -> Any:
    """Return a property that reads a module's attribute and sets it in every module below, too."""
    def write(tree: Tree, value: bool) -> None:
        for _, module in tree.modules():
            setattr(module, name, bool(value))
    return property(attrgetter(name), write)


class Tree:
    """What modules have because they form a tree; ``Module`` derives from it."""

    _training: bool

    def children(self) -> dict[str, Any]:
        """Return the modules this one is made of, by attribute name. Raises ArgumentError for modules where
        they are not looked for: in sets, arrays, functions, and objects that are no modules."""
        found: dict[str, Any] = {}
        hidden: dict[str, Any] = {}
        for name, value in vars(self).items():
            if type(value) not in PLAIN and name not in NO_CHILDREN:
                _collect(name, value, found, hidden, ())
        known = self, *found.values()
        for name, value in hidden.items():
            if any(isinstance(part, Tree) and part not in known for part in held(value)):
                raise ArgumentError(f"{type(self).__name__}.{name}: layers in this {type(value).__name__} "
                                    "would not be trained; keep them in a list or a dict, or derive the "
                                    "class from ml.Module")
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
        """Return dotted parameter name -> (the layer that owns it, its name there)."""
        return located(self.modules())

    def named_parameters(self) -> dict[str, Array]:
        """Return dotted name -> parameter array (the arrays themselves, not copies)."""
        return {name: module.params[key] for name, (module, key) in self.locate().items()}

    def named_gradients(self) -> dict[str, Array]:
        """Return dotted name -> gradient array, in the order of ``named_parameters``."""
        return {name: module.grads[key] for name, (module, key) in self.locate().items()}

    def parameters(self) -> list[Array]:
        """Return the parameter arrays. An optimiser takes the model itself: ``ml.Adam(model)``."""
        return list(self.named_parameters().values())

    def num_parameters(self) -> int:
        """Return how many numbers there are to learn."""
        return sum(int(p.size) for p in self.parameters())

    def chain(self) -> list[tuple[str, Any]]:
        """Return the layers that ``summary`` lists, as (name, layer); here, the module itself."""
        return [("", self)]

    @property
    def training(self) -> bool:
        return self._training and not thread.evaluating

    @training.setter
    def training(self, value: bool) -> None:
        self._training = bool(value)

    fast, frozen = _setting("_fast"), _setting("_frozen")

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode (or, with ``mode=False``, to evaluation mode); return self."""
        for _, module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Switch to evaluation mode, in which dropout is the identity and nothing is cached; return self."""
        return self.train(False)

    def zero_grad(self, set_to_none: bool = False) -> None:
        """Set every gradient to zero. ``set_to_none`` makes no difference: gradients are always arrays."""
        zero_gradients(self.modules())

    def drop_caches(self, number: int | None = None) -> None:
        """Discard pending forwards of all modules; with ``number``, those of that pass alone."""
        for _, module in self.modules():
            if number in (None, module._pass):
                module._caches = []

    def rng_streams(self) -> list[np.random.BitGenerator]:
        """Return the bit generators of all modules that draw random numbers."""
        return [module.rng.bit_generator for _, module in self.modules() if has_rng(module)]

    def summary(self, input_shape: tuple[int, ...] | None = None) -> Summary:
        """Return a table of layers, parameter counts and, given ``input_shape`` with the batch axis, shapes.

        An input of zeros is then run through the layers in evaluation mode. Raises ArgumentError for an
        ``input_shape`` that is not a tuple of whole numbers, and what the layers raise if it does not fit.
        """
        return summarize(self, input_shape)


def outdate(modules: list[tuple[str, Any]]) -> None:
    """Discard pending forwards of modules whose weights have changed."""
    for _, module in modules:
        module._outdated = module._outdated or bool(module._caches)
        module._caches = []


def located(modules: list[tuple[str, Any]]) -> dict[str, tuple[Any, str]]:
    """Do what ``Tree.locate`` does, for modules as ``Tree.modules`` returns them."""
    found = {}
    for prefix, module in modules:
        for key in module.params:
            found[f"{prefix}.{key}" if prefix else key] = module, key
    return found


def zero_gradients(modules: list[tuple[str, Any]]) -> None:
    """Set the gradients of modules to zero; first raises ArgumentError, DtypeError if one is read-only."""
    owners = located(modules)
    gradients = {f"gradient of {name}": module.grads[key] for name, (module, key) in owners.items()}
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


def _collect(name: str, value: Any, found: dict[str, Any], hidden: dict[str, Any],
             outer: tuple[Any, ...]) -> None:
    """Add to ``found`` the modules in ``value``, by dotted name, to ``hidden`` what may hold others;
    ``outer``: the containers that it is in."""
    if isinstance(value, Tree):
        found[name] = value
    elif isinstance(value, (list, tuple, deque, Mapping)):
        if any(value is container for container in outer):
            return
        for key, part in value.items() if isinstance(value, Mapping) else enumerate(value):
            if type(part) not in PLAIN:
                _collect(f"{name}.{key}", part, found, hidden, (*outer, value))
    elif type(value) is not np.ndarray or value.dtype.kind == "O":
        hidden[name] = value
