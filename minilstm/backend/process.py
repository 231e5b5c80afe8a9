"""Run a function on somebody else's code in a process of its own, with limits.

What that code prints, an endless loop, exit(), or a crash of the interpreter then do no harm here. This is no
sandbox: the code may read and write what its user may. Code of strangers belongs in a container.
"""

from __future__ import annotations

import faulthandler
import json
import os
import pickle
import re
import signal
import sys
import tempfile
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

from minilstm.backend.errors import ArgumentError, MinilstmError
from minilstm.backend.paths import NOT_THEIRS

SECONDS, MEGABYTES = 60.0, 2048
FILE_MEGABYTES = 100        # how much a file may grow: what the code prints in an endless loop goes into one
SHOWN = 400                 # how many letters of what the code prints are passed on
OWN = "MINILSTM_OWN_PROCESS"        # set in the environment there
REQUEST, ANSWER, TRACE = "request", "answer", "trace"       # files between the two processes
Answer = dict[str, Any]


class Failure(Enum):
    """Why there is no answer."""

    ENDLESS = "endless"
    MEMORY = "memory"
    EXIT = "exit"
    OTHER = "other"


class ProcessError(ArgumentError):
    """A process gave no answer; ``failure`` says of which kind that is."""

    def __init__(self, message: str, failure: Failure = Failure.OTHER) -> None:
        super().__init__(message)
        self.failure = failure


def run_in_process(function: Callable[..., Answer], *arguments: Any, seconds: float = SECONDS,
                   megabytes: int | None = MEGABYTES, folder: Path | None = None) -> Answer:
    """Run ``function(*arguments)`` in a process of its own, and return what it returns.

    Args: function: of a module that can be imported, see ``pickle``; returns plain values, as JSON can hold
        them. seconds: how long it may take. megabytes: how much memory it may use beyond what it starts with;
        None for no limit. Has no effect on Windows. folder: where it runs; here by default.

    Returns the answer, with "printed": the beginning of what the code printed. Raises ProcessError, one
    sentence, where there is no answer.
    """
    import subprocess
    with tempfile.TemporaryDirectory() as work:
        Path(work, REQUEST).write_bytes(pickle.dumps((function, arguments, seconds, megabytes)))
        environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONUNBUFFERED": "1",
                       "PYTHONPATH": os.pathsep.join(_paths())}
        printed = Path(work, "printed")
        with open(printed, "wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, work], cwd=folder, env=environment,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
            try:
                process.wait(seconds + 10)
            except subprocess.TimeoutExpired:
                pass
            finally:
                _kill(process)
        said = printed.read_bytes()[-10 * SHOWN:].decode("utf-8", "replace").strip()
        try:
            answer: Answer = json.loads(Path(work, ANSWER).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise _failure(process.returncode, seconds, Path(work, TRACE), said) from None
    if "error" in answer:
        raise ProcessError(answer["error"], Failure(answer["failure"]))
    return {**answer, "printed": said[:SHOWN]}


def _paths() -> list[str]:
    """Return Python's paths but for the folder it was started in: a random.py there is none of ours. But
    PYTHONPATH may name it."""
    here = Path.cwd()
    ours = (here / "minilstm").is_dir() or str(here) in os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [path for path in sys.path if path and (ours or Path(path).resolve() != here)]


def _kill(process: Any) -> None:
    """End the process and those that it started."""
    if hasattr(os, "killpg"):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
    elif process.poll() is None:
        process.kill()
    process.wait()


def _failure(status: int, seconds: float, trace: Path, said: str) -> ProcessError:
    """Return the error of a process that ended without an answer."""
    text = trace.read_text(encoding="utf-8", errors="replace") if trace.exists() else ""
    frames = re.findall(r'File "(.*)", line (\d+)', text)
    theirs = next((f" in {Path(file).name}, line {line}" for file, line in frames
                   if not file.startswith((*NOT_THEIRS, "<"))), "")
    if "Timeout" in text or status == -9 and not said:
        moment = ", at that moment" * bool(theirs)
        return ProcessError(f"not finished after {seconds:g} seconds{moment}{theirs}: is there an endless "
                            "loop? What is not a definition belongs under: if __name__ == '__main__'",
                            Failure.ENDLESS)
    last = "".join(f": {line[:SHOWN]}" for line in said.splitlines()[-1:])
    return ProcessError(f"the process ended without a result{theirs} (exit status {status}){last}")


def _serve(work: Path) -> None:
    """Answer the request of ``run_in_process``, in the new process."""
    function, arguments, seconds, megabytes = pickle.loads((work / REQUEST).read_bytes())
    # stays open: Python writes into it when it is killed
    trace = open(work / TRACE, "w", encoding="utf-8")
    faulthandler.enable(trace)
    faulthandler.dump_traceback_later(seconds, exit=True, file=trace)
    if megabytes is not None:
        limit_resources(megabytes)
    os.environ[OWN] = "1"
    try:
        answer = function(*arguments)
    except MinilstmError as error:
        exits = isinstance(error.__cause__, SystemExit)
        answer = _no_answer(" ".join(str(error).split()), Failure.EXIT if exits else Failure.OTHER)
    except MemoryError:
        answer = _no_answer(f"more than {megabytes} MB of memory were needed", Failure.MEMORY)
    except BaseException as error:      # exit() and KeyboardInterrupt too
        answer = _no_answer(f"{type(error).__name__}: {error}", Failure.OTHER)
    (work / "part").write_text(json.dumps(answer), encoding="utf-8")
    os.replace(work / "part", work / ANSWER)
    faulthandler.cancel_dump_traceback_later()
    os._exit(0)         # threads that the code started do not keep the process alive


def _no_answer(error: str, failure: Failure) -> Answer:
    return {"error": error, "failure": failure.value}


def in_own_process() -> bool:
    """Return whether this is a process that ``run_in_process`` made."""
    return os.environ.get(OWN) == "1"


def limit_resources(megabytes: int, file_megabytes: int = FILE_MEGABYTES,
                    cpu_seconds: int | None = None) -> None:
    """Limit the address space to ``megabytes`` more than is in use, files, and the time, where possible."""
    try:
        import resource
    except ImportError:         # Windows
        return
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)       # writing more raises OSError
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_megabytes * 2 ** 20, resource.RLIM_INFINITY))
    if cpu_seconds is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    used = 0
    if os.path.exists("/proc/self/statm"):
        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
        used = pages * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + megabytes * 2 ** 20, resource.RLIM_INFINITY))


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
