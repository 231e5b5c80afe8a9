"""Of no single file: the page in a headless browser, offline: keyboard, screen sizes, accessibility, mistakes, odd texts."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import page_cases
import pytest

from minilstm.lab.explorer import write_page

HERE = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@pytest.mark.slow
def test_the_page_in_a_browser(tmp_path: Path) -> None:
    node, browser = shutil.which("node"), next(filter(None, map(shutil.which, BROWSERS)), None)
    if node is None or browser is None:
        pytest.skip(f"the explorer's page is not tested: there is no {'browser' if node else 'node'} on PATH")
    if not (HERE / "node_modules" / "playwright-core").is_dir():
        pytest.skip("the explorer's page is not tested: npm install --prefix tests/explorer")
    page = tmp_path / "page.html"
    write_page([page_cases.shown(cell) for cell in ("lstm", "gru", "rnn")], page, words=5)
    done = subprocess.run([node, "--test", str(HERE / "browser.test.mjs")], capture_output=True, text=True, timeout=600,
                          env={**os.environ, "PAGE": str(page), "BROWSER": browser})
    print(done.stdout)
    assert done.returncode == 0, done.stdout
