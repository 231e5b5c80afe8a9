"""Sweeps: nothing runs twice, nothing finished is lost, and no result depends on who ran it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.lab.sweep import read_finished, run_sweep

ROOT = Path(__file__).parents[2]


def product(seed: int, size: int = 40, log: str | None = None) -> dict[str, Any]:
    """A trial whose last bits tell how many threads BLAS had, and that counts its calls."""
    if log is not None:
        with open(log, "a") as file:
            file.write(f"{seed}\n")
    a = np.random.default_rng(seed).standard_normal((size, size)).astype(np.float32)
    lstm = ml.LSTM(size, 8, rng=seed)
    return {"sum": float((a @ a).sum()), "h": float(lstm(a[None]).sum()), "threads": ml.get_num_threads(), "pair": (1, 2)}


def lines_so_far(seed: int, path: str) -> dict[str, Any]:
    return {"lines": Path(path).read_bytes().count(b"\n")}


def stop_at(seed: int, stop: int) -> dict[str, Any]:
    if seed == stop:
        raise KeyboardInterrupt
    return {"twice": 2 * seed}


def refuse(seed: int) -> dict[str, Any]:
    raise ml.ArgumentError(f"seed {seed} is no good")


def wait(seed: int, seconds: float) -> dict[str, Any]:
    time.sleep(seconds)
    return {"seed": seed}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    """Whatever machine this is: a trial must not use both."""
    before = ml.get_num_threads()
    ml.set_num_threads(2)
    yield
    assert ml.get_num_threads() == 2
    ml.set_num_threads(before)


def test_each_trial_is_kept_at_once(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    trials = [{"seed": seed, "path": str(path)} for seed in range(3)]
    assert [row["lines"] for row in run_sweep(lines_so_far, trials, path)] == [0, 1, 2]


def test_rows_come_in_the_order_of_the_trials(tmp_path: Path) -> None:
    trials = [{"seed": seed} for seed in (3, 1, 2)]
    rows = run_sweep(product, trials, tmp_path / "new" / "trials.jsonl")
    assert [row["seed"] for row in rows] == [3, 1, 2]
    assert rows[0]["sum"] == pytest.approx(product(3)["sum"], rel=1e-4) and rows[0]["threads"] == 1
    assert rows[0]["pair"] == [1, 2]        # as a finished sweep, read again, gives it
    assert {row["sum"] for row in rows} == {entry["result"]["sum"] for entry in lines(tmp_path / "new" / "trials.jsonl")}


def test_two_processes_give_the_bytes_of_one(tmp_path: Path) -> None:
    pytest.importorskip("joblib")
    trials = [{"seed": seed, "size": 150} for seed in range(5)]
    assert run_sweep(product, trials, tmp_path / "2", jobs=2) == run_sweep(product, trials, tmp_path / "1")


def test_no_finished_trial_runs_again(tmp_path: Path) -> None:
    path, log = tmp_path / "trials.jsonl", str(tmp_path / "log")
    first = run_sweep(product, [{"seed": 1, "log": log}, {"log": log, "seed": 1}], path)     # the same trial twice
    second = run_sweep(product, [{"seed": 2, "log": log}, {"seed": 1, "log": log}], path)
    assert Path(log).read_text() == "1\n2\n"
    assert second[1] == first[0] == first[1]
    assert len(lines(path)) == 2


@pytest.mark.parametrize("rest", ['{"trial": {"see', '{"trial": {"seed": 7}, "result": {"sum": 1}}', "\0\0"])
def test_a_half_written_last_line_is_cut_off(tmp_path: Path, rest: str) -> None:
    path = tmp_path / "trials.jsonl"
    run_sweep(product, [{"seed": 1}], path)
    whole = path.read_text()
    path.write_text(whole + rest)
    assert list(read_finished(path)) == ['{"seed": 1}']
    run_sweep(product, [{"seed": 1}, {"seed": 2}], path)
    assert path.read_text().startswith(whole) and [entry["trial"]["seed"] for entry in lines(path)] == [1, 2]


@pytest.mark.parametrize("broken", ['{"trial": {"see\n', "\n", "[]\n", '{"trial": 1, "result": {}}\n', '{"trial": {}}\n',
                                    '{"trial": {}, "result": 1}\n', "\N{SNOWMAN}\n"])
def test_a_broken_line_is_named(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "trials.jsonl"
    run_sweep(product, [{"seed": 1}], path)
    text = path.read_text() + broken + path.read_text()
    path.write_text(text)
    with pytest.raises(ml.DataError, match=r"trials\.jsonl: line 2 is no finished trial"):
        run_sweep(product, [{"seed": 2}], path)
    assert path.read_text() == text


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_keeps_what_was_finished(tmp_path: Path, jobs: int) -> None:
    pytest.importorskip("joblib")
    path = tmp_path / "trials.jsonl"
    run_sweep(wait, [{"seed": 1, "seconds": 0.0}], path, jobs=jobs)
    with pytest.raises(ml.ArgumentError, match="seed 5 is no good"):
        run_sweep(refuse, [{"seed": 5}, {"seed": 5, "size": 1}][:1], path, jobs=jobs)
    assert [entry["trial"]["seed"] for entry in lines(path)] == [1]


def test_an_interrupted_sweep_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run_sweep(stop_at, [{"seed": seed, "stop": 3} for seed in range(6)], path)
    assert [entry["result"]["twice"] for entry in lines(path)] == [0, 2, 4]
    rows = run_sweep(product, [{"seed": 0}], path)      # another function's trials may live in the same file
    assert rows[0]["seed"] == 0 and len(lines(path)) == 4


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends a signal to a group of processes")
def test_control_c_with_processes(tmp_path: Path) -> None:
    pytest.importorskip("joblib")
    path = tmp_path / "trials.jsonl"
    program = ("import sys; from tests.lab.test_sweep import run_sweep, wait\n"
               "try: run_sweep(wait, [{'seed': k, 'seconds': 0.2} for k in range(100)], sys.argv[1], jobs=2)\n"
               "except KeyboardInterrupt: sys.exit(130)")
    process = subprocess.Popen([sys.executable, "-c", program, str(path)], cwd=ROOT, start_new_session=True,
                               stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while not (path.exists() and path.read_bytes().count(b"\n") >= 2):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert "Traceback" not in errors, errors
    finished = len(lines(path))
    assert 2 <= finished < 100
    assert len(run_sweep(wait, [{"seed": k, "seconds": 0.2} for k in range(finished)], path, jobs=2)) == finished


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A Dask cluster of one process that runs two trials at a time."""
    distributed = pytest.importorskip("distributed", reason="needs dask's distributed")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0",
                                  host="tcp://127.0.0.1") as local:
        yield local


def test_a_dask_cluster_gives_the_same(tmp_path: Path, cluster: Any) -> None:
    trials = [{"seed": seed, "size": 100} for seed in range(4)]
    rows = run_sweep(product, trials, tmp_path / "dask", dask=cluster.scheduler_address)
    assert rows == run_sweep(product, trials, tmp_path / "here")
    assert len(lines(tmp_path / "dask")) == 4
    assert run_sweep(product, trials, tmp_path / "dask", dask="tcp://127.0.0.1:1") == rows      # nothing left: nobody asked


def test_a_cluster_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed", reason="needs dask's distributed")
    monkeypatch.setattr("minilstm.lab.sweep.CONNECT_SECONDS", 0.5)
    with pytest.raises(ml.ArgumentError, match="no scheduler answers at 'tcp://127.0.0.1:1'"):
        run_sweep(product, [{"seed": 1}], tmp_path / "a", dask="tcp://127.0.0.1:1")
    with pytest.raises(ml.ArgumentError, match="no scheduler answers"):
        run_sweep(product, [{"seed": 1}], tmp_path / "a", dask="nonsense://")
    with distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as empty:
        with pytest.raises(ml.ArgumentError, match="has no workers"):
            run_sweep(product, [{"seed": 1}], tmp_path / "a", dask=empty.scheduler_address)


@pytest.mark.parametrize("name, options, words", [("joblib", {"jobs": 2}, r'\.\[examples\]'),
                                                  ("distributed", {"dask": "tcp://here:1"}, r'\.\[cluster\]')])
def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, options: dict[str, Any],
                                    words: str) -> None:
    pytest.importorskip("joblib")
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ml.ArgumentError, match=words):
        run_sweep(product, [{"seed": 1}], tmp_path / "a", **options)


@pytest.mark.parametrize("jobs", [0, -2, 1.5, True])
def test_bad_jobs(tmp_path: Path, jobs: Any) -> None:
    with pytest.raises(ml.ArgumentError, match="jobs"):
        run_sweep(product, [{"seed": 1}], tmp_path / "a", jobs=jobs)


@pytest.mark.parametrize("trial", [{1: 2}, {"a": object()}, {"a": np.float32(1)}])
def test_trials_are_json(tmp_path: Path, trial: Any) -> None:
    with pytest.raises(ml.ArgumentError, match="a trial must be a dict of JSON values"):
        run_sweep(product, [trial], tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_results_are_json(tmp_path: Path) -> None:
    with pytest.raises(ml.ArgumentError, match="must return a dict of JSON values"):
        run_sweep(lambda seed: {"a": np.zeros(1)}, [{"seed": 1}], tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b""


def test_describe_gets_the_finished_row(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    run_sweep(stop_at, [{"seed": 4, "stop": 0}], tmp_path / "a", describe=lambda row: str(seen.append(row)))  # type: ignore
    assert seen == [{"seed": 4, "stop": 0, "twice": 8}]
