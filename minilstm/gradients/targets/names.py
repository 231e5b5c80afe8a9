"""What students call things: the gradient of a name, a cache, the arguments of a function."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

from minilstm.gradients.targets.trees import children, flatten, name_leaves

# What the gradient of a name is called; the last one only in a store of gradients.
GRADIENT_NAMES = (
    "d{}", "{}_grad", "{}_diff", "d_{}", "grad_{}", "g{}", "g_{}", "grad{}", "{}grad", "{}_gradient", "dL{}",
    "dLd{}", "dL_d{}", "delta_{}", "D_{}", "nabla_{}", "d{}_", "_d{}", "d{}_sum", "{}_g", "{}")
# What data is called, in lower case, without underscores.
INPUT = re.compile("^(x|xs|xt|xseq|xin|inputs?|seq|sequences?|data|tokens?|ids|words|batch)$")
CACHE_NAME = re.compile("(?i)^_?(cache|ctx|context|memory|mem|tape|saved|stored|store|record|history)")


def all_names(function: Any) -> dict[str, inspect.Parameter]:
    """Return a function's arguments by name; none where it hides them."""
    try:
        return dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return {}


def required_names(function: Any, keyword_only: bool = False) -> list[str]:
    """Return the names of a function's required arguments, on request those by keyword only too."""
    return [p.name for p in all_names(function).values() if p.default is p.empty and (
        p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) or keyword_only and p.kind is p.KEYWORD_ONLY)]


def short_name(name: str) -> str:
    """Return a name in lower case, without underscores."""
    return name.replace("_", "").lower()


def is_data(name: str) -> bool:
    """Tell from its name whether this input is data, or a step of it."""
    return INPUT.match(short_name(whole(name))) is not None


def whole(name: str) -> str:
    """Return the name of the list that ``xs[0]`` is a step of, any other as it is."""
    return name.partition("[")[0]


def is_cache(name: str) -> bool:
    """Tell whether this is what one calls a cache."""
    return CACHE_NAME.match(name) is not None


def takes_cache(backward: Any) -> bool:
    """Tell from the name of backward's last argument whether it takes what forward returned last: a cache."""
    return any(map(is_cache, required_names(backward)[-1:]))


def find_key(name: str, keys: Iterable[str], forms: Iterable[str] = GRADIENT_NAMES) -> str | None:
    """Return the key of the gradient of ``name`` (of ``a.W[0]``: ``a.dW[0]``, ``da.dW[0]``), or None."""
    keys = set(keys)
    stem, bracket, place = name.partition("[")
    parent, dot, own = stem.rpartition(".")
    candidates = (key for form in forms
                  for above in (parent, form.format(parent) if dot else "")
                  for key in (f"{above}{dot}{form.format(own)}{bracket}{place}", form.format(name)))
    return next((key for key in candidates if key in keys), None)


def look_up(name: str, gradients: Mapping[str, Any]) -> Any:
    """Return the gradient of ``name`` in a store of gradients; None if there is none."""
    key = find_key(name, gradients)
    return None if key is None else gradients[key]


def split_gradients(gradients: Any) -> tuple[dict[str, Any], list[Any]]:
    """Return what backward returned by name (entries of dicts) and by position (other leaves)."""
    if hasattr(gradients, "_asdict"):       # a named tuple: its fields may have names of gradients
        gradients = gradients._asdict()
    if isinstance(gradients, dict):
        return dict(zip(name_leaves([("", gradients)]), flatten(gradients))), []
    branches = children(gradients)
    if branches is None:
        return {}, [gradients]
    by_name: dict[str, Any] = {}
    by_position: list[Any] = []
    for branch in branches:
        named, rest = split_gradients(branch)
        by_name.update(named)
        by_position += rest
    return by_name, by_position
