"""How a training step gets its gradients: from the loss alone, or also from the loss on adversarial inputs.

Adversarial training (Miyato, Dai & Goodfellow 2017) moves the vectors of the words a little in the direction that raises the
loss most, and asks the model to be right there too:

    r_n = ε |e_n| g_n / |g_n|,      g = dL(e)/de,       loss = L(e) + L(e + r)

e_n is the input of the recurrent layer for sequence n, and r counts as a constant. The first backward pass yields g; no more
is needed. ε is relative to the norm of e_n, so that the model cannot escape by making all vectors larger (Miyato et al.
normalize the vectors instead).
"""

from __future__ import annotations

from typing import Any

from minilstm.backend.arrays import Array, get_array_module
from minilstm.backend.errors import ArgumentError
from minilstm.backend.subnormals import flush_to_zero
from minilstm.layers.module import Module
from minilstm.layers.recurrent import Recurrent
from minilstm.layers.sequential import Sequential
from minilstm.optim.gradients import check_number


def plain_gradients(model: Module, criterion: Any, x: Array, y: Array, options: dict[str, Any]) -> tuple[Array, Any]:
    """Add the gradients of the loss to the model's; return (prediction, loss)."""
    prediction = model(x, **options)
    loss = criterion(prediction, y)
    model.backward(criterion.backward())
    return prediction, loss


class AdversarialGradients:
    """Gradients of L(e) + L(e + r), for ``Trainer(..., gradients=AdversarialGradients(0.03))``; a step takes twice as long.

    Args:
        epsilon: ε, the norm of the noise r_n as a share of that of the recurrent layer's input e_n; a number above 0.

    The model is a Sequential with a recurrent layer among its layers; the noise is added to that layer's input. The layers
    before it run once, those after it twice, with fresh dropout masks. Raises ArgumentError for another model.
    """

    def __init__(self, epsilon: float = 0.03) -> None:
        self.epsilon = check_number("epsilon", epsilon)

    def __repr__(self) -> str:
        return f"AdversarialGradients({self.epsilon:g})"

    def __call__(self, model: Module, criterion: Any, x: Array, y: Array, options: dict[str, Any]) -> tuple[Array, Any]:
        """Add the gradients of both losses to the model's; return the prediction and the loss of the first pass."""
        words, rest = self._split(model)
        options = {name: value for name, value in options.items() if rest.accepts(name)}
        e = words(x)
        prediction = rest(e, **options)
        loss = criterion(prediction, y)
        g = rest.backward(criterion.backward())
        criterion(rest(e + self.noise(e, g), **options), y)
        words.backward(g + rest.backward(criterion.backward()))
        return prediction, loss

    @flush_to_zero
    def noise(self, e: Array, g: Array) -> Array:
        """Return r (N, T, D), given e and g (N, T, D); 0 for a sequence without a gradient."""
        xp = get_array_module(e, g)
        e = xp.where(g.any(axis=2, keepdims=True), e, 0)            # not the padding, which has no gradient
        size_e, size_g = (xp.sqrt(xp.square(a).sum(axis=(1, 2), keepdims=True)) for a in (e, g))
        return g * xp.where(size_g > 0, self.epsilon * size_e / xp.where(size_g > 0, size_g, 1), 0).astype(e.dtype)

    @staticmethod
    def _split(model: Module) -> tuple[Sequential, Sequential]:
        """Return the layers before the first recurrent one, and all others."""
        places = [k for k, layer in enumerate(model) if isinstance(layer, Recurrent)] if isinstance(model, Sequential) else []
        if not places or not isinstance(model, Sequential):
            raise ArgumentError("AdversarialGradients: expected a Sequential with a recurrent layer among its layers, got "
                                f"{type(model).__name__}")
        return model[:places[0]], model[places[0]:]
