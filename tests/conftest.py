"""What all tests share: the backend they run on, a seeded generator, the hypothesis profile, and the backend Keras uses.

On a CI machine (the environment variable ``CI`` is set), hypothesis draws the same examples each time, so that a new failure
means that the code has changed, and does not look for a smaller one; elsewhere it keeps drawing new ones. There is no
deadline, because a first call includes imports and fills caches.
"""

from __future__ import annotations

import os
import shutil
import signal
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from backends import BOTH, HOST_ONLY_TESTS, compared, name_of, running, standing_in

from minilstm.backend import arrays as library
from minilstm.backend.errors import BackendError
from minilstm.kernels import compiled

os.environ.setdefault("KERAS_BACKEND", "torch")     # read when keras is first imported; the oracles extra brings torch

FEWER = 8       # times fewer examples on a device
left_out: dict[str, int] = {}       # how many tests, by their mark

# nohup and some CI runners start a process with Ctrl-C ignored, and its children inherit that: tests send the signal to both.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile("home", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True,
                                     phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate))
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "home")


def pytest_configure(config: pytest.Config) -> None:
    """Compile the fast steps, where that is still to do, before several processes of tests find that out."""
    if not hasattr(config, "workerinput"):
        compiled.why_not()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``-n``, keep a file's tests in one process, because results on a device are compared with earlier ones on NumPy."""
    from xdist.scheduler import LoadFileScheduling
    return LoadFileScheduling(config, log)


@cache
def why_no_gpu() -> str:
    """Return why tests with the mark ``gpu`` cannot run, or "" if they can."""
    try:
        library.require("cupy")
    except BackendError as error:
        return str(error)
    return ""


@pytest.hookimpl(trylast=True)          # when -k and -m have left out what they leave out
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that need a GPU, where there is none."""
    unable = [item for item in items if item.get_closest_marker("gpu") is not None]
    if not unable or not why_no_gpu():
        return
    items[:] = [item for item in items if item.get_closest_marker("gpu") is None]
    config.hook.pytest_deselected(items=unable)
    left_out["gpu"] = len(unable)
    if hasattr(config, "workeroutput"):
        config.workeroutput.update(left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """With ``-n``, each process has collected, and left out, the same tests."""
    left_out.update({mark: n for mark, n in getattr(node, "workeroutput", {}).items() if mark == "gpu"})


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of the files in BOTH three times."""
    file = Path(str(metafunc.module.__file__)).relative_to(Path(__file__).parent).as_posix()
    if file in BOTH and f"{file}::{metafunc.function.__name__}" not in HOST_ONLY_TESTS:
        places = ["numpy", "standin", pytest.param("gpu", marks=pytest.mark.gpu)]
        metafunc.parametrize("on_backend", places, indirect=True, scope="module")


@pytest.fixture(scope="module", autouse=True)
def on_backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """The backend of the tests that follow in this file, made ready: "numpy", "standin" or "gpu"."""
    name = getattr(request, "param", "numpy")
    with ExitStack() as stack:
        if name == "standin":
            if shutil.which("g++") is None:
                pytest.skip("kernels are emulated with g++, which is not installed")
            stack.enter_context(standing_in())
        stack.enter_context(running("numpy" if name == "numpy" else "cupy", None))      # for fixtures of the whole file
        yield name


@pytest.fixture(autouse=True)
def compared_with_numpy(on_backend: str, request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep the arrays that a test fetches on NumPy, and compare those that the same test fetches on a device with them.

    Tests with hypothesis are not compared, since it need not draw the same examples twice; on a device they get fewer
    examples, because it is emulated.
    """
    drawn = getattr(request.function, "hypothesis", None) is not None
    with ExitStack() as stack:
        if drawn and on_backend != "numpy":
            few = stack.enter_context(pytest.MonkeyPatch.context())
            chosen = request.function._hypothesis_internal_use_settings
            few.setattr(request.function, "_hypothesis_internal_use_settings",
                        hypothesis.settings(chosen, max_examples=-(-chosen.max_examples // FEWER)))
        stack.enter_context(running("numpy" if on_backend == "numpy" else "cupy",
                                    None if drawn else name_of(request.node.nodeid)))
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for dtype, (number, largest) in sorted(compared.items()):
        terminalreporter.write_line(f"{number} arrays of {dtype} on a device differ from NumPy's by at most {largest:.1e}")
    if "gpu" in left_out:
        terminalreporter.write_line(f"{left_out['gpu']} tests for a GPU were not run: {why_no_gpu()}")


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """A generator seeded by the test's own name: the same numbers alone, in any order, on every machine and backend."""
    return np.random.default_rng(zlib.crc32(name_of(request.node.name).encode()))


@pytest.fixture(scope="module")
def worst(request: pytest.FixtureRequest) -> Iterator[list[float]]:
    """The figures a parity file collects; the largest is printed when the file is done (pytest -s shows it)."""
    figures: list[float] = []
    yield figures
    print(f"\n{request.node.name}: worst disagreement over {len(figures)} arrays {max(figures, default=0.0):.1e}")
