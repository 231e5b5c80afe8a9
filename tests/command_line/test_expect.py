"""``python -m minilstm expect``: the table as it is printed, and on its page."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from statistics import median

import pytest

from minilstm.__main__ import main
from minilstm.command_line.expect import STEPS, TABLE, expected

PAGE = Path(__file__).parents[2] / "examples" / "expected_numbers.md"


def test_it_prints_median_and_range_of_the_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["expect"]) == 0
    printed = capsys.readouterr().out
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    assert printed == expected() + "\n" and all(table[fact] in printed for fact in ("command", "date", "processor", "numpy"))
    rows = re.findall(r"^  (RNN|GRU|LSTM) +(.*)$", printed, re.M)
    losses = [(cell.upper(), found) for setup in table["setups"].values() for cell, found in setup["losses"].items()]
    assert [cell for cell, _ in rows] == [cell for cell, _ in losses] and len(rows) == 9
    for (_, words), (_, found) in zip(rows, losses):
        numbers = [tuple(map(float, three)) for three in re.findall(r"(\d\.\d{4}) \((\d\.\d{4}) to (\d\.\d{4})\)", words)]
        assert numbers == [pytest.approx((median(x), min(x), max(x)), abs=5.1e-5) for x in found] and len(found) == len(STEPS)


def test_first_losses_are_those_of_chance() -> None:
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    for setup in table["setups"].values():
        classes, loss = re.match(r"ln (\d+) = (\d\.\d{3}): ", setup["why"]).groups()        # type: ignore[union-attr]
        assert f"{math.log(int(classes)):.3f}" == loss
        for first, *_ in setup["losses"].values():
            assert len(first) == table["seeds"] and first == pytest.approx([math.log(int(classes))] * len(first), rel=0.06)


def test_the_page_shows_what_is_printed() -> None:
    assert f"prints\n\n```text\n{expected()}\n```\n" in PAGE.read_text(encoding="utf-8")
