"""A sweep: one function called for many settings, in parallel; each finished trial is saved immediately.

Trials are independent, so they run in as many processes as there are cores (joblib), or on a Dask cluster.
Each finished one is appended to a JSON Lines file by the process that started the sweep, one line a trial:

    {"trial": {"cell": "lstm", "T": 100, "seed": 0}, "result": {"error": 0.004}}

So a stopped sweep can be continued: a trial in the file is not run again. A trial runs on one thread, so that
processes do not compete for cores and no result depends on their number.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minilstm.backend.checks import check_positive_int
from minilstm.backend.errors import ArgumentError, DataError
from minilstm.backend.threads import get_num_threads, one_blas_thread, set_num_threads
from minilstm.training.atomic_write import PathLike
from minilstm.training.progress import open_bar

CONNECT_SECONDS = 15        # to a Dask scheduler, and then to its first worker

Trial = Mapping[str, Any]
Function = Callable[..., Mapping[str, Any]]


def run_sweep(function: Function, trials: Sequence[Trial], path: PathLike, *, jobs: int = 1,
              dask: str | None = None, progress: bool = True,
              describe: Callable[[dict[str, Any]], str] | None = None) -> list[dict[str, Any]]:
    """Call ``function(**trial)`` for each trial that ``path`` does not hold yet; return a row for each trial.

    Args:
        function: returns a dict of JSON values that depends on its arguments alone. A Dask cluster's workers
            must be able to import it.
        trials: dicts of JSON values with string keys. Equal ones run once.
        path: the JSON Lines file; made, with its folder, if it is not there. Lines of other trials stay as
            they are.
        jobs: processes on this machine; -1: one for each core. 1 stays in this process and needs no joblib.
        dask: address of a Dask scheduler, such as "tcp://host:8786", which then distributes the trials to its
            workers instead; they need minilstm and whatever defines ``function``.
        progress: show a bar where there is a terminal.
        describe: given a finished row, returns a short text shown next to the bar.

    Returns:
        ``{**trial, **result}`` for each trial; results are as JSON gives them back (lists, no tuples), fresh
        or not.

    Raises ArgumentError (trials or results that are no JSON, a missing package, a cluster that does not
    answer), DataError (a broken line in the file), OSError, and whatever ``function`` raises. After an error
    or Ctrl-C everything that was finished is in the file.
    """
    if jobs != -1:
        check_positive_int("jobs (a number of processes, or -1)", jobs)
    keys = [_key(trial) for trial in trials]
    finished = read_finished(path)
    left = {key: trial for key, trial in zip(keys, trials) if key not in finished}
    if left:
        os.makedirs(Path(path).parent, exist_ok=True)
        with open_bar("trials", len({*keys}), len({*keys}) - len(left), show=progress) as bar:
            bar.unit = "trial"
            with _mend(path) as write:
                for key, result in _results(function, left, jobs, dask):
                    finished[key] = write(json.loads(key), result)
                    if describe is not None:
                        bar.set_postfix_str(describe({**left[key], **finished[key]}))
                    bar.update()
    return [{**trial, **finished[key]} for key, trial in zip(keys, trials)]


# The file
# ------------------------------------------------------------


def read_finished(path: PathLike) -> dict[str, dict[str, Any]]:
    """Return the results in a sweep's file by the JSON of their trials, keys sorted.

    A last line without its end, which a killed sweep leaves, does not count. Raises DataError naming file and
    line for any other line that is no trial.
    """
    finished = {}
    for number, line in enumerate(_lines(path), 1):
        try:
            entry = json.loads(line)
            trial, result = entry["trial"], entry["result"]
            if not isinstance(trial, dict) or not isinstance(result, dict):
                raise TypeError
        except (ValueError, TypeError, KeyError, RecursionError):
            raise DataError(f"{os.fspath(path)}: line {number} is no finished trial, {line[:40]!r}; "
                            "repair it, or remove it so that its trial is run again") from None
        finished[_key(trial)] = result
    return finished


def _lines(path: PathLike) -> list[bytes]:
    """Return the finished lines of a file."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        return []
    return data.split(b"\n")[:-1]


@contextmanager
def _mend(path: PathLike) -> Iterator[Callable[[Any, Any], dict[str, Any]]]:
    """Cut off an unfinished last line; give a function that appends (trial, result), as it reads again."""
    end = sum(len(line) + 1 for line in _lines(path))
    with open(path, "ab") as file:
        file.truncate(end)

        def write(trial: Any, result: Any) -> dict[str, Any]:
            try:
                line = json.dumps({"trial": trial, "result": dict(result)})
            except (TypeError, ValueError) as error:
                raise ArgumentError("run_sweep: the function must return a dict of JSON values: "
                                    f"{error}") from None
            file.write(line.encode("ascii") + b"\n")
            file.flush()
            os.fsync(file.fileno())
            return json.loads(line)["result"]
        yield write


def _key(trial: Trial) -> str:
    """Return the key that identifies a trial."""
    try:
        if all(isinstance(name, str) for name in trial):
            return json.dumps(dict(trial), sort_keys=True)
    except (TypeError, ValueError):
        pass
    raise ArgumentError(f"run_sweep: a trial must be a dict of JSON values with string keys, got {trial!r}")


# Running
# ------------------------------------------------------------


def _run_one(function: Function, key: str, trial: dict[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Run one trial on one thread, wherever this is."""
    set_num_threads(1)
    with one_blas_thread():
        return key, function(**trial)


def _leave_interrupts_to_the_parent() -> None:
    """Ignore Ctrl-C in a worker: it reaches all processes of a terminal, and the parent stops the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _results(function: Function, trials: Mapping[str, Trial], jobs: int,
             dask: str | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (key, result) of each trial as soon as it is finished."""
    threads = get_num_threads()
    try:
        if dask is None and jobs == 1:
            for key, trial in trials.items():
                yield _run_one(function, key, dict(trial))
        else:
            with _workers(jobs, dask) as parallel:
                from joblib import delayed
                run = delayed(_run_one)
                results = parallel(run(function, key, dict(trial)) for key, trial in trials.items())
                try:
                    yield from results
                finally:
                    results.close()     # after an error here or Ctrl-C: nothing more is started
    finally:
        set_num_threads(threads)        # trials may have run in this process


@contextmanager
def _workers(jobs: int, dask: str | None) -> Iterator[Any]:
    """Give a joblib.Parallel that hands out one trial at a time and returns results as they come."""
    try:
        import joblib
    except ImportError:
        raise ArgumentError('several processes need joblib: pip install -e ".[examples]" '
                            '(or use jobs=1)') from None
    options: dict[str, Any] = {"return_as": "generator_unordered", "batch_size": 1}
    if dask is None:
        with joblib.parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1,
                                    initializer=_leave_interrupts_to_the_parent):
            yield joblib.Parallel(**options)
        return
    with _client(dask) as client, joblib.parallel_config("dask", n_jobs=-1, client=client):
        yield joblib.Parallel(**options)


@contextmanager
def _client(address: str) -> Iterator[Any]:
    """Connect to a Dask scheduler that has at least one worker."""
    try:
        from distributed import Client
    except ImportError:
        raise ArgumentError('a Dask cluster needs distributed: pip install -e ".[cluster]"') from None
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ArgumentError(f"dask: no scheduler answers at {address!r}: {reason}") from None
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError:
            raise ArgumentError(f"dask: the scheduler at {address} has no workers: "
                                f"start some with dask worker {address}") from None
        yield client
