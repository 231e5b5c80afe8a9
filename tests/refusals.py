"""How a refusal is judged: the error class itself, the words of its message, and everything left as it was, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def snapshot(module: Any) -> Any:
    """Everything of a module that a refused call must leave alone."""
    return ({name: value.tobytes() for name, value in module.named_parameters().items()},
            {name: value.tobytes() for name, value in module.named_gradients().items()},
            {name: [id(cache) for cache in m._caches] for name, m in module.modules()},
            module.rng_state(), {name: m.training for name, m in module.modules()})


def refuses(error: type[Exception], call: Callable[[], Any], *words: str, unchanged: Any = None) -> None:
    """Assert that ``call`` raises exactly ``error``, says each of ``words``, and changes nothing of ``unchanged``."""
    before = None if unchanged is None else snapshot(unchanged)
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error, f"{type(caught.value).__name__}: {caught.value}"
    for word in words:
        assert word in str(caught.value), f"{word!r} is not in: {caught.value}"
    assert "\n" not in str(caught.value)
    assert unchanged is None or snapshot(unchanged) == before
