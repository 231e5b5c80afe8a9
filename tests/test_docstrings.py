"""The examples in docstrings run and print what they say, and each public class shows its reader one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import pydoc
from types import ModuleType

import pytest

import minilstm as ml

NEEDS_NUMBA = "minilstm.kernels.compiled."
NAMES = sorted(module.name for module in pkgutil.walk_packages(ml.__path__, "minilstm.")
               if not module.name.startswith(NEEDS_NUMBA) and not module.name.endswith("__main__"))
TRIED = [name for name in NAMES if ">>>" in inspect.getsource(importlib.import_module(name))]


@pytest.mark.parametrize("name", TRIED)
def test_examples_print_what_they_say(name: str) -> None:
    module: ModuleType = importlib.import_module(name)
    failed, tried = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert tried and not failed


@pytest.mark.parametrize("name", [
    "LSTM", "GRU", "RNN", "Embedding", "Linear", "Dropout", "LockedDropout", "WordDropout", "PoolOverTime", "Sigmoid", "Tanh",
    "ReLU", "Sequential", "Trainer", "Callback", "EarlyStopping", "AveragedWeights", "Tokenizer", "DataLoader", "SGD", "Adam",
    "AdamW", "clip_grad_norm", "BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "MSELoss", "accuracy",
    "confusion_matrix", "precision_recall_f1", "gradcheck", "pad_sequences", "cut_middle", "lstm_forward", "gru_forward",
    "rnn_forward", "load_weights"])
def test_what_students_use_most_has_an_example(name: str) -> None:
    assert ">>>" in (inspect.getdoc(getattr(ml, name)) or "")


@pytest.mark.parametrize("name", [name for name in ml.__all__ if inspect.isclass(getattr(ml, name))])
def test_help_shows_no_function_as_a_value(name: str) -> None:
    assert "=<function " not in pydoc.render_doc(getattr(ml, name))
