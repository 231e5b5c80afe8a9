"""The character model: it reads a text letter by letter and says how probable each next letter is.

    Embedding -> RNN, GRU or LSTM -> Dropout -> Linear        logits (N, T, V) of the next of V characters

Training carries the states from chunk to chunk (``contiguous_batches``, ``Trainer(..., carry_state=True)``);
the loss is CrossEntropyLoss, in nats per character.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minilstm.backend.arrays import asarray, backend_name, to_numpy
from minilstm.backend.checks import check_choice, check_positive_int, is_number
from minilstm.backend.errors import ArgumentError
from minilstm.backend.passes import evaluating
from minilstm.backend.seeds import as_generator
from minilstm.layers.dropout import Dropout
from minilstm.layers.embedding import Embedding
from minilstm.layers.linear import Linear
from minilstm.layers.module import Module
from minilstm.layers.sequential import Sequential
from minilstm.training.reference import LAYERS


def character_model(vocabulary: int, *, cell: str = "lstm", embedding_size: int = 64, hidden_size: int = 128,
                    num_layers: int = 1, dropout: float = 0.0, rng: Any = None) -> Sequential:
    """Return a character model with its initial weights, all drawn from one seed. Raises ArgumentError.

    Args:
        vocabulary: number of different characters.
        cell: "rnn", "gru" or "lstm".
        dropout: probability of dropping before the dense layer.
    """
    check_choice("cell", cell, tuple(LAYERS))
    rng = as_generator(rng)
    return Sequential(
        Embedding(vocabulary, embedding_size, rng=rng),
        LAYERS[cell](embedding_size, hidden_size, num_layers, rng=rng),
        Dropout(dropout, rng=rng),
        Linear(hidden_size, vocabulary, rng=rng),
    )


def generate(model: Module, tokens: Sequence[int], n: int, *, temperature: float = 1.0,
             rng: Any = None) -> list[int]:
    """Return ``n`` tokens drawn one after another, each from what the model says after all before it.

    Args:
        model: returns logits (N, T, V) and takes ``state0`` and ``return_state``, as a Sequential does.
        tokens: what the model reads first, at least one.
        temperature: the logits are divided by it: below 1 the probable becomes more probable.
        rng: seed or numpy Generator.

    Raises ArgumentError, and what the model raises for tokens that it does not know.

    >>> import minilstm as ml
    >>> model = ml.Sequential(ml.Embedding(5, 3, rng=0), ml.LSTM(3, 4, rng=1), ml.Linear(4, 5, rng=2))
    >>> len(ml.generate(model, [0, 1], 10, temperature=0.7, rng=0))
    10
    """
    check_positive_int("n", n)
    if not is_number(temperature) or not 0 < temperature < math.inf:
        raise ArgumentError(f"temperature: expected a finite number above 0, got {temperature!r}")
    if not len(tokens):
        raise ArgumentError("tokens: expected at least one for the model to begin with")
    rng, home = as_generator(rng), backend_name(model.parameters()[0])
    given, state, drawn = list(tokens), None, []
    with evaluating():
        for _ in range(n):
            z, state = model(asarray(np.array([given]), home), state0=state, return_state=True)
            logits = to_numpy(z[0, -1]).astype(np.float64)
            p = np.exp((logits - logits.max()) / temperature)
            given = [int(rng.choice(len(p), p=p / p.sum()))]
            drawn += given
    return drawn
