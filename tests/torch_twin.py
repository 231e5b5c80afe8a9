"""Moving weights, gradients and padded rows between minilstm's layout and PyTorch's.

Ours: one W (H + D, 4H) with rows [h; x] and columns f, i, o, c̃, and one b. PyTorch's: weight_ih (4H, D) and weight_hh
(4H, H) with rows i, f, g, o, and two biases that are only ever added. So b goes into bias_ih, and bias_hh is zero and
frozen: if both were trained, they would get the same gradient, and their sum would learn twice as fast. A GRU's gates are
r, z, n in both; of its second bias the last third is our b_nh, and the rest stays zero. PyTorch knows only post-padding: rows
padded in front are rolled to the start of the row, and the outputs rolled back.

Importing this file skips the importing test file where PyTorch is not installed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import on_host

torch: Any = pytest.importorskip("torch", reason="the oracles extra is not installed")
OURS, TORCH = "fioc", "ifco"            # PyTorch's g is our c̃


def reorder(array: Any, order_in: str, order_out: str) -> Any:
    """Move the gate blocks along the last axis; an array of one block is left alone when both orders are ""."""
    if not order_in:
        return array
    blocks = dict(zip(order_in, np.split(array, len(order_in), axis=-1)))
    return np.concatenate([blocks[gate] for gate in order_out], axis=-1)


def to_torch(value: Any, gradient: bool = False) -> Any:
    return torch.tensor(np.asarray(on_host(value)), dtype=torch.float64).requires_grad_(gradient)


def load(module: Any, end: str, W: Any, b: Any) -> None:
    """Copy our W and b of one layer and direction (name ending ``end``) into a torch.nn.LSTM, GRU or RNN; freeze bias_hh (but
    a GRU's).
    """
    ours, theirs = (OURS, TORCH) if isinstance(module, torch.nn.LSTM) else ("", "")
    H, end = module.hidden_size, end if "_l" in end else "_l0" + end
    W, b = reorder(W, ours, theirs), reorder(b, ours, theirs)
    is_gru = isinstance(module, torch.nn.GRU)
    b_hh = np.concatenate([0 * b[:2 * H], b[3 * H:]]) if is_gru else 0 * b
    with torch.no_grad():
        for name, value in (("weight_hh", W[:H].T), ("weight_ih", W[H:].T), ("bias_ih", b[:3 * H] if is_gru else b),
                            ("bias_hh", b_hh)):
            getattr(module, name + end).copy_(to_torch(value))
    getattr(module, "bias_hh" + end).requires_grad_(is_gru)


def unload(module: Any, end: str, gradient: bool) -> tuple[Any, Any]:
    """The way back: (W, b) in our layout, or their gradients (zero where torch has none)."""
    ours, theirs = (OURS, TORCH) if isinstance(module, torch.nn.LSTM) else ("", "")
    end = end if "_l" in end else "_l0" + end
    tensors = [getattr(module, name + end) for name in ("weight_hh", "weight_ih", "bias_ih")]
    if isinstance(module, torch.nn.GRU):
        tensors.append(getattr(module, "bias_hh" + end))
    hh, ih, b, *b_hh = [(torch.zeros_like(p) if p.grad is None else p.grad).numpy() if gradient else p.detach().numpy()
                        for p in tensors]
    if b_hh:
        b = np.concatenate([b, b_hh[0][2 * module.hidden_size:]])
    return reorder(np.concatenate([hh, ih], axis=1).T, theirs, ours), reorder(b, theirs, ours)


def shift(x: Any, lengths: Any, padding: str) -> Any:
    """Move the real steps of pre-padded rows to the front (the rest wraps around), differentiably; or leave post as it is."""
    if padding != "pre":
        return x
    return torch.stack([torch.roll(row, int(length) - len(row), 0) for row, length in zip(x, lengths)])


def shift_back(y: Any, lengths: Any, padding: str) -> Any:
    if padding != "pre":
        return y
    return torch.stack([torch.roll(row, len(row) - int(length), 0) for row, length in zip(y, lengths)])
