"""minilstm: RNN, GRU and LSTM cells whose backpropagation through time is derived by hand, on NumPy or CuPy.

``import minilstm as ml`` gives every public name. Importing needs NumPy alone and loads a part of the library when one of
its names is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {
    "activations": ("ReLU", "Sigmoid", "Tanh", "relu", "sigmoid"),
    "backend": ("asarray", "get_array_module", "synchronize", "to_numpy"),
    "callbacks": ("Callback", "EarlyStopping"),
    "checkpoint": ("load_checkpoint", "save_checkpoint"),
    "data.imdb": ("load_imdb", "read_reviews"),
    "data.loader": ("DataLoader",),
    "data.padding": ("pad_sequences", "sequence_lengths"),
    "data.split": ("train_test_split",),
    "data.text": ("Tokenizer",),
    "dropout": ("Dropout", "dropout_backward", "dropout_forward"),
    "embedding": ("Embedding", "embedding_backward", "embedding_forward"),
    "errors": ("ArgumentError", "BackendError", "BackwardError", "CheckpointError", "DataError", "DtypeError",
               "GradientError", "MinilstmError", "NonFiniteError", "ShapeError", "TokenError"),
    "gradient_check": ("GradcheckReport", "gradcheck"),
    "gru": ("GRU", "gru_backward", "gru_forward", "gru_step", "gru_step_backward"),
    "history": ("History",),
    "interrupt": ("Interrupted",),
    "kernels.threads": ("get_num_threads", "set_num_threads"),
    "linear": ("Linear", "linear_backward", "linear_forward"),
    "losses": ("BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "Loss", "MSELoss", "bce_backward", "bce_forward",
               "bce_with_logits_backward", "bce_with_logits_forward", "cross_entropy_backward", "cross_entropy_forward",
               "mse_backward", "mse_forward"),
    "lstm": ("LSTM", "lstm_backward", "lstm_forward", "lstm_step", "lstm_step_backward"),
    "metrics": ("accuracy", "confusion_matrix", "precision_recall_f1"),
    "module": ("Module", "Sequential"),
    "optim": ("SGD", "Adam", "AdamW", "clip_grad_norm"),
    "optimizer": ("Optimizer",),
    "rnn": ("RNN", "rnn_backward", "rnn_forward", "rnn_step", "rnn_step_backward"),
    "schedules": ("CosineAnnealingLR", "ExponentialLR", "LambdaLR", "LinearLR", "MultiStepLR", "ReduceLROnPlateau",
                  "StepLR"),
    "training": ("Trainer",),
}
_HOME = {name: home for home, names in _PUBLIC.items() for name in names}

__version__ = "0.1.0"
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'minilstm' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"minilstm.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
