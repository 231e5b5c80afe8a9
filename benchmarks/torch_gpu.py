"""The reference model in PyTorch on a GPU (with cuDNN), as its users write it, the data on the GPU too. For bench_cuda.py."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from itertools import count, islice
from typing import Any

import numpy as np


def torch_way(a: Namespace, tokens: np.ndarray, labels: np.ndarray,
              device: str = "cuda") -> tuple[str, Callable[[int], None], Callable[[], None]]:
    """Return (name, train some batches, train an epoch). ``a``: sizes, as bench_cuda.py has them.

    Raises ImportError where PyTorch or its GPU is missing.
    """
    import torch
    if device == "cuda" and not torch.cuda.is_available():
        raise ImportError("PyTorch sees no GPU")
    torch.manual_seed(0)
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[a.cell]

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(a.num_words, a.embedding_size)
            self.cell = kind(a.embedding_size, a.hidden_size, batch_first=True)
            self.dropout, self.linear = torch.nn.Dropout(0.5), torch.nn.Linear(a.hidden_size, 1)

        def forward(self, tokens: Any) -> Any:
            return torch.sigmoid(self.linear(self.dropout(self.cell(self.embedding(tokens))[0][:, -1])))[:, 0]

    model: Any = Model().to(device)
    criterion, optimizer = torch.nn.BCELoss(), torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    x, y = (torch.from_numpy(part).to(device) for part in (tokens, labels))
    batches = (rows for _ in count() for rows in torch.randperm(len(x), device=device).split(a.batch_size))

    def steps(number: int) -> None:
        for rows in islice(batches, number):
            optimizer.zero_grad()
            criterion(model(x[rows]), y[rows]).backward()
            optimizer.step()

    def epoch() -> None:
        steps(-(-len(x) // a.batch_size))
        if device == "cuda":
            torch.cuda.synchronize()
    return f"PyTorch {torch.__version__}", steps, epoch
