"""minilstm: RNN, GRU and LSTM cells whose backpropagation through time is derived by hand, on NumPy or CuPy.

``import minilstm as ml`` gives every public name. Importing needs NumPy alone and loads a part of the library
when one of its names is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {
    "backend.arrays": ("asarray", "get_array_module", "synchronize", "to_numpy"),
    "backend.errors": ("ArgumentError", "BackendError", "BackwardError", "CheckpointError", "DataError",
                       "DtypeError", "GradientError", "MinilstmError", "NonFiniteError", "ParameterError",
                       "ShapeError", "TokenError"),
    "backend.threads": ("get_num_threads", "set_num_threads"),
    "cells.activations": ("relu", "sigmoid"),
    "cells.gru": ("gru_backward", "gru_forward", "gru_step", "gru_step_backward"),
    "cells.lstm": ("lstm_backward", "lstm_forward", "lstm_step", "lstm_step_backward"),
    "cells.rnn": ("rnn_backward", "rnn_forward", "rnn_step", "rnn_step_backward"),
    "data.contiguous": ("contiguous_batches",),
    "data.imdb": ("load_imdb", "read_reviews"),
    "data.loader": ("DataLoader",),
    "data.padding": ("cut_middle", "pad_sequences", "sequence_lengths"),
    "data.split": ("train_test_split",),
    "data.tokenizer": ("Tokenizer",),
    "gradients.diagnosis.diagnose": ("Diagnosis", "diagnose"),
    "gradients.gradcheck": ("gradcheck",), "gradients.report": ("GradcheckReport",),
    "layers.activations": ("ReLU", "Sigmoid", "Tanh"),
    "layers.dropout": ("Dropout", "LockedDropout", "WordDropout", "dropout_backward", "dropout_forward"),
    "layers.embedding": ("Embedding", "embedding_backward", "embedding_forward"),
    "layers.gru": ("GRU",),
    "layers.linear": ("Linear", "linear_backward", "linear_forward"),
    "layers.lstm": ("LSTM",),
    "layers.module": ("Module",),
    "layers.pooling": ("PoolOverTime", "pool_backward", "pool_forward"),
    "layers.rnn": ("RNN",),
    "layers.sequential": ("Sequential",),
    "losses.binary_cross_entropy": ("BCELoss", "BCEWithLogitsLoss", "bce_backward", "bce_forward",
                                    "bce_with_logits_backward", "bce_with_logits_forward"),
    "losses.cross_entropy": ("CrossEntropyLoss", "cross_entropy_backward", "cross_entropy_forward"),
    "losses.loss": ("Loss",),
    "losses.metrics": ("accuracy", "confusion_matrix", "precision_recall_f1"),
    "losses.squared_error": ("MSELoss", "mse_backward", "mse_forward"),
    "optim.adam": ("Adam", "AdamW"),
    "optim.gradients": ("clip_grad_norm",),
    "optim.optimizer": ("Optimizer",),
    "optim.plateau": ("ReduceLROnPlateau",),
    "optim.schedules": ("CosineAnnealingLR", "ExponentialLR", "LambdaLR", "LinearLR", "MultiStepLR",
                        "StepLR"),
    "optim.sgd": ("SGD",),
    "training.advice": ("Advice",),
    "training.averaging": ("AveragedWeights",),
    "training.callbacks": ("Callback", "EarlyStopping"),
    "training.checkpoint": ("load_checkpoint", "save_checkpoint"),
    "training.characters": ("generate",),
    "training.history": ("History",),
    "training.interrupt": ("Interrupted",),
    "training.trainer": ("Trainer",),
    "training.weights.files": ("load_weights", "save_weights"),
    "training.weights.modules": ("from_keras", "from_torch"),
}
_HOME = {name: home for home, names in _PUBLIC.items() for name in names}

__version__ = "0.3.0"
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'minilstm' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"minilstm.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__doc__", "__version__"]
