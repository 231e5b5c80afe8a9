"""In how many slips of the set kept apart (tests/repair_set_third) is a repair found, and at the right line?

    python benchmarks/bench_repair.py       --all also lists what is not found; --thorough as ml.diagnose does;
                                            --first and --second take the sets that were used to improve the
                                            search

A line is right if it is the planted one. Of the others, "right before" are lines whose values were right: those should be
none. "Told": the line is one of those named, as that of a repair or as the place where other values would make all gradients
right. Seconds are of the processor, in the process that searches.
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

import repair_set.slips as first_set  # noqa: E402
import repair_set_second.slips as second_set  # noqa: E402
import repair_set_third.slips as third_set  # noqa: E402
from repair_set.slips import Slip, guilty  # noqa: E402

from minilstm.gradients.repair.problem import Problem  # noqa: E402
from minilstm.gradients.repair.program import Program, units_of  # noqa: E402
from minilstm.gradients.repair.repair import find_repair  # noqa: E402
from minilstm.gradients.targets.make import make_target  # noqa: E402


def values_at(line: int, target: Any, inputs: Any) -> list[Any]:
    """Return the values of the expressions that begin in a line of a target's program."""
    problem = Problem(make_target(target, inputs, {}))
    studied = Program(problem.run, units_of(problem.run), problem.forward if problem.target.is_loss else None)
    studied.study()
    return [place.values for place in studied.places if place.statement.line == line and place.above is None]


def was_right(line: int, slip: Slip, target_of: Any) -> bool:
    """Return whether the slip leaves the values in this line as they are."""
    wrong, right = values_at(line, *target_of(slip.program, slip)), values_at(line, *target_of(slip.program))
    return repr(wrong) == repr(right)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="list what is not found, or elsewhere")
    parser.add_argument("--thorough", action="store_true", help="15,000 candidates, pairs and the forward")
    parser.add_argument("--first", action="store_true", help="tests/repair_set, used to improve the search")
    parser.add_argument("--second", action="store_true", help="tests/repair_set_second, used so, too")
    options = parser.parse_args()
    cases = first_set if options.first else second_set if options.second else third_set
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    counts: dict[str, list[int]] = {}
    seconds = []
    for slip in cases.SLIPS:
        group = "no RNN, GRU or LSTM" if slip.program in cases.NO_CELL else (
            "odd cells" if slip.program in cases.ODD_CELL else "RNN, GRU, LSTM")
        count = counts.setdefault(group, [0] * 5)
        target, inputs = cases.target_of(slip.program, slip)
        made = make_target(target, inputs, {})
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        found = find_repair(made, options.thorough)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        lines = [repair.line for repairs in found.repairs[:1] for repair in repairs]
        at = bool(set(lines) & set(guilty(slip)))
        innocent = bool(lines) and not at and was_right(lines[0], slip, cases.target_of)
        named = {repair.line for repairs in found.repairs for repair in repairs} | set(found.possible)
        for k, fact in enumerate((True, bool(lines), at, bool(named & set(guilty(slip))), innocent)):
            count[k] += fact
        if options.all and not at:
            first = [(repair.line, repair.after) for repairs in found.repairs[:1] for repair in repairs]
            print(f"{slip.program}: {slip.name} (line {guilty(slip)}): {first or found.reason or 'nothing'}"
                  f"{', right before' * innocent}; {found.tried} tried")
    total = [sum(column) for column in zip(*counts.values())]
    print("| programs | slips | repaired | first at the line | told | right before |")
    print("|---|---|---|---|---|---|")
    for group, (every, *rest) in {**counts, "all": total}.items():
        print(f"| {group} | {every} |", " | ".join(f"{n} ({100 * n / every:.0f} %)" for n in rest), "|")
    print(f"processor seconds: median {median(seconds):.1f}, 95 % within {quantiles(seconds, n=20)[-1]:.1f}, "
          f"at most {max(seconds):.1f}")


if __name__ == "__main__":
    main()
