"""The door: a search in a process apart, and what it found in words."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from minilstm.backend.process import in_own_process, limit_resources
from minilstm.gradients.diagnosis.mistakes import MISTAKES
from minilstm.gradients.repair.problem import Problem
from minilstm.gradients.repair.program import NoRepairError
from minilstm.gradients.repair.search import Repair, Result, search
from minilstm.gradients.targets.target import Target

FEW, MANY = 2_000, 15_000       # candidates in gradcheck, and in diagnose
MEGABYTES = 1024
CPU_SECONDS = 300               # should a candidate hang in compiled code; loops are counted, not timed


def find_repair(target: Target, thorough: bool = False) -> Result:
    """Look for one change of a target's source that makes every gradient right.

    The search runs in a forked child, which cannot write files: the target, its module and its arrays stay as
    they are. Where the system cannot fork, it runs in the command's own process, or not at all.
    """
    if not hasattr(os, "fork"):
        if in_own_process():
            return _search(target, thorough)
        return Result(reason="this system cannot fork a process; python -m minilstm gradcheck FILE:NAME can")
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")     # of threads, which the child does not use
        child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            for stream in (1, 2):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
            limit_resources(MEGABYTES, file_megabytes=0, cpu_seconds=CPU_SECONDS)
            with open(writing, "wb") as pipe:
                pickle.dump(_search(target, thorough), pipe)
        finally:
            os._exit(0)
    os.close(writing)
    try:
        with open(reading, "rb") as pipe:
            answer = pipe.read()
    finally:
        os.kill(child, signal.SIGKILL)      # also where Ctrl-C ends the wait
        os.waitpid(child, 0)
    if not answer:
        return Result(reason="the search ended without a result")
    result: Result = pickle.loads(answer)
    return result


def _search(target: Target, thorough: bool) -> Result:
    sys.settrace(None)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return search(Problem(target), MANY if thorough else FEW, thorough)
        except NoRepairError as why:
            return Result(reason=str(why))
        except Exception as error:          # somebody else's code may raise anything
            return Result(reason=f"{type(error).__name__}: {error}")


def sentences(result: Result, show: bool = False) -> list[str]:
    """Return what was found in words; the changed line only with ``show``."""
    if result.reason:
        return [f"no repair was looked for: {result.reason}"]
    if not result.repairs:
        if not result.guilty:
            return []
        where = f"line {result.guilty[0]}" if len(result.guilty) == 1 else (
            f"lines {result.guilty[0]} to {result.guilty[-1]}")
        return [f"no single change among {result.tried:,} makes every gradient right; what all wrong ones "
                f"come through is in {where}"]
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
        words.append(f"  {repair.before}")
        if show:
            words.append(f"  repaired: {repair.after or '(without this line)'}")
        else:
            words.append(f"  ask: {MISTAKES[repair.key].question}")
    elsewhere = [place(other[0]) for other in others if other[0].line != first[0].line]
    if elsewhere:
        words.append(f"  so does a change in {', '.join(dict.fromkeys(elsewhere))}")
    return words


def place(repair: Repair) -> str:
    """Return where a repair is made: "line 34 of lstm.py"."""
    return f"line {repair.line} of {Path(repair.file).name}"


def as_dict(result: Result, show: bool = False) -> dict[str, Any]:
    """Return plain values, as ``--json`` prints them."""
    def plain(repair: Repair) -> dict[str, Any]:
        found = {"file": repair.file, "line": repair.line, "mistake": repair.key, "source": repair.before}
        return {**found, "repaired": repair.after} if show else found
    return {"tried": result.tried, "in_forward": result.in_forward, "reason": result.reason,
            "repairs": [list(map(plain, repairs)) for repairs in result.repairs], "guilty": result.guilty}
