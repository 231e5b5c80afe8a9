"""Write the page: its scripts joined, the weights in base64, and numbers for it to compare its own with.

Weights stand as they are (float32, or float64 where the model has it), for the most frequent words and for
all words of the reviews. The page computes in float64, and so are the numbers it compares with.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.arrays import to_numpy
from minilstm.backend.checks import check_positive_int
from minilstm.backend.errors import ArgumentError, DataError
from minilstm.data.padding import pad_sequences
from minilstm.data.tokenizer import Tokenizer
from minilstm.gradients.instruments.flow import model_gradient_flow
from minilstm.lab.explorer.mistakes import OFFERED, derivations, mistakes
from minilstm.lab.words import model_parts, word_by_word
from minilstm.layers.rnn import RNN
from minilstm.layers.sequential import Sequential
from minilstm.losses.binary_cross_entropy import BCELoss
from minilstm.training.atomic_write import PathLike, atomic_write

HERE = Path(__file__).parent
SCRIPTS = ("matrix", "expression", "cell", "model", "check", "draw", "ledger", "stations", "app")
WORDS = 3_000
REVIEWS = tuple((one["title"], one["label"], one["text"]) for one in OFFERED["reviews"])


class Shown(NamedTuple):
    """A model and how it reads: ``max_length``, ``padding``, ``mask`` as for word_by_word.

    ``head``: words of the beginning that a long review keeps besides its end (None: it is cut behind).
    """

    name: str
    model: Sequential
    tokenizer: Tokenizer
    max_length: int = 200
    padding: str = "pre"
    mask: bool = False
    head: int | None = None


def check_shown(one: Shown) -> None:
    """Raise ArgumentError for a model that the page cannot show."""
    layer = model_parts(one.model)[1]
    if isinstance(layer, RNN) and layer.nonlinearity != "tanh":
        raise ArgumentError(f"{one.name}: the page shows RNNs with tanh, not with {layer.nonlinearity}")
    if one.head is not None:
        raise ArgumentError(f"{one.name}: leaves out the middle of long reviews, which the page cannot show")


def page(model: Sequential, tokenizer: Tokenizer, path: PathLike, *, max_length: int = 200,
         padding: str = "pre", mask: bool = False, words: int | None = WORDS) -> None:
    """Write the page of one model; arguments and errors as for ``write_page`` and word_by_word."""
    write_page([Shown("the model", model, tokenizer, max_length, padding, mask)], path, words=words)


def write_page(shown: Sequence[Shown], path: PathLike, *, reviews: Sequence[tuple[str, int, str]] = REVIEWS,
               words: int | None = WORDS) -> None:
    """Write one HTML file with the given models.

    Args:
        shown: models of the kind that word_by_word reads (one layer, one direction).
        path: the file.
        reviews: (title, label 0 or 1, text) each. The page opens with the first one.
        words: vectors of how many of the most frequent words go into the file; None: of all.

    Raises ArgumentError for another kind of model, DataError if a weight is not finite, OSError if the file
    cannot be written.
    """
    if words is not None:
        check_positive_int("words", words)
    if not shown or not reviews:
        raise ArgumentError("the page needs a model and a review")
    data = {"cells": derivations(),
            "mistakes": {cell: mistakes(cell) for cell in ("lstm", "gru", "rnn")},
            "reviews": [{"title": title, "label": int(label), "text": text}
                        for title, label, text in reviews],
            "models": [_model(one, reviews, words) for one in shown]}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    parts = {"STYLE": (HERE / "page.css").read_text(encoding="utf-8"), "DATA": text,
             "SCRIPT": "\n".join((HERE / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)}
    html = (HERE / "page.html").read_text(encoding="utf-8")
    for name, part in parts.items():
        html = html.replace(f"/* {name} */", part, 1)
    atomic_write(path, [html.encode("utf-8", "replace")])


def _model(one: Shown, reviews: Sequence[tuple[str, int, str]], words: int | None) -> dict[str, Any]:
    check_shown(one)
    embedding, layer, linear, _ = model_parts(one.model)
    config = one.tokenizer.to_config()
    oov = config["word_index"].get(config["oov_token"], 0) if config["oov_token"] is not None else 0
    vocabulary = [""] * (max(config["word_index"].values(), default=0) + 1)
    for word, number in config["word_index"].items():
        vocabulary[number] = word
    E, W, b, w, c = map(to_numpy, (embedding.params["W"], layer.params["W"], layer.params["b"],
                                   linear.params["W"], linear.params.get("b", np.zeros(1))))
    if len(vocabulary) > len(E):
        raise ArgumentError(f"the vocabulary has {len(vocabulary):,} numbers, the embedding only {len(E):,}")
    if not all(np.isfinite(array).all() for array in (E, W, b, w, c)):
        raise DataError(f"{one.name}: a weight is not finite, so there is nothing to explore")
    sequences = one.tokenizer.texts_to_sequences([text for *_, text in reviews])
    first = len(E) if words is None else min(words, len(E))
    more = sorted({number for ids in sequences for number in [*ids, oov] if number >= first})
    return {
        "name": one.name, "cell": layer.cell,
        "max_length": one.max_length, "padding": one.padding, "mask": one.mask,
        "oov": oov, "words": vocabulary,
        "tokenizer": {name: config[name] for name in ("lower", "filters", "split", "char_level")},
        "first": first, "more": more, "E": _packed(E[[*range(first), *more]]),
        "W": _packed(W), "b": _packed(b[None]), "w": _packed(w.T), "b_out": float(c[0]),
        "fixtures": [_fixture(one, k, text, label)
                     for k, (_, label, text) in enumerate(reviews) if sequences[k]],
    }


def _packed(array: np.ndarray) -> dict[str, Any]:
    kind = "f4" if array.dtype.itemsize <= 4 else "f8"
    return {"kind": kind, "rows": array.shape[0], "cols": array.shape[1],
            "base64": base64.b64encode(array.astype("<" + kind).tobytes()).decode("ascii")}


def _fixture(one: Shown, review: int, text: str, label: int) -> dict[str, Any]:
    """Return what minilstm computes for a review: p, gates at three steps, the gradients' norms."""
    model = copy.deepcopy(one.model)
    model.to("numpy", np.float64)
    trace = word_by_word(model, one.tokenizer, text, max_length=one.max_length, padding=one.padding,
                         mask=one.mask)
    ids = one.tokenizer.texts_to_sequences([text])[0][:one.max_length]
    tokens = np.array([ids]) if one.mask else pad_sequences([ids], maxlen=one.max_length, padding=one.padding,
                                                            truncating="post")
    flow = model_gradient_flow(model, BCELoss(), tokens, np.array([[float(label)]]))
    last = len(trace.words) - 1
    return {"review": review, "p": trace.prediction, "ps": trace.probabilities.tolist(),
            "gates": {str(k): {name: rows[k].tolist() for name, rows in {**trace.gates, "h": trace.h}.items()}
                      for k in sorted({0, last // 2, last})},
            "dh": flow.h_norms[:, 0].tolist(), "dW": float(np.linalg.norm(flow.grads["W"])),
            "db": float(np.linalg.norm(flow.grads["b"]))}
