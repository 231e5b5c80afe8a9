"""Build a model of ours from a live one of PyTorch or Keras, where that is a chain of layers that are here, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from minilstm.backend.errors import CheckpointError
from minilstm.layers.activations import ReLU, Sigmoid, Tanh
from minilstm.layers.dropout import Dropout
from minilstm.layers.embedding import Embedding
from minilstm.layers.linear import Linear
from minilstm.layers.module import Module
from minilstm.layers.sequential import Sequential
from minilstm.training.weights.files import fill
from minilstm.training.weights.layouts import CELLS, cell_of
from minilstm.training.weights.sources import Source

ACTIVATIONS: dict[str, Any] = {"sigmoid": Sigmoid, "tanh": Tanh, "relu": ReLU}
SAME: dict[str, Any] = {kind.__name__: kind for kind in (*CELLS, Embedding, Linear, Dropout, *ACTIVATIONS.values())}
ARGUMENTS = ("num_embeddings", "embedding_dim", "padding_idx", "in_features", "out_features", "p", "input_size",
             "hidden_size", "num_layers", "nonlinearity", "bidirectional", "dropout")       # the same in PyTorch
MISSING = "has no counterpart here; build the model yourself and use ml.load_weights"
SIZES = ((3, 7), (5, 7), (2, 7))            # (N, T) of the forwards that decide
CLOSE = 1e-4


def from_torch(module: Any) -> Module:
    """Return a ``Sequential`` with the layers and weights of a PyTorch module, and print what went where.

    Layers come in the module's order. What its ``forward`` does beside calling them is found by computing three forwards:
    whether the last state goes on or every step, and whether the end is a sigmoid or a tanh.

    Raises CheckpointError for a layer without a counterpart here, and if no such chain gives the module's outputs.

    Example: ``model = ml.from_torch(net)``, and then ``model(tokens, lengths=lengths)``
    """
    import torch
    leaves = [leaf for leaf in module.modules() if not list(leaf.children())]
    layers = []
    for leaf in leaves:
        kind = SAME.get(type(leaf).__name__)
        if kind is None:
            raise CheckpointError(f"{leaf} {MISSING}")
        options = {name: getattr(leaf, name) for name in ARGUMENTS if hasattr(leaf, name)}
        layers.append(kind(**options, **{"bias": leaf.bias is not None} if kind is Linear else {}))
    first, training = all(getattr(leaf, "batch_first", True) for leaf in leaves), module.training

    def forward(x: np.ndarray) -> np.ndarray:
        y = module(torch.tensor(x if first else x.swapaxes(0, 1)))
        y = (y[0] if isinstance(y, tuple) else y).numpy()
        return y if first or y.ndim < 3 else y.swapaxes(0, 1)
    tensors = {name: (value if value.dtype == torch.float64 else value.float()).detach().cpu().numpy()
               for name, value in module.state_dict().items()}
    try:
        with torch.no_grad():
            module.eval()
            return _chosen(layers, forward, Source(f"PyTorch's {type(module).__name__}", tensors, True))
    finally:
        module.train(training)


def from_keras(model: Any) -> Module:
    """Return a ``Sequential`` with the layers and weights of a Keras model, a chain, and print what went where.

    A Dense layer's activation becomes a layer. Where the model has ``mask_zero``, give lengths with the call.

    Raises CheckpointError for layers and options without a counterpart here, and if three forwards differ.

    Example: ``model = ml.from_keras(keras.models.load_model("model.keras"))``
    """
    tensors: dict[str, np.ndarray] = {}
    layers, entries = [], []
    for layer in _leaves(model):
        entry, arrays = {"class_name": type(layer).__name__, "config": layer.get_config()}, layer.get_weights()
        entries.append(entry)
        layers += _layers(entry, arrays)
        share = max(1, len(arrays) // (1 + ("layer" in entry["config"])))
        cell = "cell/" * (len(layers) > 0 and cell_of(layers[-1]) is not None)
        tensors |= {f"{layer.name}/{('forward', 'backward')[n // share]}_/{cell}{n % share}": a for n, a in enumerate(arrays)}
    return _chosen(layers, lambda x: model.predict(x, verbose=0),
                   Source(f"Keras' {type(model).__name__}", tensors, True, entries))


def _leaves(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        yield from _leaves(layer) if hasattr(layer, "layers") else [layer]


def _layers(entry: dict[str, Any], arrays: list[np.ndarray]) -> list[Module]:
    kind, config = entry["class_name"], entry["config"]
    inner = config.get("layer", entry)
    activation = inner["config"].get("activation", "linear")
    for cell, (name, *_) in CELLS.items():
        if inner["class_name"] == name:
            options = {"nonlinearity": activation} if name == "SimpleRNN" and activation in ("tanh", "relu") else {}
            return [cell(len(arrays[0]), len(arrays[1]), bidirectional=inner is not entry,
                         return_sequences=inner["config"]["return_sequences"], **options)]
    if kind not in ("InputLayer", "Masking", "Embedding", "Dense", "Dropout", "Activation") or \
            activation not in ("linear", *ACTIVATIONS):
        raise CheckpointError(f"{kind} {config['name']} {MISSING}")
    made: list[Module] = [Embedding(*arrays[0].shape)] if kind == "Embedding" else []
    made += [Linear(*arrays[0].shape, bias=len(arrays) > 1)] if kind == "Dense" else []
    made += [Dropout(config["rate"])] if kind == "Dropout" else []
    return made + ([ACTIVATIONS[activation]()] if activation != "linear" else [])


def _chosen(layers: list[Module], forward: Callable[[np.ndarray], np.ndarray], source: Source) -> Module:
    """Fill the layers, and return the chain of them that computes what ``forward`` does. Raises CheckpointError."""
    dtype = np.result_type(np.float32, *source.tensors.values())
    words, rng = fill(Sequential(*layers).to(dtype=dtype), source, True), np.random.default_rng(0)
    cells: list[Any] = [layer for layer in layers if cell_of(layer)]
    W = next(layer.params["W"] for layer in layers if layer.params)
    D = len(W) if not cells else cells[0].input_size
    inputs = [rng.integers(min(1, len(W) - 1), len(W), sizes) if isinstance(layers[0], Embedding) else
              rng.standard_normal((*sizes, D) if cells else (sizes[0], D)).astype(dtype) for sizes in SIZES]
    try:
        wanted, known = [forward(x) for x in inputs], bool(source.configs)
    except Exception as error:      # whatever a module of one's own raises
        words = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{source.format} cannot be called with one batch: {words}") from None
    for every, end in product((True, False) if cells and not known else (None,), (None,) if known else (None, Sigmoid, Tanh)):
        if every is not None:
            cells[-1].return_sequences = every
        model = Sequential(*layers, *([end()] if end else [])).eval()
        outputs = [model(x) for x in inputs]
        if all(sorted({1, *y.shape}) == sorted({1, *want.shape}) for y, want in zip(outputs, wanted)):
            worst = max(float(np.abs(y.reshape(want.shape) - want).max()) for y, want in zip(outputs, wanted))
            if worst < CLOSE:
                print(f"{words}\n  three forwards of the whole chain: largest difference {worst:.1e}")
                return model.train()
    raise CheckpointError(f"{source.format} computes something other than the chain of its layers, which {MISSING}")
