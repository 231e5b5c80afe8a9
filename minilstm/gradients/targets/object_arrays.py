"""Where an object of somebody's own class keeps its parameters and their gradients."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, NamedTuple

from minilstm.backend.arrays import Array
from minilstm.backend.checks import is_array
from minilstm.gradients.targets.names import GRADIENT_NAMES, find_key, look_up
from minilstm.gradients.targets.trees import is_floating

# Attributes that hold parameters, and those that hold their gradients, both dicts or both lists.
STORES = (("params", "grads"), ("params", "dparams"), ("weights", "grads"), ("weights", "gradients"),
          ("parameters", "gradients"), ("parameters", "grads"), ("params", "gradients"))
BESIDE = ("grads", "gradients", "dparams")      # dicts of the gradients of attributes
# What a parameter that is an object calls its value and its gradient.
VALUES, SLOPES = ("data", "value", "values"), ("grad", "d", "gradient", "g", "diff")


class StoredArray(NamedTuple):
    """A floating point array that an object keeps, and its gradient (None if there is none)."""

    array: Array
    gradient: Any
    declared: bool      # it stands in ``params``, so it must have a gradient
    path: str           # as its author writes it, after "self."


def stored_arrays(thing: Any, prefix: str = "", seen: set[int] | None = None) -> dict[str, StoredArray]:
    """Return the arrays that an object keeps, by name.

    They are in ``params`` and ``grads`` (or another pair of STORES) if it has them, else in its attributes
    (W, or W[0] in a list, W['f'] in a dict) and in those of the objects it is made of. ``seen``: the objects
    that were visited already.
    """
    seen = set() if seen is None else seen
    seen.add(id(thing))
    for store, other in STORES:
        params, grads = getattr(thing, store, None), getattr(thing, other, None)
        if isinstance(params, dict) and params and isinstance(grads, dict):
            stored = f"{prefix}{store}"
            return {prefix + name: StoredArray(array, look_up(name, grads), True, f"{stored}[{name!r}]")
                    for name, array in params.items()}
        if not isinstance(params, (tuple, list)) or not isinstance(grads, (tuple, list)):
            continue
        if all(map(is_array, params)):
            gradients = [*grads, *[None] * (len(params) - len(grads))]
            paths = [f"{prefix}{store}[{k}]" for k in range(len(params))]
            return {path: StoredArray(array, gradient, True, path)
                    for path, array, gradient in zip(paths, params, gradients)}
    value = next((name for name in VALUES if is_floating(getattr(thing, name, None))), None)
    slope = next((name for name in SLOPES if hasattr(thing, name)), None)
    if value is not None and slope is not None:
        entry = StoredArray(getattr(thing, value), getattr(thing, slope), False, f"{prefix}{value}")
        return {prefix[:-1] or value: entry}
    return _in_attributes(thing, prefix, seen)


def _in_attributes(thing: Any, prefix: str, seen: set[int]) -> dict[str, StoredArray]:
    parts: dict[str, Any] = {}
    beside: dict[str, Any] = {}
    for name, content in getattr(thing, "__dict__", {}).items():
        if name in BESIDE:
            beside.update(content if isinstance(content, dict) else {})
        elif isinstance(content, (dict, tuple, list)) and content:
            items: Iterable[Any] = content.items() if isinstance(content, dict) else enumerate(content)
            parts.update({f"{name}[{key!r}]": part for key, part in items})
        else:
            parts[name] = content
    found = {}
    arrays = {name: part for name, part in parts.items() if is_floating(part)}
    keys = {name: find_key(name, parts, GRADIENT_NAMES[:-1]) for name in arrays}
    for name, key in keys.items():
        if name not in keys.values():           # it is no gradient itself
            gradient = look_up(name, beside) if key is None else parts[key]
            found[prefix + name] = StoredArray(arrays[name], gradient, False, prefix + name)
    for name, part in parts.items():
        if hasattr(part, "__dict__") and id(part) not in seen and not _is_other(part):
            found.update(stored_arrays(part, f"{prefix}{name}.", seen))
    return found


def _is_other(part: Any) -> bool:
    """Return whether this is no object that holds parameters: an array, a class, a function, a module."""
    return is_array(part) or isinstance(part, type) or inspect.isroutine(part) or inspect.ismodule(part)
