"""In how many of the slips that were kept apart (tests/repair_set) is a repair found, and at the right line?

    python benchmarks/bench_repair.py            --all also lists what is not found; --thorough as ml.diagnose does

A line is right if it is the planted one. Of the others, "right before" are lines whose values were right: those should be
none. Seconds are of the processor, in the process that searches.
"""

from __future__ import annotations

import argparse
import resource
import sys
import warnings
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from repair_set.slips import NO_CELL, ODD_CELL, SLIPS, Slip, guilty, target_of  # noqa: E402

from minilstm.gradients.repair.problem import Problem  # noqa: E402
from minilstm.gradients.repair.program import Program, units_of  # noqa: E402
from minilstm.gradients.repair.repair import find_repair  # noqa: E402
from minilstm.gradients.targets.make import make_target  # noqa: E402


def values_at(line: int, program: str, slip: Slip | None) -> list[Any]:
    """Return the values of the expressions that begin in a line, in the program with a slip or without."""
    problem = Problem(make_target(*target_of(program, slip), {}))
    studied = Program(problem.run, units_of(problem.run), problem.forward if problem.target.is_loss else None)
    studied.study()
    return [place.values for place in studied.places if place.statement.line == line and place.above is None]


def was_right(line: int, slip: Slip) -> bool:
    """Return whether the slip leaves the values in this line as they are."""
    wrong, right = values_at(line, slip.program, slip), values_at(line, slip.program, None)
    return repr(wrong) == repr(right)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="list what is not found, or elsewhere")
    parser.add_argument("--thorough", action="store_true", help="15,000 candidates, pairs and the forward")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    counts: dict[str, list[int]] = {}
    seconds = []
    for slip in SLIPS:
        group = "no RNN, GRU or LSTM" if slip.program in NO_CELL else (
            "odd cells" if slip.program in ODD_CELL else "RNN, GRU, LSTM")
        count = counts.setdefault(group, [0] * 5)
        target = make_target(*target_of(slip.program, slip), {})
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        found = find_repair(target, options.thorough)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        lines = [repair.line for repairs in found.repairs[:1] for repair in repairs]
        at = bool(set(lines) & set(guilty(slip)))
        innocent = bool(lines) and not at and was_right(lines[0], slip)
        told = any(repair.line in guilty(slip) for repairs in found.repairs for repair in repairs)
        for k, fact in enumerate((True, bool(lines), at, told, innocent)):
            count[k] += fact
        if options.all and not at:
            first = [(repair.line, repair.after) for repairs in found.repairs[:1] for repair in repairs]
            print(f"{slip.program}: {slip.name} (line {guilty(slip)}): {first or found.reason or 'nothing'}"
                  f"{', right before' * innocent}; {found.tried} tried")
    total = [sum(column) for column in zip(*counts.values())]
    print("| programs | slips | repaired | first at the line | at the line, not first too | right before |")
    print("|---|---|---|---|---|---|")
    for group, (every, *rest) in {**counts, "all": total}.items():
        print(f"| {group} | {every} |", " | ".join(f"{n} ({100 * n / every:.0f} %)" for n in rest), "|")
    print(f"processor seconds: median {median(seconds):.1f}, 95 % within {quantiles(seconds, n=20)[-1]:.1f}, "
          f"at most {max(seconds):.1f}")


if __name__ == "__main__":
    main()
