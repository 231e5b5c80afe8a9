"""The reference model, built in one place: Embedding -> RNN, GRU or LSTM -> Dropout -> Linear -> Sigmoid.

Its defaults are the reference configuration of examples/imdb_lstm.py; the laboratory and the benchmarks vary
it. On request, words and their vectors are dropped around the Embedding, and the recurrent layer's outputs
are pooled over time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from minilstm.backend.checks import check_choice
from minilstm.layers.activations import Sigmoid
from minilstm.layers.dropout import Dropout, LockedDropout, WordDropout
from minilstm.layers.embedding import Embedding
from minilstm.layers.gru import GRU
from minilstm.layers.initial_weights import INITS
from minilstm.layers.linear import Linear
from minilstm.layers.lstm import LSTM
from minilstm.layers.module import Module
from minilstm.layers.pooling import POOLINGS, PoolOverTime
from minilstm.layers.rnn import RNN
from minilstm.layers.sequential import Sequential
from minilstm.optim.adam import Adam
from minilstm.optim.schedules import ExponentialLR
from minilstm.training.adversarial import AdversarialGradients
from minilstm.training.averaging import AveragedWeights

LAYERS: dict[str, Any] = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


@dataclass(frozen=True)
class ReferenceSettings:
    """Settings of the reference model.

    Attributes:
        cell: "rnn", "gru" or "lstm".
        num_words, embedding_size: size of the vocabulary, and of a word's vector.
        hidden_size, num_layers, bidirectional, padding: of the recurrent layer.
        pooling: "last" (the last hidden state), "max", "mean" or "both" (pooled over all real steps).
        word_dropout, locked_dropout: probabilities of replacing a word by number 1, "<OOV>", and of dropping
            a feature of all word vectors of a review.
        dropout: probability of dropping before the dense layer.
        init: initial weights, "default", "uniform", or "chrono", which concerns the recurrent layer alone.
        t_max: with "chrono", the longest dependency to be learned, in steps.
        seed: of weights and dropout.
    """

    cell: str = "lstm"
    num_words: int = 10_000
    embedding_size: int = 64
    hidden_size: int = 128
    num_layers: int = 1
    bidirectional: bool = False
    padding: str = "pre"
    pooling: str = "last"
    word_dropout: float = 0.0
    locked_dropout: float = 0.0
    dropout: float = 0.5
    init: str = "default"
    t_max: int | None = None
    seed: int = 0

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> ReferenceSettings:
        """Return those of ``settings`` that concern the model, and ignore the others."""
        return cls(**{field.name: settings[field.name] for field in fields(cls) if field.name in settings})


def reference_model(settings: ReferenceSettings = ReferenceSettings()) -> Sequential:
    """Return the model with its initial weights, all drawn from one seed. Raises ArgumentError."""
    check_choice("cell", settings.cell, tuple(LAYERS))
    check_choice("pooling", settings.pooling, ("last", *POOLINGS))
    pooled = settings.pooling != "last"
    rng = np.random.default_rng(settings.seed)
    D, H = settings.embedding_size, settings.hidden_size
    init = settings.init if settings.init in INITS else "default"
    size = H * (2 if settings.bidirectional else 1) * (2 if settings.pooling == "both" else 1)
    return Sequential(
        *([WordDropout(settings.word_dropout, rng=rng)] if settings.word_dropout else []),
        Embedding(settings.num_words, D, init=init, rng=rng),
        *([LockedDropout(settings.locked_dropout, rng=rng)] if settings.locked_dropout else []),
        LAYERS[settings.cell](D, H, settings.num_layers, bidirectional=settings.bidirectional,
                              return_sequences=pooled, padding=settings.padding, init=settings.init,
                              t_max=settings.t_max, rng=rng),
        *([PoolOverTime(settings.pooling, padding=settings.padding)] if pooled else []),
        Dropout(settings.dropout, rng=rng),
        Linear(size, 1, init=init, rng=rng),
        Sigmoid(),
    )


def reference_training(model: Module, *, lr: float, lr_decay: float = 1.0, average: float = 0.0,
                       adversarial: float = 0.0) -> tuple[Adam, dict[str, Any]]:
    """Return Adam for the model, and the arguments of the Trainer that go with these settings.

    Args:
        lr, lr_decay: learning rate, and its factor after each epoch.
        average: decay of an average of the weights, which is used in their place; 0: none.
        adversarial: norm of adversarial noise as a share of the word vectors' norm; 0: none.
    """
    optimizer = Adam(model, lr=lr)
    options: dict[str, Any] = {"scheduler": ExponentialLR(optimizer, lr_decay)} if lr_decay != 1.0 else {}
    if average:
        options["callbacks"] = [AveragedWeights(average)]
    if adversarial:
        options["gradients"] = AdversarialGradients(adversarial)
    return optimizer, options
