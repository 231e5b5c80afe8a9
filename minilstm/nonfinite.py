"""Where did the NaN come from? Asked once, when a training step has already been refused.

The guard itself is two comparisons per step (the loss, and the gradient norm that is logged anyway). Only when one of them
fails is everything looked at, from the input on, to name the first array that is not finite. On a device that may be many
steps later; no weight has changed since, so that the step's batch still gives what it gave.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from minilstm.backend import Array, get_array_module, takes
from minilstm.embedding import Embedding, check_tokens
from minilstm.errors import TokenError
from minilstm.module import Module, Sequential, accepts_option, modes_kept
from minilstm.optim import clip_grad_norm


def is_finite(x: Any) -> bool:
    """Tell whether every number of an array is finite (integers and bools always are). Waits for the device."""
    return x.dtype.kind not in "fc" or bool(get_array_module(x).isfinite(x).all())


def all_finite(arrays: Sequence[Array]) -> Array:
    """Return whether every number of all these arrays is finite: a 0-d bool array, for which nobody waits."""
    xp = get_array_module(*arrays)
    if takes(*arrays) and len(arrays) > 1:      # a norm takes two calls; beyond the range of doubles it asks for a closer look
        from minilstm.kernels.cuda import training
        return xp.isfinite(training.gradient_norm(arrays))
    finite = xp.isfinite(arrays[0]).all()
    for x in arrays[1:]:
        finite = finite & xp.isfinite(x).all()
    return finite


def explain_step(model: Module, criterion: Any, loss: float, norm: float, batch: tuple[Array, Array, Mapping[str, Any]] | None,
                 named: str | None, looked: bool) -> str:
    """Say what was not finite in a training step that was refused, given its loss and gradient norm, one of them not finite.

    batch: (x, y, options) of that step, or None where it is gone. named: what the optimiser says about gradients on a device.
    looked: the model's gradients are still that step's.
    """
    if not math.isfinite(loss):
        found = explain_forward(model, *batch) if batch is not None else explain_parameters(model)
        found = found or "every parameter is finite; the loader gives each batch once, so the batch cannot be looked at again"
        return f"the loss is {loss}: {found}; no weight was changed"
    if not looked and math.isinf(norm) and batch is not None and _overflows_again(model, criterion, *batch):
        named = None        # the norm may have overflowed alone; then the gradient that was made to say so is no culprit
    if named is not None:
        return named
    words = explain_inputs(*batch[:2]) if batch is not None else None
    return f"{words or explain_gradients(model)}; no weight was changed"


def _overflows_again(model: Module, criterion: Any, x: Array, y: Array, options: Mapping[str, Any]) -> bool:
    """Make a step's gradients once more (dropout aside); tell whether their norm is not finite again."""
    random_states = model.rng_state()
    model.zero_grad()
    criterion(model(x, **options), y)
    model.backward(criterion.backward())
    model.load_rng_state(random_states)
    return not math.isfinite(float(clip_grad_norm(model, math.inf)))


def explain_inputs(x: Array, y: Array) -> str | None:
    """Name the part of a batch that is not finite, or return None."""
    return next((f"{name} holds NaN or infinite values" for name, value in (("the input x", x), ("the target y", y))
                 if not is_finite(value)), None)


def explain_parameters(model: Module) -> str | None:
    """Name the first parameter that is not finite, or return None."""
    for name, (module, key) in model.locate().items():
        if not is_finite(module.params[key]):
            return f"parameter {name} ({type(module).__name__}) holds NaN or infinite values"
    return None


def explain_forward(model: Module, x: Array, y: Array, options: Mapping[str, Any]) -> str:
    """Name the first thing on the way from ``x`` to the loss that is not finite.

    Inputs, parameters, then the layers' outputs, one after another, in evaluation mode (nothing is cached or drawn).
    """
    words = explain_inputs(x, y) or explain_parameters(model)
    if words is not None:
        return words
    with modes_kept(model):
        model.eval()
        for name, layer, given, output in _outputs(model, x, options, ""):
            if not is_finite(output):
                return explain_tokens(layer, given) or (f"the output of {name} ({type(layer).__name__}) holds NaN or infinite "
                                                        "values")
    return "every layer's output is finite; the loss itself is not"


def explain_tokens(model: Module, x: Array) -> str | None:
    """Name the first token that is outside the vocabulary of the Embedding that gets ``x``, or return None.

    On a device an Embedding does not raise, it gives NaN.
    """
    while isinstance(model, Sequential) and len(model):
        model = model[0]
    if isinstance(model, Embedding):
        try:
            check_tokens(x, model.num_embeddings)
        except TokenError as error:
            return str(error)
    return None


def _outputs(layer: Module, x: Array, options: Mapping[str, Any], name: str) -> Iterator[tuple[str, Module, Array, Array]]:
    """Yield (name, layer, its input, its output) of each layer on the way."""
    if isinstance(layer, Sequential):
        for position, child in enumerate(layer.layers):
            for found in _outputs(child, x, options, f"{name}.{position}" if name else f"layer {position}"):
                yield found
                x = found[3]
    else:
        taken = {key: value for key, value in options.items() if accepts_option(layer, key)}
        yield name or "the model", layer, x, layer(x, **taken)


def explain_gradients(model: Module) -> str:
    """Name the gradient that went wrong first: backward runs from the last layer to the first, so the last one of them."""
    for name, (module, key) in reversed(list(model.locate().items())):
        if not is_finite(module.grads[key]):
            return f"the gradient of {name} ({type(module).__name__}) holds NaN or infinite values"
    return "every gradient is finite, but their norm overflows"
