"""Module, the contract of every layer.

A layer owns ``params`` and ``grads``, two dicts with the same names. ``y = layer(x)`` runs the forward pass and, in
training mode, pushes a cache; ``dx = layer.backward(dy)`` pops that cache, adds to ``grads`` and returns the gradient of
the input. There is no tape and no autograd: each gradient is the one that the layer's author derived by hand. To write a
cell of your own, subclass Module, fill ``params`` (with ``add_param``) and define ``forward`` and ``backward``;
``ml.gradcheck`` then checks it like the built-in ones.

Weights must not change between a forward and its backward, since caches refer to them. (The usual loop, which calls ``step``
after ``backward``, never changes them in between.)
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, asarray, backend_name, get_array_module, require, to_numpy
from minilstm.backend.checks import check_dtype, check_floating
from minilstm.backend.errors import ArgumentError, BackwardError, CheckpointError
from minilstm.backend.seeds import as_generator
from minilstm.layers.state_dict import check_entries
from minilstm.layers.summary import Summary, summarize


class Module:
    """Base class of layers: named parameters and gradients, and a stack of caches between forward and backward.

    Attributes:
        params: name -> parameter array, allocated once, updated in place, rebound only by ``to``.
        grads: name -> gradient of the same shape; ``backward`` adds to it, ``zero_grad`` clears it.
        training: True in training mode (caches are kept, dropout drops), False in evaluation mode.
        rng: the seeded host generator of layers that draw random numbers; absent elsewhere.
        takes_tokens: True for a layer whose input is whole numbers, as an Embedding's is.
    """

    rng: np.random.Generator
    takes_tokens = False
    _fast = True

    def __init__(self) -> None:
        self.params: dict[str, Array] = {}
        self.grads: dict[str, Array] = {}
        self.training = True
        self._caches: list[Any] = []

    # What a subclass writes ------------------------------------------------------------------------------------------

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

    # What a subclass uses --------------------------------------------------------------------------------------------

    def add_param(self, name: str, value: Any) -> None:
        """Register a copy of ``value`` (a floating point array of any shape) as a parameter and allocate its gradient."""
        check_floating(name, value)
        xp = get_array_module(value)
        self.params[name] = value.copy()
        self.grads[name] = xp.zeros_like(value)

    def push(self, cache: Any) -> None:
        """Keep what backward will need; evaluation mode keeps nothing."""
        if self.training:
            self._caches.append(cache)

    def peek(self) -> Any:
        """Return the latest cache and leave it on the stack, so that ``dy`` can be checked before anything changes."""
        if not self._caches:
            raise BackwardError(f"{type(self).__name__}.backward: there is no forward pass to backpropagate through: each "
                                "backward needs a forward of its own, in training mode, and no zero_grad() in between (call "
                                "it before the forward)")
        return self._caches[-1]

    def pop(self) -> Any:
        """Return the latest cache and drop it. Raises BackwardError when there is none."""
        self.peek()
        return self._caches.pop()

    @property
    def pending(self) -> int:
        """How many forwards of this module alone, not of the modules below it, still wait for their backward."""
        return len(self._caches)

    def drop_caches(self) -> None:
        """Drop the caches that this module and all modules below it keep for a backward still to come."""
        for _, module in self.modules():
            module._caches.clear()

    @property
    def fast(self) -> bool:
        """Whether the fast twins in minilstm/kernels are used where they apply; False: the readable functions alone.

        Setting it reaches every module below, and the optimiser's updates of their parameters.
        """
        return self._fast

    @fast.setter
    def fast(self, value: bool) -> None:
        for _, module in self.modules():
            module._fast = bool(value)

    # The tree of modules ---------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.forward(*args, **options)

    def children(self) -> dict[str, Module]:
        """Return the modules this one is made of, by attribute name; lists and dicts of modules count too."""
        found: dict[str, Module] = {}
        for name, value in vars(self).items():
            parts = enumerate(value) if isinstance(value, (list, tuple)) else value.items() if isinstance(value, dict) else ()
            found |= {name: value} if isinstance(value, Module) else \
                {f"{name}.{key}": part for key, part in parts if isinstance(part, Module)}
        return found

    def modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Walk this module and all below it, each once, as (dotted name, module)."""
        seen: set[int] = set()
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            name, module = stack.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            yield name, module
            children = [(f"{name}.{key}" if name else key, child) for key, child in module.children().items()]
            stack.extend(reversed(children))

    def locate(self) -> dict[str, tuple[Module, str]]:
        """Return dotted parameter name -> (the layer that owns it, its name there). A shared layer counts once."""
        return {f"{prefix}.{key}" if prefix else key: (module, key)
                for prefix, module in self.modules() for key in module.params}

    def named_parameters(self) -> dict[str, Array]:
        """Return dotted name -> parameter array (the arrays themselves, not copies)."""
        return {name: module.params[key] for name, (module, key) in self.locate().items()}

    def named_gradients(self) -> dict[str, Array]:
        """Return dotted name -> gradient array, in the order of ``named_parameters``."""
        return {name: module.grads[key] for name, (module, key) in self.locate().items()}

    def num_parameters(self) -> int:
        """Return how many numbers there are to learn."""
        return sum(int(p.size) for p in self.named_parameters().values())

    def zero_grad(self) -> None:
        """Set every gradient to zero and drop the caches of forwards without a backward."""
        self.drop_caches()
        for gradient in self.named_gradients().values():
            gradient.fill(0)

    def train(self, mode: bool = True) -> Module:
        """Switch to training mode (or, with ``mode=False``, to evaluation mode); return self."""
        for _, module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Switch to evaluation mode: dropout is the identity and nothing is cached; return self."""
        return self.train(False)

    def to(self, backend: str | None = None, dtype: Any = None) -> Module:
        """Move parameters and gradients to a backend ("numpy" or "cupy") and/or another floating dtype; return self.

        Raises BackendError where the backend cannot be used, before anything is moved.
        """
        if backend is not None:
            require(backend)
        dtype = None if dtype is None else check_dtype(dtype)
        self.drop_caches()
        for _, module in self.modules():
            for store in (module.params, module.grads):
                for key, value in store.items():
                    moved = value if backend is None else asarray(value, backend)
                    store[key] = moved if dtype is None else moved.astype(dtype)
        return self

    def reset_parameters(self, rng: np.random.Generator | int | None = None) -> Module:
        """Draw all parameters again, layer after layer, and restart the dropout streams, all from one seed.

        A layer of your own takes part by defining ``init_params``.
        """
        rng = as_generator(rng)
        for _, module in self.modules():
            for key, value in module.init_params(rng).items():
                module.params[key][...] = asarray(value.astype(module.params[key].dtype, copy=False),
                                                  backend_name(module.params[key]))
            if draws(module):
                module.rng = rng.spawn(1)[0]
        self.zero_grad()
        return self

    # Saving ----------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return dotted name -> a host copy of each parameter."""
        return {name: to_numpy(value).copy() for name, value in self.named_parameters().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy the arrays of ``state`` into the parameters. Names, shapes, dtype kinds and finiteness are all checked first.

        Raises CheckpointError naming the first entry that does not fit; nothing is changed then.
        """
        own = self.named_parameters()
        check_entries(state, {name: (tuple(p.shape), np.dtype(p.dtype)) for name, p in own.items()}, "parameter")
        for name, value in own.items():
            value[...] = asarray(to_numpy(state[name]).astype(value.dtype), backend_name(value))

    def rng_state(self) -> dict[str, Any]:
        """Return dotted module name -> state of its random generator, as plain JSON-able values."""
        return {name: copy.deepcopy(m.rng.bit_generator.state) for name, m in self.modules() if draws(m)}

    def load_rng_state(self, state: Mapping[str, Any]) -> None:
        """Restore the random generators' states from ``rng_state``. Raises CheckpointError when names do not match."""
        owners = {name: module for name, module in self.modules() if draws(module)}
        if set(owners) != set(state):
            raise CheckpointError(f"random states: expected those of modules {sorted(owners)}, got {sorted(state)}")
        for name, module in owners.items():
            try:
                module.rng.bit_generator.state = copy.deepcopy(state[name])
            except (ValueError, TypeError, KeyError) as error:
                raise CheckpointError(f"random state of module {name!r}: {error}") from None

    # Looking at it ---------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        children = self.children()
        if not children:
            return f"{type(self).__name__}({self.extra_repr()})"
        lines = [f"({name}): {child!r}".replace("\n", "\n  ") for name, child in children.items()]
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"

    def summary(self, input_shape: tuple[int, ...] | None = None) -> Summary:
        """Return a table of layers, parameter counts and, given ``input_shape`` (with the batch axis), output shapes.

        Shapes are found by running an input of zeros through the layers in evaluation mode. Raises ArgumentError for an
        ``input_shape`` that is not a tuple of whole numbers, and whatever the layers raise if that input does not fit them.
        """
        layers = self.chain()
        shapes = None if input_shape is None else self._output_shapes([layer for _, layer in layers], input_shape)
        return summarize(layers, shapes, self.named_parameters())

    def chain(self) -> list[tuple[str, Module]]:
        """Return the layers that ``summary`` lists, as (name, layer) in the order of the forward; here, the module itself."""
        return [("", self)]

    def _output_shapes(self, layers: list[Module], input_shape: tuple[int, ...]) -> list[str]:
        if not isinstance(input_shape, (tuple, list)) or \
                not all(isinstance(n, (int, np.integer)) and n > 0 for n in input_shape):
            raise ArgumentError(f"input_shape: expected a tuple of sizes such as (64, 200), got {input_shape!r}")
        parameters = list(self.named_parameters().values())
        first = next((module for _, module in self.modules() if not module.children()), self)
        dtype = np.int64 if first.takes_tokens else parameters[0].dtype if parameters else np.float32
        x = asarray(np.zeros(tuple(input_shape), dtype=dtype), backend_name(parameters[0]) if parameters else "numpy")
        shapes = []
        with modes_kept(self):
            self.eval()
            for layer in layers:
                x = layer(x)
                shapes.append(str(tuple(x.shape)))
        return shapes


def draws(module: Module) -> bool:
    """Tell whether a module has a random generator of its own."""
    return isinstance(getattr(module, "rng", None), np.random.Generator)


@contextmanager
def modes_kept(model: Module) -> Iterator[None]:
    """Put each layer back into the mode (training or evaluation) it was in, at the end of a ``with``."""
    modes = [(module, module.training) for _, module in model.modules()]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
