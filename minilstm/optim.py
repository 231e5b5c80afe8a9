"""Optimisers: how gradients change weights.

An optimiser holds a model, not arrays: at each step it looks the arrays up by name, so a model that has moved to another
backend or dtype just goes on, and the optimiser's own arrays (momentum, Adam's moments; here all called moments) follow. A
step first makes sure that every gradient is finite, then updates in place with the formulas of SGD, Adam and AdamW as PyTorch
has them. On a device that check must not wait: a flag that stays there keeps every update from the first bad step on from
reaching the weights, and the host raises when it next looks (``check``, ``state_dict``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from minilstm.backend import Array, asarray, backend_name, get_array_module, to_numpy
from minilstm.errors import ArgumentError, CheckpointError, DtypeError, MinilstmError, NonFiniteError, ShapeError
from minilstm.module import Module, check_entries

Work = list[tuple[str, Array, Array, tuple[Array, ...]]]        # name, parameter, gradient, moments


def check_number(name: str, value: Any, low: float = 0.0, below: float = math.inf) -> float:
    """Return ``value`` as a Python float; raise ArgumentError unless low <= value < below (NaN never is)."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not number or not low <= value < below:
        raise ArgumentError(f"{name}: expected a number >= {low:g} and < {below:g}, got {value!r}")
    return float(value)


class Optimizer:
    """Base class. A subclass names its hyperparameters and moments and writes ``_update`` for one parameter.

    Attributes:
        model: whose parameters are learned.
        lr: learning rate, settable at any time; a finite number >= 0.
        steps: how many updates have been made.
    """

    _hyper: tuple[str, ...] = ("lr",)

    def __init__(self, model: Module, **hyper: Any) -> None:
        if not isinstance(model, Module):
            raise DtypeError(f"{type(self).__name__}: expected a minilstm Module, got {type(model).__name__}")
        if not model.locate():
            raise ArgumentError(f"{type(self).__name__}: the model has no parameters to learn")
        self.model = model
        self.steps = 0
        self._moments: dict[str, tuple[Array, ...]] = {}
        self._buffers: list[Array] = []
        self._watch: tuple[list[str], Array, Array] | None = None       # names, finite flags, good steps, on the device
        self._set(self._validated(hyper))

    def _validated(self, hyper: Mapping[str, Any]) -> dict[str, Any]:
        return {name: check_number(name, value) for name, value in hyper.items()}

    def _set(self, hyper: Mapping[str, Any]) -> None:
        for name, value in hyper.items():
            setattr(self, name, value)

    @property
    def lr(self) -> float:
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = check_number("lr", value)

    def zero_grad(self) -> None:
        """Same as ``model.zero_grad()``."""
        self.model.zero_grad()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self._hyper)})"

    # One step --------------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Update every parameter in place from its gradient.

        Raises NonFiniteError naming the first gradient that holds NaN or infinity (and ShapeError, DtypeError for a
        gradient that does not fit its parameter) before anything changes. On a device the update is skipped there, and
        ``check`` raises.
        """
        work = self._gather()
        on_host = backend_name(work[0][1]) == "numpy"
        if self._watch is not None and (on_host or self._watch[0] != [name for name, *_ in work]):
            self.check()                                # the model has moved or changed: settle what is open
            self._watch = None
        if not on_host:
            self._step_unless_bad(work)
            return
        for name, _, g, _ in work:
            if not np.isfinite(g).all():
                self._refuse(name, g)
        self.steps += 1
        for _, p, g, moments in work:
            self._update(p, g, moments, *self._scratch(p))

    def _gather(self) -> Work:
        """Look up every array by name and bring the moments to where their parameter is."""
        work: Work = []
        for name, (layer, key) in self.model.locate().items():
            p, g = layer.params[key], layer.grads[key]
            if p.dtype.kind != "f":
                raise DtypeError(f"{name} ({type(layer).__name__}): expected a real floating point parameter, got {p.dtype}")
            if g.shape != p.shape:
                raise ShapeError(f"gradient of {name} ({type(layer).__name__}): expected shape {p.shape}, got {g.shape}")
            xp = get_array_module(p, g)
            moments = self._moments.get(name)
            if moments is None:
                moments = tuple(xp.zeros_like(p) for _ in self._slots())
            elif any(m.shape != p.shape for m in moments):
                raise ShapeError(f"{name} ({type(layer).__name__}): the shape changed from {moments[0].shape} to {p.shape} "
                                 "since the last step; make a new optimiser")
            elif any(m.dtype != p.dtype or type(m) is not type(p) for m in moments):
                moments = tuple(asarray(m, backend_name(p), p.dtype) for m in moments)
            work.append((name, p, g, moments))
        self._moments.update((name, moments) for name, _, _, moments in work)
        return work

    def _slots(self) -> tuple[str, ...]:
        """The names of the moments each parameter has."""
        return ()

    def _update(self, p: Array, g: Array, moments: tuple[Array, ...], s: Array, r: Array) -> None:
        """Change ``p`` and ``moments`` in place; ``s`` and ``r`` are scratch arrays like ``p``."""
        raise TypeError(f"{type(self).__name__} does not define _update")

    def _scratch(self, p: Array) -> list[Array]:
        """Two arrays like ``p`` to compute in, cut from two buffers that all parameters share."""
        held = self._buffers[0] if self._buffers else None
        if held is None or type(held) is not type(p) or held.dtype != p.dtype or held.size < p.size:
            self._buffers = [get_array_module(p).empty(p.size, p.dtype) for _ in range(2)]
        return [buffer[:p.size].reshape(p.shape) for buffer in self._buffers]

    # The guard against NaN and infinity ------------------------------------------------------------------------------

    def _refuse(self, name: str, g: Array) -> NoReturn:
        bad = np.argwhere(~np.isfinite(g))
        first = [int(k) for k in bad[0]]
        raise NonFiniteError(f"gradient of {name} ({type(self.model.locate()[name][0]).__name__}) is not finite: first at "
                             f"{first}={g[tuple(first)]} ({len(bad)} of {g.size} entries); no weight was changed")

    def _step_unless_bad(self, work: Work) -> None:
        """Step without waiting for the device: update copies, and let them through only where all was finite so far."""
        xp = get_array_module(work[0][1])
        finite = xp.stack([xp.isfinite(g).all() for _, _, g, _ in work])
        if self._watch is None:
            self._watch = [name for name, *_ in work], finite, xp.asarray(self.steps)
        names, flags, good = self._watch
        flags = xp.where(flags.all(), finite, flags)        # from the first bad step on: that step's flags, for good
        ok = flags.all()
        self._watch = names, flags, good + ok
        self.steps += 1
        for _, p, g, moments in work:
            new = [x.copy() for x in (p, *moments)]
            self._update(new[0], g, tuple(new[1:]), *self._scratch(p))
            for old, value in zip((p, *moments), new):
                xp.copyto(old, value, where=ok)

    def check(self) -> None:
        """Raise NonFiniteError if a step on a device met a gradient that was not finite; waits for the device.

        Weights, moments and ``steps`` are as that step found them, and training may go on from there. On the host there
        is nothing to do: ``step`` itself raises.
        """
        names, flags, good = self._watch or ([], np.ones(0, bool), 0)
        finite = to_numpy(flags)
        if not finite.all():
            asked, self.steps, self._watch = self.steps, int(good), None
            owners = self.model.locate()
            bad = ", ".join(f"{name} ({type(owners[name][0]).__name__})" for name, ok in zip(names, finite) if not ok)
            raise NonFiniteError(f"gradient of {bad} was not finite in step {self.steps + 1}; no weight was changed since "
                                 f"(step {asked} was the last asked for)")

    # Saving ----------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return {"arrays": {"0.W.exp_avg": host array, ...}, "meta": hyperparameters and step count, JSON-able}."""
        self.check()
        arrays = {f"{name}.{slot}": to_numpy(m).copy() for name, _, _, moments in (self._gather() if self.steps else [])
                  for slot, m in zip(self._slots(), moments)}
        meta = {"type": type(self).__name__, "steps": self.steps, **{name: getattr(self, name) for name in self._hyper}}
        return {"arrays": arrays, "meta": {k: list(v) if isinstance(v, tuple) else v for k, v in meta.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to where ``state_dict`` was called: moments, step count, learning rate and other hyperparameters.

        Raises CheckpointError unless everything fits this optimiser and its model; nothing is changed then.
        """
        if not isinstance(state, Mapping) or set(state) != {"arrays", "meta"} or \
                not all(isinstance(part, Mapping) for part in state.values()):
            raise CheckpointError("optimiser state: expected a dict with two dicts, 'arrays' and 'meta'")
        meta, arrays, kind = state["meta"], state["arrays"], type(self).__name__
        if set(meta) != {"type", "steps", *self._hyper} or meta["type"] != kind:
            raise CheckpointError(f"optimiser state: expected type {kind!r} with steps, {', '.join(self._hyper)}; got type "
                                  f"{meta.get('type')!r} with {', '.join(str(name) for name in meta if name != 'type')}")
        if isinstance(meta["steps"], bool) or not isinstance(meta["steps"], int) or meta["steps"] < 0:
            raise CheckpointError(f"optimiser state: steps must be a whole number of at least 0, got {meta['steps']!r}")
        try:
            hyper = self._validated({name: meta[name] for name in self._hyper})
        except MinilstmError as error:
            raise CheckpointError(f"optimiser state: {error}") from None
        trial = type(self).__new__(type(self))          # knows which moments these hyperparameters need
        trial._set(hyper)
        names = {name: [f"{name}.{slot}" for slot in trial._slots()] for name in self.model.named_parameters()}
        owners = self.model.named_parameters() if meta["steps"] else {}
        check_entries(arrays, {entry: (tuple(p.shape), np.dtype(p.dtype)) for name, p in owners.items()
                               for entry in names[name]}, "optimiser array")
        for entry, value in arrays.items():
            if entry.endswith(".exp_avg_sq") and (to_numpy(value) < 0).any():
                raise CheckpointError(f"optimiser array {entry}: holds negative values, but is a mean of squares")
        self._moments = {name: tuple(asarray(to_numpy(arrays[entry]).astype(p.dtype), backend_name(p))
                                     for entry in names[name]) for name, p in owners.items()}
        self._set(hyper)
        self.steps, self._watch = meta["steps"], None


class SGD(Optimizer):
    """Stochastic gradient descent, with torch.optim.SGD's semantics.

        g ← g + weight_decay·p;   b ← momentum·b + (1 − dampening)·g  (b = g in the first step)
        p ← p − lr·(g + momentum·b if nesterov else b, or g without momentum)
    """

    _hyper = ("lr", "momentum", "dampening", "weight_decay", "nesterov")
    momentum: float
    dampening: float
    weight_decay: float
    nesterov: bool

    def __init__(self, model: Module, lr: float, momentum: float = 0.0, dampening: float = 0.0, weight_decay: float = 0.0,
                 nesterov: bool = False) -> None:
        super().__init__(model, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov)

    def _validated(self, hyper: Mapping[str, Any]) -> dict[str, Any]:
        checked: dict[str, Any] = super()._validated({k: v for k, v in hyper.items() if k != "nesterov"})
        if not isinstance(hyper["nesterov"], bool):
            raise ArgumentError(f"nesterov: expected True or False, got {hyper['nesterov']!r}")
        if hyper["nesterov"] and (checked["momentum"] == 0 or checked["dampening"] != 0):
            raise ArgumentError(f"nesterov needs a momentum above 0 and no dampening, got momentum={checked['momentum']}, "
                                f"dampening={checked['dampening']}")
        return {**checked, "nesterov": hyper["nesterov"]}

    def _slots(self) -> tuple[str, ...]:
        return ("momentum_buffer",) if self.momentum else ()

    def _update(self, p: Array, g: Array, moments: tuple[Array, ...], s: Array, r: Array) -> None:
        xp = get_array_module(p)
        if self.weight_decay:
            xp.multiply(p, self.weight_decay, out=r)
            r += g
            g = r
        if self.momentum:
            b, = moments
            xp.multiply(g, 1 - self.dampening if self.steps > 1 else 1.0, out=s)
            b *= self.momentum
            b += s
            if self.nesterov:
                xp.multiply(b, self.momentum, out=s)
                s += g
                g = s
            else:
                g = b
        xp.multiply(g, self.lr, out=s)
        p -= s


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1), with torch.optim.Adam's semantics; t counts steps from 1.

        g ← g + weight_decay·p  (not in AdamW, which shrinks p by lr·weight_decay instead)
        m ← β₁m + (1 − β₁)g;   v ← β₂v + (1 − β₂)g²;   p ← p − lr·[m/(1 − β₁ᵗ)] / (√[v/(1 − β₂ᵗ)] + ε)

    State arrays: m is "exp_avg", v is "exp_avg_sq". The two corrections are folded into numbers:
    p ← p − [lr·k/(1 − β₁ᵗ)]·m / (√v + ε·k) with k = √(1 − β₂ᵗ).
    """

    _hyper = ("lr", "betas", "eps", "weight_decay")
    _decoupled = False
    betas: tuple[float, float]
    eps: float
    weight_decay: float

    def __init__(self, model: Module, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0.0) -> None:
        super().__init__(model, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def _validated(self, hyper: Mapping[str, Any]) -> dict[str, Any]:
        betas = hyper["betas"]
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise ArgumentError(f"betas: expected two numbers, got {betas!r}")
        checked: dict[str, Any] = super()._validated({k: v for k, v in hyper.items() if k != "betas"})
        if checked["eps"] == 0:         # 0/0 wherever the gradient has always been 0, as in an embedding's padding row
            raise ArgumentError("eps: expected a number above 0, got 0")
        return {**checked, "betas": tuple(check_number(f"betas[{k}]", beta, below=1.0) for k, beta in enumerate(betas))}

    def _slots(self) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _update(self, p: Array, g: Array, moments: tuple[Array, ...], s: Array, r: Array) -> None:
        xp = get_array_module(p)
        m, v = moments
        beta1, beta2 = self.betas
        # math.sqrt, not the array module's: a NumPy scalar would promote float32 arithmetic to float64
        k = math.sqrt(1 - beta2 ** self.steps)
        if self.weight_decay and self._decoupled:
            p *= 1 - self.lr * self.weight_decay
        elif self.weight_decay:
            xp.multiply(p, self.weight_decay, out=r)
            r += g
            g = r
        xp.multiply(g, 1 - beta1, out=s)
        m *= beta1
        m += s
        xp.multiply(g, g, out=s)
        s *= 1 - beta2
        v *= beta2
        v += s
        xp.sqrt(v, out=s)
        s += self.eps * k
        xp.divide(m, s, out=s)
        s *= self.lr * k / (1 - beta1 ** self.steps)
        p -= s


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019): p ← (1 − lr·weight_decay)·p, then Adam's step."""

    _decoupled = True

    def __init__(self, model: Module, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 1e-2) -> None:
        super().__init__(model, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)


def clip_grad_norm(model: Module, max_norm: float) -> Array:
    """Scale all gradients of ``model`` so that their common L2 norm is at most ``max_norm``; return the norm before.

    The factor is min(1, max_norm / (norm + 1e-6)), as in torch.nn.utils.clip_grad_norm_. The norm is a 0-d float64 array on
    the gradients' backend; squares are summed in float64, where those of float32 cannot overflow. ``max_norm=math.inf`` only
    measures. Gradients whose norm is not finite are left alone, so that the optimiser can name the one that is wrong.
    Raises ArgumentError unless max_norm >= 0, DtypeError for something that is no Module.
    """
    if not isinstance(model, Module):
        raise DtypeError(f"clip_grad_norm: expected a minilstm Module, got {type(model).__name__}")
    if max_norm != math.inf:
        max_norm = check_number("max_norm", max_norm)
    gradients = list(model.named_gradients().values())
    xp = get_array_module(*gradients)
    norm = xp.sqrt(sum((xp.square(g, dtype=np.float64).sum() for g in gradients), xp.zeros(())))
    finite = xp.isfinite(norm)
    factor = xp.where(finite, xp.minimum(max_norm / (xp.where(finite, norm, 0.0) + 1e-6), 1.0), 1.0)
    if xp is not np or factor < 1:          # on the host the answer is at hand, and 1 needs no work
        for g in gradients:
            g *= factor.astype(g.dtype)
    return xp.asarray(norm)
