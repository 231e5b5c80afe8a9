"""Module, the contract of every layer.

A layer owns ``params`` and ``grads``, two dicts with the same names. ``y = layer(x)`` runs the forward pass and, in
training mode, pushes a cache; ``dx = layer.backward(dy)`` pops that cache, adds to ``grads`` and returns the gradient of
the input. There is no tape and no autograd: each gradient is the one that the layer's author derived by hand. To write a
cell of your own, subclass Module, fill ``params`` (with ``add_param``) and define ``forward`` and ``backward``;
``ml.gradcheck`` then checks it like the built-in ones.

A backward belongs to the one forward, in training mode, that waits for it; what is ambiguous is a BackwardError
(backend/passes.py). Weights must not change in between, since caches refer to them: ``optimizer.step()`` comes after backward.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial, wraps
from types import ModuleType
from typing import Any, Self

import numpy as np

from minilstm.backend.arrays import Array, asarray, backend_name, get_array_module, require, to_numpy
from minilstm.backend.checks import as_floating, check_dtype, check_writeable
from minilstm.backend.errors import ArgumentError, CheckpointError, ParameterError
from minilstm.backend.passes import KEPT, Pass, choose, current_pass, evaluating, is_evaluating, one_pass
from minilstm.backend.seeds import as_generator
from minilstm.layers.foreign import refuse_foreign
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
    _fast, _frozen = True, False

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """Set up what every module has, so that a subclass may define ``__init__`` without calling this one's."""
        if cls.__module__.startswith("minilstm."):
            refuse_foreign(cls, options)
        module = super().__new__(cls)
        module.params, module.grads = Named(cls.__name__, "parameter"), Named(cls.__name__, "gradient")
        module._caches, module._passes, module._training = [], [], True
        return module

    def __init__(self) -> None:
        self.params: dict[str, Array]
        self.grads: dict[str, Array]
        self._caches: list[Any]             # in the order they were pushed, ...
        self._passes: list[Pass]            # ... and the pass that each belongs to
        self._training: bool

    def __getstate__(self) -> dict[str, Any]:
        """A copy, or a pickle, has the weights and no forwards that wait: those are to be gone back through once."""
        return {**vars(self), "_caches": [], "_passes": []}

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
        value = as_floating(name, value)
        self.params[name] = value.copy()
        self.grads[name] = get_array_module(value).zeros_like(self.params[name])

    @property
    def training(self) -> bool:
        """Whether this module is in training mode; ``train()`` and ``eval()`` set it for all modules below, too."""
        return self._training and not is_evaluating()

    @training.setter
    def training(self, value: bool) -> None:
        self._training = bool(value)

    @property
    def keeps(self) -> bool:
        """Whether a forward keeps what backward needs: in training mode, or inside a module that is in training mode."""
        this = current_pass()
        return self.training or this is not None and this.training

    def push(self, cache: Any) -> None:
        """Keep what backward will need; evaluation mode keeps nothing."""
        if not self.keeps:
            return
        this = current_pass() or Pass(True)         # pushed outside a forward: a pass of its own
        self._forget(lambda one: one.forgotten)
        others = [one for one in dict.fromkeys(self._passes) if one is not this]
        for other in others:
            other.contested = this.contested = True
        if len(others) >= KEPT:
            self._forget(lambda one: one is others[0])
            for one in (this, *others):
                one.beside_lost = True
        self._caches.append(cache)
        self._passes.append(this)

    def peek(self, dy: Any = None) -> Any:
        """Return the cache to go back through, and leave it where it is, so that ``dy`` can be checked before any change.

        ``dy`` helps to find it where several forwards wait. Raises BackwardError when there is none, or when it is not clear
        which.
        """
        cache = self._caches[self._place(dy)]
        for name, gradient in self.grads.items():
            check_writeable(f"gradient of {name}", gradient)
        return cache

    def pop(self, dy: Any = None) -> Any:
        """Return the cache to go back through, and drop it. Raises BackwardError like ``peek``."""
        place = self._place(dy)
        del self._passes[place]
        return self._caches.pop(place)

    def _place(self, dy: Any) -> int:
        """Return the place of the latest cache of the pass that a backward belongs to."""
        self._passes = (self._passes + [Pass(True) for _ in self._caches])[:len(self._caches)]     # where push was overridden
        chosen = choose(self._passes, type(self).__name__, dy)
        return max(place for place, one in enumerate(self._passes) if one is chosen)

    def _forget(self, which: Callable[[Pass], bool]) -> None:
        """Drop the caches of some passes."""
        kept = [pair for pair in zip(self._passes, self._caches) if not which(pair[0])]
        self._passes, self._caches = [one for one, _ in kept], [cache for _, cache in kept]

    @property
    def pending(self) -> int:
        """How many caches of this module alone, not of the modules below it, still wait for their backward."""
        return sum(not one.forgotten for one, _ in zip(self._passes, self._caches))

    def drop_caches(self) -> None:
        """Drop the caches that this module and all modules below it keep for a backward still to come."""
        for _, module in self.modules():
            for one in module._passes:
                one.forgotten = True
            module._caches, module._passes = [], []

    def outdate(self) -> None:
        """Note that weights have changed: forwards made before can no longer be gone back through."""
        for _, module in self.modules():
            for one in module._passes:
                one.outdated = True

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

    @property
    def frozen(self) -> bool:
        """Whether optimisers leave this module's own parameters as they are; gradients still pass through it.

        Setting it reaches every module below.
        """
        return self._frozen

    @frozen.setter
    def frozen(self, value: bool) -> None:
        for _, module in self.modules():
            module._frozen = bool(value)

    # The tree of modules ---------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._in_a_pass(self.forward, args, options)

    def __init_subclass__(cls, **options: Any) -> None:
        """Make a call of ``forward`` by its name the same as a call of the module."""
        super().__init_subclass__(**options)
        if "forward" in vars(cls):
            forward = vars(cls)["forward"]

            @wraps(forward)
            def called(self: Module, *args: Any, **options: Any) -> Any:
                return self._in_a_pass(partial(forward, self), args, options)
            setattr(cls, "forward", called)

    def _in_a_pass(self, forward: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Call ``forward``, as a pass unless it is inside one. In training mode, a refused input leaves no trace."""
        if current_pass() is not None:
            return forward(*args, **options)
        if not self.training:
            with one_pass(False) as this:
                output = forward(*args, **options)
            this.returns(output)
            return output
        before = [(module, module._caches[:], module._passes[:]) for _, module in self.modules()]
        streams = [(module.rng.bit_generator, module.rng.bit_generator.state) for module, _, _ in before if draws(module)]
        with one_pass() as this:
            try:
                output = forward(*args, **options)
            except BaseException:
                for module, caches, passes in before:
                    module._caches, module._passes = caches, passes
                for generator, state in streams:
                    generator.state = state
                raise
        this.returns(output)
        return output

    def children(self) -> dict[str, Module]:
        """Return the modules this one is made of, by attribute name, also those in lists, tuples and dicts of any depth.

        Raises ArgumentError for modules where they are not looked for: in sets, and in objects that are no modules.
        """
        found: dict[str, Module] = {}
        for name, value in vars(self).items():
            if name not in ("params", "grads", "_caches", "_passes"):
                _collect(f"{type(self).__name__}.{name}", name, value, found, ())
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

    def parameters(self) -> list[Array]:
        """Return the parameter arrays, without their names. An optimiser takes the model itself: ``ml.Adam(model)``."""
        return list(self.named_parameters().values())

    def num_parameters(self) -> int:
        """Return how many numbers there are to learn."""
        return sum(int(p.size) for p in self.named_parameters().values())

    def zero_grad(self, set_to_none: bool = False) -> None:
        """Set every gradient to zero. Forwards that wait for their backward are not touched.

        ``set_to_none``, PyTorch's argument, makes no difference: gradients are always arrays.
        """
        gradients = self.named_gradients()
        for name, gradient in gradients.items():
            check_writeable(f"gradient of {name}", gradient)
        for gradient in gradients.values():
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
        self.outdate()
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
        fitting = check_entries(state, {name: (tuple(p.shape), np.dtype(p.dtype)) for name, p in own.items()}, "parameter")
        for name, value in own.items():
            check_writeable(name, value)
        for name, value in own.items():
            value[...] = asarray(fitting[name], backend_name(value))
        self.outdate()

    def rng_state(self) -> dict[str, Any]:
        """Return dotted module name -> state of its random generator, as plain JSON-able values."""
        return {name: copy.deepcopy(m.rng.bit_generator.state) for name, m in self.modules() if draws(m)}

    def load_rng_state(self, state: Mapping[str, Any]) -> None:
        """Restore the random generators' states from ``rng_state``.

        Raises CheckpointError unless names match and each is a state of its generator; nothing is changed then.
        """
        owners = {name: module for name, module in self.modules() if draws(module)}
        if not isinstance(state, Mapping) or set(owners) != set(state):
            got = sorted(map(str, state)) if isinstance(state, Mapping) else type(state).__name__
            raise CheckpointError(f"random states: expected those of modules {sorted(owners)}, got {got}")
        for name, module in owners.items():
            trial = copy.deepcopy(module.rng.bit_generator)
            try:
                trial.state = copy.deepcopy(state[name])
                words = "" if trial.state == state[name] else "holds numbers that do not fit"
            except Exception as error:      # NumPy raises whatever it meets first
                words = f"{type(error).__name__}: {error}"
            if words:
                raise CheckpointError(f"random state of module {name!r}: {words}")
        for name, module in owners.items():
            module.rng.bit_generator.state = copy.deepcopy(state[name])

    # Looking at it ---------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        children = self.children()
        if not children:
            words = [self.extra_repr(), "frozen=True" if self.frozen else ""]
            return f"{type(self).__name__}({', '.join(filter(None, words))})"
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
        with evaluating():
            for layer in layers:
                x = layer(x)
                shapes.append(str(tuple(x.shape)))
        return shapes


class Named(dict[str, Any]):
    """A module's parameters, or gradients, by name; a name that is not there is an error in words."""

    def __init__(self, owner: str, what: str) -> None:
        super().__init__()
        self.owner, self.what = owner, what

    def __missing__(self, name: str) -> Any:
        raise ParameterError(f"{self.owner} has no {self.what} {name!r}: it has {', '.join(map(repr, self)) or 'none'}; "
                             "add_param(name, value) makes one")


def _collect(where: str, name: str, value: Any, found: dict[str, Module], inside: tuple[Any, ...]) -> None:
    """Add to ``found`` the modules in an attribute, by dotted name."""
    if isinstance(value, Module):
        found[name] = value
    elif isinstance(value, (list, tuple, deque)) and not any(value is outer for outer in inside):
        for key, part in enumerate(value):
            _collect(where, f"{name}.{key}", part, found, (*inside, value))
    elif isinstance(value, Mapping) and not any(value is outer for outer in inside):
        for key, part in value.items():
            _collect(where, f"{name}.{key}", part, found, (*inside, value))
    elif isinstance(value, (set, frozenset)) and any(isinstance(part, Module) for part in value):
        raise ArgumentError(f"{where}: layers in a set have no order and no names; keep them in a list or a dict")
    elif isinstance(value, np.ndarray) and value.dtype.kind == "O" and any(isinstance(part, Module) for part in value.flat):
        raise ArgumentError(f"{where}: layers in an array are not found; keep them in a list or a dict")
    elif not isinstance(value, type) and hasattr(value, "__dict__") and not isinstance(value, ModuleType):
        if any(isinstance(part, Module) for part in vars(value).values()):
            raise ArgumentError(f"{where}: a {type(value).__name__} holds layers but is no ml.Module, so its parameters would "
                                "not be found; derive the class from ml.Module")


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
