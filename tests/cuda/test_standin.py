"""The stand-in itself: what it refuses, what it counts, and that it otherwise computes what NumPy does.

Each rule is one of CuPy's (or stricter): tests that pass on it say something about a device. Where a GPU is there
(``pytest -m gpu``), the rules that CuPy shares are tried on CuPy, too.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.backend.arrays import require

HOST = np.ones((2, 3))
REFUSED_EVERYWHERE = {
    "operator": lambda xp, x: x + HOST,
    "reflected operator": lambda xp, x: HOST * x,
    "function": lambda xp, x: xp.multiply(x, HOST),
    "out": lambda xp, x: xp.multiply(x, x, out=HOST.copy()),
    "matrix product": lambda xp, x: x @ HOST.T,
    "NumPy's function": lambda xp, x: np.add(x, HOST),
    "conversion": lambda xp, x: np.asarray(x),
    "concatenation": lambda xp, x: xp.concatenate([x, HOST]),
    "unknown name": lambda xp, x: xp.errstate(),
    "unknown keyword": lambda xp, x: xp.add(x, x, where=x > 0),
    "unknown keyword of a reduction": lambda xp, x: x.sum(where=x > 0),
    "take with a mode": lambda xp, x: xp.take(x, xp.zeros(1, int), axis=0, mode="clip"),
    "iteration over a 0-d array": lambda xp, x: list(x.sum()),
    "hash": lambda xp, x: {x},
}
REFUSED_BY_THE_STANDIN = {       # CuPy uploads, or fetches
    "host index": lambda xp, x: x[np.array([0, 1])],
    "host value": lambda xp, x: x.__setitem__(0, HOST[0]),
    "host condition": lambda xp, x: xp.where(HOST > 0, x, x),
    "host choice": lambda xp, x: xp.where(x > 0, x, HOST),
    "host fill": lambda xp, x: x.fill(HOST),
    "NumPy's other functions": lambda xp, x: np.concatenate([x, x]),
    "NumPy's reductions": lambda xp, x: np.add.reduce(x),
    "out of a product": lambda xp, x: xp.matmul(x, x.T, out=xp.empty((2, 2), order="F")),
    "float index": lambda xp, x: x[xp.ones(1)],
}


@pytest.mark.parametrize("what", REFUSED_EVERYWHERE)
def test_what_a_device_refuses(what: str, device: Any) -> None:
    with pytest.raises((TypeError, AttributeError, ValueError)):
        REFUSED_EVERYWHERE[what](device, device.ones((2, 3)))


@pytest.mark.parametrize("what", REFUSED_BY_THE_STANDIN)
def test_what_the_standin_refuses(what: str, standin: Any) -> None:
    with pytest.raises((TypeError, ValueError, IndexError)):
        REFUSED_BY_THE_STANDIN[what](standin, standin.ones((2, 3)))


SYNCS = {
    "float": lambda xp, x: float(x.sum()), "int": lambda xp, x: int(x.sum()), "bool": lambda xp, x: bool(x.any()),
    "if": lambda xp, x: 1 if x.sum() > 2 else 0, "item": lambda xp, x: x.sum().item(), "tolist": lambda xp, x: x.tolist(),
    "get": lambda xp, x: x.get(), "print": lambda xp, x: f"{x.sum():.2f}", "repr": lambda xp, x: repr(x),
    "range": lambda xp, x: range(x.sum().astype(int)), "mask": lambda xp, x: x[x > 0], "nonzero": lambda xp, x: xp.nonzero(x),
    "mask assignment": lambda xp, x: x.__setitem__(x > 0, 1.0), "bincount": lambda xp, x: xp.bincount(xp.zeros(2, int)),
    "one argument of where": lambda xp, x: xp.where(x), "bytes": lambda xp, x: x.tobytes(),
    "asnumpy": lambda xp, x: xp.asnumpy(x), "synchronize": lambda xp, x: xp.cuda.Device().synchronize(),
}


@pytest.mark.parametrize("what", SYNCS)
def test_what_makes_the_host_wait_is_counted(what: str, standin: Any) -> None:
    x = standin.ones((2, 3))
    with standin.counted() as counts:
        SYNCS[what](standin, x)
    assert counts.syncs == 1 and counts.uploads == 0


CALLS: dict[str, tuple[Any, int, int, int]] = {         # what, device calls, matrix products, uploads
    "two operations": (lambda xp, x: x * 2 + 1, 2, 0, 0),
    "in place": (lambda xp, x: x.__iadd__(x), 1, 0, 0),
    "a row in place": (lambda xp, x: exec("x[0] += x[1]", {"x": x}), 1, 0, 0),
    "views": (lambda xp, x: (x.T, x[0], x[:, 1:], x.reshape(6), x[None], x.real, x[..., 0], x.view()), 0, 0, 0),
    "a reshape that copies": (lambda xp, x: x.T.reshape(6), 1, 0, 0),
    "product": (lambda xp, x: x @ x.T, 1, 1, 0),
    "product of an awkward view": (lambda xp, x: xp.ones((4, 6))[:, ::2] @ x.T, 3, 1, 0),
    "reduction": (lambda xp, x: x.sum(axis=0), 1, 0, 0),
    "upload": (lambda xp, x: xp.asarray(HOST), 0, 0, 1),
    "upload of a number": (lambda xp, x: xp.asarray(1.0), 0, 0, 1),
    "nothing to upload": (lambda xp, x: xp.asarray(x), 0, 0, 0),
    "list index": (lambda xp, x: x[[0, 1]], 1, 0, 1),
    "device index": (lambda xp, x: x[xp.arange(2)], 2, 0, 0),
    "assignment of a number": (lambda xp, x: x.__setitem__(0, 3.0), 1, 0, 0),
    "assignment of an array": (lambda xp, x: x.__setitem__(0, x[1]), 1, 0, 0),
    "concatenation of two": (lambda xp, x: xp.concatenate([x, x]), 2, 0, 0),
    "concatenation of nine": (lambda xp, x: xp.stack([x] * 9), 1, 0, 1),
    "copies": (lambda xp, x: (x.copy(), x.astype(np.float32), xp.ascontiguousarray(x.T)), 3, 0, 0),
    "no copies": (lambda xp, x: (x.astype(x.dtype, copy=False), xp.ascontiguousarray(x)), 0, 0, 0),
    "fresh memory": (lambda xp, x: (xp.empty(3), xp.zeros(3), xp.full(3, 2.0), x.fill(0)), 3, 0, 0),
    "a deep copy": (lambda xp, x: copy.deepcopy(x), 1, 0, 0),
    "sort": (lambda xp, x: xp.argsort(x.reshape(-1), kind="stable"), 2, 0, 0),
}


@pytest.mark.parametrize("what", CALLS)
def test_what_the_device_does_is_counted(what: str, standin: Any) -> None:
    call, launches, gemms, uploads = CALLS[what]
    x = standin.ones((2, 3))
    with standin.counted() as outer, standin.counted() as counts:
        call(standin, x)
    assert (counts.launches, counts.gemms, counts.uploads, counts.syncs) == (launches, gemms, uploads, 0), str(counts)
    assert outer == counts


def test_numbers_are_those_of_numpy(device: Any, rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((2, 4, 5)).astype(np.float32)
    x, y = device.asarray(a), device.asarray(b)
    pairs = [(x + y, a + b), (1 - x, 1 - a), (x @ y.T, a @ b.T), (x.sum(axis=1), a.sum(axis=1)), (-x, -a), (x ** 2, a ** 2),
             (device.where(x > 0, x, 0), np.where(a > 0, a, 0)), (device.stack([x, y], 1), np.stack([a, b], 1)),
             (np.float64(2) * x, np.float64(2) * a), (x * 2, a * 2), (x.mean(), a.mean()),
             (x.argmax(axis=1), a.argmax(axis=1)),
             (x[device.asarray([3, 0])], a[[3, 0]]), (x[:, None, 1:3], a[:, None, 1:3]), (x > y, a > b),
             (device.take_along_axis(x, device.argsort(x, axis=1), axis=1), np.sort(a, axis=1)),
             (x.sum(dtype=np.float64) / 3, a.sum(dtype=np.float64) / 3), (device.maximum(x, 0.5), np.maximum(a, 0.5))]
    for got, want in pairs:
        assert isinstance(got, device.ndarray) and got.dtype == np.asarray(want).dtype and got.shape == np.shape(want)
        np.testing.assert_allclose(got.get(), want, rtol=1e-5, atol=1e-6)


def test_indices_out_of_range_wrap_round_silently(device: Any) -> None:
    x = device.asarray(np.arange(5.0))
    index = device.asarray([7, -1])
    assert x[index].get().tolist() == device.take(x, index, axis=0).get().tolist() == [2, 4]
    with pytest.raises(IndexError):
        x[7]


def test_an_element_is_a_view_and_fresh_memory_holds_rubbish(standin: Any) -> None:
    x = standin.zeros(3)
    x[1].fill(5)
    assert x.tolist() == [0, 5, 0] and isinstance(x[1], standin.ndarray)
    assert np.isnan(standin.empty((2, 2)).get()).all() and standin.empty(1, np.int64).item() != 0


def test_python_numbers_and_bare_arrays_are_no_arguments_of_a_kernel(standin: Any) -> None:
    kernel = standin.RawKernel('extern "C" __global__ void f(float* x, int n) { x[0] = n; }', "f")
    for arguments in ((standin.zeros(1, np.float32), 3), (np.zeros(1, np.float32), np.int32(3))):
        with pytest.raises(TypeError, match="argument"):
            kernel((1,), (1,), arguments)
    with pytest.raises(ValueError, match="1024"):
        kernel((1,), (2048,), ())


def test_the_fixture_puts_everything_back(standin: Any) -> None:
    assert require("cupy") is standin and ml.get_array_module(standin.zeros(1)) is standin
    with pytest.raises(ml.BackendError, match="mixed"):
        ml.get_array_module(standin.zeros(1), np.zeros(1))
    assert ml.to_numpy(standin.zeros(2)).tolist() == [0, 0] and ml.asarray([1.0], "cupy").shape == (1,)
