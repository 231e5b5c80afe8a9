"""Every name and keyword that the library asks of CuPy is one that CuPy has, by the manifest made from the real one."""

from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path
from typing import Any

import make_manifest
import pytest
from names import MANIFEST, complaints

import minilstm

ROOT = Path(minilstm.__file__).parents[1]
FILES = sorted([*(ROOT / "minilstm").rglob("*.py"), *(ROOT / "examples").glob("*.py"),
                *(ROOT / "benchmarks").glob("bench*.py")])


def of_either_kind(path: Path, text: str) -> bool:
    """Tell whether a file works on arrays of either kind; the kernels for NumPy do not."""
    return "minilstm.backend.arrays" in text and (path.parent.name != "kernels" or "cuda" in path.parts)


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_the_library_asks_for_nothing_that_cupy_lacks(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert complaints(text, methods=of_either_kind(path, text)) == []


PLANTED = {
    "xp.errstate(all='ignore')": "CuPy has no errstate",
    "xp.add.at2(x, i, v)": "CuPy has no add.at2",
    "xp.sum(x, where=mask)": "sum has no parameter where",
    "xp.add(x, y, where=mask)": "add has no parameter where",
    "xp.take(x, i, axis=0, mode='clip')": "take has no parameter mode",
    "xp.take(x, i, 0, None, 'clip')": "take takes no 5 positional arguments",
    "xp.zeros((2, 3), like=x)": "zeros has no parameter like",
    "xp.cuda.Device().wait()": "CuPy has no cuda.Device.wait",
    "xp.cuda.nothing": "CuPy has no cuda.nothing",
    "xp.cuda.runtime.nothing()": "CuPy has no cuda.runtime.nothing",
    "array_module = get_array_module(x)\narray_module.setdiff2d(x)": "CuPy has no setdiff2d",
    "get_array_module(x).isfine(x)": "CuPy has no isfine",
    "require('cupy').cuda.Stream(colour=1)": "cuda.Stream has no parameter colour",
    "x.sum(where=mask)": "ndarray.sum has no parameter where",
    "x[0].T.max(initial=0)": "ndarray.max has no parameter initial",
    "x.astype(dtype, 'C', 'unsafe', None, True, 3)": "ndarray.astype takes no 6 positional arguments",
    "x.setflags(write=False)": "CuPy's arrays have no setflags",
    "address = x.ctypes.data": "CuPy's arrays have no ctypes",
}
FINE = ("xp.add.reduceat(x, starts, axis=0)", "xp.cuda.Device().synchronize()", "xp.multiply(x, y, out=z)",
        "x.reshape(2, 3, 4)", "xp.result_type(a, b, c)", "x.sum(axis=0, dtype=None)", "xp.cuda.runtime.getDevice()",
        "import numpy as np\nnp.ones(3).sum(where=mask)\nnp.errstate(all='ignore')", "xp.float32(1)", "xp.int64", "xp.nan",
        "xp.RawModule(code='', options=())", "a.b.copy(order='C')")


@pytest.mark.parametrize("text", PLANTED)
def test_what_cupy_lacks_is_found(text: str) -> None:
    words = [words for _, words in complaints(text)]
    assert words == [PLANTED[text]]


@pytest.mark.parametrize("text", FINE)
def test_what_cupy_has_is_left_alone(text: str) -> None:
    assert complaints(text) == []


def test_methods_are_looked_at_only_where_arrays_may_be_on_a_device() -> None:
    assert complaints("frame.sum(where=mask)", methods=False) == [] != complaints("frame.sum(where=mask)")


def test_the_standin_promises_nothing_that_cupy_lacks(standin: Any) -> None:
    names, ufuncs = MANIFEST["spaces"][""], MANIFEST["ufuncs"]
    assert set(standin.__all__) <= set(names) | set(ufuncs) | {"cuda"}
    own = ("annotations", "STANDIN", "ADDITIONS")
    public = {name for name in vars(standin) if not name.startswith("_") and name not in own}
    assert public - {"Counts", "counted"} == set(standin.__all__)
    for name in standin.__all__:
        thing = getattr(standin, name)
        if inspect.isfunction(thing) or name.endswith(("Kernel", "Module")):
            known = names.get(name, MANIFEST["ufunc"])
            assert set(own_parameters(thing)) <= set(known) or "*" in known or "**" in known, name
    for path in ("ndarray", "cuda.Device", "cuda.Event", "cuda.Stream"):
        kind: Any = standin
        for word in path.split("."):
            kind = getattr(kind, word)
        for name in vars(kind):
            if not name.startswith("_") and name not in ("null", "time", "ptr"):
                assert name in MANIFEST["classes"][path], f"{path}.{name}"


def own_parameters(thing: Any) -> list[str]:
    return [p.name for p in inspect.signature(thing).parameters.values() if p.kind is not p.VAR_POSITIONAL]


def test_the_manifest_is_that_of_the_cupy_that_is_here() -> None:
    if importlib.util.find_spec("cupy") is None:
        pytest.skip("needs CuPy (no GPU): the committed manifest is used as it is")
    import cupy
    if hasattr(cupy, "STANDIN"):
        pytest.skip("the stand-in is in the place of CuPy")
    if cupy.__version__ != MANIFEST["cupy"]:
        pytest.skip(f"the manifest is of CuPy {MANIFEST['cupy']}, here is {cupy.__version__}")
    assert make_manifest.look(cupy) == MANIFEST


@pytest.mark.parametrize(("doc", "expected"), [
    ("add(x1, x2, /, out=None, \\*, casting='same_kind', dtype=None)", ["x1", "x2", "out", "casting", "dtype"]),
    ("_base.sum(self, axis=None, dtype=(1, 2)) -> _base", ["axis", "dtype"]),
    ("RawModule(str code=None, *, tuple options=(), bool f=False)", ["code", "options", "f"]),
    ("f(a, *args, **kwargs)", ["a", "*", "**"]), ("no parameters here", None)])
def test_parameters_are_read_from_docstrings(doc: str, expected: Any) -> None:
    class Compiled:
        __doc__ = doc
        __signature__ = "not one"
    assert make_manifest.parameters(Compiled(), "name") == expected
