"""Adam and AdamW beside PyTorch's."""

from __future__ import annotations

from typing import Any

import pytest
from optimizer_cases import OPTIMIZERS, agrees_with_pytorch

import minilstm as ml


@pytest.mark.parametrize(("kind", "options"), [case for case in OPTIMIZERS if not issubclass(case[0], ml.SGD)])
def test_twenty_steps_agree_with_pytorch(kind: Any, options: dict[str, Any]) -> None:
    agrees_with_pytorch(kind, options)
