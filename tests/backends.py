"""One test body for every backend: helpers that put a test's arrays on NumPy or on a device, and bring the results back.

A test file listed in ``BOTH`` runs three times: on NumPy, on the strict stand-in for CuPy (tests/cuda/standin), and, if there
is one, on a GPU (``pytest -m gpu``; left out elsewhere). Its test functions make arrays with ``xp`` or ``put``, call the
library, and compare results that ``host`` has fetched. In addition, each array fetched from a device is compared with the one
that the same line fetched on NumPy: float64 to 1e-12, float32 to 1e-5, whatever tolerance the test itself allows. Files that
need no arrays of the library, or concern only the host, are in ``HOST_ONLY``, each with the reason; tests/test_backends.py
checks that every file is in one of the two.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import minilstm as ml
from minilstm.backend import arrays as library
from minilstm.backend.checks import is_array

CUDA = Path(__file__).parent / "cuda"

BOTH: tuple[str, ...] = (
    *(f"cells/test_{name}.py" for name in ("activations", "gru", "lstm", "padding", "rnn")),
    *(f"layers/test_{name}.py" for name in (
        "activations", "against_reference", "bad_input", "dropout", "embedding", "linear", "module", "pooling",
        "recurrent", "recurrent_arrays", "recurrent_bad_input", "saving", "sequential", "summary", "torch_parity")),
    *(f"losses/test_{name}.py" for name in ("binary_cross_entropy", "cross_entropy", "loss", "metrics", "squared_error")),
    *(f"optim/test_{name}.py" for name in ("adam", "gradients", "optimizer", "sgd")),
    *(f"training/test_{name}.py" for name in (
        "advice", "averaging", "callbacks", "characters", "evaluation", "interrupt", "nonfinite", "resume",
        "run_folder", "torch_parity", "trainer")),
    "training/weights/test_devices.py", "data/test_loader.py", "examples/test_char_lm.py", "examples/test_imdb_lstm.py",
    "gradients/test_gradcheck.py")

# Nothing of these would be different on a device.
HOST_ONLY: dict[str, str] = {
    "cuda": "about the device already: its own tests choose the stand-in, the emulator or a GPU",
    "backend": "threads and BLAS of the host, and which backend pretended arrays belong to",
    "kernels": "the fast twins for CPUs",
    "data/test_contiguous.py": "whole numbers in another order, before anything is uploaded",
    "data/test_csv_rows.py": "files on a disk",
    "data/test_imdb.py": "archives and downloads",
    "data/test_padding.py": "lists of numbers",
    "data/test_split.py": "index arrays as scikit-learn draws them, before anything is uploaded",
    "data/test_tokenizer.py": "text and token lists",
    **dict.fromkeys(["gradients/targets", "gradients/diagnosis", "gradients/repair", "gradients/check/test_compare.py",
                     "test_repair_sets.py", "test_zoo_cases.py"],
                    "functions on host arrays"),
    "gradients/instruments": "they fetch a model's arrays and compute on the host, in float64, wherever it lives",
    "lab": "experiments on the CPU",
    **dict.fromkeys(["explorer", "examples/test_explorer.py"], "a page of numbers computed on the host"),
    **dict.fromkeys(["student", "exercises"], "students' functions, on host arrays"),
    "test_misuses.py": "how the library is used, on host arrays",
    "command_line/test_expect.py": "numbers from a file",
    "examples/test_expected_numbers.py": "numbers of the CPU, compared with a table",
    "examples/test_imdb_ablation.py": "a sweep of trials on the CPU",
    "examples/test_imdb_linear.py": "a program around scikit-learn, and numbers from files",
    **dict.fromkeys(["test_architecture.py", "test_own_sentences.py"], "source files"),
    "test_backends.py": "about these lists",
    "benchmarks/test_bench_cuda.py": "a program of its own process, which runs on the stand-in there",
    **dict.fromkeys([f"benchmarks/test_{name}.py" for name in (
        "bench_imdb", "bench_lstm", "bench_parts", "bench_reliability", "bench_strong", "lstm_libraries")],
                    "programs that run on the CPU"),
    "training/test_checkpoint.py": "bytes of files; a device's arrays come through state_dict, in test_resume.py",
    **dict.fromkeys([f"training/weights/test_{name}.py" for name in (
        "files", "hdf5", "keras_parity", "modules", "refusals", "torch_parity")],
                    "files and other libraries, on the CPU; a model on a device is in test_devices.py"),
    "reliability": "files, processes and the host's guard",
    "test_docstrings.py": "small examples, printed",
    "command_line/test_doctor.py": "what is installed",
    "training/test_history.py": "numbers and CSV files",
    "training/test_progress.py": "a bar on a terminal",
    "examples/test_imdb_comparison.py": "a program of the laboratory, whose trials are on the CPU",
    "layers/test_gradients.py": "test_against_reference.py compares a device's gradients of such layers with NumPy's",
    "layers/test_initial_weights.py": "weights are drawn on the host, whatever the backend, and moved afterwards",
    "layers/test_keras_parity.py": "a third opinion on a few of the configurations that test_torch_parity.py runs on a device",
    "examples/test_lab_report.py": "a program of the laboratory: pages and sentences",
    "examples/test_long_dependencies.py": "a program of the laboratory, whose trials are on the CPU",
    "command_line/test_main.py": "the command line: arguments and messages",
    "command_line/test_program.py": "the command line: pipes, signals and paths",
    "test_bare_python.py": "a Python without threads and compiled code, which has no device",
    "training/test_curves.py": "pictures from numbers on the host",
    "test_reference.py": "the oracle itself, which is loops over host numbers",
    "test_properties.py": "all paths of the CPU; the bodies that a device runs too are in layers/test_recurrent.py",
    "test_readme.py": "runs the README's lines as they are printed, in processes of their own",
    "test_sdist.py": "an archive of files",
    "optim/test_schedules.py": "one number an epoch, no array",
    "examples/test_notebooks.py": "notebooks, in processes of their own",
    "examples/test_vanishing_gradients.py": "a program of the laboratory, whose trials are on the CPU",
    "examples/test_word_by_word.py": "a program of the laboratory that reads a checkpoint on the CPU"}

# Single tests of files in BOTH.
HOST_ONLY_TESTS: dict[str, str] = {
    **{f"examples/test_imdb_lstm.py::test_{name}": "in a process of its own"
       for name in ("ctrl_c_leaves_a_run_that_goes_on_bit_for_bit", "terminals_and_pipes_of_all_kinds")},
    **{f"examples/test_imdb_lstm.py::test_{name}": "arguments and files, before any array" for name in (
        "mistakes_give_one_line_and_status_2", "runs_of_the_same_second_get_folders_of_their_own",
        "all_settings_survive_a_config", "messages_speak_of_numbers_not_of_functions", "a_config_with_nonsense_is_named",
        "reviews_of_one_kind_are_refused", "one_review_is_too_few")},
    "examples/test_imdb_lstm.py::test_cupy_without_a_gpu_is_one_line": "about a machine without a device",
    **{f"gradients/test_gradcheck.py::test_{name}": "what is found is the same, once gradcheck runs there: others show that"
       for name in ("every_planted_bug_is_caught_and_named", "units_that_stand_on_the_kink_of_relu_are_no_error",
                    "a_missing_upstream_gradient_must_be_handled")},
    **{f"examples/test_char_lm.py::test_{name}": "arguments and files, before any array" for name in (
        "mistakes_give_one_line_and_status_2", "without_a_file_it_reads_the_reviews")},
    "examples/test_char_lm.py::test_it_learns_whole_words": "hundreds of steps: minutes when emulated"}

TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "complex128": 1e-12, "complex64": 1e-5}
_backend = "numpy"
_fetched: dict[str, list[np.ndarray]] = {}          # by test: what it fetched on NumPy
_place: Iterator[int] = count()
_test: str | None = None                            # None: nothing is compared
compared: dict[str, tuple[int, float]] = {}         # by dtype: how many arrays, and the largest disagreement


def backend() -> str:
    """Return the backend of the running test: "numpy" or "cupy"."""
    return _backend


def put(x: Any) -> Any:
    """Bring a host array, a module, or those in a tuple, list or dict to the running test's backend; the rest stays."""
    if isinstance(x, ml.Module):
        return x.to(_backend)
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*map(put, x))
    if isinstance(x, (tuple, list)):
        return type(x)(map(put, x))
    if isinstance(x, dict):
        return {name: put(value) for name, value in x.items()}
    if isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "biufc":
        return ml.asarray(x, _backend)
    return x


def host(x: Any) -> Any:
    """Bring arrays back, and compare each with what this line fetched on NumPy. Tuples, lists and dicts keep their form."""
    if isinstance(x, (tuple, list)):
        return [host(part) for part in x]
    if isinstance(x, dict):
        return {name: host(value) for name, value in x.items()}
    if not is_array(x):
        return x
    array = ml.to_numpy(x)
    _compare(array)
    return array


def _compare(array: np.ndarray) -> None:
    if _test is None:
        return
    seen = _fetched.setdefault(_test, [])
    if _backend == "numpy":
        seen.append(array.copy())
        return
    place = next(_place)
    if place >= len(seen):                          # the test did not run on NumPy in this session
        return
    want = seen[place]
    assert (array.shape, array.dtype) == (want.shape, want.dtype), "another shape or dtype than on NumPy"
    if array.dtype.kind not in "fc":
        assert np.array_equal(array, want), "other numbers than on NumPy"
        return
    assert np.array_equal(np.isnan(array), np.isnan(want)), "NaN in other places than on NumPy"
    with np.errstate(invalid="ignore"):
        gap = np.where((array == want) | np.isnan(array), 0.0, np.abs(array - want))
    finite = np.abs(want[np.isfinite(want)])
    worst = float(gap.max(initial=0.0) / max(1.0, finite.max(initial=0.0)))
    number, largest = compared.get(str(array.dtype), (0, 0.0))
    compared[str(array.dtype)] = number + 1, max(largest, worst)
    assert worst <= TOLERANCE.get(str(array.dtype), 1e-12), f"off by {worst:.1e} from what NumPy gives"


_standin: dict[str, ModuleType] = {}                # imported once


def _cupys() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "cupy"}


@contextmanager
def standing_in() -> Iterator[Any]:
    """Put the stand-in where ``import cupy`` finds it; put back what was there afterwards."""
    before, probed, paths = _cupys(), library._cupy, [str(CUDA / "standin"), str(CUDA)]
    for name in before:
        del sys.modules[name]
    sys.path[:0] = paths
    sys.modules.update(_standin)
    library._cupy = None
    try:
        module = importlib.import_module("cupy")
        _standin.update(_cupys())
        assert hasattr(module, "STANDIN")
        yield module
    finally:
        for name in _cupys():
            del sys.modules[name]
        sys.modules.update(before)
        for path in paths:
            sys.path.remove(path)
        library._cupy = probed


@contextmanager
def running(name: str, test: str | None) -> Iterator[None]:
    """Use a backend while a test runs; ``test``: the name under which fetched arrays are compared (None: not at all)."""
    global _backend, _test, _place
    before = _backend, _test, _place
    _backend, _test, _place = name, test, count()
    if test is not None and name == "numpy":
        _fetched[test] = []
    try:
        yield
    finally:
        _backend, _test, _place = before


def on_host(x: Any) -> Any:
    """Bring the arrays in tuples, lists and dicts back, with nothing compared: for the test's own arithmetic."""
    if isinstance(x, (tuple, list)):
        return tuple(map(on_host, x)) if isinstance(x, tuple) else list(map(on_host, x))
    if isinstance(x, dict):
        return {name: on_host(value) for name, value in x.items()}
    return ml.to_numpy(x) if is_array(x) else x


class Arrays:
    """NumPy's functions, with results on the running test's backend: ``xp.ones((2, 3))``, ``xp.concatenate([a, b])``.

    Arguments may live anywhere; what is computed here is the test's own arithmetic and is done on the host.
    """

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(np, name)

        def call(*args: Any, **options: Any) -> Any:
            return put(function(*on_host(args), **on_host(options)))
        return call


xp: Any = Arrays()


def assert_equal(got: Any, expected: Any) -> None:
    """numpy.testing.assert_array_equal, wherever the arrays live."""
    np.testing.assert_array_equal(host(got), on_host(expected))


def assert_allclose(got: Any, expected: Any, **tolerance: float) -> None:
    """numpy.testing.assert_allclose, wherever the arrays live."""
    np.testing.assert_allclose(host(got), on_host(expected), **tolerance)


def name_of(node: str) -> str:
    """Return a test's name without the backend it runs on."""
    return re.sub(r"\[(numpy|standin|gpu)(?:-|(?=\]))", "[", node).replace("[]", "")
