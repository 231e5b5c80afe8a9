"""Chunks of a batch in helper processes: what is sent, what the helper does with it, and what comes back.

A chunk's own memory (``layout.Part``) is shared, so that either process can go on with it: forward may have run in a helper
and backward here. Inputs and results of one call travel in a second block of shared memory, cut the same way on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from minilstm.errors import BackwardError
from minilstm.kernels import processes, sequence
from minilstm.kernels.batch import Chunk
from minilstm.kernels.memory import Carver
from minilstm.kernels.processes import Block, Crew, Helper

Arrays = dict[str, Any]


class Job(NamedTuple):
    """A task that a helper has been given."""

    helper: Helper
    finish: Callable[[], None]      # take its results over
    instead: Callable[[], None]     # do it here, should the helper be gone


def _at_home(chunk: Chunk) -> Chunk:
    """The same chunk, of a batch that is that chunk alone."""
    return chunk._replace(rows=slice(0, chunk.n) if len(chunk.stretches) == 1 else np.arange(chunk.n))


def _copy_rows(batch: np.ndarray, chunk: Chunk, out: np.ndarray) -> None:
    if isinstance(chunk.rows, slice):
        out[...] = batch[chunk.rows]
    else:
        np.take(batch, chunk.rows, axis=0, out=out, mode="clip")        # other modes make a copy in between


def _forward_arrays(carver: Carver, cell: sequence.Cell, n: int, T: int, outputs: bool) -> Arrays:
    H, K = cell.H, cell.H + cell.D + 1
    return {"x": carver.array(n, T, cell.D), "weights": carver.array(K, cell.G * H).T,
            "state0": [carver.array(n, H) for _ in range(cell.states)], "y": carver.array(n, T, H) if outputs else None,
            "last": [carver.array(n, H) for _ in range(cell.states)]}


def _backward_arrays(carver: Carver, cell: sequence.Cell, n: int, T: int, upstream: bool) -> Arrays:
    H, D, GH = cell.H, cell.D, cell.G * cell.H
    return {"weights": carver.array(H + D, GH), "dy": carver.array(n, T, H) if upstream else None,
            "dlast": [carver.array(n, H) for _ in range(cell.states)], "dx": carver.array(n, T, D),
            "d0": [carver.array(n, H) for _ in range(cell.states)], "dW": carver.array(GH, H + D + 1)}


def send_forward(crew: Crew, helper: Helper, kept: Block, cell: sequence.Cell, x: np.ndarray,
                 state0: list[np.ndarray | None], weights: np.ndarray, chunk: Chunk, padded: np.ndarray | None,
                 y: np.ndarray | None, last: list[np.ndarray], keep: bool, instead: Callable[[], None]) -> Job:
    """Give ``sequence.forward_chunk`` of one chunk to a helper."""
    T, outputs = x.shape[1], y is not None
    counter = Carver(x.dtype)
    _forward_arrays(counter, cell, chunk.n, T, outputs)
    block = crew.arena.take(counter.used)
    arrays = _forward_arrays(Carver(x.dtype, block.view), cell, chunk.n, T, outputs)
    arrays["weights"][...] = weights
    _copy_rows(x, chunk, arrays["x"])
    for array, state in zip(arrays["state0"], state0):
        array[...] = 0 if state is None else state[chunk.rows]
    mine = None if padded is None else np.ascontiguousarray(padded[:, :, chunk.rows])
    given = [state is not None for state in state0]
    helper.send(("forward", (kept.place, block.place),
                 (cell, _at_home(chunk), T, x.dtype.str, mine, given, outputs, keep)))

    def finish() -> None:
        if y is not None:
            y[chunk.rows] = arrays["y"]
        for theirs, ours in zip(arrays["last"], last):
            ours[chunk.rows] = theirs
        block.view                          # held until here
    return Job(helper, finish, instead)


def forward_here(kept: np.ndarray, block: np.ndarray, cell: sequence.Cell, chunk: Chunk, T: int, dtype: str,
                 padded: np.ndarray | None, given: list[bool], outputs: bool, keep: bool) -> None:
    """The helper's side of ``send_forward``."""
    arrays = _forward_arrays(Carver(dtype, block), cell, chunk.n, T, outputs)
    parts = sequence.lay_out(cell, chunk, padded, Carver(dtype, kept), keep)
    state0 = [state if there else None for state, there in zip(arrays["state0"], given)]
    sequence.forward_chunk(cell, arrays["x"], state0, arrays["weights"], chunk, parts, arrays["y"], arrays["last"], keep)


def send_backward(crew: Crew, helper: Helper, kept: Block, cell: sequence.Cell, dy: np.ndarray | None,
                  dlast: list[np.ndarray | None], weights: np.ndarray, chunk: Chunk, padded: np.ndarray | None,
                  dx: np.ndarray, d0: list[np.ndarray], shares: list[Any], number: int) -> Job:
    """Give ``sequence.backward_chunk`` of one chunk to a helper; its share of dW goes to ``shares[number]``."""
    T, upstream = dx.shape[1], dy is not None
    counter = Carver(dx.dtype)
    _backward_arrays(counter, cell, chunk.n, T, upstream)
    block = crew.arena.take(counter.used)
    arrays = _backward_arrays(Carver(dx.dtype, block.view), cell, chunk.n, T, upstream)
    arrays["weights"][...] = weights
    if dy is not None:
        _copy_rows(dy, chunk, arrays["dy"])
    for array, d in zip(arrays["dlast"], dlast):
        array[...] = 0 if d is None else d[chunk.rows]
    helper.send(("backward", (kept.place, block.place), (cell, _at_home(chunk), T, dx.dtype.str, padded, upstream)))

    def finish() -> None:
        dx[chunk.rows] = arrays["dx"]
        for theirs, ours in zip(arrays["d0"], d0):
            ours[chunk.rows] = theirs
        shares[number] = arrays["dW"].copy()
        block.view                          # held until here

    def instead() -> None:
        raise BackwardError("a helper process has ended on the way back through this batch, so its gradients are lost; no "
                            "gradient of this layer was changed. Repeat the step (helpers are not used again in this "
                            "process)")
    return Job(helper, finish, instead)


def backward_here(kept: np.ndarray, block: np.ndarray, cell: sequence.Cell, chunk: Chunk, T: int, dtype: str,
                  padded: np.ndarray | None, upstream: bool) -> None:
    """The helper's side of ``send_backward``."""
    arrays = _backward_arrays(Carver(dtype, block), cell, chunk.n, T, upstream)
    parts = sequence.lay_out(cell, chunk, padded, Carver(dtype, kept), keep=True)
    arrays["dW"][...] = sequence.backward_chunk(cell, arrays["dy"], arrays["dlast"], arrays["weights"], chunk, parts,
                                                arrays["dx"], arrays["d0"])


@contextmanager
def jobs() -> Iterator[list[Job]]:
    """Yield a list for jobs; at the end of the ``with``, wait for all and take over what they did.

    Whatever happens inside, nobody is left writing, and no answer is left in a pipe.
    """
    given: list[Job] = []
    answers: list[Any] = []
    try:
        yield given
    finally:
        try:
            for job in given:
                try:
                    answers.append(job.helper.pipe.recv())
                except (EOFError, OSError):
                    answers.append(EOFError)
        except BaseException:       # interrupted twice: the pipes are out of step
            processes.give_up()
            raise
    if EOFError in answers:
        processes.give_up()
    for job, answer in zip(given, answers):
        if answer is None:
            job.finish()
        elif answer is EOFError:
            job.instead()
        else:
            raise RuntimeError(f"a helper process failed: {answer}")
