"""Steps in NumPy and compiled ones, for the tests that ask for both."""

from __future__ import annotations

import pytest

from minilstm.kernels import compiled


@pytest.fixture(params=["numpy", "compiled"])
def steps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each test with steps in NumPy, and with compiled ones, which here take float64, too: the same loops, exact tanh."""
    monkeypatch.delenv(compiled.SWITCH, raising=False)
    if request.param == "numpy":
        monkeypatch.setattr(compiled, "DTYPES", "")
    else:
        if compiled.why_not():
            pytest.skip(f"nothing is compiled here: {compiled.why_not()}")
        monkeypatch.setattr(compiled, "DTYPES", "fd")
    return str(request.param)
