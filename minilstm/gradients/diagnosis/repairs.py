"""A repair in words: the line of the student's file, the mistake and its question."""

from __future__ import annotations

import linecache
from pathlib import Path
from typing import Any

from minilstm.gradients.diagnosis.mistakes import MISTAKES
from minilstm.gradients.repair.search import Repair, Result


def sentences(result: Result, show: bool = False) -> list[str]:
    """Return what was found in words; the changed line only with ``show``."""
    if result.reason:
        return [f"no repair was looked for: {result.reason}"]
    if not result.repairs:
        if not result.guilty:
            return []
        none = f"no single change among {result.tried:,} makes every gradient right"
        if result.possible:
            return [f"{none}; other values in line {' or '.join(map(str, result.possible))} would"]
        where = f"line {result.guilty[0]}" if len(result.guilty) == 1 else (
            f"lines {result.guilty[0]} to {result.guilty[-1]}")
        return [f"{none}; what all wrong ones come through is in {where}"]
    first, *others = result.repairs
    if result.in_forward:
        words = ["backward is the derivative of another forward, which differs in "
                 f"{place(first[0])}: compare it with your notes"]
    else:
        lines = " and ".join(map(place, first))
        count = {1: "one change", 2: "two changes"}[len(first)]
        words = [f"with {count} in {lines} every gradient is right, at all sizes tried: "
                 f"{'; '.join(MISTAKES[repair.key].name for repair in first)}"]
    for repair in first:
        words.append(f"  {linecache.getline(repair.file, repair.line).strip() or repair.before}")
        if show:
            words.append(f"  repaired: {repair.after or '(without this line)'}")
        else:
            words.append(f"  ask: {MISTAKES[repair.key].question}")
    elsewhere = [place(other[0]) for other in others if other[0].line != first[0].line]
    if elsewhere:
        words.append(f"  so does a change in {', '.join(dict.fromkeys(elsewhere))}")
    return words


def place(repair: Repair) -> str:
    """Return where a repair is made: "line 34 of lstm.py", or of a notebook's cell."""
    file = Path(repair.file)
    return f"line {repair.line} of {'its cell' if file.parent.name.startswith('ipykernel') else file.name}"


def as_dict(result: Result, show: bool = False) -> dict[str, Any]:
    """Return plain values, as ``--json`` prints them."""
    def plain(repair: Repair) -> dict[str, Any]:
        found = {"file": repair.file, "line": repair.line, "mistake": repair.key, "source": repair.before}
        return {**found, "repaired": repair.after} if show else found
    return {"tried": result.tried, "in_forward": result.in_forward, "reason": result.reason,
            "repairs": [list(map(plain, repairs)) for repairs in result.repairs], "guilty": result.guilty,
            "possible": result.possible}
