"""How many planted mistakes does the diagnosis name, and how fast?

    python benchmarks/bench_diagnosis.py            --all also lists what is not named

For each set of students' code in tests/zoo: right styles in which something is called wrong (false alarms); mistakes that
change a gradient, and of these, detected (by gradcheck), named, and named wrongly (by none of the lines that a reader may
point at); seconds of those named. The styles of the last set were written after the diagnosis was finished, and were not used
to change it.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import minilstm as ml
from minilstm.gradients.diagnosis.diagnose import diagnosis_of
from minilstm.gradients.targets.make import make_target

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import zoo_cases as zoo  # noqa: E402
import zoo_held_cases as held  # noqa: E402
import zoo_more_cases as more  # noqa: E402

SETS: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "zoo": (zoo.STYLES | more.MORE_STYLES, zoo.BUGS + more.MORE_BUGS),
    "never used to change it": (held.HELD_STYLES, held.HELD_BUGS)}
COLUMNS = ("set", "styles", "false alarms", "mistakes", "detected", "named", "wrongly", "seconds, median",
           "at most", "right code")
REFUSED = "loss and gradients"      # one function for both: not a form that gradcheck takes


def target_of(style: Any, bug: Any = None) -> tuple[Any, Any]:
    """Return what a student would hand to gradcheck."""
    return style.make(zoo.load(style, bug), np.random.default_rng(0), zoo.SIZES)


def detected(style: Any, bug: Any) -> bool:
    """Return whether gradcheck finds a gradient wrong."""
    try:
        ml.gradcheck(*target_of(style, bug), method="finite", diagnose=False)
    except ml.GradientError:
        return True
    return False


def is_right(found: ml.Diagnosis, bug: Any) -> bool:
    """Return whether an explanation has one of the lines that a reader may point at, or none has a number."""
    lines = [slip.line for slips in (found.slips, *found.others) for slip in slips]
    return not bug.lines or None in lines or bool(bug.lines & set(lines))


def measure(name: str, styles: dict[str, Any], bugs: list[Any], everything: bool) -> str:
    """Diagnose a set; return its row, and print what is not named."""
    taken = {key: style for key, style in styles.items() if style.kind != REFUSED}
    alarms, seconds, checks = 0, [], []
    for style in taken.values():
        start = time.perf_counter()
        ml.gradcheck(*target_of(style))
        checks.append(time.perf_counter() - start)
        alarms += diagnosis_of(make_target(*target_of(style), {})).smallest_t is not None
    counted = [bug for bug in bugs if bug.differs and bug.style in taken]
    found = named = wrong = 0
    for bug in counted:
        found += detected(taken[bug.style], bug)
        target = target_of(taken[bug.style], bug)
        start = time.perf_counter()
        diagnosis = diagnosis_of(make_target(*target, {}))
        took = time.perf_counter() - start
        if not diagnosis.named:
            if everything:
                print(f"not named: {bug.style}: {bug.about}")
            continue
        named += 1
        seconds.append(took)
        if not is_right(diagnosis, bug):
            wrong += 1
            print(f"named wrongly: {bug.style}: {bug.about} {sorted(bug.lines)}\n{diagnosis}")
    cells = [name, len(taken), alarms, len(counted), found, f"{named} ({100 * named / len(counted):.0f} %)", wrong,
             *(f"{number:.2f}" for number in (median(seconds), max(seconds), max(checks)))]
    return f"| {' | '.join(map(str, cells))} |"


def main() -> int:
    parser = argparse.ArgumentParser(description="Count and time the mistakes that the diagnosis names.")
    parser.add_argument("--all", action="store_true", help="list the mistakes that are not named")
    everything = parser.parse_args().all
    warnings.simplefilter("ignore")
    rows = [measure(name, *cases, everything) for name, cases in SETS.items()]
    print(f"| {' | '.join(COLUMNS)} |")
    print("|---" * len(COLUMNS) + "|")
    print("\n".join(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
