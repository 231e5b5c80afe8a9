"""Solution of step 10: gradients that explode and vanish: clipping, and the forget gate's bias (25 minutes).

This file is public: whoever looks for it finds it.

To vary the step: a longer T, another spread of a, or clipping by value, and ask for the angle between both directions.
"""

from __future__ import annotations

import numpy as np


def clip_by_norm(grads, max_norm):
    """Return the list of scaled gradients, and their common norm before."""
    norm = np.sqrt(sum((g ** 2).sum() for g in grads))
    factor = min(1.0, max_norm / norm)
    return [g * factor for g in grads], norm


def survival(a, bias):
    """Return the share of the gradient that is left after all steps of a (T, H), a number."""
    f = 1 / (1 + np.exp(-(a + bias)))               # (T, H)
    left = f.prod(axis=0)                           # (H,)
    return left.mean()


def bias_needed(a, share):
    """Return the smallest whole bias from 0 to 20 with survival of at least ``share``."""
    for bias in range(21):
        if survival(a, bias) >= share:
            return bias
    return None


if __name__ == "__main__":
    from minilstm.__main__ import main
    raise SystemExit(main(["grade", __file__]))
