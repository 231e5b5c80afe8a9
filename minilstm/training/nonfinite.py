"""Find the origin of a NaN or infinity after a training step has been rejected.

The guard itself costs two comparisons per step (the loss, and the gradient norm that is logged anyway). Only
if one of them is not finite are the input, parameters, outputs and gradients searched, in this order, for the
first array that is not finite.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from minilstm.backend.arrays import Array, get_array_module
from minilstm.backend.errors import TokenError
from minilstm.backend.passes import evaluating
from minilstm.layers.dropout import WordDropout
from minilstm.layers.embedding import Embedding, check_tokens
from minilstm.layers.module import Module
from minilstm.layers.sequential import Sequential

# For np.errstate: the guard reports what is not finite.
QUIET: dict[str, Any] = {"over": "ignore", "invalid": "ignore", "divide": "ignore"}


def is_finite(x: Any) -> bool:
    """Return whether every number of an array is finite (integers and bools are). Waits for the device."""
    return x.dtype.kind not in "fc" or bool(get_array_module(x).isfinite(x).all())


def explain_step(model: Module, loss: float, x: Array, y: Array, options: Mapping[str, Any]) -> str:
    """Describe what was not finite in a rejected training step, given its loss and its batch.

    The model must still hold the gradients of that step.
    """
    if not math.isfinite(loss):
        return f"the loss is {loss}: {explain_forward(model, x, y, options)}; no weight was changed"
    return f"{explain_inputs(x, y) or explain_gradients(model)}; no weight was changed"


def explain_inputs(x: Array, y: Array) -> str | None:
    """Name the part of a batch that is not finite, or return None."""
    for name, value in (("the input x", x), ("the target y", y)):
        if not is_finite(value):
            return f"{name} holds NaN or infinite values"
    return None


def explain_parameters(model: Module) -> str | None:
    """Name the first parameter that is not finite, or return None."""
    for name, (module, key) in model.locate().items():
        if not is_finite(module.params[key]):
            return f"parameter {name} ({type(module).__name__}) holds NaN or infinite values"
    return None


def explain_forward(model: Module, x: Array, y: Array, options: Mapping[str, Any]) -> str:
    """Name the first array between ``x`` and the loss that is not finite.

    Checks the inputs, the parameters, then the layers' outputs in order, in evaluation mode (no caches, no
    random numbers).
    """
    reason = explain_inputs(x, y) or explain_parameters(model)
    if reason is not None:
        return reason
    with evaluating():
        for name, layer, given, output in _outputs(model, x, options, ""):
            if not is_finite(output):
                reason = f"the output of {name} ({type(layer).__name__}) holds NaN or infinite values"
                return explain_tokens(layer, given) or reason
    return "every layer's output is finite; the loss itself is not"


def explain_tokens(model: Module, x: Array) -> str | None:
    """Name the first token that is outside the vocabulary of the Embedding that reads ``x``, or return None.

    On a device, an Embedding does not raise an error but outputs NaN.
    """
    while isinstance(model, Sequential) and len(model):
        model = next((layer for layer in model if not isinstance(layer, WordDropout)), model[0])
    if isinstance(model, Embedding):
        try:
            check_tokens(x, model.num_embeddings)
        except TokenError as error:
            return str(error)
    return None


def _outputs(layer: Module, x: Array, options: Mapping[str, Any],
             name: str) -> Iterator[tuple[str, Module, Array, Array]]:
    """Yield (name, layer, its input, its output) for each layer in order."""
    if isinstance(layer, Sequential):
        for position, child in enumerate(layer.layers):
            path = f"{name}.{position}" if name else f"layer {position}"
            for result in _outputs(child, x, options, path):
                yield result
                x = result[3]
    else:
        accepted = {key: value for key, value in options.items() if layer.accepts(key)}
        yield name or "the model", layer, x, layer(x, **accepted)


def explain_gradients(model: Module) -> str:
    """Name the first non-finite gradient in the order of backward, from the last layer to the first."""
    for name, (module, key) in reversed(list(model.locate().items())):
        if not is_finite(module.grads[key]):
            return f"the gradient of {name} ({type(module).__name__}) holds NaN or infinite values"
    return "every gradient is finite, but their norm overflows"
