"""Read a review word by word: gates, states and the model's answer after each word.

For a model Embedding -> RNN, GRU or LSTM -> (Dropout ->) Linear -> Sigmoid, the recurrent layer's readable
sequence function gives every gate and state; the head, applied to the hidden state after word k,

    p_k = σ(w h_k + b),

is the model's answer if the review ended there, as in Karpathy, Johnson & Li 2015 for characters.

Padding is treated as the model treats it. Unmasked padding behind the words changes the state after the last
one, so ``prediction`` then differs from the last word's probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from minilstm.backend.arrays import to_numpy
from minilstm.backend.checks import check_choice, check_positive_int
from minilstm.backend.errors import ArgumentError, DtypeError
from minilstm.cells.activations import sigmoid
from minilstm.cells.padding import PADDINGS
from minilstm.data.padding import pad_sequences
from minilstm.data.tokenizer import Tokenizer
from minilstm.gradients.instruments.unrolled import unroll
from minilstm.layers.activations import Sigmoid
from minilstm.layers.dropout import Dropout
from minilstm.layers.embedding import Embedding
from minilstm.layers.linear import Linear, linear_forward
from minilstm.layers.module import Module
from minilstm.layers.recurrent import Recurrent
from minilstm.layers.sequential import Sequential
from minilstm.training.evaluation import predict

if TYPE_CHECKING:
    import pandas

CELLS = ("RNN", "GRU", "LSTM")
GATES = {"rnn": (), "gru": ("r", "z", "n"), "lstm": ("f", "i", "o", "c_tilde")}
CHAIN = ("Embedding -> RNN, GRU or LSTM (one layer, one direction, last state) -> Dropout -> Linear(H, 1) "
         "-> Sigmoid")


@dataclass(frozen=True)
class WordTrace:
    """A review, word by word.

    Attributes:
        cell: "RNN", "GRU" or "LSTM".
        words: the n words that the model reads, as the tokenizer splits them.
        known: (n,) bool, False where the vocabulary lacks the word.
        probabilities: (n,) the model's answer if the review ended after each word.
        before: the answer before the first word.
        prediction: the model's answer to the whole review, padding and all.
        gates: name -> (n, H) after each word; LSTM: f, i, o, c_tilde; GRU: r, z, n; RNN: none.
        c: (n, H) cell state after each word; None for RNN and GRU.
        h: (n, H) hidden state after each word.
        cut: how many words of the review were beyond ``max_length`` and not read.
    """

    cell: str
    words: list[str]
    known: np.ndarray
    probabilities: np.ndarray
    before: float
    prediction: float
    gates: dict[str, np.ndarray]
    c: np.ndarray | None
    h: np.ndarray
    cut: int

    @property
    def changes(self) -> np.ndarray:
        """(n,) the change of the probability by each word."""
        return np.diff(self.probabilities, prepend=self.before)

    def to_frame(self) -> pandas.DataFrame:
        """Return word, p and change as a pandas DataFrame, one row a word."""
        import pandas
        return pandas.DataFrame({"word": self.words, "p": self.probabilities, "change": self.changes})


def word_by_word(model: Module, tokenizer: Tokenizer, text: str, *, max_length: int, padding: str = "pre",
                 mask: bool = False) -> WordTrace:
    """Return the states, gates and answers of ``model`` after each word of ``text``.

    Args:
        model: a Sequential of exactly Embedding, one recurrent layer (one direction, return_sequences=False),
            Dropout (or none), Linear(H, 1) and Sigmoid, as examples/imdb_lstm.py builds it. Neither it nor
            its mode is changed.
        tokenizer: the Tokenizer fitted on its training texts.
        text: the review; words beyond ``max_length`` are not read.
        max_length, padding, mask: how the model was trained: to how many tokens and on which side reviews are
            filled up, and whether the model is told the lengths, so that it skips the padding.

    Raises ArgumentError for another kind of model and for a text without words, DtypeError if the text is not
    a string.
    """
    embedding, layer, linear, _ = model_parts(model)
    check_positive_int("max_length", max_length)
    check_choice("padding", padding, PADDINGS)
    words, ids = _encode(tokenizer, text)
    if not ids:
        raise ArgumentError("text: contains no word that the tokenizer keeps")
    n = min(len(ids), max_length)
    tokens = np.asarray([ids[:n]])
    if not mask:
        tokens = pad_sequences([ids], maxlen=max_length, padding=padding, truncating="post")
    first = tokens.shape[1] - n if padding == "pre" else 0      # position of the first word
    rows = slice(first + 1, first + 1 + n)                      # of the states; row 0 is the initial one

    run = unroll(layer, to_numpy(embedding.params["W"])[tokens])
    h = run.h[:, 0]
    words_caches = run.caches[first:first + n]
    W, b = (to_numpy(linear.params[name]) if name in linear.params else None for name in ("W", "b"))
    z, _ = linear_forward(h, W, b)
    p = sigmoid(z)[:, 0]
    unknown = tokenizer.word_index.get(tokenizer.oov_token or "", 0)
    return WordTrace(
        cell=type(layer).__name__, words=words[:n], known=np.asarray(ids[:n]) != unknown,
        probabilities=p[rows], before=float(p[first]), prediction=float(predict(model, tokens)[0, 0]),
        gates={name: np.stack([getattr(step, name)[0] for step in words_caches]) for name in GATES[run.cell]},
        c=None if run.c is None else run.c[rows, 0], h=h[rows], cut=len(ids) - n)


def model_parts(model: Module) -> tuple[Embedding, Recurrent, Linear, Sigmoid]:
    """Return the layers of a model without its Dropout. Raises ArgumentError unless they are a CHAIN."""
    children = list(model) if isinstance(model, Sequential) else []
    layers = [layer for layer in children if not isinstance(layer, Dropout)]
    names = [type(layer).__name__ for layer in layers]
    if names not in [["Embedding", cell, "Linear", "Sigmoid"] for cell in CELLS]:
        got = " -> ".join(names) or type(model).__name__
        raise ArgumentError(f"model: expected a Sequential of {CHAIN}, got {got}")
    embedding, layer, linear, last = layers
    assert isinstance(embedding, Embedding) and isinstance(layer, Recurrent)
    assert isinstance(linear, Linear) and isinstance(last, Sigmoid)
    if layer.num_layers > 1 or layer.bidirectional or layer.return_sequences or linear.out_features != 1:
        raise ArgumentError(f"model: expected {CHAIN}, got {layer!r} -> {linear!r}")
    return embedding, layer, linear, last


def _encode(tokenizer: Tokenizer, text: str) -> tuple[list[str], list[int]]:
    """Return the words that the tokenizer keeps and their numbers, one for one."""
    if not isinstance(text, str):
        raise DtypeError(f"text: expected a string, got {type(text).__name__}")
    words = list(tokenizer.words(text))
    numbers = tokenizer.texts_to_sequences([[word] for word in words])
    return [word for word, ids in zip(words, numbers) if ids], [ids[0] for ids in numbers if ids]
