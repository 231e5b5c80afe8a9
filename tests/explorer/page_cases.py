"""Models, pages and cases for the tests of the explorer."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np

import minilstm as ml
from minilstm.gradients.instruments.flow import gradient_flow
from minilstm.gradients.instruments.paths import gradient_paths
from minilstm.lab.explorer.mistakes import derivations
from minilstm.lab.explorer.page import REVIEWS, Shown, _packed

LAYERS = {"lstm": ml.LSTM, "gru": ml.GRU, "rnn": ml.RNN}


def tokenizer() -> ml.Tokenizer:
    """A vocabulary of the page's own reviews, and a word that they lack."""
    fitted = ml.Tokenizer(num_words=60, oov_token="<OOV>")
    fitted.fit_on_texts([*(text for *_, text in REVIEWS), "splendid splendid"])
    return fitted


def shown(cell: str, *, mask: bool = False, padding: str = "pre", scale: float = 2.0, dtype: Any = np.float32) -> Shown:
    """A model with random weights, large enough to have something to show."""
    layer = LAYERS[cell](5, 7, return_sequences=False, rng=2, dtype=dtype)
    model = ml.Sequential(ml.Embedding(100, 5, rng=1, dtype=dtype), layer, ml.Dropout(0.5),
                          ml.Linear(7, 1, rng=3, dtype=dtype), ml.Sigmoid())
    rng = np.random.default_rng(4)
    for parameter in (array for part in model for array in part.params.values()):
        parameter[...] = scale * 0.3 * rng.standard_normal(parameter.shape)
    return Shown(cell.upper(), model, tokenizer(), 40, padding, mask)


def case(cell: str, T: int, D: int, H: int) -> dict[str, Any]:
    """Random weights, an input, and what minilstm computes from them."""
    rng = np.random.default_rng(T)
    layer = LAYERS[cell](D, H, rng=0, dtype=np.float64)
    for parameter in layer.params.values():
        parameter[...] = rng.standard_normal(parameter.shape) / np.sqrt(H)
    x, dh = rng.standard_normal((1, T, D)), rng.standard_normal((1, H))
    flow = gradient_flow(layer, x, dh_last=dh)
    h, state = layer.eval()(x, return_state=True)
    expected = {"h": np.concatenate([np.zeros((1, H)), h[0]]), "dx": flow.dx[0], "dh": flow.dh[:, 0], "dW": flow.grads["W"],
                "db": flow.grads["b"][None]}
    if flow.dc is not None:
        expected["dc"] = flow.dc[:, 0]
    if cell != "rnn":
        expected["alone"] = gradient_paths(layer, x, dh_last=dh).alone[:, 0]
    arrays = {"x": x[0], "W": layer.params["W"], "b": layer.params["b"][None], "dh_last": dh}
    return {"cell": cell, **{name: _packed(array) for name, array in arrays.items()},
            "expected": {name: _packed(array) for name, array in expected.items()}}


def learned(one: Shown, rate: float, clip: float) -> dict[str, float]:
    """What one step of SGD on the first review does to p, for a model that reads without padding."""
    _, label, text = REVIEWS[0]
    x, y = np.array(one.tokenizer.texts_to_sequences([text])), np.array([[float(label)]])
    model, criterion = copy.deepcopy(one.model), ml.BCELoss()
    for part in model:
        if isinstance(part, ml.Dropout):
            part.p = 0.0
    before = float(model.eval()(x)[0, 0])
    model.train()
    criterion(model(x), y)
    model.backward(criterion.backward())
    norm = float(ml.clip_grad_norm(model, clip))
    ml.SGD(model, lr=rate).step()
    after = float(model.eval()(x)[0, 0])
    model[1].params["b"][:model[1].hidden_size] = -2.0         # the LSTM's forget gate
    return {"rate": rate, "clip": clip, "before": before, "norm": norm, "after": after, "forgetting": float(model(x)[0, 0])}


def write_cases(path: Path, pages: list[Path], learning: Shown) -> None:
    """Write all cases; ``learning`` is the model of the page "mask"."""
    cases = [case(cell, T, D, H) for cell in LAYERS for T, D, H in ((1, 3, 5), (2, 3, 5), (17, 5, 3), (200, 11, 17))]
    cases += [case(cell, 200, 64, 128) for cell in LAYERS]
    path.write_text(json.dumps({"cells": derivations(), "cases": cases, "pages": [str(page) for page in pages],
                                "learned": learned(learning, 0.1, 0.01)}), "utf-8")
