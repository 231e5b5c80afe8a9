"""The door: a search in a process apart."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import warnings

import numpy as np

from minilstm.backend.process import in_own_process, limit_resources
from minilstm.gradients.repair.problem import Problem
from minilstm.gradients.repair.program import NoRepairError
from minilstm.gradients.repair.search import Result, search
from minilstm.gradients.targets.target import Target

FEW, MANY = 6_000, 15_000       # edits of one stage in gradcheck, and in diagnose
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
