"""Compiled loops: their tanh, that they are used, and that everything still works where they are not available.

test_sequences.py and test_threads.py test that they compute the same as the steps in NumPy.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.kernels import compiled, embedding_twin

needs_numba = pytest.mark.skipif(bool(compiled.why_not()), reason=f"nothing is compiled here: {compiled.why_not()}")
TRAIN = """
import numpy as np
import minilstm as ml
from minilstm.kernels import compiled
rng = np.random.default_rng(0)
model = ml.Sequential(ml.Embedding(11, 4, rng=0), ml.LSTM(4, 8, return_sequences=False, rng=1), ml.Linear(8, 1, rng=2),
                      ml.Sigmoid())
criterion, optimizer = ml.BCELoss(), ml.Adam(model, lr=0.01)
for _ in range(3):
    model.zero_grad()
    loss = criterion(model(rng.integers(0, 11, (6, 9))), rng.integers(0, 2, 6).astype(np.float32))
    model.backward(criterion.backward())
    optimizer.step()
print(f"{float(loss):.5f}", compiled.functions(np.ones(1, np.float32)) is not None, compiled.why_not())
"""


def train(folder: Path, **environment: str) -> list[str]:
    """What TRAIN prints in a process of its own: the loss, whether it was compiled, and if not why; warnings are errors."""
    path = os.pathsep.join([str(folder), str(Path(ml.__file__).parents[1])])
    done = subprocess.run([sys.executable, "-W", "error", "-c", TRAIN], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "PYTHONPATH": path, **environment})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().split(" ", 2)


def tanh(x: np.ndarray) -> np.ndarray:
    """tanh of each number, by the compiled steps of a simple RNN whose product leaves x as it is (W_h = 0, W_x = 1)."""
    H = len(x)
    W = np.concatenate([np.zeros((H, H), x.dtype), np.eye(H, dtype=x.dtype)])
    from minilstm.kernels.cpu.rnn import rnn_forward
    return np.asarray(rnn_forward(x[None, None], None, W, np.zeros(H, x.dtype), keep=False)[0])[0, 0]


@needs_numba
def test_tanh_of_float32() -> None:
    small = np.geomspace(1e-30, 1, 300)
    x = np.concatenate([np.linspace(-9, 9, 1_500), small, -small]).astype(np.float32)
    got, best = tanh(x), np.tanh(x.astype(np.float64))
    relative = np.abs(got - best) / np.maximum(np.abs(best), 1e-37)
    assert got.dtype == np.float32 and relative.max() < 4e-7 and np.abs(got).max() <= 1
    with compiled.switched_off():
        assert (tanh(x) != got).any()           # it was another tanh


@needs_numba
def test_tanh_at_the_ends() -> None:
    ends = np.array([0, 1e-45, -1e-45, 8, 8.0001, 88, -1e38], np.float32)
    np.testing.assert_allclose(tanh(ends), np.tanh(ends), rtol=3e-7)


@needs_numba
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("make", [ml.LSTM, ml.GRU, ml.RNN, lambda D, H, **o: ml.RNN(D, H, nonlinearity="relu", **o)])
def test_what_is_not_finite_comes_out_as_in_numpy(make: Any, bad: float) -> None:
    layer = make(2, 3, rng=0)
    x = np.ones((2, 4, 2), np.float32)
    x[1, 2] = [bad, 0]
    got = layer(x)
    with compiled.switched_off(), np.errstate(all="ignore"):
        want = layer(x)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    assert np.isfinite(got[0]).all() and (np.isnan(got[1, 2:]).all() or not np.isnan(bad))


@needs_numba
@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64])
@pytest.mark.parametrize("padding_idx", [None, 3])
def test_the_embeddings_gradient_place_by_place(padding_idx: int | None, dtype: Any, rng: np.random.Generator) -> None:
    tokens, dy = rng.integers(0, 50, (7, 30)).astype(dtype), rng.standard_normal((7, 30, 5)).astype(np.float32)
    layer = ml.Embedding(60, 5, padding_idx=padding_idx, rng=0)
    grads = []
    for layer.fast in (True, False):
        layer.zero_grad()
        for _ in range(2):
            layer(tokens)
            layer.backward(np.repeat(dy, 2, axis=-1)[..., ::2])         # not contiguous
        grads.append(layer.grads["W"].copy())
    assert embedding_twin(dy, layer.grads["W"]) is not None and grads[0].any()
    np.testing.assert_allclose(*grads, rtol=1e-5, atol=1e-6)
    assert padding_idx is None or not grads[0][padding_idx].any()


@needs_numba
@pytest.mark.parametrize(("M", "K"), [(1, 1), (3, 5), (4, 7), (16, 3), (37, 11), (64, 64)])
def test_products_of_every_width(M: int, K: int, rng: np.random.Generator) -> None:
    """Sums do not depend on the tile they fall into, and nothing beside the result is written."""
    from minilstm.kernels.cpu.products import WHOLE, Product
    W, state = (rng.standard_normal(shape, dtype=np.float32) for shape in ((M, K), (K, 80)))
    first_columns = []
    for n in range(1, 81):
        # A simple RNN's step leaves the product in u[t], and relu of it in hx[t+1].
        hx = np.zeros((2, max(K, M) * n), np.float32)
        hx[0, :K * n] = state[:, :n].ravel()
        u = np.full((2, M * n), np.nan, np.float32)
        functions = compiled.functions(W)
        functions.rnn.forward(*Product(W, WHOLE, functions).parts, hx, u, None, False, n, True)
        want = W.astype(np.float64) @ state[:, :n]
        np.testing.assert_allclose(u[0].reshape(M, n), want, rtol=0, atol=1e-5 * max(1, K ** 0.5))
        assert np.isnan(u[1]).all()
        first_columns.append(u[0].reshape(M, n)[:, 0].tolist())
    assert all(column == first_columns[0] for column in first_columns)


@needs_numba
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (7, 40), (16, 16), (17, 33), (40, 18)])
def test_steps_are_transposed_whatever_their_strides(rows: int, columns: int, rng: np.random.Generator) -> None:
    source = rng.standard_normal((3, rows, columns), dtype=np.float32)
    for view in (source, source[::-1], np.asfortranarray(source)):
        whole = np.full((3, columns + 2, rows + 1), np.nan, np.float32)
        target = whole[:, 1:-1, :-1]
        compiled.functions(source).layout.transpose(view, target)
        np.testing.assert_array_equal(target, view.swapaxes(1, 2))
        assert np.isnan(whole).sum() == whole.size - target.size


@needs_numba
def test_arguments_are_looked_at_before_they_are_trusted() -> None:
    module = compiled.functions(np.ones(1, np.float32)).gemm
    W, packed = np.ones((3, 2), np.float32), np.zeros((4, 2, 4), np.float32)
    for wrong in (packed.astype(np.float64), packed[:, ::2], packed[0]):
        with pytest.raises(TypeError, match="array3"):
            module.pack(W, wrong)
    with pytest.raises(TypeError, match="strided2"):
        module.pack(W.astype(np.int32), packed)
    with pytest.raises(ValueError):
        module.pack(W)
    assert not packed.any()


@needs_numba
@pytest.mark.parametrize("make", [ml.LSTM, ml.GRU, ml.RNN])
def test_training_on_padded_tokens_is_that_of_the_readable_functions(make: Any, rng: np.random.Generator) -> None:
    """In float32, over ten steps."""
    tokens, y = rng.integers(1, 50, (70, 40)), rng.integers(0, 2, 70).astype(np.float32)
    tokens[np.arange(40) < rng.integers(0, 35, 70)[:, None]] = 0
    losses = []
    for fast in (True, False):
        layer = make(16, 24, return_sequences=False, rng=1)
        layer.fast = fast
        model = ml.Sequential(ml.Embedding(50, 16, rng=0), layer, ml.Linear(24, 1, rng=2), ml.Sigmoid())
        criterion, optimizer = ml.BCELoss(), ml.SGD(model, lr=0.2)
        losses.append([])
        for _ in range(10):
            model.zero_grad()
            losses[-1].append(float(criterion(model(tokens), y)))
            model.backward(criterion.backward())
            optimizer.step()
    assert abs(losses[0][0] - losses[0][-1]) > 1e-3
    np.testing.assert_allclose(*losses, atol=1e-4)


@needs_numba
@pytest.mark.parametrize("make", [ml.LSTM, ml.GRU, ml.RNN, lambda D, H, **o: ml.RNN(D, H, nonlinearity="relu", **o)])
def test_an_evaluation_has_the_bits_of_training(make: Any, rng: np.random.Generator) -> None:
    """Though it leaves no local derivatives behind."""
    layer, x = make(17, 33, rng=0), rng.standard_normal((20, 30, 17), dtype=np.float32)
    y = layer(x)
    layer.backward(y)
    np.testing.assert_array_equal(layer.eval()(x), y)


# Availability ------------------------------------------------------------------------------------------------------------

@needs_numba
def test_the_machine_code_is_kept_and_numba_is_not_needed_to_run_it(tmp_path: Path) -> None:
    train(tmp_path)
    assert compiled._file("float32").stat().st_size > 10_000
    (tmp_path / "numba.py").write_text("raise SystemExit('nobody asked for Numba')", encoding="utf-8")
    assert train(tmp_path)[1:] == ["True"]


def test_switched_off(tmp_path: Path) -> None:
    assert train(tmp_path, **{compiled.SWITCH: "0"})[1:] == ["False", f"{compiled.SWITCH}=0"]


def elsewhere(folder: Path, place: Path) -> None:
    """Let a process that has ``folder`` in its path keep compiled code at ``place`` only."""
    (folder / "sitecustomize.py").write_text(f"from pathlib import Path\nimport minilstm.kernels.compiled as c\n"
                                             f"if not hasattr(c, 'told'): c.told, c._file = 1, lambda dtype: "
                                             f"Path({str(place)!r})\n", encoding="utf-8")


@needs_numba
@pytest.mark.parametrize(("text", "words"), [
    ("raise ModuleNotFoundError(\"No module named 'numba'\", name='numba')", "No module named 'numba'"),
    ("raise ImportError('Numba needs NumPy 2.9 or less. Got NumPy 3.0.')", "Numba needs NumPy 2.9 or less"),
    ("raise OSError('libllvmlite.so: cannot open it')", "OSError: libllvmlite"), ("", "cannot import name"),
    ("raise SystemExit(3)", "exit status 3")])
def test_a_numba_that_does_not_work_stops_nobody(text: str, words: str, tmp_path: Path) -> None:
    elsewhere(tmp_path, tmp_path / "code.o")
    (tmp_path / "numba.py").write_text(text, encoding="utf-8")
    loss, used, why = train(tmp_path)
    assert used == "False" and words in why
    assert loss == train(tmp_path, **{compiled.SWITCH: "0"})[0] and not (tmp_path / "code.o").exists()


@needs_numba
def test_a_file_that_is_no_machine_code_stops_nobody(tmp_path: Path) -> None:
    elsewhere(tmp_path, tmp_path / "code.o")
    (tmp_path / "code.o").write_bytes(b"half of a line of JS")
    assert train(tmp_path)[1] == "False"


@needs_numba
def test_a_damaged_file_stops_nobody(tmp_path: Path) -> None:
    elsewhere(tmp_path, tmp_path / "code.o")
    code = bytearray(compiled._file("float32").read_bytes())
    code[-1000] ^= 1
    (tmp_path / "code.o").write_bytes(code)
    _, used, why = train(tmp_path)
    assert used == "False" and "damaged" in why


@needs_numba
def test_without_a_place_for_it_numpy_does_the_work(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder", encoding="utf-8")
    (tmp_path / "sitecustomize.py").write_text(f"from pathlib import Path\nimport minilstm.kernels.compiled as c\n"
                                               f"c.HERE = type('Here', (), {{'glob': c.HERE.glob, '__truediv__': "
                                               f"lambda self, name: Path({str(blocked)!r}) / name}})()\n", encoding="utf-8")
    assert train(tmp_path, HOME=str(blocked))[1:] == ["False", "there is no folder where compiled code can be stored"]


@needs_numba
def test_an_edit_in_any_source_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = compiled._file("float32").name
    for name in ("padding.py", "activations.py"):
        folder = tmp_path / name.partition(".")[0]
        shutil.copytree(compiled.HERE, folder, ignore=shutil.ignore_patterns("__pycache__"))
        with open(folder / name, "a", encoding="utf-8") as file:
            file.write("\n")
        monkeypatch.setattr(compiled, "HERE", folder)
        assert compiled._file("float32").name != before
    assert compiled._file("float64").name != compiled._file("float32").name


def test_compiling_is_no_error_in_a_notebook(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess((), 0))
    for notebook in (False, True):
        monkeypatch.setattr(compiled, "in_notebook", lambda: notebook)
        compiled._build(Path("code.o"), "float32")
        shown = capsys.readouterr()
        quiet, said = (shown.err, shown.out) if notebook else (shown.out, shown.err)
        assert not quiet and said.startswith("minilstm: compiling")


@needs_numba
@pytest.mark.slow
def test_compiling_is_said_on_the_screen_once(tmp_path: Path) -> None:
    elsewhere(tmp_path, tmp_path / "code.o")
    for words in ("minilstm: compiling the fast steps for this processor, once", ""):
        path = os.pathsep.join([str(tmp_path), str(Path(ml.__file__).parents[1])])
        done = subprocess.run([sys.executable, "-c", TRAIN], capture_output=True, text=True, timeout=120,
                              env={**os.environ, "PYTHONPATH": path})
        assert done.stderr.startswith(words) and done.stderr.count("\n") == bool(words)
