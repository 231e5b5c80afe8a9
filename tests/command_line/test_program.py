"""What all command-line programs share: Ctrl-C at any moment, closed pipes, paths, packages that are missing."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from minilstm.backend.errors import ArgumentError
from minilstm.command_line.program import check_installed, path_name, run_program

ROOT = Path(__file__).parents[2]
PROGRAMS = [["-m", "minilstm", "--version"], *([str(file), "--help"] for file in sorted((ROOT / "examples").glob("*.py")))]


def started(words: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **options.pop("environment", {})}                             # type: ignore[dict-item]
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60, cwd=ROOT, env=environment,
                          stdin=subprocess.DEVNULL, **options)                                 # type: ignore[call-overload]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda words: Path(words[-2]).stem)
def test_an_interrupt_while_modules_are_imported_is_one_line(program: list[str], tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise KeyboardInterrupt\n", encoding="utf-8")
    done = started(program, environment={"PYTHONPATH": str(tmp_path)})
    assert done.stderr == "\nInterrupted.\n" and not done.stdout and done.returncode in (-2, 130)


def test_other_errors_while_modules_are_imported_are_shown_as_ever(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise ZeroDivisionError('on purpose')\n", encoding="utf-8")
    done = started(PROGRAMS[0], environment={"PYTHONPATH": str(tmp_path)})
    assert "Traceback" in done.stderr and "on purpose" in done.stderr and done.returncode == 1


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_ends_quietly(unbuffered: str, tmp_path: Path) -> None:
    (tmp_path / "pair.py").write_text("pair = (lambda x: (x * 2, None), lambda dy, cache: dy * 2)\n", encoding="utf-8")
    for words in (["doctor"], ["gradcheck", f"{tmp_path / 'pair.py'}:pair"], ["--version"]):
        reader, writer = os.pipe()
        os.close(reader)
        try:
            done = subprocess.run([sys.executable, "-m", "minilstm", *words], stdout=writer, stderr=subprocess.PIPE, text=True,
                                  timeout=60, cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": unbuffered})
        finally:
            os.close(writer)
        assert done.returncode == 141 and not done.stderr


@pytest.mark.skipif(os.name != "posix", reason="a shell of POSIX")
def test_without_any_output_the_status_still_counts() -> None:
    line = f"{sys.executable} -m minilstm"
    assert subprocess.run(f"{line} --version >&-", shell=True, cwd=ROOT, capture_output=True).returncode == 0
    assert subprocess.run(f"{line} nothing >&- 2>&-", shell=True, cwd=ROOT, capture_output=True).returncode == 2


def test_a_warning_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        shown = warnings.showwarning
        assert run_program("x.py", lambda: warnings.warn("mind this", stacklevel=1)) == 0
        assert warnings.showwarning is shown
    assert capsys.readouterr().err == "x.py: warning: mind this\n"


def test_a_path_may_begin_with_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert path_name("~/runs") == tmp_path / "runs" and path_name("runs~") == Path("runs~")
    for text, words in (("", "got nothing"), ("~nobody-of-this-name/x", "no such home folder")):
        with pytest.raises(argparse.ArgumentTypeError, match=words):
            path_name(text)


def test_a_missing_package_is_named_with_the_command_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    check_installed("json", "csv")
    monkeypatch.setitem(sys.modules, "csv", None)
    with pytest.raises(ArgumentError, match=r'need csv: pip install -e "\.\[examples\]"'):
        check_installed("json", "csv")
