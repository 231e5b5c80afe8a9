"""Plant one bug at a time in a copy of the package, and count those that the tests of its part detect.

    python tests/mutants.py                    all of them, one after the other
    python tests/mutants.py --jobs 4           four at a time
    python tests/mutants.py --only lstm        those with this word in their part or description
    python tests/mutants.py --list             what would be planted

Each line of the table below is one bug: in the file of its part, one text is replaced by another. A bug is killed if the
part's tests fail, cannot even start, or run out of time; it survives if they pass. The paths of files and tests are only in
PARTS. The bugs in the CUDA sources have their own table, in their tests; such a bug counts as killed if its test passes.

The exit status is 0 if all were killed, 1 if some survived, and 2 if nothing can be counted, because a text does not occur
exactly once in its file or because tests fail without any bug.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple, NoReturn

ROOT = Path(__file__).parents[1]
COPIED = ("minilstm", "tests", "examples", "benchmarks", "setup.cfg", "pyproject.toml", "README.md")
TIMEOUT = 300                   # seconds for the tests of one bug; one that takes longer is killed
CUDA_TIMEOUT = 3600             # seconds for all bugs in the CUDA sources
CUDA_TEST = "tests/cuda/test_planted_bugs.py::test_a_planted_bug_is_seen"


class Part(NamedTuple):
    """Where a part lies, and the tests that are about it, as arguments of pytest."""

    file: str
    tests: str


class Mutant(NamedTuple):
    """In the file of ``part``, ``old``, which is there exactly once, becomes ``new``; ``about``: the slip, in words."""

    part: str
    old: str
    new: str
    about: str = ""


class Verdict(NamedTuple):
    """The result of a bug; ``part`` is "cuda" for those in the CUDA sources."""

    part: str
    about: str
    killed: bool
    seconds: float


def cell(name: str) -> Part:
    """Return the part that a cell's functions are."""
    return Part(f"minilstm/cells/{name}.py", f"tests/cells/test_{name}.py tests/layers/test_recurrent.py "
                '-k "numpy and (test_lstm or test_gru or test_rnn or padding or padded or carried)"')


ZOO = "-m 'reliability or not reliability' tests/gradients/diagnosis"
TWIN = 'tests/kernels/test_sequences.py -k "numpy and (readable or any_upstream)"'
COMPILED = ("tests/kernels/test_sequences.py tests/kernels/test_compiled.py "
            '-k "compiled and (products or readable) and not large"')
EVERY_LAYER = "tests/layers/test_bad_input.py"
OPTIM, SCHEDULES, LOSS = "tests/optim -k numpy", "tests/optim/test_schedules.py", "tests/losses -k numpy"
PASSES = "tests/backend/test_passes.py tests/test_misuses.py -k 'not standin and not gpu'"
STACK = ("tests/layers/test_against_reference.py tests/layers/test_recurrent.py tests/layers/test_initial_weights.py "
         '-k "not standin and not gpu"')
TOKENIZER = "tests/data/test_tokenizer.py"
PARTS = {
    "lstm": cell("lstm"), "gru": cell("gru"), "rnn": cell("rnn"),
    "padding mask": Part("minilstm/cells/padding.py", "tests/cells/test_padding.py tests/layers/test_recurrent_bad_input.py "
                         "-k numpy"),
    "activations": Part("minilstm/cells/activations.py", "tests/cells/test_activations.py tests/layers/test_activations.py "
                        f'{EVERY_LAYER} -k "numpy and (test_activations or outlive)"'),
    "activation layers": Part("minilstm/layers/activations.py", 'tests/layers/test_activations.py '
                              f'{EVERY_LAYER} -k "numpy and (test_activations or outlive)"'),
    "stack": Part("minilstm/layers/recurrent.py", STACK),
    "states": Part("minilstm/layers/recurrent_arguments.py", STACK),
    "linear": Part("minilstm/layers/linear.py", f"tests/layers/test_linear.py {EVERY_LAYER} "
                   '-k "numpy and (test_linear or outlive)"'),
    "embedding": Part("minilstm/layers/embedding.py", f"tests/layers/test_embedding.py {EVERY_LAYER} "
                      'tests/layers/test_initial_weights.py -k "not standin and not gpu and (test_embedding or embedding)"'),
    "dropout": Part("minilstm/layers/dropout.py", f"tests/layers/test_dropout.py {EVERY_LAYER} tests/layers/test_recurrent.py "
                    'tests/layers/test_saving.py -k "numpy and (test_dropout or dropout or Dropout or random_states)"'),
    "pooling": Part("minilstm/layers/pooling.py", "tests/layers/test_pooling.py -k numpy"),
    "averaging": Part("minilstm/training/averaging.py", "tests/training/test_averaging.py -k numpy"),
    "passes": Part("minilstm/backend/passes.py", PASSES),
    "checks": Part("minilstm/backend/checks.py", "tests/backend/test_checks.py tests/test_misuses.py"),
    "module": Part("minilstm/layers/module.py", f"tests/layers/test_module.py tests/layers/test_sequential.py {PASSES}"),
    "tree": Part("minilstm/layers/tree.py", "tests/layers/test_module.py tests/layers/test_sequential.py "
                 "tests/backend/test_passes.py -k 'not standin and not gpu'"),
    "sequential": Part("minilstm/layers/sequential.py", "tests/layers/test_sequential.py tests/test_misuses.py "
                       '-k "not standin and not gpu"'),
    "initial weights": Part("minilstm/layers/initial_weights.py", "tests/layers/test_initial_weights.py"),
    "binary cross-entropy": Part("minilstm/losses/binary_cross_entropy.py", LOSS),
    "cross-entropy": Part("minilstm/losses/cross_entropy.py", LOSS),
    "squared error": Part("minilstm/losses/squared_error.py", LOSS),
    "loss": Part("minilstm/losses/loss.py", f"tests/losses/test_loss.py {PASSES}"),
    "reduction": Part("minilstm/losses/reduction.py", LOSS),
    "metrics": Part("minilstm/losses/metrics.py", "tests/losses/test_metrics.py -k numpy"),
    "optimizer": Part("minilstm/optim/optimizer.py", "tests/backend/test_passes.py tests/optim -k 'numpy or passes'"),
    "sgd": Part("minilstm/optim/sgd.py", OPTIM),
    "adam": Part("minilstm/optim/adam.py", OPTIM),
    "optimizer state": Part("minilstm/optim/saving.py", OPTIM),
    "gradients of a model": Part("minilstm/optim/gradients.py", OPTIM),
    "schedules": Part("minilstm/optim/schedules.py", SCHEDULES),
    "plateau": Part("minilstm/optim/plateau.py", SCHEDULES),
    "checkpoint": Part("minilstm/training/checkpoint.py", "tests/training/test_checkpoint.py"),
    "state": Part("minilstm/training/state.py", "tests/training/test_resume.py "
                  "tests/training/test_interrupt.py tests/training/test_trainer.py -k numpy"),
    "state fields": Part("minilstm/training/state.py", "tests/reliability/test_damaged_checkpoints.py -m reliability"),
    "atomic write": Part("minilstm/training/atomic_write.py", "tests/training/test_checkpoint.py"),
    "contiguous batches": Part("minilstm/data/contiguous.py", "tests/data/test_contiguous.py"),
    "carried states": Part("minilstm/training/trainer.py", "tests/training/test_characters.py -k numpy"),
    "states of a chain": Part("minilstm/layers/sequential.py", "tests/training/test_characters.py -k numpy"),
    "carried on resume": Part("minilstm/training/state.py", "tests/training/test_characters.py -k numpy"),
    "generate": Part("minilstm/training/characters.py", "tests/training/test_characters.py -k numpy"),
    "paths": Part("minilstm/backend/paths.py", "tests/training/test_checkpoint.py tests/command_line/test_program.py"),
    "threads": Part("minilstm/backend/threads.py", "tests/backend/test_threads.py"),
    "trial of kernels": Part("minilstm/kernels/cuda/trial.py", "tests/cuda/test_trial.py"),
    "gradient check": Part("minilstm/gradients/check/check.py", "tests/gradients/test_gradcheck.py -k numpy"),
    "gradcheck report": Part("minilstm/gradients/report.py", "tests/gradients/targets tests/command_line"),
    "diagnosis": Part("minilstm/gradients/diagnosis/diagnose.py", ZOO),
    "linearity": Part("minilstm/gradients/check/linearity.py", ZOO),
    "arrays by name": Part("minilstm/student/gradcheck.py", "tests/student/test_arrays.py"),
    "process": Part("minilstm/backend/process.py", "tests/backend/test_process.py"),
    "repair": Part("minilstm/gradients/repair/problem.py", "tests/gradients/repair"),
    "load": Part("minilstm/student/load.py", "tests/student/test_load.py"),
    "exercises": Part("minilstm/exercises/steps.py", "tests/exercises"),
    "exercises: cells": Part("minilstm/exercises/cells.py", "tests/exercises/test_steps.py"),
    "submissions": Part("minilstm/exercises/grade.py", "tests/exercises/test_grade.py"),
    "grades": Part("minilstm/exercises/results.py", "tests/exercises/test_grade.py"),
    "held gates": Part("minilstm/lab/held_gates.py", "tests/lab/test_held_gates.py"),
    "pairs": Part("minilstm/gradients/targets/pair.py", "tests/gradients/test_gradcheck.py -k numpy"),
    "layers checked": Part("minilstm/gradients/targets/layer.py", "tests/gradients/test_gradcheck.py -k numpy"),
    "numerical": Part("minilstm/gradients/check/numerical.py", "tests/gradients/test_gradcheck.py -k numpy"),
    "text": Part("minilstm/data/tokenizer.py", TOKENIZER),
    "pad": Part("minilstm/data/padding.py", "tests/data/test_padding.py"),
    "split": Part("minilstm/data/split.py", "tests/data/test_split.py"),
    "loader": Part("minilstm/data/loader.py", "tests/data/test_loader.py -k numpy"),
    "csv": Part("minilstm/data/csv_rows.py", "tests/data/test_csv_rows.py tests/data/test_imdb.py"),
    "lstm twin": Part("minilstm/kernels/cpu/lstm.py", TWIN),
    "gru twin": Part("minilstm/kernels/cpu/gru.py", TWIN),
    "rnn twin": Part("minilstm/kernels/cpu/rnn.py", TWIN),
    "twins' sequence": Part("minilstm/kernels/cpu/sequence.py", TWIN),
    "compiled lstm": Part("minilstm/kernels/compiled/lstm.py", COMPILED),
    "compiled gru": Part("minilstm/kernels/compiled/gru.py", COMPILED),
    "compiled rnn": Part("minilstm/kernels/compiled/rnn.py", COMPILED),
    "compiled product": Part("minilstm/kernels/compiled/gemm.py", COMPILED),
    "compiled copies": Part("minilstm/kernels/compiled/layout.py", "tests/kernels/test_compiled.py -k transposed"),
    "compiled padding": Part("minilstm/kernels/compiled/padding.py", COMPILED),
    "compiled embedding": Part("minilstm/kernels/compiled/embedding.py", "tests/kernels/test_compiled.py -k embedding"),
}

MUTANTS = [
    # Which forward a backward belongs to, and what counts as an array.
    Mutant("passes", "thread.latest, thread.output, thread.evaluated, thread.loss = number, None, False, None",
           "thread.latest, thread.output, thread.evaluated = number, None, False", "the loss of the pass before"),
    Mutant("passes", "    thread.discarded = next(_numbers)\n", "    pass\n", "what is pending stays"),
    Mutant("passes", "thread.latest if known else None", "thread.latest", "any loss is one of the latest forward"),
    Mutant("passes", "get_array_module(output).may_share_memory(prediction, output)", "prediction is output",
           "a view of the output"),
    Mutant("passes", "        return LossOrigin(thread.current, thread.current)\n", "        pass\n",
           "a loss inside a forward"),
    Mutant("passes", "        thread.current = outer\n", "        pass\n", "a pass that does not end"),
    Mutant("passes", "class _Thread(threading.local):", "class _Thread:", "one state for all threads"),
    Mutant("checks", "if not (x.dtype.isnative and x.flags.aligned):", "if not x.dtype.isnative:", "misaligned arrays"),
    Mutant("checks", "if not (x.dtype.isnative and x.flags.aligned):", "if not x.flags.aligned:", "other byte orders"),
    Mutant("checks", "        refuse_other_arithmetic(name, x)\n        try:", "        try:", "masked arrays and matrices"),
    Mutant("checks", "return x.astype(_PROMOTED[x.dtype.char]) if x.dtype.char in _PROMOTED else x", "return x",
           "float16 and long doubles"),
    Mutant("checks", "    return dy.astype(dtype, copy=False)\n", "    return dy\n", "a gradient of another dtype"),
    Mutant("module", "older = loss is not None and loss.latest < self._pass", "older = False", "a loss of an older pass"),
    Mutant("module", "older or self._superseded and (loss is None or loss.of != self._pass)", "older",
           "one of several forwards"),
    Mutant("module", "(loss is None or loss.of != self._pass)", "loss is None", "a loss of another forward"),
    Mutant("module", "            discard()\n", "            pass\n", "what is unclear stays"),
    Mutant("module", "bool(self._caches) and self._pass > thread.discarded", "bool(self._caches)",
           "what is discarded still supersedes"),
    Mutant("module", "self._outdated or bool(self._caches)", "bool(self._caches)", "weights that changed"),
    Mutant("module", "self._caches, self._pass, self._outdated = [], number, False",
           "self._pass, self._outdated = number, False", "forwards pile up"),
    Mutant("module", " or self._pass <= thread.discarded", "", "a pass that was discarded"),
    Mutant("module", "                self.drop_caches(number)\n", "                pass\n", "half a forward stays"),
    Mutant("module", "                    stream.state = state\n", "                    pass\n", "streams after a refusal"),
    Mutant("module", "return thread.current is not None or self.training", "return self.training", "a frozen Dropout"),
    Mutant("module", '{**vars(self), "_caches": []}', "dict(vars(self))", "a copy with a pending forward"),
    Mutant("sequential", "            for gradient, value in gradients:\n                gradient[...] = value\n", "",
           "half a backward"),
    Mutant("sequential", "            for layer, kept in caches:\n                layer._caches = kept\n", "",
           "caches after half a backward"),
    Mutant("sequential", "layer.check_pending(1 if layer in own else calls)", "pass", "a layer whose forward is missing"),
    Mutant("sequential", "if layer._caches or layer not in own:", "if True:", "caches of one's own"),
    Mutant("tree", "            setattr(module, name, bool(value))", "            setattr(tree, name, bool(value))",
           "frozen layers below"),
    Mutant("tree", "module._outdated or bool(module._caches)", "module._outdated", "whose weights have changed"),
    Mutant("tree", "bool(module._caches)\n        module._caches = []\n", "bool(module._caches)\n", "what is outdated stays"),
    Mutant("tree", "reversed(module.children().items())", "list(module.children().items())", "the order of attributes"),
    Mutant("tree", "(list, tuple, deque, Mapping)", "(list, tuple, Mapping)", "layers in a deque"),
    Mutant("tree", "        if any(value is container for container in outer):\n            return\n", "",
           "a list that holds itself"),
    Mutant("tree", "isinstance(part, Tree) and part not in known for", "False for", "layers in other objects"),
    Mutant("tree", 'elif type(value) is not np.ndarray or value.dtype.kind == "O":', "elif type(value) is not np.ndarray:",
           "layers in an array"),
    Mutant("tree", "            if id(module) in found:\n                continue\n", "", "a shared layer has its last name"),
    # The LSTM: numbers are those of its derivation.
    Mutant("lstm", "z_f, z_i, z_o, z_c = split_gates(", "z_i, z_f, z_o, z_c = split_gates(", "step: two gates change places"),
    Mutant("lstm", "split_gates(hx @ W + b, GATES)", "split_gates(hx @ W, GATES)", "step: biases left out"),
    Mutant("lstm", "step(x[t], h[t], c[t], W, b)", "step(x[t], h[0], c[t], W, b)", "the first state is kept"),
    Mutant("lstm", "x = without_padding(x.transpose(1, 0, 2), real)", "x = x.transpose(1, 0, 2)", "padded inputs are read"),
    Mutant("lstm", "outputs = without_padding(h[1:], real)", "outputs = h[1:]", "outputs of padded steps"),
    Mutant("lstm", "dh = without_padding(dh.transpose(1, 0, 2), real)", "dh = dh.transpose(1, 0, 2)",
           "gradients of padded outputs are read"),
    Mutant("lstm", "step_backward(dh_t, dc, steps[t])", "step_backward(dh_t, dc, steps[0])", "values of another step"),
    Mutant("lstm", "real_dh, real_dc = xp.where(real[t], dh_t, 0),", "real_dh, real_dc = dh_t,",
           "weight gradients of padded steps, from dh"),
    Mutant("lstm", "xp.where(real[t], dc, 0)", "dc", "weight gradients of padded steps, from dc"),
    Mutant("lstm", "xp.where(real[t], dc_prev, dc)", "xp.where(real[t], dc_prev, 0 * dc)", "dc through a padded step"),
    Mutant("lstm", "dW, db = dW + dW_t, db + db_t", "dW, db = dW_t, db + db_t", "2: dW of one step"),
    Mutant("lstm", "dW + dW_t, db + db_t", "dW + dW_t, db_t", "2: db of one step"),
    Mutant("lstm", "if dh_last is None else dh_last", "if True else dh_last", "the last state's gradient is lost"),
    Mutant("lstm", "if dc_last is None else dc_last", "if True else dc_last", "the last cell state's gradient is lost"),
    Mutant("lstm", "c_t = f * c_prev + i * c_tilde", "c_t = i * c_prev + f * c_tilde", "step: cell state"),
    Mutant("lstm", "h_t = o * tanh_c\n", "h_t = o * c_t\n", "step: hidden state"),
    Mutant("lstm", "[h_prev, x_t], axis=1)", "[x_t, h_prev], axis=1)", "step: rows of W"),
    Mutant("lstm", "do = dh * tanh_c ", "do = dh * c_prev ", "step, 12"),
    Mutant("lstm", "dc = dc + dh * o * (1.0", "dc = dh * o * (1.0", "step, 11: the cell's own future"),
    Mutant("lstm", "df = dc * c_prev", "df = dc * c_tilde", "step, 10"),
    Mutant("lstm", "di = dc * c_tilde", "di = dc * c_prev", "step, 9"),
    Mutant("lstm", "dc_tilde = dc * i", "dc_tilde = dc * f", "step, 8"),
    Mutant("lstm", "dc_prev = dc * f  ", "dc_prev = dc  ", "step, 7: no forgetting on the way back"),
    Mutant("lstm", "df * f * (1.0 - f)", "df * (1.0 - f * f)", "step, 6: tanh' for σ'"),
    Mutant("lstm", "di * i * (1.0 - i)", "di * i", "step, 5"),
    Mutant("lstm", "do * o * (1.0 - o)", "do * o * (1.0 + o)", "step, 4"),
    Mutant("lstm", "dc_tilde * (1.0 - c_tilde * c_tilde)", "dc_tilde * (1.0 - c_tilde)", "step, 3"),
    Mutant("lstm", "hx.T @ dz, dz.sum(axis=0)", "hx.T @ dz, dz.mean(axis=0)", "step, 2: db"),
    Mutant("lstm", "return dhx[:, H:], dhx[:, :H], dc_prev", "return dhx[:, :-H], dhx[:, -H:], dc_prev", "step, 1: x first"),
    Mutant("lstm", "c[0] = 0 if c0 is None else c0", "c[0] = 0", "initial cell state ignored"),
    Mutant("lstm", "real[t], c[t + 1], c[t])", "real[t], c[t + 1], 0 * c[t])", "a padded step forgets c"),
    Mutant("lstm", "real[t], h[t + 1], h[t])", "real[t], h[t + 1], 0 * h[t])", "a padded step forgets h"),
    Mutant("lstm", "else dh[t] + dh_next", "else dh[t]", "nothing comes back from the future"),
    Mutant("lstm", "xp.where(real[t], dh_prev, dh_t)", "xp.where(real[t], dh_prev, 0 * dh_t)", "dh through a padded step"),
    # The GRU.
    Mutant("gru", "q = h_prev @ w_nh + b_nh", "q = h_prev @ w_nh + b_nx", "step: the candidate's other bias"),
    Mutant("gru", "b_nx + r * q)", "b_nx + q)", "step: no reset gate"),
    Mutant("gru", "(1.0 - z) * n + z * h_prev", "z * n + (1.0 - z) * h_prev", "step: update gate the other way round"),
    Mutant("gru", "dn = dh * (1.0 - z)", "dn = dh * z", "step, 10"),
    Mutant("gru", "dz = dh * (h_prev - n)", "dz = dh * (n - h_prev)", "step, 9: sign"),
    Mutant("gru", "dh_prev = dh * z  ", "dh_prev = dh * (1.0 - z)  ", "step, 8"),
    Mutant("gru", "da_n = dn * (1.0 - n * n)", "da_n = dn * n * (1.0 - n)", "step, 7: σ' for tanh'"),
    Mutant("gru", "dq = da_n * r  ", "dq = da_n  ", "step, 6"),
    Mutant("gru", "dr = da_n * q  ", "dr = da_n  ", "step, 5"),
    Mutant("gru", "W[H:].T, dh_prev + from_h @", "W[H:].T, from_h @", "step, 1: the path along the state is lost"),
    Mutant("gru", "step(x[t], h[t], W, b)", "step(x[t], h[0], W, b)", "the first state is kept"),
    Mutant("gru", "xp.where(real[t], h[t + 1], h[t])", "xp.where(real[t], h[t + 1], 0 * h[t])", "a padded step forgets"),
    Mutant("gru", "x = without_padding(x.transpose(1, 0, 2), real)", "x = x.transpose(1, 0, 2)", "padded inputs are read"),
    Mutant("gru", "without_padding(h[1:], real)", "h[1:]", "outputs of padded steps"),
    Mutant("gru", "dh = without_padding(dh.transpose(1, 0, 2), real)", "dh = dh.transpose(1, 0, 2)",
           "gradients of padded outputs are read"),
    Mutant("gru", "step_backward(dh_t, steps[t])", "step_backward(dh_t, steps[0])", "values of another step"),
    Mutant("gru", "step_backward(xp.where(real[t], dh_t, 0), steps[t])", "step_backward(dh_t, steps[t])",
           "weight gradients of padded steps"),
    Mutant("gru", "dW + dW_t, db + db_t", "dW_t, db + db_t", "2: dW of one step"),
    Mutant("gru", "if dh_last is None else dh_last", "if True else dh_last", "the last state's gradient is lost"),
    Mutant("gru", "else dh[t] + dh_next", "else dh[t]", "nothing comes back from the future"),
    Mutant("gru", "da_z = dz * z * (1.0 - z)", "da_z = dz * (1.0 - z)", "step, 4"),
    Mutant("gru", "da_r = dr * r * (1.0 - r)", "da_r = dr * r", "step, 3"),
    Mutant("gru", "[h_prev.T @ from_h, x_t", "[h_prev.T @ from_x, x_t", "step, 2: dW"),
    Mutant("gru", "[da_r, da_z, da_n, dq], axis=1).sum", "[da_r, da_z, dq, da_n], axis=1).sum", "step, 2: biases"),
    Mutant("gru", "xp.where(real[t], dh_prev, dh_t)", "xp.where(real[t], dh_prev, 0 * dh_t)", "dh through a padded step"),
    # The simple RNN.
    Mutant("rnn", "if dh_last is None else dh_last", "if True else dh_last", "the last state's gradient is lost"),
    Mutant("rnn", "z = hx @ W + b\n", "z = hx @ W\n", "step: bias left out"),
    Mutant("rnn", "(d_tanh(h) if", "(d_tanh(hx @ W) if", "step, 3: the derivative from z"),
    Mutant("rnn", "step(x[t], h[t], W, b,", "step(x[t], h[0], W, b,", "the first state is kept"),
    Mutant("rnn", "xp.where(real[t], h[t + 1], h[t])", "xp.where(real[t], h[t + 1], 0 * h[t])", "a padded step forgets"),
    Mutant("rnn", "x = without_padding(x.transpose(1, 0, 2), real)", "x = x.transpose(1, 0, 2)", "padded inputs are read"),
    Mutant("rnn", "without_padding(h[1:], real)", "h[1:]", "outputs of padded steps"),
    Mutant("rnn", "step_backward(dh_t, steps[t])", "step_backward(dh_t, steps[0])", "values of another step"),
    Mutant("rnn", "step_backward(xp.where(real[t], dh_t, 0), steps[t])", "step_backward(dh_t, steps[t])",
           "weight gradients of padded steps"),
    Mutant("rnn", "dW + dW_t, db + db_t", "dW_t, db + db_t", "2: dW of one step"),
    Mutant("rnn", "else dh[t] + dh_next", "else dh[t]", "nothing comes back from the future"),
    Mutant("rnn", "hx.T @ dz, dz.sum(axis=0)", "hx.T @ dz, dz.mean(axis=0)", "step, 2: db"),
    Mutant("rnn", "return dhx[:, H:], dhx[:, :H], dW", "return dhx[:, :-H], dhx[:, -H:], dW", "step, 1: x before h"),
    Mutant("rnn", "xp.where(real[t], dh_prev, dh_t)", "xp.where(real[t], dh_prev, 0 * dh_t)", "dh through a padded step"),
    # Padding, stacks, directions.
    Mutant("padding mask", "steps < lengths", "steps <= lengths", "a step too many, padding behind"),
    Mutant("padding mask", "steps >= T - lengths", "steps > T - lengths", "a step too few, padding in front"),
    Mutant("padding mask", "(host < 1) | (host > T)", "(host < 0) | (host > T)", "length 0 is let through"),
    Mutant("stack", "*states[cell], *weights[cell]", "*states[-1 - cell], *weights[cell]", "order of states"),
    Mutant("stack", "_flip(x, direction), *states", "x, *states", "the reverse direction reads forward"),
    Mutant("stack", "outputs.append(_flip(y, direction) if every", "outputs.append(y if every",
           "reversed outputs are not turned back"),
    Mutant("stack", "padding=REVERSED[padding] if direction else padding", "padding=padding",
           "padding on the wrong side in reverse"),
    Mutant("stack", "xp.concatenate(outputs, axis=-1)", "xp.concatenate(outputs[::-1], axis=-1)", "directions change places"),
    Mutant("stack", "x = x if masks[-1] is None else x * masks[-1]", "x = x", "dropout on the way back only"),
    Mutant("stack", "drops = self.dropout and self.training", "drops = self.dropout", "dropout in evaluation"),
    Mutant("stack", "else dx * cache.masks[layer - 1]", "else dx", "dropout on the way forward only"),
    Mutant("stack", "every = self.return_sequences or layer + 1 < self.num_layers", "every = self.return_sequences",
           "a layer reads the last output of the one below"),
    Mutant("stack", '["W" + suffixes[cell]] += dW', '["W" + suffixes[cell]] = dW', "gradients of W are not added up"),
    Mutant("stack", '["b" + suffixes[cell]] += db', '["b" + suffixes[cell]] = db', "gradients of b are not added up"),
    Mutant("stack", "else dx + _flip(d, direction)", "else dx + d", "dx of the reverse direction is not turned back"),
    Mutant("stack", "else dx + _flip(d, direction)", "else _flip(d, direction)", "dx of one direction only"),
    Mutant("states", "share if dh_n is None else dh_n + share", "share", "the final state's own gradient is lost"),
    Mutant("states", "cell = len(dstates) - dirs + direction", "cell = direction",
           "the output's gradient goes to the first layer"),
    Mutant("states", "part, flat = part[None], True", "part, flat = part[None], False",
           "states (N, H) come back as (1, N, H)"),
    Mutant("states", "inputs = [layer.input_size] * dirs + [H * dirs]", "inputs = [layer.input_size] * dirs + [H]",
           "the input of a layer above two directions"),
    Mutant("initial weights", 'b[gate_columns(biases, "f", H)] = 1.0', 'b[gate_columns(biases, "i", H)] = 1.0', "forget bias"),
    Mutant("initial weights", '"i", H)] = -keep', '"i", H)] = keep', "chrono: the input gate's sign"),
    Mutant("stack", "_flip(x, direction), *state", "x, *state", "the reverse direction reads forward"),
    # Other layers.
    Mutant("linear", "return y if b is None else y + b,", "return y,", "bias left out"),
    Mutant("linear", "rows.sum(axis=0)", "rows.mean(axis=0)", "1"),
    Mutant("linear", "LinearCache(x.copy(), W)", "LinearCache(x, W)", "the caller can write into the cache"),
    Mutant("linear", 'self.grads["W"] += dW', 'self.grads["W"] = dW', "gradients of W are not added up"),
    Mutant("linear", 'self.grads["b"] += db', 'self.grads["b"] = db', "gradients of b are not added up"),
    Mutant("embedding", "dW += _row_sums(dy, cache)", "dW[...] = _row_sums(dy, cache)", "gradients are not added up"),
    Mutant("embedding", "        dW[cache.padding_idx] = 0\n", "        pass\n", "the padding row learns"),
    Mutant("embedding", "            W[self.padding_idx] = 0.0\n", "            pass\n", "the padding row is not 0"),
    Mutant("embedding", "(tokens.max() >= V)", "(tokens.max() > V)", "a token too large by one"),
    Mutant("embedding", "uniform(rng, shape, 0.05)", "uniform(rng, shape, 0.5)", "initial range"),
    Mutant("dropout", "type(1.0 / (1.0 - p))", "type(1.0)", "survivors are not scaled up"),
    Mutant("dropout", ">= p\n", "< p\n", "keeps what it should drop"),
    Mutant("dropout", "self.mask(x) if self.training and self.p > 0.0", "self.mask(x) if self.p > 0.0", "drops in evaluation"),
    Mutant("dropout", "else dy * cache.mask", "else dy", "the way back is not masked"),
    Mutant("dropout", "(N, 1, D), self.p, x), (N, T, D))", "(1, T, D), self.p, x), (N, T, D))", "one mask for the batch"),
    Mutant("dropout", "drop &= tokens != self.padding_idx", "pass", "padding becomes a word"),
    Mutant("pooling", "xp.where(real, x, -xp.inf)", "x", "the maximum of the padding"),
    Mutant("pooling", "shares.max(axis=1)", "1 / T", "the mean counts the padding"),
    Mutant("pooling", "] += dy[:, :H]", "] = dy[:, :H]", "the maximum's gradient replaces the mean's"),
    Mutant("pooling", "dy[:, None, -H:]", "dy[:, None, :H]", "the mean gets the maximum's gradient"),
    Mutant("activations", "return y * (1.0 - y)", "return 1.0 - y * y", "σ'"),
    Mutant("activations", "    return 1.0 - y * y", "    return 1.0 - y", "tanh'"),
    Mutant("activations", "~(y.real <= 0)", "~(y.real < 0)", "relu' at 0"),
    Mutant("activations", "xp.exp(xp.where(negative, z, -z))", "xp.exp(z)", "sigmoid of a positive number"),
    Mutant("activation layers", "ActivationCache(y.copy())", "ActivationCache(y)", "the caller can write into the cache"),
    # Losses and metrics.
    Mutant("binary cross-entropy", "LOG_FLOOR = -100.0", "LOG_FLOOR = -50.0", "BCE: clamp"),
    Mutant("binary cross-entropy", "-(y * log_p + (1 - y) * log_q)", "-(y * log_p + y * log_q)", "BCE"),
    Mutant("binary cross-entropy", "xp.where(pq.real < 1e-12, 1e-12, pq)", "pq", "BCE: floor on the way back"),
    Mutant("binary cross-entropy", "pq) * scale\n", "pq)\n", "BCE: gradient of the sum for that of the mean"),
    Mutant("binary cross-entropy", "xp.where(positive, 0, -z) + log_tail", "xp.where(positive, 0, z) + log_tail",
           "logits: sign"),
    Mutant("binary cross-entropy", "float(pos_weight) * y * loss_if_1", "y * loss_if_1", "logits: weight left out"),
    Mutant("binary cross-entropy", "- pos_weight * y * (1 - p)", "- y * (1 - p)", "logits: weight left out on the way back"),
    Mutant("cross-entropy", "shifted = z - z.real.max(axis=-1, keepdims=True)", "shifted = z", "cross-entropy: overflow"),
    Mutant("cross-entropy", "total(xp.where(counted, -picked, 0), scale)", "total(-picked, scale)", "ignored targets cost"),
    Mutant("cross-entropy", "1 / xp.maximum(counted.sum(), 1)", "1 / target.size", "mean over ignored targets"),
    Mutant("cross-entropy", "xp.where(counted[..., None], (xp.exp(log_softmax) - onehot) * weight, 0)",
           "(xp.exp(log_softmax) - onehot) * weight", "ignored targets have a gradient"),
    Mutant("cross-entropy", "- onehot) * weight", "- onehot)", "cross-entropy: gradient of the sum for that of the mean"),
    Mutant("squared error", "(2 * cache.scale)", "cache.scale", "MSE: factor 2"),
    Mutant("squared error", "reduce(difference * difference,", "reduce(difference,", "MSE: no square"),
    Mutant("loss", "(looked or not before.looked)", "not before.looked",
           "several losses, all after forwards in evaluation mode"),
    Mutant("loss", "unclear = before is not None and not inside and (looked or not before.looked)", "unclear = False",
           "one of several losses"),
    Mutant("loss", "(thread.evaluating or thread.evaluated)", "thread.evaluating", "a validation loss after model.eval()"),
    Mutant("loss", "(thread.evaluating or thread.evaluated)", "True", "a loss of what nobody returned"),
    Mutant("loss", "        if looked and before is not None and before.origin.of is not None:\n", "        if False:\n",
           "a validation loss beside one of training"),
    Mutant("loss", "        thread.loss = call.origin\n", "        pass\n", "where the loss was computed"),
    Mutant("loss", "inside = thread.current is not None", "inside = False", "losses of two forwards"),
    Mutant("loss", "call, self._call, name = self._call, None, type", "call, name = self._call, type",
           "a loss goes back twice"),
    Mutant("reduction", "scale = 1 / losses.size if", "scale = 1 / len(losses) if", "mean over the first axis only"),
    Mutant("reduction", "losses.sum(dtype=wide)", "losses.sum(dtype=losses.dtype)", "sums in single precision"),
    Mutant("metrics", "prediction >= threshold", "prediction > threshold", "at the threshold"),
    Mutant("metrics", "(true * classes + predicted)", "(predicted * classes + true)", "rows and columns change places"),
    Mutant("metrics", "matrix.sum(axis=0), matrix.sum(axis=1)", "matrix.sum(axis=1), matrix.sum(axis=0)",
           "precision is recall"),
    Mutant("metrics", "(2 * right, predicted + true)", "(right, predicted + true)", "F1"),
    Mutant("metrics", "xp.maximum(counted.sum(), 1)", "counted.size", "fraction of all, ignored ones too"),
    Mutant("metrics", "((predicted == true) & counted)", "(predicted == true)", "ignored targets can be right"),
    # Initial weights, optimisers, schedules.
    Mutant("initial weights", "math.sqrt(6.0 /", "math.sqrt(3.0 /", "Glorot's bound"),
    Mutant("initial weights", "    q = q * np.sign(np.diagonal(r))\n", "", "orthogonal: QR's own signs"),
    Mutant("initial weights", "rng.uniform(1, t_max - 1, units)", "rng.uniform(1, t_max, units)", "chrono: longest memory"),
    Mutant("sgd", "        if self.weight_decay:\n            xp.multiply(p, self.weight_decay, out=r)",
           "        if self.weight_decay:\n            xp.multiply(p, self.lr * self.weight_decay, out=r)", "SGD: decay"),
    Mutant("sgd", "1 - self.dampening if self.steps > 1 else 1.0", "1 - self.dampening", "SGD: the first step dampened"),
    Mutant("sgd", "b *= self.momentum\n            b += s\n", "b += s\n            b *= self.momentum\n",
           "SGD: the gradient decays, too"),
    Mutant("sgd", "                s += g\n", "", "SGD: Nesterov without the gradient"),
    Mutant("adam", "k = math.sqrt(1 - self.betas[1] ** self.steps)", "k = 1.0", "Adam: second correction"),
    Mutant("adam", "self.lr * k / (1 - self.betas[0] ** self.steps)", "self.lr * k", "Adam: first correction"),
    Mutant("adam", "self.eps * k", "self.eps", "Adam: eps"),
    Mutant("adam", "xp.sqrt(v, out=s)\n        s += eps\n", "xp.add(v, eps, out=s)\n        xp.sqrt(s, out=s)\n",
           "Adam: eps under the root"),
    Mutant("adam", "s *= 1 - beta2", "s *= 1 - beta1", "Adam: the wrong beta"),
    Mutant("adam", "p *= 1 - self.lr * self.weight_decay", "p *= 1 - self.weight_decay", "AdamW: decay without the rate"),
    Mutant("adam", "0.0 if self._decoupled else self.weight_decay", "self.weight_decay", "AdamW: decay twice"),
    Mutant("gradients of a model", "xp.square(g, dtype=np.float64)", "xp.square(g)", "clipping: squares overflow"),
    Mutant("gradients of a model", "norm, 0.0) + 1e-6)", "norm, 0.0))", "clipping: 1e-6"),
    Mutant("gradients of a model", "if fits.all():", "if fits.any():", "one finite gradient is enough"),
    Mutant("gradients of a model", "        if not layer._frozen:\n", "        if True:\n", "frozen layers learn"),
    Mutant("optimizer", "        outdate(modules)\n", "        pass\n", "a forward before the step stays pending"),
    Mutant("optimizer", "if m.dtype != p.dtype or type(m) is not type(p):", "if False:", "moments of another dtype"),
    Mutant("optimizer state", "    optimizer.steps = steps\n", "    pass\n", "steps are not restored"),
    Mutant("schedules", "epoch // self.step_size", "(epoch + 1) // self.step_size", "steps an epoch early"),
    Mutant("schedules", "bisect.bisect_right", "bisect.bisect_left", "milestones an epoch late"),
    Mutant("schedules", "(self.base_lr - self.eta_min) *", "self.base_lr *", "cosine: lower end"),
    Mutant("schedules", "gone = min(epoch, self.total_iters)", "gone = epoch", "linear: goes on after its end"),
    Mutant("plateau", "self.num_bad_epochs > self.patience", "self.num_bad_epochs >= self.patience", "plateau: patience"),
    Mutant("plateau", "self.best * (1 - self.threshold)", "self.best - self.threshold", "plateau: threshold"),
    Mutant("plateau", "-= 1\n            self.num_bad_epochs = 0\n", "-= 1\n", "plateau: cooldown"),
    Mutant("plateau", "max(self.lr * self.reduction, self.min_lr)", "self.lr * self.reduction", "plateau: lower end"),
    # Saving, and checking gradients.
    Mutant("checkpoint", "len(data) != size or hashlib.sha256(data[:-_DIGEST]).digest() != data[-_DIGEST:]",
           "len(data) != size", "the digest is not compared"),
    Mutant("checkpoint", "is not int or offset != end or", "is not int or", "offsets are not compared"),
    Mutant("checkpoint", "    if end != len(body):", "    if end > len(body):", "bytes are left over"),
    Mutant("checkpoint", "offset += len(blob)", "offset += host.size", "offsets count numbers"),
    Mutant("checkpoint", "or not name or name in arrays", "or not name", "a name twice"),
    Mutant("state", '    run.model.load_rng_state(meta["rng"])\n', "", "random states are not restored"),
    Mutant("state", "run.step, run.sums = meta", "run.step, _ = meta", "sums of the epoch are not restored"),
    Mutant("state", 'run.scheduler.load_state_dict(meta["scheduler"])', "pass", "the schedule is not restored"),
    Mutant("state", "        callback.load_state_dict({", "        dict({", "callbacks are not restored"),
    Mutant("state", "            _put(run, *before)", "            pass", "a state that does not fit is half restored"),
    Mutant("state fields", "    _check_position(meta)\n", "", "positions that no run has"),
    Mutant("state fields", "and len(meta[\"history\"]) == epoch", "", "a history of another length"),
    Mutant("state", 'check_entries(weights, expected, f"', 'dict(weights=0, name=f"', "best weights of another shape"),
    Mutant("averaging", "        if self.swapped:\n            self._swap(run)\n", "", "training goes on with the average"),
    Mutant("averaging", "min(self.decay, self.steps / (self.steps + 1))", "self.decay", "the first weights stay for long"),
    Mutant("averaging", "        self.steps += 1\n", "", "the average is the last step"),
    Mutant("averaging", "self.swapped = not self.swapped", "self.swapped = True", "a resumed run swaps once more"),
    Mutant("state fields", "        _put(run, arrays, meta)\n    except BaseException",
           "        _put(run, arrays, meta)\n    except MinilstmError", "errors of other types"),
    Mutant("atomic write", "if process.isdigit() and not _runs(int(process)):", "if process.isdigit():",
           "files of processes that run"),
    Mutant("atomic write", "{file:08x}", "{0:08x}", "files of other checkpoints"),
    Mutant("paths", ".expanduser()", "", "~ is a name like any other"),
    Mutant("threads", "        raise errors[0]\n", "        pass\n", "errors of threads"),
    Mutant("trial of kernels", '"" if worst <= BOUNDS[dtype.char] else', '"" if True else', "any number will do"),
    Mutant("trial of kernels", "or not np.isfinite(got).all()", "", "NaN is near enough"),
    Mutant("pad", "if not _fits(np.asarray(value), dtype):", "if False:", "a value that does not fit"),
    Mutant("pad", "if dtype is not None and not _fits(items, dtype):", "if False:", "numbers wrap, texts are cut"),
    Mutant("csv", "                csv.field_size_limit(before)\n", "                pass\n", "the limit stays raised"),
    Mutant("gradient check", "FINITE_TOLERANCE = 1e-6", "FINITE_TOLERANCE = 2.0", "finite differences: tolerance"),
    Mutant("gradient check", "COMPLEX_TOLERANCE = 1e-10", "COMPLEX_TOLERANCE = 1e-5", "complex step: tolerance"),
    Mutant("gradient check", "    effects += _overwritten(used, tensors) + _upstream_overwritten(handed, weights)\n", "",
           "backward may write into its inputs"),
    Mutant("layers checked", "for name in self.owners:\n            if not _close",
           "for name in ():\n            if not _close", "gradients need not add up"),
    Mutant("pairs", "for name in changed(second)[:1]]",
           "for name in ()]", "backward may write into its cache"),
    Mutant("gradcheck report", "\"right\": name not in self.wrong", "\"right\": True", "a grader reads that all is right"),
    Mutant("gradcheck report", "marked if row[0] in self.wrong", "marked if row[0] not in self.wrong", "other rows marked"),
    Mutant("diagnosis", "0.85 * seconds", "0.0 * seconds", "no time to search"),
    Mutant("diagnosis", "if not explanations or explanations[0].open:", "if not explanations:", "named, though not exact"),
    Mutant("diagnosis", "{1, min(2, every), min(3, every), every}", "{1}", "one step alone"),
    Mutant("diagnosis", "SMALL if {CLIPPED, MULTIPLIED} & {*effects} else 1.0", "1.0",
           "what is clipped hides what else is wrong"),
    Mutant("diagnosis", "before and _is_consistent(target, rng)", "False", "a wrong forward is not named"),
    Mutant("linearity", "if not _same(first, together(1.0)):", "if False:", "random numbers drawn again"),
    Mutant("linearity", "limit = 1e-12", "limit = 1e12", "weight decay"),
    Mutant("arrays by name", "if known is not None and \"N\" in known and _mixes", "if False and _mixes",
           "time is taken for the batch"),
    Mutant("process", "faulthandler.dump_traceback_later(seconds, exit=True, file=trace)", "pass",
           "where a loop hangs is not said"),
    Mutant("process", "        limit_resources(megabytes)\n", "        pass\n", "memory without limit"),
    Mutant("repair", "if not gap <= 1e-5 * max(abs(slope), 0.1 * norm, 1e-3):", "if False:", "an accident of sizes"),
    Mutant("repair", "copy.deepcopy(trial.upstream)) != self.effects:", "copy.deepcopy(trial.upstream)) != 0 and False:",
           "a repair may write into the cache"),
    Mutant("repair", "        return all(any(abs(slope) > 1e-9 for", "        return True or all(any(abs(slope) > 1e-9 for",
           "a forward of zeros has a backward of zeros"),
    Mutant("exercises", "    if calls:\n", "    if False:\n", "minilstm's own answer counts"),
    Mutant("exercises", "verdict.score * function.points", "float(verdict.score > 0) * function.points",
           "half right is right"),
    Mutant("exercises: cells", "    if own_is_right:\n", "    if True:\n", "a wrong forward costs the backward"),
    Mutant("exercises: cells", "half = 0.5 * (line is not None)", "half = 0.5", "many mistakes get half"),
    Mutant("submissions", "shutil.copyfile(file, copy)", "copy.symlink_to(file)", "a submission can write over itself"),
    Mutant("grades", "\"max_score\": graded.points,\n", "\"max_score\": graded.score,\n",
           "Gradescope: all points are reached"),
    Mutant("grades", "[=+@-]", "[?]", "a cell that a spreadsheet computes"),
    Mutant("held gates", "OPEN if value else SHUT", "SHUT if value else OPEN", "the other way round"),
    Mutant("load", "if (is_notebook or definitions) and not _defines(node, known):", "if False:", "training cells run"),
    Mutant("numerical", "/ (right + left)", "/ right", "central differences: twice too large"),
    Mutant("numerical", "value + 1j * COMPLEX_STEP\n", "1j * COMPLEX_STEP\n", "complex step from 0"),
    # Data.
    Mutant("text", "if index < limit or word", "if index <= limit or word", "a word too many"),
    Mutant("text", "enumerate(words, 1)", "enumerate(words, 2)", "ids begin at 2"),
    Mutant("text", "sorted(counts, key", "sorted(sorted(counts), key", "ties by the alphabet"),
    Mutant("text", "[self.oov_token, *by_count]", "[*by_count, self.oov_token]", "the OOV token comes last"),
    Mutant("text", "docs.update(set(words))", "docs.update(words)", "a text counts a word twice"),
    Mutant("text", "text = text.lower() if self.lower else text", "text = text", "case is kept"),
    Mutant("pad", "row[-maxlen:] if truncating", "row[-maxlen + 1:] if truncating", "cut too short in front"),
    Mutant("pad", "else row[:maxlen], dtype)", "else row[-maxlen:], dtype)", "cut on the wrong side"),
    Mutant("pad", "padded[number, maxlen - len(items):] = items", "padded[number, :len(items)] = items",
           "padded on the wrong side"),
    Mutant("pad", "*item), value, dtype=dtype)", "*item), 0, dtype=dtype)", "another value"),
    Mutant("pad", "np.clip(lengths, minimum, None if", "np.clip(lengths, 0, None if", "length 0"),
    Mutant("split", "order[n_test:n_test + n_train], order[:n_test]", "order[:n_train], order[n_train:n_train + n_test]",
           "the test part comes last"),
    Mutant("split", "test_size, n, ceil)", "test_size, n, floor)", "the test part is rounded down"),
    Mutant("contiguous batches", "return cut(0), cut(1)", "return cut(1), cut(1)", "the target is the input"),
    Mutant("contiguous batches", "part.swapaxes(0, 1)", "part", "rows are not those of the batch before"),
    Mutant("carried states", "        self.state = state\n", "", "each batch begins with zeros"),
    Mutant("carried states", "            self.state = None\n", "", "an epoch begins with the states of the last"),
    Mutant("carried states", "carry_state=self.carry_state, after", "after", "validation begins each batch with zeros"),
    Mutant("states of a chain", "states.append(state)", "states.insert(0, state)", "states in the reverse order"),
    Mutant("carried on resume", "    run.state = _nested(", "    _nested(", "a resumed run begins with zeros"),
    Mutant("generate", "state0=state, ", "", "each token from the last one alone"),
    Mutant("generate", "/ temperature)", "* temperature)", "the temperature upside down"),
    Mutant("loader", "default_rng([self.seed, epoch])", "default_rng(self.seed)", "every epoch in the same order"),
    Mutant("loader", "-(-self.size // self.batch_size)", "self.size // self.batch_size", "the short last batch is lost"),
    Mutant("loader", "self.size // self.batch_size if self.drop_last else ", "", "the short last batch is kept"),
    Mutant("loader", "range(start, len(self))", "range(len(self))", "an epoch begins anew"),
    Mutant("loader", "        self.epoch += 1\n", "", "the epoch does not move on"),
    Mutant("loader", "rng.permutation(full).reshape(-1)", "full.reshape(-1)", "batches come in the order of their lengths"),
    Mutant("loader", "self._lengths[host[part]].max()", "self._lengths[host[part]].min()", "reviews lose their end"),
    Mutant("csv", "strict=True", "strict=False", "stray quotes"),
    Mutant("csv", "len(row) != len(header)", "len(row) < len(header)", "fields too many"),
    Mutant("csv", "header.count(column) != 1", "column not in header", "a column twice"),
    Mutant("csv", "        if blank:", "        if blank > 1:", "an empty row in the middle"),
    Mutant("csv", "file.read(MAX_BYTES + 1)", "file.read(MAX_BYTES)", "a file without end is cut"),
    # The fast twins, in NumPy and compiled.
    Mutant("lstm twin", "columns[:, :3] *= -1", "columns[:, :2] *= -1", "a gate without its minus"),
    Mutant("lstm twin", "np.multiply(r, o, out=tanh_c)", "np.multiply(r, i, out=tanh_c)", "A"),
    Mutant("lstm twin", "        np.multiply(c, r, out=c) ", "        np.multiply(c, f, out=c) ", "K_f"),
    Mutant("lstm twin", "np.copyto(f, 1, where=padded)", "np.copyto(f, 0, where=padded)", "dc through a padded step"),
    Mutant("lstm twin", "np.add(dc, scratch, out=dc)", "np.copyto(dc, scratch)", "11"),
    Mutant("lstm twin", "np.where(padded[t], dh, 0)", "np.where(padded[t], 0, dh)", "dh through a real step"),
    Mutant("gru twin", "2 * H:] = dW[:H, :H].T", "2 * H:] = dW[3 * H:, :H].T", "the candidate's gradients"),
    Mutant("gru twin", "np.copyto(z_kept, 1, where=padded)", "np.copyto(z_kept, 0, where=padded)", "dh through a padded step"),
    Mutant("gru twin", "        np.multiply(q, s, out=r) ", "        np.multiply(n, s, out=r) ", "K_r"),
    Mutant("gru twin", "            np.add(dhx[t, :H], scratch, out=dhx[t, :H])\n", "", "7"),
    Mutant("rnn twin", "h = hx[1:, :self.H]", "h = hx[:-1, :self.H]", "3: h of the wrong step"),
    Mutant("rnn twin", "np.copyto(u, 0, where=padded)", "np.copyto(u, 1, where=padded)", "weight gradients of padded steps"),
    Mutant("rnn twin", "np.copyto(h_next, hx[t, :self.H], where=padded[t])", "np.copyto(h_next, 0, where=padded[t])",
           "a padded step forgets"),
    Mutant("twins' sequence", "        shares[0] += share\n", "        shares[0] = share\n", "dW of one chunk only"),
    Mutant("twins' sequence", "np.add(dW, share, out=dW)", "np.copyto(dW, share)", "dW of one block only"),
    Mutant("twins' sequence", "dhx[steps, :H] = dh\n", "dhx[steps, :H] = 0\n", "no way back to the block before"),
    Mutant("twins' sequence", "hx[:-1, H] = 1\n", "hx[:-1, H] = 0\n", "no biases"),
    Mutant("compiled lstm", "c_prev * f * (one - f)", "c_tilde * f * (one - f)", "K_f"),
    Mutant("compiled lstm", "dc[k] = d * u[t, k]", "dc[k] = d", "7"),
    Mutant("compiled gru", "K_q * q * (one - r)", "K_n * q * (one - r)", "K_r"),
    Mutant("compiled rnn", "one - h * h", "one - hx[t, k] * hx[t, k]", "3: h of the wrong step"),
    Mutant("compiled product", "        W += packed * size\n", "", "each block has the weights of the first"),
    Mutant("compiled copies", "riffles[k % 2]", "riffles[0]", "half of the numbers, twice"),
    Mutant("compiled padding", "dhx[t, k] += dhx[t + 1, k]", "dhx[t, k] -= dhx[t + 1, k]", "dh through a padded step"),
    Mutant("compiled embedding", "dW[token, k] += dy", "dW[token, k] = dy", "the last place only"),
    Mutant("compiled embedding", "if token != padding:", "if token != 0:", "the padding row learns"),
]


def refuse(words: str) -> NoReturn:
    """End with a message and status 2."""
    print(words, file=sys.stderr)
    sys.exit(2)


def check_places(mutants: list[Mutant]) -> None:
    """Refuse bugs whose text is not in its file exactly once."""
    wrong = []
    for mutant in mutants:
        times = (ROOT / PARTS[mutant.part].file).read_text().count(mutant.old)
        if times != 1:
            wrong.append(f"{mutant.part}, {mutant.about}: {mutant.old!r} is {times} times in {PARTS[mutant.part].file}")
    if wrong:
        refuse("\n".join(wrong))


class Copy:
    """A copy of the repository in a folder of its own, in which one bug at a time can be planted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.pyc", ".hypothesis"))
            else:
                shutil.copy(ROOT / name, folder / name)

    def pytest(self, *arguments: str, timeout: float = TIMEOUT) -> tuple[int | None, str]:
        """Return (pytest's exit status, or None where it ran out of time; what it printed)."""
        environment = os.environ | {"PYTHONPATH": str(self.folder), "CI": "1"}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
        with tempfile.TemporaryFile("w+") as output:        # not a pipe, which a process left behind would hold open
            try:
                status = subprocess.run(command, cwd=self.folder, env=environment, timeout=timeout, stdin=subprocess.DEVNULL,
                                        stdout=output, stderr=subprocess.STDOUT).returncode
            except subprocess.TimeoutExpired:
                return None, ""
            output.seek(0)
            return status, output.read()

    def write(self, file: str, text: str) -> None:
        """Write a source, and delete its compiled .pyc files: Python might not notice a change within the same second."""
        path = self.folder / file
        path.write_text(text)
        for stale in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            stale.unlink()

    def kills(self, mutant: Mutant) -> bool:
        """Return whether the tests detect this bug."""
        part = PARTS[mutant.part]
        before = (self.folder / part.file).read_text()
        self.write(part.file, before.replace(mutant.old, mutant.new))
        try:
            status, _ = self.pytest("-x", *shlex.split(part.tests))
        finally:
            self.write(part.file, before)
        if status == 5:
            refuse(f"{mutant.part}: {part.tests} selects no tests")
        return status != 0


def check_green(copy: Copy, mutants: list[Mutant]) -> None:
    """Refuse parts whose tests fail, or are not there, without any bug."""
    for tests in dict.fromkeys(PARTS[mutant.part].tests for mutant in mutants):
        start = time.perf_counter()
        status, output = copy.pytest("-x", *shlex.split(tests))
        if status:
            refuse(f"{output}\nwithout any bug, pytest {tests} ends with status {status}")
        print(f"green     {tests} ({time.perf_counter() - start:.0f} s)", flush=True)


def tell(verdict: Verdict) -> Verdict:
    """Print a line about one bug."""
    word = "killed" if verdict.killed else "SURVIVED"
    print(f"{word:9} {verdict.part}: {verdict.about} ({verdict.seconds:.1f} s)", flush=True)
    return verdict


def run_all(mutants: list[Mutant], copies: list[Copy]) -> list[Verdict]:
    """Plant each bug in whichever copy is free."""
    free: SimpleQueue[Copy] = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def run(mutant: Mutant) -> Verdict:
        copy, start = free.get(), time.perf_counter()
        try:
            return tell(Verdict(mutant.part, mutant.about, copy.kills(mutant), time.perf_counter() - start))
        finally:
            free.put(copy)
    with ThreadPoolExecutor(len(copies)) as pool:
        return list(pool.map(run, mutants))


def cuda_names(copy: Copy) -> list[str]:
    """Return the names of the bugs in the CUDA sources."""
    status, output = copy.pytest("--collect-only", "-m", "", CUDA_TEST)
    if status:
        refuse(f"{output}\nthe bugs in the CUDA sources cannot be listed")
    lines = [line for line in output.splitlines() if line.startswith(CUDA_TEST + "[")]
    return [line[len(CUDA_TEST) + 1:-1] for line in lines]


def run_cuda(copy: Copy, wanted: Callable[[str, str], bool]) -> list[Verdict]:
    """Run the tests about bugs in the CUDA sources; one that passes has seen its bug."""
    names = [name for name in cuda_names(copy) if wanted("cuda", name)]
    if not names:
        return []
    report = copy.folder / "cuda.xml"
    status, output = copy.pytest("-m", "", *(f"{CUDA_TEST}[{name}]" for name in names), f"--junitxml={report}",
                                 timeout=CUDA_TIMEOUT)
    if not report.exists():
        refuse(f"{output}\nthe bugs in the CUDA sources could not be tried (pytest's status: {status})")
    cases = {case.attrib["name"].partition("[")[2][:-1]: case for case in ElementTree.parse(report).iter("testcase")}
    return [tell(Verdict("cuda", name, name in cases and not len(cases[name]), float(cases[name].attrib["time"])
                         if name in cases else 0.0)) for name in names]


def main() -> None:
    """Plant the selected bugs, and print the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--list", action="store_true", help="list the bugs without planting them")
    parser.add_argument("--only", default="", metavar="WORD", help="bugs with this word in their part or description")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="how many bugs are tried at a time")
    parser.add_argument("--no-cuda", action="store_true", help="leave out the bugs in the CUDA sources")
    arguments = parser.parse_args()

    def wanted(part: str, about: str) -> bool:
        return arguments.only in part or arguments.only in about
    mutants = [mutant for mutant in MUTANTS if wanted(mutant.part, mutant.about)]
    check_places(mutants)
    signal.signal(signal.SIGINT, signal.default_int_handler)     # a shell's background jobs ignore it, and so would the tests
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        first = Copy(Path(folder) / "0")
        if arguments.list:
            names = [] if arguments.no_cuda else [name for name in cuda_names(first) if wanted("cuda", name)]
            for part, about in [*((mutant.part, mutant.about) for mutant in mutants), *(("cuda", name) for name in names)]:
                print(f"{part}: {about}")
            return
        check_green(first, mutants)
        copies = [first, *(Copy(Path(folder) / str(k)) for k in range(1, max(1, arguments.jobs)))]
        verdicts = run_all(mutants, copies)
        if not arguments.no_cuda:
            verdicts += run_cuda(first, wanted)
    total = Counter(verdict.part for verdict in verdicts)
    killed = Counter(verdict.part for verdict in verdicts if verdict.killed)
    for part in total:
        print(f"killed {killed[part]} of {total[part]}: {part}")
    survivors = [verdict for verdict in verdicts if not verdict.killed]
    print(f"killed {killed.total()} of {total.total()} in {time.perf_counter() - start:.0f} s")
    for verdict in survivors:
        print(f"survived: {verdict.part}: {verdict.about}")
    sys.exit(1 if survivors else 0)


if __name__ == "__main__":
    main()
