"""Of no single file: the recurrent layers against PyTorch in float64: outputs, final states and every gradient, in 288
configurations.

The largest disagreement is printed at the end (pytest -s).
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from cases import UPSTREAM, Case, close
from reference import suffix
from torch_twin import load, shift, shift_back, to_torch, torch, unload


def run_torch(case: Case) -> tuple[list[Any], list[Any]]:
    """Outputs and final states, and the gradients of x, the states and each parameter, as NumPy arrays."""
    options = {"bidirectional": case.bidirectional, "batch_first": True, "dtype": torch.float64}
    make = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}.get(case.kind, torch.nn.RNN)
    module = make(case.D, case.H, case.num_layers, **case.named, **options)
    ends = [suffix(layer, reverse) for layer in range(case.num_layers) for reverse in (False, True)[:case.directions]]
    for end in ends:
        load(module, end, case.weights()["W" + end], case.weights()["b" + end])
    x = to_torch(case.x(), True)
    state = tuple(to_torch(s, True) for s in (case.state() if case.states else case.zero_state()))
    packed_state = state if case.kind == "lstm" else state[0]
    if case.padding == "none":
        y, final = module(x, packed_state)
    else:
        lengths = case.lengths()
        rows = torch.nn.utils.rnn.pack_padded_sequence(shift(x, lengths, case.padding), torch.from_numpy(lengths),
                                                       batch_first=True, enforce_sorted=False)
        packed, final = module(rows, packed_state)
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True, total_length=case.T)
        y = shift_back(y, lengths, case.padding)
    finals = case.unpack(final)
    if not case.return_sequences:
        y = torch.cat(list(finals[0][-case.directions:]), dim=1)
    given = [(y, case.dy()), *zip(finals, case.dstate())]
    loss = sum((value * to_torch(gradient)).sum() for value, gradient in given if gradient is not None)
    if isinstance(loss, torch.Tensor):
        loss.backward()
    inputs = [(torch.zeros_like(a) if a.grad is None else a.grad).numpy() for a in (x, *state)]
    return [a.detach().numpy() for a in (y, *finals)], [*inputs, *(g for end in ends for g in unload(module, end, True))]


def configurations() -> list[Case]:
    """Every combination of the first six fields; upstream, sizes and values drawn from a fixed seed."""
    rng, found = np.random.default_rng(2), []
    for seed, fields in enumerate(itertools.product(("lstm", "tanh", "relu", "gru"), (1, 2, 3), (False, True),
                                                    ("none", "post", "pre"), (False, True), (False, True))):
        N, T, D, H = (int(rng.choice(sizes)) for sizes in ((1, 2, 3, 5), (1, 2, 7, 11), (1, 3, 5), (1, 2, 3)))
        found.append(Case(*fields, UPSTREAM[rng.integers(4)], N=N, T=T, D=D, H=H, seed=seed))
    return found


@pytest.mark.parametrize("case", configurations(), ids=lambda c: "-".join(
    [c.kind, f"{c.num_layers}x{c.directions}", c.padding, c.upstream, f"{c.N}.{c.T}.{c.D}.{c.H}"]).replace(" ", "_"))
def test_recurrent_layers(case: Case, worst: list[float]) -> None:
    layer = case.layer()
    y, final = layer(case.x(), case.pack(case.state()) if case.states else None, return_state=True, **case.options)
    dx, dstate = layer.backward(case.dy(), case.pack(case.dstate()))
    values, gradients = run_torch(case)
    ours = [dx, *case.unpack(dstate), *(layer.grads[name] for name in case.params())]
    for got, want in zip([y, *case.unpack(final), *ours], [*values, *gradients], strict=True):
        worst.append(close(got, want, 1e-10))
