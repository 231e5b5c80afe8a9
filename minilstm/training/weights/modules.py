"""Build a model of ours from a live one of PyTorch or Keras, where that is a chain of layers known here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from inspect import signature
from typing import Any

import numpy as np

from minilstm.backend.errors import CheckpointError
from minilstm.layers.activations import ReLU, Sigmoid, Tanh
from minilstm.layers.dropout import Dropout
from minilstm.layers.embedding import Embedding
from minilstm.layers.gru import GRU
from minilstm.layers.linear import Linear
from minilstm.layers.lstm import LSTM
from minilstm.layers.module import Module
from minilstm.layers.recurrent import Recurrent
from minilstm.layers.rnn import RNN
from minilstm.layers.sequential import Sequential
from minilstm.training.weights.files import fill
from minilstm.training.weights.layouts import KERAS
from minilstm.training.weights.sources import Source

KINDS: dict[str, Any] = {kind.__name__: kind
                         for kind in (LSTM, GRU, RNN, Embedding, Linear, Dropout, Sigmoid, Tanh, ReLU)}
ACTIVATIONS: dict[str, Any] = {"sigmoid": [Sigmoid], "tanh": [Tanh], "relu": [ReLU], "linear": []}
MISSING = "has no counterpart here; build the model yourself and use ml.load_weights"


def from_torch(module: Any) -> Module:
    """Return a ``Sequential`` with the layers and weights of a PyTorch module, and print what went where.

    Layers come in the module's order. What its ``forward`` does beside calling them is found by computing
    three forwards: whether the last state goes on or every step, whether the end is a sigmoid or a tanh.

    Raises CheckpointError for a layer without a counterpart here, or if no such chain gives the same outputs.

    Example: ``model = ml.from_torch(net)``, and then ``model(tokens, lengths=lengths)``
    """
    import torch
    layers, first, training = [], True, module.training
    for leaf in module.modules():
        kind = KINDS.get(type(leaf).__name__)
        if kind:
            options = {name: getattr(leaf, name) for name in signature(kind).parameters if name in vars(leaf)}
            layers.append(kind(**options | ({"bias": leaf.bias is not None} if kind is Linear else {})))
            first &= getattr(leaf, "batch_first", True)
        elif not list(leaf.children()):
            raise CheckpointError(f"{leaf} {MISSING}")

    def forward(x: np.ndarray) -> np.ndarray:
        y = module(torch.tensor(x if first else x.swapaxes(0, 1)))
        y = (y[0] if isinstance(y, tuple) else y).numpy()
        return y if first or y.ndim < 3 else y.swapaxes(0, 1)

    def chains() -> Iterator[Sequential]:
        for every in (True, False):
            for cell in [layer for layer in layers if isinstance(layer, Recurrent)][-1:]:
                cell.return_sequences = every
            for end in ([], [Sigmoid()], [Tanh()]):
                yield Sequential(*layers, *end)
    tensors = {name: (value if value.dtype == torch.float64 else value.float()).numpy(force=True)
               for name, value in module.state_dict().items()}
    try:
        with torch.no_grad():
            module.eval()
            return _chosen(chains(), forward, Source(f"PyTorch's {type(module).__name__}", tensors, True))
    finally:
        module.train(training)


def from_keras(model: Any) -> Module:
    """Return a ``Sequential`` with a Keras model's layers and weights, and print what went where.

    A Dense layer's activation becomes a layer. Where the model has ``mask_zero``, give lengths with the call.

    Raises CheckpointError for layers and options without a counterpart here, and if three forwards differ.

    Example: ``model = ml.from_keras(keras.models.load_model("model.keras"))``
    """
    layers: list[Module] = []
    entries: list[dict[str, Any]] = []
    for layer in _leaves(model):
        made, config = _layers_of(layer), layer.get_config()
        if not any(isinstance(one, Recurrent) for one in made):         # its other options are layers now
            config = {"name": layer.name, "mask_zero": config.get("mask_zero", False)}
        layers, entries = layers + made, [*entries, {"class_name": type(layer).__name__, "config": config}]
    tensors = {weight.path: array for weight, array in zip(model.weights, model.get_weights())}
    return _chosen([Sequential(*layers)], lambda x: model.predict(x, verbose=0),
                   Source(f"Keras' {type(model).__name__}", tensors, True, entries))


def _leaves(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        yield from _leaves(layer) if hasattr(layer, "layers") else [layer]


def _layers_of(layer: Any) -> list[Module]:
    cell, shapes = getattr(layer, "forward_layer", layer), [array.shape for array in layer.get_weights()]
    kind, activation = type(cell).__name__, getattr(getattr(cell, "activation", None), "__name__", "linear")
    if kind in KERAS.values():
        named = {"nonlinearity": activation} if kind == "SimpleRNN" and activation in ("tanh", "relu") else {}
        return [KINDS[kind.removeprefix("Simple")](
            shapes[0][0], cell.units, bidirectional=cell is not layer, return_sequences=cell.return_sequences,
            **named)]
    made: dict[str, Callable[[], list[Module]]] = {
        "InputLayer": list, "Masking": list, "Activation": list, "Embedding": lambda: [Embedding(*shapes[0])],
        "Dense": lambda: [Linear(*shapes[0], bias=len(shapes) > 1)], "Dropout": lambda: [Dropout(layer.rate)]}
    if kind not in made or activation not in ACTIVATIONS:
        raise CheckpointError(f"{kind} {layer.name} {MISSING}")
    return made[kind]() + [activate() for activate in ACTIVATIONS[activation]]


def _chosen(chains: Iterable[Sequential], forward: Callable[..., Any], source: Source) -> Module:
    """Return, filled, the first of chains of the same layers that computes what ``forward`` does.

    Raises CheckpointError if none does.
    """
    dtype, rng = np.result_type(np.float32, *source.tensors.values()), np.random.default_rng(0)
    words, cases = "", []
    for model in chains:
        if not words:
            words = fill(model.to(dtype=dtype), source, False)
            first = next(layer for layer in model if layer.params)
            W, steps = first.params["W"], (7,) * any(isinstance(layer, Recurrent) for layer in model)
            for n in (3, 5, 2):
                x = rng.standard_normal((n, *steps, len(W) - getattr(first, "hidden_size", 0))).astype(dtype)
                if isinstance(first, Embedding):
                    x = rng.integers(min(1, len(W) - 1), len(W), (n, 7))
                try:
                    cases.append((x, np.squeeze(forward(x))))
                except Exception as error:      # whatever a module of one's own raises
                    reason = " ".join(str(error).split())[:200]
                    raise CheckpointError(f"{source.format} cannot be called: {reason}") from None
        pairs = [(np.squeeze(model.eval()(x)), want) for x, want in cases]
        if all(y.shape == want.shape for y, want in pairs):
            worst = max(float(np.abs(y - want).max()) for y, want in pairs)
            if worst < 1e-4:
                print(f"{words}\n  three forwards of the whole chain: largest difference {worst:.1e}")
                return model.train()
    raise CheckpointError(f"{source.format} computes other than the chain of its layers, which {MISSING}")
