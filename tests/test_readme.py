"""The README's Python programs run as printed and print what the README says they print."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```\n+(?:[^`]*?)```text\n(.*?)```", README, re.S)


def test_there_are_programs_to_run() -> None:
    assert len(PROGRAMS) == 2


@pytest.mark.parametrize("program", PROGRAMS, ids=["quickstart", "own cell"])
def test_program_prints_what_the_readme_says(program: tuple[str, str], tmp_path: Path) -> None:
    code, expected = program
    (tmp_path / "program.py").write_text(code, encoding="utf-8")
    result = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    printed = result.stdout + "\n".join(result.stderr.splitlines()[-expected.count("\n"):] if result.returncode else [])
    assert printed.splitlines() == expected.splitlines()
