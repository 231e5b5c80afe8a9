"""Helper processes: the same bytes as without them, and nothing lost, left behind or out of step when something goes wrong.

Everything here is small, and sent all the same: WORTH_SENDING is 0. What happens to a helper when its parent ends is looked at
from outside, in a process of its own.
"""

from __future__ import annotations

import copy
import mmap
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
from minilstm.kernels import compiled, processes, remote, sequence

pytestmark = pytest.mark.skipif(os.name != "posix", reason="helper processes need POSIX")

V, D, H = 11, 3, 2


def wait_until_ready() -> None:
    for _ in range(600):
        with processes.crew_for(2) as crew:
            if crew is not None:
                return
        time.sleep(0.05)
    pytest.fail("no helper after 30 seconds")


@pytest.fixture(autouse=True)
def steps_in_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled steps need no helpers."""
    monkeypatch.setenv(compiled.SWITCH, "0")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A helper that is ready, for work of any size; the list tells what it was given."""
    monkeypatch.setattr(sequence, "WORTH_SENDING", 0)
    monkeypatch.setattr(processes, "_broken", False)
    monkeypatch.delenv(processes.SWITCH, raising=False)
    before = ml.get_num_threads()
    ml.set_num_threads(2)
    wait_until_ready()
    given: list[str] = []
    send = processes.Helper.send

    def noted(self: Any, message: Any) -> None:
        given.append(message[0])
        send(self, message)
    monkeypatch.setattr(processes.Helper, "send", noted)
    yield given
    ml.set_num_threads(before)
    processes.close()


def helper() -> processes.Helper:
    assert processes._crew is not None
    return processes._crew.helpers[0]


def batch(N: int = 70, T: int = 23) -> np.ndarray:
    """Tokens with front padding of all lengths."""
    rng = np.random.default_rng(N)
    tokens = rng.integers(1, V, (N, T))
    tokens[np.arange(T) < rng.integers(0, T, N)[:, None]] = 0
    return tokens


def model(kind: str = "lstm", **options: Any) -> ml.Sequential:
    cell: Any = {"lstm": ml.LSTM, "gru": ml.GRU}.get(kind, ml.RNN)
    if cell is ml.RNN:
        options["nonlinearity"] = kind
    dtype = options.get("dtype", np.float32)
    return ml.Sequential(ml.Embedding(V, D, dtype=dtype, rng=0), cell(D, H, rng=1, **options))


def step(net: ml.Module, tokens: np.ndarray, **options: Any) -> bytes:
    """Output and gradients of one pass forward and back, as bytes."""
    net.zero_grad()
    y = net(tokens, **options)
    net.backward(np.cos(y))
    return b"".join(a.tobytes() for a in (y, *net.named_gradients().values()))


def alone(net: ml.Module, tokens: np.ndarray, **options: Any) -> bytes:
    """The same without helpers."""
    ml.set_num_threads(1)
    try:
        return step(net, tokens, **options)
    finally:
        ml.set_num_threads(2)


# The same bytes -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["lstm", "gru", "tanh", "relu"])
@pytest.mark.parametrize("options", [{}, {"return_sequences": False}, {"num_layers": 2, "bidirectional": True, "dropout": 0.5},
                                     {"dtype": np.float64}], ids=str)
@pytest.mark.parametrize("N", [33, 70, 130, 200])
def test_layers(kind: str, options: dict[str, Any], N: int, sent: list[str]) -> None:
    net, tokens = model(kind, **options), batch(N)
    twin = copy.deepcopy(net)
    for _ in range(3):
        assert step(net, tokens) == alone(twin, tokens)
    assert sent.count("forward") == sent.count("backward") > 0


@pytest.mark.parametrize("padding", ["post", "pre"])
def test_lengths(padding: str, sent: list[str]) -> None:
    tokens = batch()
    lengths = np.random.default_rng(2).integers(1, 24, len(tokens))
    net = model(padding=padding)
    assert step(net, tokens, lengths=lengths) == alone(copy.deepcopy(net), tokens, lengths=lengths) and sent


@pytest.mark.parametrize("given_states", [True, False])
def test_states(given_states: bool, sent: list[str], rng: np.random.Generator) -> None:
    layer, x = ml.LSTM(D, H, dtype=np.float64, rng=1), rng.standard_normal((70, 5, D))
    state0 = tuple(rng.standard_normal((2, 1, 70, H))) if given_states else None
    results = []
    for threads in (2, 1):
        ml.set_num_threads(threads)
        y, last = layer(x, state0, return_state=True)
        dx, dstate = layer.backward(np.cos(y), tuple(np.sin(s) for s in last))
        results.append([y, *last, dx, *dstate, *layer.grads.values()])
        layer.zero_grad()
        if threads == 2:
            assert sent == ["forward", "backward"]
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


def test_evaluation_and_only_a_last_gradient(sent: list[str], rng: np.random.Generator) -> None:
    net, tokens = model(return_sequences=False), batch()
    net.eval()
    y = net(tokens)
    assert sent == ["forward"]
    ml.set_num_threads(1)
    assert np.array_equal(net(tokens), y)


def test_forward_there_and_backward_here(sent: list[str]) -> None:
    """What a helper has kept can be gone on with by this process."""
    net, tokens = model(), batch()
    expected = alone(copy.deepcopy(net), tokens)
    y = net(tokens)
    ml.set_num_threads(1)
    net.backward(np.cos(y))
    assert sent == ["forward"]
    assert b"".join(a.tobytes() for a in (y, *net.named_gradients().values())) == expected


def test_several_batches_open_at_once(sent: list[str]) -> None:
    net, first, second = model(), batch(70), batch(66)
    results = []
    for threads in (2, 1):
        ml.set_num_threads(threads)
        net.zero_grad()
        ys = [net(first), net(second)]
        net.backward(np.cos(ys[1]))
        net.backward(np.cos(ys[0]))
        results.append([*ys, *(g.copy() for g in net.named_gradients().values())])
    assert sent == ["forward", "forward", "backward", "backward"]
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


def test_a_second_backward_of_the_function_gives_the_same_bytes(sent: list[str], rng: np.random.Generator) -> None:
    from minilstm.kernels.lstm import lstm_backward, lstm_forward
    x, W, b = rng.standard_normal((70, 9, D)), rng.standard_normal((D + H, 4 * H)), rng.standard_normal(4 * H)
    h, _, cache = lstm_forward(x, None, None, W, b)
    once, twice = (lstm_backward(np.cos(h), None, cache) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(once, twice)) and sent[0] == "forward"


def test_no_more_helpers_than_threads(sent: list[str]) -> None:
    ml.set_num_threads(3)
    with processes.crew_for(4):
        assert processes._crew is not None and len(processes._crew.helpers) == 2
    ml.set_num_threads(2)
    wait_until_ready()
    with processes.crew_for(4) as crew:
        assert crew is not None and {crew.member(k) for k in range(8)} == {None, crew.helpers[0]}


# Not at all ---------------------------------------------------------------------------------------------------------------

def test_switched_off(sent: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    net, tokens = model(), batch()
    monkeypatch.setenv(processes.SWITCH, "0")
    assert step(net, tokens) == alone(copy.deepcopy(net), tokens) and not sent


def test_where_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    processes.close()
    monkeypatch.setattr(sequence, "WORTH_SENDING", 0)
    monkeypatch.setattr(processes, "_broken", False)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    before = ml.get_num_threads()
    ml.set_num_threads(2)
    net, tokens = model(), batch()
    assert step(net, tokens) == alone(copy.deepcopy(net), tokens)
    assert processes._crew is None and processes._broken
    ml.set_num_threads(before)


def test_a_helper_that_ends_before_it_is_ready(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    processes.close()
    monkeypatch.setattr(sequence, "WORTH_SENDING", 0)
    monkeypatch.setattr(processes, "_broken", False)
    false = tmp_path / "python"
    false.write_text("#!/bin/sh\nexit 1\n")
    false.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(false))
    before = ml.get_num_threads()
    ml.set_num_threads(2)
    net, tokens = model(), batch()
    expected = alone(copy.deepcopy(net), tokens)
    for _ in range(100):
        assert step(net, tokens) == expected
        if processes._broken:
            break
        time.sleep(0.05)
    assert processes._broken and processes._crew is None
    ml.set_num_threads(before)


# When something goes wrong ------------------------------------------------------------------------------------------------

def kill(victim: processes.Helper) -> None:
    victim.process.kill()
    victim.process.wait()


def kill_at(monkeypatch: pytest.MonkeyPatch, message: str) -> None:
    """Have the helper killed when it is about to get this message, after it was found alive."""
    send = processes.Helper.send

    def fatal(self: Any, words: Any) -> None:
        if words[0] == message:
            kill(self)
        send(self, words)
    monkeypatch.setattr(processes.Helper, "send", fatal)


def test_a_helper_killed_on_the_way_forward_costs_nothing(sent: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    net, tokens = model(), batch()
    expected = alone(copy.deepcopy(net), tokens)
    kill_at(monkeypatch, "forward")
    for _ in range(2):
        assert step(net, tokens) == expected
    assert sent == ["forward"] and processes._crew is None


def test_a_helper_killed_between_forward_and_backward_costs_nothing(sent: list[str]) -> None:
    net, tokens = model(), batch()
    expected = alone(copy.deepcopy(net), tokens)
    y = net(tokens)
    kill(helper())
    net.backward(np.cos(y))
    assert b"".join(a.tobytes() for a in (y, *net.named_gradients().values())) == expected and sent == ["forward"]


def test_a_helper_killed_on_the_way_back_is_told_and_changes_no_gradient(sent: list[str],
                                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    net, tokens = model(), batch()
    expected = alone(copy.deepcopy(net), tokens)
    kill_at(monkeypatch, "backward")
    y = net(tokens)
    with pytest.raises(ml.BackwardError, match="helper process"):
        net.backward(np.cos(y))
    assert not any(g.any() for g in net.named_gradients().values())
    net.eval().train()
    assert step(net, tokens) == expected            # and the step can be repeated


def test_an_error_there_is_an_error_here_and_the_pipe_stays_in_step(sent: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    net, tokens = model(), batch()
    expected = alone(copy.deepcopy(net), tokens)
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="helper process failed: .*Error"):
        patch.setattr(remote, "_at_home", lambda chunk: None)
        net(tokens)
    net.eval().train()
    assert step(net, tokens) == expected and sent == ["forward", "forward", "backward"]


def test_an_interruption_here_leaves_the_pipe_in_step(sent: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    net, tokens = model(), batch()
    expected = alone(copy.deepcopy(net), tokens)

    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(sequence, "forward_chunk", interrupted)
        net(tokens)
    net.eval().train()
    assert step(net, tokens) == expected and sent == ["forward", "forward", "backward"]


def test_ctrl_c_does_not_reach_a_helper(sent: list[str]) -> None:
    net, tokens = model(), batch()
    os.kill(helper().process.pid, signal.SIGINT)
    assert step(net, tokens) == alone(copy.deepcopy(net), tokens)
    assert sent == ["forward", "backward"] and helper().process.poll() is None


def test_another_thread_meanwhile_goes_without(sent: list[str]) -> None:
    net, tokens = model(), batch()
    with processes.crew_for(2) as crew:
        assert crew is not None
        assert step(net, tokens) == alone(copy.deepcopy(net), tokens) and not sent


# Memory -------------------------------------------------------------------------------------------------------------------

def test_memory_serves_again_and_does_not_pile_up(sent: list[str]) -> None:
    net = model()
    for _ in range(3):
        step(net, batch())
    assert processes._crew is not None
    arena = processes._crew.arena
    size = arena.size
    for _ in range(5):
        step(net, batch())
    assert arena.size == size
    for T in range(1, 60):
        net.eval()(batch(T=10 * T))
    assert len(arena.free) <= processes.KEPT
    if hasattr(mmap, "MADV_REMOVE"):
        free = sum(len(map_) for _, map_ in arena.free)
        assert os.fstat(arena.file).st_blocks * 512 <= free < arena.size


def test_models_with_something_kept_can_be_copied(sent: list[str]) -> None:
    net, tokens = model(), batch()
    y = net(tokens)
    other = copy.deepcopy(net)
    net.backward(np.cos(y))
    assert sent == ["forward", "backward"]
    assert step(other.eval().train(), tokens) == alone(copy.deepcopy(net.eval().train()), tokens)


# The end ------------------------------------------------------------------------------------------------------------------

BEGIN = """
import os, signal, sys
import numpy as np
from test_processes import *
sequence.WORTH_SENDING = 0
ml.set_num_threads(2)
wait_until_ready()
net, tokens = model(), batch()
expected = alone(copy.deepcopy(net), tokens)
assert step(net, tokens) == expected
print(helper().process.pid, flush=True)
"""


def run(ending: str) -> tuple[int, int, list[str]]:
    """Run a script that has a helper; return (exit status, helper's process id, further lines)."""
    paths = [str(Path(__file__).parent), str(Path(ml.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run([sys.executable, "-c", BEGIN + ending], capture_output=True, text=True, timeout=120,
                          env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))})
    assert not done.stderr
    pid, *lines = done.stdout.split("\n")
    return done.returncode, int(pid), lines


@pytest.mark.parametrize("ending, status", [("", 0), ("sys.exit(3)", 3), ("os._exit(4)", 4),
                                            ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL)])
def test_a_helper_ends_with_its_process(ending: str, status: int) -> None:
    got, pid, _ = run(ending)
    assert got == status
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        state = Path(f"/proc/{pid}/stat")           # ended, and only waiting to be counted by its new parent?
        if state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the helper is still there after 10 seconds")


def test_a_forked_child_and_its_parent_both_go_on() -> None:
    status, _, lines = run("""
child = os.fork()
if child == 0:
    signal.alarm(60)
    os._exit(0 if step(net, tokens) == expected and processes._crew is not None else 1)
print(os.waitpid(child, 0)[1], step(net, tokens) == expected, helper().process.poll())
""")
    assert (status, lines[0]) == (0, "0 True None")
