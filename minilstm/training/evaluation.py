"""Use a model without training it: evaluate or predict batch by batch, in evaluation mode.

Sums stay on the device until the last batch, so that no batch waits for the previous one.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, asarray, backend_name, to_floats, to_numpy
from minilstm.backend.checks import as_array, check_positive_int, is_array
from minilstm.backend.errors import ArgumentError, NonFiniteError, ShapeError, TokenError
from minilstm.backend.passes import evaluating
from minilstm.layers.module import Module
from minilstm.losses.metrics import loss_weight, samples_of
from minilstm.training.batches import batches_of, unpack
from minilstm.training.nonfinite import QUIET, explain_parameters, explain_tokens
from minilstm.training.progress import open_bar


def evaluate(model: Module, criterion: Any, loader: Any,
             metric: Callable[[Array, Array], Any] | None = None, *, progress: bool = False,
             carry_state: bool = False,
             after_batch: Callable[[], Any] = lambda: None) -> tuple[float, float | None]:
    """Return (loss, metric) over the samples of ``loader``; batches are weighted by their size.

    Where targets are ignored (``ignore_index``), that size is the number of the others, so that the result
    does not depend on the batch size. The layers' modes and the criterion's cache are the same afterwards as
    before. ``carry_state`` is the Trainer's. ``after_batch`` is called after each batch. Raises
    NonFiniteError if the loss is not finite, ArgumentError if there is no batch.
    """
    totals: list[Any] = [0.0, 0.0]
    batches, state = 0, None
    samples: Any = 0
    criterion = copy.copy(criterion)        # so that the caller's criterion keeps its own cache
    with evaluating(), bar_for(loader, "Validation", 0, progress) as bar, np.errstate(**QUIET):
        for batch in batches_of(loader, 0, 0):
            x, y, options = unpack(batch)
            if carry_state:
                prediction, state = model(x, state0=state, return_state=True, **options)
            else:
                prediction = model(x, **options)
            loss, score = criterion(prediction, y), 0.0 if metric is None else metric(prediction, y)
            n = samples_of(criterion, y, len(x))
            totals = [totals[0] + _double(loss) * loss_weight(criterion, n), totals[1] + _double(score) * n]
            samples, batches = samples + n, batches + 1
            bar.update()
            after_batch()
    if not batches:
        raise ArgumentError("evaluate: the loader gave no batch")
    loss, score, count = to_floats([*totals, samples])
    mean_loss, mean_score = loss / max(count, 1), score / max(count, 1)
    if not math.isfinite(mean_loss):
        reason = explain_parameters(model)
        if reason is None:
            tokens = (explain_tokens(model, unpack(batch)[0]) for batch in batches_of(loader, 0, 0))
            reason = next(filter(None, tokens), "the parameters are finite, an input or an output is not")
        raise NonFiniteError(f"the loss of the evaluation is {mean_loss}: {reason}")
    return mean_loss, None if metric is None else mean_score


def predict(model: Module, x: Any, batch_size: int = 256, *, lengths: Any = None) -> np.ndarray:
    """Return the model's output for ``x`` (N, ...) as a host array (N, ...), computed in batches.

    ``x`` and ``lengths`` (N,) may be arrays of either backend or lists. Raises ShapeError for an empty batch,
    DtypeError for ragged lists (see pad_sequences), TokenError for a token outside the vocabulary.
    """
    check_positive_int("batch_size", batch_size)
    x = as_array("x", x)
    if not x.ndim or not len(x):
        raise ShapeError(f"predict: expected a batch (N, ...) with N at least 1, got shape {tuple(x.shape)}")
    lengths = None if lengths is None else as_array("lengths", lengths)
    home = backend_name(next(iter(model.named_parameters().values()), x))
    outputs = []
    with evaluating():
        for start in range(0, len(x), batch_size):
            rows = slice(start, start + batch_size)
            options = {} if lengths is None else {"lengths": asarray(lengths[rows], home)}
            part = asarray(x[rows], home)
            outputs.append(to_numpy(model(part, **options)))
            if home != "numpy" and not np.isfinite(outputs[-1]).all():
                reason = explain_tokens(model, part)
                if reason is not None:      # on the host, the Embedding itself raises
                    raise TokenError(reason)
    return np.concatenate(outputs)


def bar_for(loader: Any, description: str, done: int, show: bool) -> Any:
    """Return a progress bar over the batches of ``loader``."""
    return open_bar(description, len(loader) if hasattr(loader, "__len__") else None, done, show)


def _double(scalar: Any) -> Any:
    return scalar.astype(np.float64) if is_array(scalar) else float(scalar)
