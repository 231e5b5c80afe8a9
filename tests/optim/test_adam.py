"""Adam, AdamW and LazyAdam beside PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import assert_allclose, assert_equal, put
from optimizer_cases import OPTIMIZERS, agrees_with_pytorch

import minilstm as ml


@pytest.mark.parametrize(("kind", "options"), [case for case in OPTIMIZERS if not issubclass(case[0], ml.SGD)])
def test_twenty_steps_agree_with_pytorch(kind: Any, options: dict[str, Any]) -> None:
    agrees_with_pytorch(kind, options)


def test_lazy_adam_is_pytorchs_sparse_adam_on_an_embedding_and_adam_elsewhere(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch", reason="the oracles extra is not installed")
    model = put(ml.Sequential(ml.Embedding(11, 3, dtype=np.float64, rng=0), ml.Linear(3, 1, dtype=np.float64, rng=1)))
    model.fast = False          # its doubles
    theirs = torch.nn.Sequential(torch.nn.Embedding(11, 3, sparse=True), torch.nn.Linear(3, 1)).double()
    table, W, b = (torch.tensor(ml.to_numpy(p)) for p in model.parameters())
    theirs.load_state_dict({"0.weight": table, "1.weight": W.T, "1.bias": b})
    options: dict[str, Any] = {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-30}        # theirs adds ε elsewhere
    ours = ml.LazyAdam(model, **options)
    reference = [kind(part.parameters(), **options) for kind, part in zip((torch.optim.SparseAdam, torch.optim.Adam), theirs)]
    for _ in range(8):
        tokens, dy = rng.integers(0, 9, (2, 3)), rng.standard_normal((2, 3, 1))        # 9 and 10 never occur
        model.zero_grad()
        model(put(tokens))
        model.backward(put(dy))
        ours.step()
        theirs.zero_grad()
        (theirs(torch.tensor(tokens)) * torch.tensor(dy)).sum().backward()
        for optimizer in reference:
            optimizer.step()
        for p, q in zip(model.parameters(), (theirs[0].weight, theirs[1].weight.T, theirs[1].bias)):
            assert_allclose(p, q.detach().numpy(), rtol=1e-12)
    assert_equal(model[0].params["W"][9:], table[9:].numpy())
