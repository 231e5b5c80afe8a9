"""Module, the contract of every layer.

A layer owns ``params`` and ``grads``, two dicts with the same names. ``y = layer(x)`` runs the forward pass
and, in training mode, pushes a cache; ``dx = layer.backward(dy)`` pops that cache, adds to ``grads`` and
returns the gradient of the input. There is no tape and no autograd: each gradient is the one that the layer's
author derived by hand. To write a cell of your own, subclass Module, fill ``params`` (with ``add_param``) and
define ``forward`` and ``backward``; ``ml.gradcheck`` then checks it like the built-in ones.

Which forward a backward belongs to: backend/passes.py. The tree of modules: tree.py. Saving: saving.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from inspect import Parameter, signature
from typing import Any, Self

import numpy as np

from minilstm.backend.arrays import Array, get_array_module
from minilstm.backend.checks import as_floating, check_writeable
from minilstm.backend.errors import BackwardError
from minilstm.backend.passes import begin, discard, one_pass, thread
from minilstm.layers.foreign import refuse_foreign
from minilstm.layers.saving import Named, Saved


class Module(Saved):
    """Base class of layers: named parameters and gradients, and the caches between forward and backward.

    Attributes:
        params: name -> parameter array, allocated once, updated in place, rebound only by ``to``.
        grads: name -> gradient of the same shape; ``backward`` adds to it, ``zero_grad`` clears it.
        training: True in training mode (caches are kept, dropout drops), False in evaluation mode;
            ``train()`` and ``eval()`` set it for all modules below, too.
        fast: whether the fast functions of minilstm/kernels are used where they apply, the optimiser's
            updates among them; False: the readable ones alone.
        frozen: whether optimisers leave this module's parameters as they are; gradients still pass through.
        rng: the seeded host generator of layers that draw random numbers; absent elsewhere.
        takes_tokens: True for a layer whose input is whole numbers, as an Embedding's is.

    Setting ``fast`` or ``frozen`` reaches every module below.
    """

    rng: np.random.Generator
    takes_tokens = False
    _fast, _frozen, _training = True, False, True

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """Set up what every module has, even one whose ``__init__`` does not call this class's."""
        if cls.__module__.startswith("minilstm."):
            refuse_foreign(cls, options)
        module = super().__new__(cls)
        module.params, module.grads = Named(cls.__name__, "parameter"), Named(cls.__name__, "gradient")
        module._caches, module._pass, module._superseded, module._outdated = [], 0, False, False
        return module

    def __init__(self) -> None:
        self.params: dict[str, Array]
        self.grads: dict[str, Array]
        self._caches: list[Any]         # of the latest pass, in the order of its calls
        self._pass: int                 # the number of that pass
        self._superseded: bool          # an earlier pass was pending when it began
        self._outdated: bool            # pending caches have been discarded since: the weights changed

    # What a subclass writes ---------------------------------------------------------------------

    def forward(self, *args: Any, **options: Any) -> Any:
        raise TypeError(f"{type(self).__name__} does not define forward")

    def backward(self, dy: Any) -> Any:
        raise TypeError(f"{type(self).__name__} does not define backward")

    def extra_repr(self) -> str:
        """The text between the parentheses of ``print(layer)``."""
        return ""

    def init_params(self, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
        """Draw fresh values for this layer's own parameters (host arrays by name)."""
        return {}

    # What a subclass uses -----------------------------------------------------------------------

    def add_param(self, name: str, value: Any) -> None:
        """Register a copy of ``value``, a floating point array, as a parameter; allocate its gradient."""
        value = as_floating(name, value)
        self.params[name] = value.copy()
        self.grads[name] = get_array_module(value).zeros_like(self.params[name])

    @property
    def caches_needed(self) -> bool:
        """Whether ``push`` keeps caches: in training mode, or inside a module that is in training mode."""
        return thread.current is not None or self.training

    def push(self, cache: Any) -> None:
        """Keep what backward will need; evaluation mode keeps nothing."""
        if not self.caches_needed:
            return
        number = thread.current or begin()
        if number != self._pass:
            self._superseded = self._outdated or bool(self._caches) and self._pass > thread.discarded
            self._caches, self._pass, self._outdated = [], number, False
        self._caches.append(cache)

    def peek(self) -> Any:
        """Return what ``pop`` would and leave it there, so that ``dy`` can be checked before anything
        changes.

        Also raises ArgumentError or DtypeError for a gradient that cannot be written to.
        """
        self.check_pending()
        check_writeable({f"gradient of {name}": gradient for name, gradient in self.grads.items()})
        return self._caches[-1]

    def pop(self) -> Any:
        """Return the cache of the latest call that is still to be backpropagated, and drop it.

        Raises BackwardError if there is none, or if it is not clear that this pass is meant.
        """
        self.check_pending()
        return self._caches.pop()

    def check_pending(self, calls: int = 1) -> None:
        """Raise BackwardError unless ``calls`` calls of the latest pass are pending: see
        backend/passes.py."""
        who = f"{type(self).__name__}.backward"
        if len(self._caches) < calls or self._pass <= thread.discarded:
            raise BackwardError(
                f"{who}: there is no forward pass to backpropagate through; each backward needs a forward of "
                "its own, in training mode, and comes before optimizer.step()")
        loss = thread.loss
        older = loss is not None and loss.latest < self._pass       # the loss is of an older pass
        if older or self._superseded and (loss is None or loss.of != self._pass):
            discard()
            raise BackwardError(
                f"{who}: it is not clear which forward to backpropagate through, because several were made "
                "in training mode. Look at predictions in evaluation mode: model.eval(), then model.train(). "
                "Compute the loss on the latest output. Calls that belong together go into the forward of "
                "one ml.Module. What was pending is discarded")

    def accepts(self, option: str) -> bool:
        """Return whether the call takes a keyword argument of this name."""
        named, any_name = _options_of(type(self).forward)
        return any_name or option in named

    # Calling it ---------------------------------------------------------------------------------

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Run the forward pass. In training mode, an input that is refused leaves no trace."""
        if thread.current is not None:
            return self.forward(*args, **options)
        if not self.training:
            thread.evaluated = True
            return self.forward(*args, **options)
        streams = self.rng_streams()
        states = [stream.state for stream in streams]
        with one_pass() as number:
            try:
                thread.output = self.forward(*args, **options)
                return thread.output
            except BaseException:
                self.drop_caches(number)
                for stream, state in zip(streams, states):
                    stream.state = state
                raise

    def __getstate__(self) -> dict[str, Any]:
        """A copy or pickle has the weights but no pending forwards: each is backpropagated only once."""
        return {**vars(self), "_caches": []}

    def __repr__(self) -> str:
        children = self.children()
        if not children:
            words = [self.extra_repr(), "frozen=True" if self.frozen else ""]
            return f"{type(self).__name__}({', '.join(filter(None, words))})"
        lines = [f"({name}): {child!r}".replace("\n", "\n  ") for name, child in children.items()]
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"


@cache
def _options_of(forward: Callable[..., Any]) -> tuple[frozenset[str], bool]:
    """Return the names of what a class's forward takes, and whether it takes any other keyword."""
    parameters = signature(forward).parameters.values()
    return frozenset(p.name for p in parameters), any(p.kind is Parameter.VAR_KEYWORD for p in parameters)
