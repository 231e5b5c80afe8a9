"""What a tree of modules holds, parameters and random states: saved, loaded, drawn again, moved."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from minilstm.backend.arrays import asarray, backend_name, require, to_numpy
from minilstm.backend.checks import as_array, check_dtype, check_writeable
from minilstm.backend.errors import CheckpointError, DtypeError, ParameterError
from minilstm.backend.seeds import as_generator
from minilstm.layers.tree import Tree, has_rng, outdate


class Saved(Tree):
    """State dicts and random states of a tree of modules; ``Module`` derives from it."""

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return dotted name -> a host copy of each parameter."""
        return {name: to_numpy(value).copy() for name, value in self.named_parameters().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy the arrays of ``state`` into the parameters.

        Raises CheckpointError naming the first entry that does not fit in name, shape, dtype kind or because
        it is not finite; nothing is changed then.
        """
        own = self.named_parameters()
        expected = {name: (tuple(p.shape), np.dtype(p.dtype)) for name, p in own.items()}
        fitting = check_entries(state, expected, "parameter")
        check_writeable(own)
        for name, value in own.items():
            value[...] = asarray(fitting[name], backend_name(value))
        outdate(self.modules())

    def rng_state(self) -> dict[str, Any]:
        """Return dotted module name -> state of its random generator, as plain JSON-able values."""
        return {name: copy.deepcopy(m.rng.bit_generator.state) for name, m in self.modules() if has_rng(m)}

    def load_rng_state(self, state: Mapping[str, Any]) -> None:
        """Restore the random generators' states from ``rng_state``.

        Raises CheckpointError, changing nothing, unless names match and each is a state of its generator.
        """
        owners = {name: module for name, module in self.modules() if has_rng(module)}
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

    def to(self, backend: str | None = None, dtype: Any = None) -> Self:
        """Move parameters and gradients to a backend ("numpy" or "cupy"), a floating dtype or both; return
        self.

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

    def reset_parameters(self, rng: np.random.Generator | int | None = None) -> Self:
        """Draw all parameters again, layer after layer, and restart the dropout streams, all from one seed.

        A layer of your own takes part by defining ``init_params``.
        """
        rng = as_generator(rng)
        for _, module in self.modules():
            for key, value in module.init_params(rng).items():
                p = module.params[key]
                p[...] = asarray(value.astype(p.dtype, copy=False), backend_name(p))
            if has_rng(module):
                module.rng = rng.spawn(1)[0]
        self.zero_grad()
        outdate(self.modules())
        return self


def check_entries(state: Mapping[str, Any], expected: Mapping[str, tuple[tuple[int, ...], np.dtype]],
                  what: str) -> dict[str, np.ndarray]:
    """Return the entries of ``state`` as host arrays of the expected dtypes.

    Raises CheckpointError unless it has exactly the expected names, shapes and dtype kinds, all finite.
    """
    if not isinstance(state, Mapping):
        raise CheckpointError(f"{what}s: expected a dict of arrays by name, got {type(state).__name__}")
    missing, extra = (sorted(map(str, a)) for a in (set(expected) - set(state), set(state) - set(expected)))
    if missing or extra:
        both = (("missing", missing), ("unexpected", extra))
        words = "; ".join(f"{label} {', '.join(names)}" for label, names in both if names)
        raise CheckpointError(f"{what} names do not match the model: {words}")
    found = {}
    for name, (shape, dtype) in expected.items():
        try:
            value = to_numpy(as_array(f"{what} {name}", state[name]))
        except DtypeError as error:
            raise CheckpointError(str(error)) from None
        if value.dtype.kind != dtype.kind:
            raise CheckpointError(f"{what} {name}: expected dtype {dtype}, got {value.dtype}")
        if tuple(value.shape) != shape:
            raise CheckpointError(f"{what} {name}: expected shape {shape}, got {tuple(value.shape)}")
        with np.errstate(over="ignore"):    # 1e300 is finite, but not in float32
            found[name] = value.astype(dtype)
        if dtype.kind in "fc" and not np.isfinite(found[name]).all():
            raise CheckpointError(f"{what} {name}: holds NaN or infinite values")
    return found


class Named(dict[str, Any]):
    """A module's parameters, or gradients, by name; a name that is not there is an error in words."""

    def __init__(self, owner: str, what: str) -> None:
        super().__init__()
        self.owner, self.what = owner, what

    def __missing__(self, name: str) -> Any:
        names = ", ".join(map(repr, self)) or "none"
        raise ParameterError(f"{self.owner} has no {self.what} {name!r}: it has {names}; "
                             "add_param(name, value) makes one")
