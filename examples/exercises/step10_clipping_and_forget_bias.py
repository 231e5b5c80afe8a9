"""Step 10: gradients that explode and vanish: clipping, and the forget gate's bias (25 minutes).

Clipping. All gradients of a model form one long vector. If its norm exceeds max_norm, ALL of them are scaled by the same
factor, so that the norm is max_norm and the direction stays; else nothing changes.

    grads, a list of arrays   ->   the list of scaled arrays, and the norm before

The forget bias, an experiment. Along the cell state, T steps back, a gradient is multiplied by f_1 f_2 ... f_T, each
f_t = σ(a_t + bias). a (T, H) are the pre-activations of H cells at T steps.

    survival(a, bias): the share of the gradient that is left after T steps, in the mean over the H cells
    bias_needed(a, share): the smallest whole number 0, 1, 2, ... up to 20 as bias for which at least this share is left

Try a = np.random.default_rng(0).normal(size=(100, 64)): print survival(a, bias) for bias 0, 1, 2, 5.

Write down first: with T = 100 and a = 0, what is left of the gradient for bias 0? For bias 1? Guess before you compute.

Replace each ``...`` below. Then: python -m minilstm grade step10_clipping_and_forget_bias.py   (or run this file)
"""

from __future__ import annotations

import numpy as np


def clip_by_norm(grads, max_norm):
    """Return the list of scaled gradients, and their common norm before."""
    norm = ...
    factor = ...
    return [g * factor for g in grads], norm


def survival(a, bias):
    """Return the share of the gradient that is left after all steps of a (T, H), a number."""
    f = ...  # (T, H)
    left = ...  # (H,)
    return left.mean()


def bias_needed(a, share):
    """Return the smallest whole bias from 0 to 20 with survival of at least ``share``."""
    for bias in range(21):
        if ...:                                     # is this one enough?
            return bias
    return None


if __name__ == "__main__":
    from minilstm.__main__ import main
    raise SystemExit(main(["grade", __file__]))
