"""Compile the functions of this folder into a file of machine code, which ``library.load`` reads.

    python -m minilstm.kernels.compiled.build FILE float32

``minilstm.kernels.compiled`` runs this program once, in a separate process, so that no training process has
to load Numba. The file begins with a line of JSON: the target, and the symbol and arguments of each function.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any, cast

import llvmlite.binding as llvm
import numba
import numpy as np
from numba import types

from minilstm.kernels.compiled import embedding, gemm, gru, layout, lstm, rnn
from minilstm.kernels.compiled.jit import OPTIONS, REGISTERED
from minilstm.kernels.compiled.library import axes, load

MODULES = (embedding, gemm, gru, layout, lstm, rnn)     # importing these has registered their functions
EXTERNAL = ("llvm.", "mem", "tanh", "sqrt")             # what the code may call: intrinsics, and C's library


def _type(kind: str, number: types.Type) -> types.Type:
    """Return Numba's type for a kind of argument."""
    element = {"array": number, "strided": number, "mask": types.boolean, "index": types.int64}
    if axes(kind):
        return types.Array(element[kind[:-1]], axes(kind), "A" if kind.startswith("strided") else "C")
    return {"int": types.int64, "bool": types.boolean}[kind]


def build(file: Path, dtype: np.dtype) -> None:
    """Compile everything for arrays of this dtype, and write the file atomically. Errors are passed on."""
    number, njit = numba.from_dtype(dtype), cast(Any, numba.njit)
    bare = {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    functions, whole = {}, None
    for name, (function, kinds) in REGISTERED.items():
        signature = types.void(*(_type(kind, number) for kind in kinds))
        dispatcher = njit(signature, **bare, **OPTIONS)(function)
        compiled, = dispatcher.overloads.values()
        part = llvm.parse_assembly(dispatcher.inspect_llvm(compiled.signature.args))
        functions[name] = compiled.fndesc.mangled_name, kinds
        if whole is None:
            whole = part
        else:
            whole.link_in(part)
    assert whole is not None
    unknown = [f.name for f in whole.functions if f.is_declaration and not f.name.startswith(EXTERNAL)]
    if unknown:
        raise ImportError(f"compiled code would call {', '.join(unknown)}, which is not there without Numba")
    machine = llvm.Target.from_triple(whole.triple).create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(),
        opt=3, codemodel="jitdefault", jit=True)
    code = machine.emit_object(whole)
    head = {"triple": whole.triple, "dtype": dtype.name,
            "sha256": hashlib.sha256(code).hexdigest(), "functions": functions}
    unfinished = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(json.dumps(head).encode() + b"\n" + code)
        load(unfinished)        # if LLVM cannot link it, it kills this process, not a training process
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


if __name__ == "__main__":
    build(Path(sys.argv[1]), np.dtype(sys.argv[2]))
