"""Somebody else's code in a process of its own: whatever it does, there is one sentence, and nothing happens here."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

import minilstm as ml
from minilstm.backend import process
from minilstm.backend.process import run_in_process
from minilstm.student.gradcheck import Request, check_file


def check(tmp_path: Path, forward: str, **limits: Any) -> dict[str, Any]:
    path = tmp_path / "student.py"
    path.write_text(f"import os, sys\nimport numpy as np\n\ndef forward(x):\n    {forward}\n    return x * 2, x\n\n"
                    "def backward(dy, x):\n    return 2 * dy\n", encoding="utf-8")
    return run_in_process(check_file, Request(f"{path}:forward,backward"), **limits)


def test_a_right_one_is_right_and_what_it_prints_is_kept_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = check(tmp_path, "print('hello')")
    assert found["status"] == "right" and found["printed"].startswith("hello") and capsys.readouterr() == ("", "")


def test_an_endless_loop_ends_and_its_line_is_named(tmp_path: Path) -> None:
    start = time.perf_counter()
    with pytest.raises(ml.ArgumentError, match=r"not finished after 2 seconds.*student\.py, line 5: is there an endless loop"):
        check(tmp_path, "while True: pass", seconds=2)
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize(("code", "words"), [
    ("os._exit(7)", r"ended without a result \(exit status 7\)"), ("sys.exit(1)", "SystemExit: 1"),
    ("import ctypes; ctypes.string_at(0)", r"ended without a result in student\.py, line 5"),
    ("return input(), x", r"EOFError.*student\.py, line 5")])
def test_whatever_it_does_is_one_sentence(code: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ml.ArgumentError, match=words) as caught:
        check(tmp_path, code)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits memory reliably")
def test_memory_is_limited(tmp_path: Path) -> None:
    with pytest.raises(ml.ArgumentError, match="MemoryError|memory"):
        check(tmp_path, "big = np.ones(10 ** 9)", megabytes=500)


def test_the_folder_it_starts_in_is_a_path_if_pythonpath_names_it(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    for named, paths in ((tmp_path / "other", []), (tmp_path, [str(tmp_path)])):
        monkeypatch.setenv("PYTHONPATH", str(named))
        assert process._paths() == paths
