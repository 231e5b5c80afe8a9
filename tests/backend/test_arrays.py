"""The backend layer: the arrays determine the backend, mixing is refused, and a missing GPU is reported in one line.

CuPy itself is not needed: a class that calls itself a CuPy array is enough to see which module is used.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.backend import arrays as backend


def pretend_device_array() -> Any:
    return type("ndarray", (), {"__module__": "cupy", "get": lambda self: np.ones(2)})()


def test_numpy_is_the_module_of_arrays_numbers_and_none() -> None:
    assert ml.get_array_module(np.ones(2), None, 3.0) is np and ml.get_array_module() is np


def test_mixing_host_and_device_arrays_is_refused() -> None:
    with pytest.raises(ml.BackendError, match="mixed"):
        ml.get_array_module(np.ones(2), pretend_device_array())


def test_to_numpy_fetches_and_names() -> None:
    assert ml.to_numpy(pretend_device_array()).tolist() == [1, 1]
    assert backend.backend_name(pretend_device_array()) == "cupy" and backend.backend_name(np.ones(1)) == "numpy"
    assert ml.asarray(pretend_device_array()).tolist() == [1, 1]
    ml.synchronize(np.ones(1))


@pytest.mark.parametrize(("fake", "words"), [
    ("raise ImportError('no cupy')", "not installed"), ("raise OSError('libcuda')", "cannot be imported"),
    ("class cuda:\n    is_available = staticmethod(lambda: False)", "no CUDA driver or GPU"),
    ("class cuda:\n    is_available = staticmethod(lambda: True)\n"
     "def ones(shape): raise RuntimeError('cudaErrorNoDevice:\\n x')", "cudaErrorNoDevice")])
def test_a_backend_that_cannot_be_used_is_one_line(fake: str, words: str, tmp_path: Any,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cupy.py").write_text(fake, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(backend, "_cupy", None)
    with pytest.raises(ml.BackendError, match=words) as caught:
        ml.Linear(2, 2).to("cupy")
    assert "pip install" in str(caught.value) and "\n" not in str(caught.value)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)


def test_importing_needs_numpy_alone() -> None:
    code = ("import sys\nfor name in ('pandas', 'matplotlib', 'tqdm', 'cupy', 'kagglehub'): sys.modules[name] = None\n"
            "import minilstm as ml\nimport numpy as np\n[getattr(ml, name) for name in ml.__all__]\n"
            "ml.gradcheck(ml.LSTM(2, 2), np.ones((1, 2, 2)))\nassert 'LSTM' in dir(ml)")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="GRUU"):
        ml.GRUU


def test_dir_shows_public_names_alone() -> None:
    assert set(dir(ml)) == {*ml.__all__, "__doc__", "__version__"}


@pytest.mark.parametrize("x", [np.ma.array([[1.0], [2.0]]), np.ones((2, 1)).view(np.matrix)])
@pytest.mark.parametrize("take", [
    ml.asarray, ml.to_numpy, ml.relu, ml.sigmoid, ml.get_array_module,
    lambda x: ml.train_test_split(x, [1, 2]), lambda x: ml.diagnose((abs, abs), (x,)),
    lambda x: ml.gradcheck((lambda v: (v, v), lambda dy, v: dy), (x,)),
    lambda x: ml.gradcheck(ml.Tanh(), np.ones((2, 1)), upstream=[x])])
def test_masked_arrays_and_matrices_are_refused_everywhere(take: Any, x: Any) -> None:
    with pytest.raises(ml.DtypeError, match="masked array|np.matrix"):
        take(x)
