"""The table of misuses: each case is right, or a typed error with nothing changed."""

from __future__ import annotations

from collections.abc import Callable

import misuses
import numpy as np
import pytest

import minilstm as ml

KINDS = {"order": 180, "arrays": 1500, "modules": 60, "all or nothing": 30, "losses": 15, "runs": 13, "gradcheck": 9}


@pytest.mark.parametrize("kind", KINDS)
def test_no_case_is_silently_wrong_untyped_or_changes_anything(kind: str) -> None:
    cases = [case for case in misuses.cases() if case.kind == kind]
    found = [(case.judge(), *case[1:4]) for case in cases]
    assert len(found) >= KINDS[kind] and [case for case in found if case[0] not in misuses.GOOD] == []


def test_a_verdict_can_be_any_of_five() -> None:
    def use(error: type[Exception] | None) -> Callable[[], None]:
        def call() -> None:
            if error is not None:
                raise error("x")
        return call
    assert misuses.verdict(use(None)) == "right" and misuses.refusal(use(None))() == "silently wrong"
    assert misuses.verdict(use(misuses.Wrong)) == "silently wrong" and misuses.verdict(use(ValueError)) == "untyped"
    assert misuses.verdict(use(ml.ShapeError)) == "typed"
    assert misuses.verdict(use(ml.ShapeError), lambda: True) == "changed"


def test_the_table_names_what_is_wrong(monkeypatch: pytest.MonkeyPatch,
                                       capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(misuses, "cases", lambda: [misuses.Case("order", "a name", "LSTM", "numpy", lambda: verdict)
                                                   for verdict in ("right", "untyped")])
    monkeypatch.setattr("sys.argv", ["misuses.py"])
    assert misuses.main() == 1
    first, second, head, *rows = capsys.readouterr().out.splitlines()
    assert first.split()[:4] == second.split()[:4] == ["untyped", "order", "a", "name"] and "silently wrong" in head
    assert rows[-1].split() == ["all", "2", "0", "0", "0", "2", "0"]
    assert np.shape(misuses.X) == (misuses.N, misuses.T, misuses.D)
