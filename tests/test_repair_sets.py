"""Of no single file: three sets of slips. Each program passes gradcheck; with any one of its slips it does not."""

from __future__ import annotations

from collections import Counter
from types import ModuleType

import pytest
import repair_set.slips as first
import repair_set_second.slips as second
import repair_set_third.slips as third
from repair_set.slips import Slip, guilty, wrong_source

import minilstm as ml

SETS = (first, second, third)


@pytest.mark.parametrize("cases, program", [(cases, program) for cases in SETS for program in cases.PROGRAMS])
def test_every_program_is_right(cases: ModuleType, program: str) -> None:
    assert ml.gradcheck(*cases.target_of(program)).right


@pytest.mark.slow
@pytest.mark.parametrize("cases, slip", [
    pytest.param(cases, slip, id=f"{slip.program}-{slip.name}".replace(" ", "_")) for cases in SETS for slip in cases.SLIPS])
def test_every_slip_makes_a_gradient_wrong(cases: ModuleType, slip: Slip) -> None:
    report = ml.gradcheck(*cases.target_of(slip.program, slip), method="finite", diagnose=False, raise_exception=False)
    assert not report.right and max(comparison.error for comparison in report.comparisons) > 1e-3
    assert slip.places == 2 or len(guilty(slip)) == 1 or slip.kind == "order"


@pytest.mark.parametrize("cases", SETS)
def test_the_tables(cases: ModuleType) -> None:
    programs, slips = cases.PROGRAMS, cases.SLIPS
    assert set(programs) == {path.stem for path in cases.FOLDER.glob("*.py")} - {"slips"}
    assert len(programs) >= 14 and len(cases.NO_CELL) >= 5 and cases.NO_CELL | cases.ODD_CELL < set(programs)
    assert min(Counter(slip.program for slip in slips).values()) >= 8
    assert len({(slip.program, slip.name) for slip in slips}) == len({wrong_source(slip) for slip in slips}) == len(slips)
    assert 10 * sum(slip.places == 2 for slip in slips) <= len(slips)
    assert all(len(line) <= 110 for slip in slips for line in wrong_source(slip).splitlines())
