"""Module, the contract of every layer, and Sequential, which chains layers.

A layer owns ``params`` and ``grads``, two dicts with the same names. ``y = layer(x)`` runs the forward pass and, in
training mode, pushes a cache; ``dx = layer.backward(dy)`` pops that cache, adds to ``grads`` and returns the gradient of
the input. There is no tape and no autograd: what comes back is what the layer's author derived by hand. A cell of your own
is a subclass that fills ``params`` (with ``add_param``) and writes ``forward`` and ``backward``; ``ml.gradcheck`` then
checks it like the built-in ones.

Weights must not change between a forward and its backward: caches refer to them. (The usual loop, step after backward, never
does that.)
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from minilstm.backend import Array, asarray, backend_name, get_array_module, require, to_numpy
from minilstm.checks import check_dtype, check_floating, check_real, check_shape, is_array
from minilstm.errors import ArgumentError, BackwardError, CheckpointError, DtypeError
from minilstm.init import as_generator


class Module:
    """Base class of layers: named parameters and gradients, and a stack of caches between forward and backward.

    Attributes:
        params: name -> parameter array, allocated once, updated in place, rebound only by ``to``.
        grads: name -> gradient of the same shape; ``backward`` adds to it, ``zero_grad`` clears it.
        training: True in training mode (caches are kept, dropout drops), False in evaluation mode.
        rng: the seeded host generator of layers that draw random numbers; absent elsewhere.
        adds_up_equal_inputs: True where all that backward makes of dy is its sum over equal inputs, as an Embedding does.
    """

    rng: np.random.Generator
    adds_up_equal_inputs = False

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
            raise BackwardError(f"{type(self).__name__}.backward: there is no forward pass to go back through: each backward "
                                "needs a forward of its own, in training mode, and no zero_grad() in between (call it before "
                                "the forward)")
        return self._caches[-1]

    def pop(self) -> Any:
        """Return the latest cache and drop it. Raises BackwardError when there is none."""
        self.peek()
        return self._caches.pop()

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
        """Set every gradient to zero and drop the caches of forwards nobody went back through."""
        for _, module in self.modules():
            module._caches.clear()
            for gradient in module.grads.values():
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
        for _, module in self.modules():
            module._caches.clear()
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
        """Copy parameters in. Names, shapes, dtype kinds and finiteness are all checked first.

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
        """Put random generators back where ``rng_state`` saw them. Raises CheckpointError when names do not match."""
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
        """Return a table of layers, parameter counts and, given ``input_shape`` (with the batch axis), output shapes."""
        from minilstm.summary import summarize
        return summarize(self, input_shape)


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


class Summary(str):
    """A table as text that also shows as text when it is the last line of a notebook cell."""

    def __repr__(self) -> str:
        return str(self)


def check_entries(state: Mapping[str, Any], expected: Mapping[str, tuple[tuple[int, ...], np.dtype]], what: str) -> None:
    """Raise CheckpointError unless ``state`` has exactly the expected names, shapes and dtype kinds, all finite."""
    missing, extra = sorted(set(expected) - set(state)), sorted(set(state) - set(expected))
    if missing or extra:
        words = [f"{label} {', '.join(names)}" for label, names in (("missing", missing), ("unexpected", extra)) if names]
        raise CheckpointError(f"{what} names do not match the model: {'; '.join(words)}")
    for name, (shape, dtype) in expected.items():
        value = state[name] if not is_array(state[name]) else to_numpy(state[name])
        if not is_array(value) or value.dtype.kind != dtype.kind:
            got = getattr(value, "dtype", type(value).__name__)
            raise CheckpointError(f"{what} {name}: expected dtype {dtype}, got {got}")
        if tuple(value.shape) != shape:
            raise CheckpointError(f"{what} {name}: expected shape {shape}, got {tuple(value.shape)}")
        with np.errstate(over="ignore"):    # 1e300 is finite, but not in float32
            finite = dtype.kind not in "fc" or np.isfinite(value.astype(dtype)).all()
        if not finite:
            raise CheckpointError(f"{what} {name}: holds NaN or infinite values")


class Sequential(Module):
    """A chain of layers: the output of one is the input of the next; backward walks the chain the other way.

    Keyword options of the call (``lengths``, ``padding``) are handed to every layer whose forward takes them. If a layer
    refuses its input, the caches and random states of the layers before it are put back: nothing has happened.
    """

    def __init__(self, *layers: Module) -> None:
        super().__init__()
        for position, layer in enumerate(layers):
            if not isinstance(layer, Module):
                raise DtypeError(f"Sequential: layer {position} is a {type(layer).__name__}, not a minilstm Module "
                                 "(pass layers one by one: Sequential(a, b), not Sequential([a, b]))")
        self.layers = list(layers)

    def children(self) -> dict[str, Module]:
        return {str(position): layer for position, layer in enumerate(self.layers)}

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers)

    def __getitem__(self, position: int | slice) -> Any:
        """Return one layer, or a Sequential of a slice of them (the same layers, not copies)."""
        return Sequential(*self.layers[position]) if isinstance(position, slice) else self.layers[position]

    def forward(self, x: Array, **options: Any) -> Array:
        """Return the last layer's output for input ``x``; ``options`` go to the layers that take them."""
        for option in options:
            if not accepts_option(self, option):
                raise ArgumentError(f"Sequential: no layer takes the option {option!r}")
        undo = [(module, len(module._caches), module.rng.bit_generator.state if draws(module) else None)
                for _, module in self.modules()]
        try:
            tokens = None
            for below, layer in zip([None, *self.layers], self.layers):
                own = {name: value for name, value in options.items() if accepts_option(layer, name)}
                if below is not None and below.adds_up_equal_inputs and not isinstance(layer, Sequential) \
                        and accepts_option(layer, "tokens"):
                    own.setdefault("tokens", tokens)
                tokens, x = x, layer(x, **own)
        except BaseException:
            for module, depth, random_state in undo:
                del module._caches[depth:]
                if random_state is not None:
                    module.rng.bit_generator.state = random_state
            raise
        return x

    def backward(self, dy: Array) -> Array:
        """Return the gradient of the input, given ``dy``, the gradient of the output (None when the input was tokens).

        Raises BackwardError, before anything changes, where a layer kept nothing because it is in evaluation mode.
        """
        for name, module in self.modules():
            if not module.training and not module._caches and not module.children():
                raise BackwardError(f"Sequential.backward: layer {name} ({type(module).__name__}) is in evaluation mode and "
                                    "kept nothing to go back through; call model.train() before the forward")
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy


def accepts_option(layer: Module, option: str) -> bool:
    """Tell whether ``layer(x, option=...)`` is possible (for a Sequential: whether one of its layers takes it)."""
    if isinstance(layer, Sequential):
        return any(accepts_option(child, option) for child in layer.layers)
    parameters = inspect.signature(layer.forward).parameters.values()
    return any(p.name == option or p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)


def check_gradient(name: str, dy: Any, expected: tuple[int, ...], axes: str) -> None:
    """Raise DtypeError or ShapeError unless ``dy`` is an array of real numbers of exactly the expected shape."""
    check_real(name, dy)
    check_shape(name, dy, expected, axes)
