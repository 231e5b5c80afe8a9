"""The terms and factors that can be made of the values in scope: what a backward may lack, as numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

# What a derivative multiplies with, of a value u, and the key of the mistake where it is missing: itself, its
# complement, σ' and tanh' of what is activated; and of what is not, ReLU', the square's rule, σ.
PLAIN = {"{u}": "factor_missing", "(1 - {u})": "factor_missing", "{u} * (1 - {u})": "no_sigmoid_derivative",
         "(1 - {u} ** 2)": "no_tanh_derivative"}
SLOPES = {**PLAIN, "np.tanh({u})": "factor_missing", "(1 - np.tanh({u}) ** 2)": "no_tanh_derivative",
          "({u} > 0)": "factor_missing", "{u} ** 2": "factor_missing", "(1 / {u})": "factor_missing",
          "(1 / (1 + np.exp(-{u})))": "factor_missing"}
PRODUCTS = ["{a} @ {b}", "{a} @ {b}.T", "{b} @ {a}", "{b}.T @ {a}", "np.outer({a}, {b})",
            "np.outer({b}, {a})"]
COMPUTED = {form: eval("lambda a, b: " + form.format(a="a", b="b")) for form in PRODUCTS} | {
    form: eval("lambda u: " + form.format(u="u")) for form in SLOPES}
FEW = 10                # of gradients and constants, those that longer products are made of
Named = list[tuple[str, np.ndarray]]        # values of several visits, by text
Row = tuple[float, str, str, np.ndarray]    # cost, key of a mistake, text, values


@dataclass(frozen=True)
class Pool:
    """Candidates: costs (n,), values at all visits (n, visits * size), and by number their key and text."""

    costs: np.ndarray
    values: np.ndarray
    told: Callable[[int], tuple[str, str]]

    @staticmethod
    def of(rows: list[Row], shape: tuple[int, ...]) -> Pool:
        """Make a pool of rows whose values NumPy can repeat to ``shape``: visits, then that of one value."""
        values = np.empty((len(rows), int(np.prod(shape))))
        for k, row in enumerate(rows):
            values[k] = np.broadcast_to(row[3], shape).ravel()
        return Pool(np.array([row[0] for row in rows]), values, lambda k: rows[k][1:3])

    def times(self, other: Pool, mark: str = "* ") -> Pool:
        """Return all products, entry by entry."""
        def told(k: int) -> tuple[str, str]:
            key, text = self.told(k // len(other.costs))
            return key, f"{text} {mark}{other.told(k % len(other.costs))[1]}"
        values = self.values[:, None] * other.values
        costs = np.add.outer(self.costs, other.costs).ravel() + 1
        return Pool(costs, values.reshape(len(costs), values.shape[-1]), told)

    def __add__(self, other: Pool) -> Pool:
        n, values = len(self.costs), np.concatenate([self.values, other.values])
        costs = np.concatenate([self.costs, other.costs])

        def told(k: int) -> tuple[str, str]:
            return self.told(k) if k < n else other.told(k - n)
        return Pool(costs, values, told)


def aligned(stack: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """Return values, visits first, with axes of length 1 where NumPy repeats them; None if they do not
    fit."""
    if not 1 <= stack.ndim <= len(shape):
        return None
    stack = stack.reshape(stack.shape[0], *[1] * (len(shape) - stack.ndim), *stack.shape[1:])
    fits = all(n in (1, wanted) for n, wanted in zip(stack.shape, shape))
    return stack if fits else None


def slopes(constants: Named, shape: tuple[int, ...], forms: dict[str, str]) -> Pool:
    """Return what a derivative multiplies with."""
    return Pool.of([(float(form not in PLAIN), key, form.format(u=text), COMPUTED[form](values))
                    for text, stack in constants if (values := aligned(stack, shape)) is not None
                    for form, key in forms.items()], shape)


def scales(numbers: Iterable[tuple[str, float]], shape: tuple[int, ...]) -> Pool:
    """Return division by numbers, and multiplication."""
    return Pool.of([(2, "factor", f"{mark} {text}", np.full(shape, value ** power)) for text, value in numbers
                    if value for mark, power in (("/", -1.0), ("*", 1.0))], shape)


def terms(gradients: Named, constants: Named, numbers: Pool, shape: tuple[int, ...]) -> Pool:
    """Return gradients of a shape, turned round, their sums along an axis, products with constants, shares of
    a softmax."""
    single: list[Row] = [(0, "", text, values) for text, stack in gradients
                         if (values := aligned(stack, shape)) is not None]
    entrywise = Pool.of(single, shape)
    few = slopes(constants[:FEW], shape, PLAIN)
    made: list[Row] = []
    for text, stack in gradients:
        for other, constant in constants:
            for form in PRODUCTS:
                try:
                    values = np.array([COMPUTED[form](a, b) for a, b in zip(stack, constant)])
                except ValueError:
                    continue
                if values.shape == shape:
                    made.append((1, "", form.format(a=text, b=other), values))
    turned = [(1, "", f"{text}[{':, ' * k}::-1]", np.flip(values, k + 1))
              for _, _, text, values in single[:FEW] for k in range(len(shape) - 1)]
    softmax = [(2, "", f"{other} * ({text} - ({text} * {other}).sum(axis=-1, keepdims=True))",
                c * (g - (g * c).sum(axis=-1, keepdims=True)))
               for text, g in gradients for other, c in constants if g.shape == c.shape == shape]
    likely = Pool.of(single[:FEW], shape)
    others = Pool.of([*made, *turned, *_sums(likely + likely.times(few), shape), *softmax], shape)
    longer = others.times(few) + likely.times(few).times(few)
    scaled = (entrywise + entrywise.times(few)).times(numbers, "")
    return entrywise + others + entrywise.times(slopes(constants, shape, SLOPES)) + longer + scaled


def _sums(source: Pool, shape: tuple[int, ...]) -> Iterator[Row]:
    """Yield sums and means along the first axis and the last."""
    for k, values in enumerate(source.values):
        for axis in sorted({-1, 1 - len(shape)}):
            for name in ("sum", "mean"):
                total = getattr(values.reshape(shape), name)(axis=axis, keepdims=True)
                yield 2, "", f"({source.told(k)[1]}).{name}(axis={axis}, keepdims=True)", total


def factors(constants: Named, numbers: Pool, shape: tuple[int, ...]) -> Pool:
    """Return what a product may lack: slopes, numbers, products of two."""
    single = slopes(constants, shape, SLOPES)
    starred = Pool(single.costs, single.values, lambda k: (single.told(k)[0], f"* {single.told(k)[1]}"))
    every = starred + numbers
    return every + every.times(slopes(constants[:FEW], shape, PLAIN))
