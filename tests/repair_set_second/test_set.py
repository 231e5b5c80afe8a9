"""Of no single file: the second set itself. Each program passes gradcheck; with any of its slips it fails."""

from __future__ import annotations

from collections import Counter

import pytest
from repair_set_second.slips import (FOLDER, NO_CELL, ODD_CELL, PROGRAMS, SLIPS, Slip, guilty, target_of,
                                     wrong_source)

import minilstm as ml


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_is_right(program: str) -> None:
    assert ml.gradcheck(*target_of(program), diagnose=False).right


@pytest.mark.slow
@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: f"{slip.program}-{slip.name}".replace(" ", "_"))
def test_every_slip_makes_a_gradient_wrong(slip: Slip) -> None:
    target = target_of(slip.program, slip)
    report = ml.gradcheck(*target, method="finite", diagnose=False, raise_exception=False)
    assert not report.right and max(comparison.error for comparison in report.comparisons) > 1e-3
    assert slip.places == 2 or len(guilty(slip)) == 1 or slip.kind == "order"


def test_the_table() -> None:
    assert set(PROGRAMS) == {path.stem for path in FOLDER.glob("*.py")} - {"slips", "test_set"}
    assert len(PROGRAMS) >= 16 and len(NO_CELL) >= 5 and NO_CELL | ODD_CELL < set(PROGRAMS)
    assert len(SLIPS) >= 170 and min(Counter(slip.program for slip in SLIPS).values()) >= 8
    assert len({(slip.program, slip.name) for slip in SLIPS}) == len(SLIPS)
    assert len({wrong_source(slip) for slip in SLIPS}) == len(SLIPS)
    assert 10 * sum(slip.places == 2 for slip in SLIPS) <= len(SLIPS)
    assert all(len(line) <= 110 for slip in SLIPS for line in wrong_source(slip).splitlines())
