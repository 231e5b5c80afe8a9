"""Every gradient of RNN, GRU and LSTM layers, in many random configurations, against finite differences and complex step.

    python benchmarks/gradient_checks.py                  320 configurations, prints the figures of RESULTS.md

The configurations cover all cells (LSTM, GRU, tanh RNN, relu RNN), 1 and 2 layers, one and both directions, padding on either
side, initial states, dropout between layers, a missing upstream gradient, and T up to 20. Every element of every argument and
parameter is checked.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

import minilstm as ml


def draw(rng: np.random.Generator, number: int) -> tuple[Any, Any, dict[str, Any]]:
    """Return (layer, inputs, options of gradcheck) of one configuration."""
    kind = ("lstm", "tanh", "relu", "gru")[number % 4]
    N, T, D, H = (int(n) for n in (rng.integers(1, 4), rng.integers(1, 21), rng.integers(1, 6), rng.integers(1, 5)))
    layers, bidirectional = int(rng.integers(1, 3)), bool(rng.integers(2))
    arguments: dict[str, Any] = {"bidirectional": bidirectional, "return_sequences": bool(rng.integers(4)), "rng": rng,
                                 "dropout": 0.3 if layers == 2 and rng.integers(2) else 0.0}
    make: Any = {"lstm": ml.LSTM, "gru": ml.GRU}.get(kind, ml.RNN)
    layer = make(D, H, layers, **arguments, **({"nonlinearity": kind} if make is ml.RNN else {}))
    for name, value in layer.params.items():    # not the initial weights: biases of 0 would hide mistakes
        value[...] = rng.standard_normal(value.shape) * (0.5 if name.startswith("b") else 1.2 / np.sqrt(value.shape[0]))
    options: dict[str, Any] = {"rng": int(rng.integers(2**31))}
    if rng.integers(3):
        options |= {"lengths": rng.integers(1, T + 1, N), "padding": ("post", "pre")[rng.integers(2)]}
    x = rng.standard_normal((N, T, D))
    state = tuple(rng.standard_normal((layers * (1 + bidirectional), N, H)) for _ in layer.state_names)
    if not rng.integers(3):
        return layer, x, options
    dirs = 1 + bidirectional
    dy = rng.standard_normal((N, T, H * dirs) if layer.return_sequences else (N, H * dirs))
    upstream = [dy, *(rng.standard_normal(s.shape) for s in state)]
    missing = rng.integers(2 * len(upstream))
    options |= {"return_state": True, "upstream": [None if k == missing else u for k, u in enumerate(upstream)]}
    return layer, (x, state if kind == "lstm" else state[0]), options


def main() -> None:
    """Run the configurations and print the worst figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--configurations", type=int, default=320, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng, start = np.random.default_rng(arguments.seed), time.perf_counter()
    finite, complex_errors, entries = [], [], 0
    for number in range(arguments.configurations):
        layer, inputs, options = draw(rng, number)
        report = ml.gradcheck(layer, inputs, tolerance=np.inf, complex_tolerance=np.inf, **options)
        finite.append(report.worst("finite"))
        complex_errors.append(report.worst("complex"))
        entries += report.entries
    print(f"{arguments.configurations} configurations, {entries:,} entries, {time.perf_counter() - start:.0f} s")
    print(f"complex step, per entry:        worst {max(complex_errors):.1e}   (bound 1e-10)")
    share = float(np.mean(np.array(finite) <= 1e-7))
    print(f"finite differences, per tensor: worst {max(finite):.1e}   (bound 1e-6), at most 1e-7 in {share:.1%} (bound 95 %)")


if __name__ == "__main__":
    main()
