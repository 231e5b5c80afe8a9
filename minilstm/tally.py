"""What the steps of an epoch add up to on a device, fetched once.

Each number that the host wants to see makes it wait for everything that the device was asked before. So a training step on a
device shows nothing: it adds its loss, metric and gradient norm to nine numbers that stay there. The first step whose loss or
gradient norm is not finite adds nothing; its own two numbers are kept instead, and one of its gradients is made NaN, so that
the optimiser, which looks on the device too, lets nothing through from that step on. At the next fetch the host learns of it.
Nothing here grows on the device with the number of steps; the host keeps half a kilobyte a step for each layer that draws.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilstm.backend import Array, asarray, backend_name, get_array_module, takes, to_numpy
from minilstm.module import Module, draws
from minilstm.nonfinite import all_finite

LOSS, SCORE, NORM, SAMPLES, STEPS, BAD, BAD_LOSS, BAD_NORM, SOUND = range(9)


class Tally:
    """The sums of a running epoch.

    Args:
        model: what is trained, on a device.
        sums: the epoch's sums so far: loss, metric, gradient norm, samples.

    Attributes:
        steps: how many steps were added since the last fetch.
        sound: whether, at the last fetch, every parameter was finite; False before the first one.
    """

    def __init__(self, model: Module, sums: list[Any]) -> None:
        self.steps, self.sound = 0, False
        self._model = model
        self._drawing = [module for _, module in model.modules() if draws(module)]
        self._random: list[list[Any]] = []      # after each step
        start = np.zeros(9)
        start[:4] = sums
        self._totals = asarray(start, backend_name(next(iter(model.named_parameters().values()))))

    def add(self, loss: Array, score: Any, norm: Array, weight: float, n: int) -> None:
        """Count a step of ``n`` samples whose loss weighs ``weight``; its gradients must be the model's. Waits for nothing.

        loss 0-d, of any floating dtype; score a 0-d array or a number; norm 0-d float64.
        """
        self.steps += 1
        self._random.append([module.rng.bit_generator.state for module in self._drawing])
        gradient = next(iter(self._model.named_gradients().values()))
        measured = takes(score)
        if takes(loss, gradient) and takes(norm, *[score] * measured) and norm.dtype == np.float64 and (measured or not score):
            from minilstm.kernels.cuda import training
            training.tally(loss, score if measured else None, norm, self._totals, gradient, weight, n)
        else:
            self._add(get_array_module(self._totals), loss, score, norm, weight, n, gradient)

    def _add(self, xp: Any, loss: Any, score: Any, norm: Any, weight: float, n: int, gradient: Array) -> None:
        """The same for what the kernel does not take."""
        loss, norm = (xp.asarray(value, dtype=np.float64) for value in (loss, norm))
        score = score if backend_name(score) != "numpy" else float(score)
        before, totals = self._totals[BAD] == 0, self._totals
        finite = xp.isfinite(loss) & xp.isfinite(norm)
        counts, first = before & finite, before & ~finite
        for k, value in ((LOSS, loss * weight), (SCORE, score * n), (NORM, norm), (SAMPLES, n), (STEPS, 1)):
            totals[k] += xp.where(counts, value, 0.0)
        for k, value in ((BAD, 1.0), (BAD_LOSS, loss), (BAD_NORM, norm)):
            totals[k] = xp.where(first, value, totals[k])
        gradient += xp.where(first, np.nan, 0.0).astype(gradient.dtype)

    def fetch(self) -> tuple[list[Any], int, tuple[float, float] | None]:
        """Return the epoch's sums, how many steps since the last fetch were good, and (loss, gradient norm) of the first bad.

        Waits for the device, once. After a bad step random generators are back where that step left them.
        """
        self._totals[SOUND] = all_finite(list(self._model.named_parameters().values()))
        totals = to_numpy(self._totals).tolist()
        steps, bad, self.sound = int(totals[STEPS]), totals[BAD] != 0, totals[SOUND] != 0
        if bad:
            for module, random_state in zip(self._drawing, self._random[steps]):
                module.rng.bit_generator.state = random_state
        self.steps = 0
        self._random.clear()
        self._totals[STEPS:] = 0.0
        return [*totals[:SAMPLES], int(totals[SAMPLES])], steps, (totals[BAD_LOSS], totals[BAD_NORM]) if bad else None
