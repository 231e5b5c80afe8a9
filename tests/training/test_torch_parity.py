"""Of no single file: the reference model against the same model in PyTorch, in float64: the first gradients and ten
steps of Adam.

Embedding, recurrent layer with lengths, last hidden state, dropout with the same masks, Linear, sigmoid, BCE.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import put
from cases import close
from torch_twin import load, shift, to_torch, torch, unload

import minilstm as ml

V, N, T, D, H = 23, 7, 11, 5, 3
KEEP_SEED = 5


def whole_model(kind: str) -> ml.Sequential:
    """A small reference model with the default initialisation, but biases moved away from 0."""
    recurrent = (ml.LSTM if kind == "lstm" else ml.RNN)(D, H, return_sequences=False, dtype=np.float64, rng=2)
    model = ml.Sequential(ml.Embedding(V, D, dtype=np.float64, rng=1), recurrent, ml.Dropout(0.5, rng=KEEP_SEED),
                          ml.Linear(H, 1, dtype=np.float64, rng=3), ml.Sigmoid())
    for name, value in model.named_parameters().items():
        if name.endswith("b"):
            value += np.random.default_rng(4).standard_normal(value.shape) * 0.1
    return model


class TorchModel(torch.nn.Module):
    """The same model in PyTorch, with the same weights; dropout masks are handed in."""

    def __init__(self, model: ml.Sequential, kind: str) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(V, D, dtype=torch.float64)
        self.recurrent = (torch.nn.LSTM if kind == "lstm" else torch.nn.RNN)(D, H, batch_first=True, dtype=torch.float64)
        self.linear = torch.nn.Linear(H, 1, dtype=torch.float64)
        params = model.named_parameters()
        with torch.no_grad():
            self.embedding.weight.copy_(to_torch(params["0.W"]))
            self.linear.weight.copy_(to_torch(params["3.W"].T))
            self.linear.bias.copy_(to_torch(params["3.b"]))
        load(self.recurrent, "", params["1.W"], params["1.b"])

    def forward(self, ids: Any, lengths: Any, padding: str, mask: Any) -> Any:
        ids = shift(torch.from_numpy(ids), lengths, padding)
        rows = torch.nn.utils.rnn.pack_padded_sequence(self.embedding(ids), torch.from_numpy(lengths), batch_first=True,
                                                       enforce_sorted=False)
        _, final = self.recurrent(rows)
        h = final[0] if isinstance(final, tuple) else final
        return torch.sigmoid(self.linear(h[-1] * to_torch(mask)))

    def arrays(self, gradient: bool) -> dict[str, Any]:
        """Parameters, or their gradients, under our names and in our layout."""
        plain = {name: (p.grad if gradient else p.detach()).numpy() for name, p in self.named_parameters()
                 if "bias_hh" not in name}
        W, b = unload(self.recurrent, "", gradient)
        return {"0.W": plain["embedding.weight"], "1.W": W, "1.b": b, "3.W": plain["linear.weight"].T,
                "3.b": plain["linear.bias"]}


@pytest.mark.parametrize("kind", ["lstm", "rnn"])
@pytest.mark.parametrize("padding", ["post", "pre"])
def test_ten_steps_of_the_whole_model(kind: str, padding: str, rng: np.random.Generator, worst: list[float]) -> None:
    ours = whole_model(kind)
    theirs = TorchModel(ours, kind)
    put(ours)
    criterion, optimizer = ml.BCELoss(), ml.Adam(ours, lr=0.01)
    adam = torch.optim.Adam([p for p in theirs.parameters() if p.requires_grad], lr=0.01)
    masks = ml.Dropout(0.5, rng=KEEP_SEED)      # draws the masks that the model's own layer draws
    for step in range(10):
        ids, lengths = rng.integers(0, V, (N, T)), rng.integers(1, T + 1, N)
        target = rng.integers(0, 2, N).astype(np.float64)
        mask = masks(np.ones((N, H)))
        assert set(np.unique(mask)) == {0.0, 2.0}
        ours.zero_grad()
        adam.zero_grad()
        loss = criterion(ours(put(ids), lengths=lengths, padding=padding), put(target))
        ours.backward(criterion.backward())
        expected = torch.nn.functional.binary_cross_entropy(theirs(ids, lengths, padding, mask)[:, 0], to_torch(target))
        expected.backward()
        worst.append(close(loss, expected.detach().numpy(), 1e-10 if step == 0 else 1e-8))
        if step == 0:       # both from the same weights; later weights differ by the rounding of earlier Adam steps
            for name, gradient in theirs.arrays(gradient=True).items():
                worst.append(close(ours.named_gradients()[name], gradient, 1e-10))
        optimizer.step()
        adam.step()
    for name, value in theirs.arrays(gradient=False).items():
        worst.append(close(ours.named_parameters()[name], value, 1e-8))
