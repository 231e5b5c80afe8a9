"""Damaged, foreign and hostile files of weights, each with a word that its refusal must contain.

The model that they pretend to fit is ``ml.Linear(3, 2)``; pickles that are run create the file ``EVIDENCE``.
"""

from __future__ import annotations

import io
import json
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

EVIDENCE = Path(tempfile.gettempdir()) / "minilstm-code-has-run"
W, B = np.arange(6, dtype="<f4").reshape(2, 3), np.ones(2, "<f4")
MIB = 1 << 20


def text(word: str) -> bytes:
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def whole(n: int) -> bytes:
    return b"\x8a\x09" + n.to_bytes(9, "little", signed=True)


def pack(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def call(name: str, *arguments: bytes) -> bytes:
    return b"c" + name.replace("|", "\n").encode() + b"\n" + pack(*arguments) + b"R"


def tensor(
    key: str = "0",
    count: int = 6,
    shape: tuple[int, ...] = (2, 3),
    strides: tuple[int, ...] = (3, 1),
    offset: int = 0,
    kind: str = "FloatStorage",
    more: bytes = b"",
) -> bytes:
    storage = (
        pack(text("storage"), b"ctorch\n" + kind.encode() + b"\n", text(key), text("cpu"), whole(count))
        + b"Q"
    )
    return call(
        "torch._utils|_rebuild_tensor_v2",
        storage,
        whole(offset),
        pack(*map(whole, shape)),
        pack(*map(whole, strides)),
        b"\x89",
        call("collections|OrderedDict"),
        more,
    )


def state(weight: bytes = tensor(), bias: bytes = tensor("1", 2, (2,), (1,)), more: bytes = b"") -> bytes:
    return b"}(" + text("weight") + weight + text("bias") + bias + more + b"u"


def zipped(members: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def pt(program: bytes = state(), **members: Any) -> bytes:
    found = {
        "data.pkl": b"\x80\x02" + program + b".",
        "byteorder": b"little",
        "data/0": W.tobytes(),
        "data/1": B.tobytes(),
        **members,
    }
    return zipped({f"m/{name}": data for name, data in found.items() if data is not None})


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def npz(**arrays: Any) -> bytes:
    return zipped(
        {f"{name}.npy": array if isinstance(array, bytes) else npy(array) for name, array in arrays.items()}
    )


def tensors(header: Any = None, data: bytes = W.tobytes() + B.tobytes(), **entries: Any) -> bytes:
    given = {
        "weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "bias": {"dtype": "F32", "shape": [2], "data_offsets": [24, 32]},
        **entries,
    }
    raw = header if isinstance(header, bytes) else json.dumps(given).encode()
    return len(raw).to_bytes(8, "little") + raw + data


def run(module: str, name: str, argument: str = f"touch {EVIDENCE}") -> bytes:
    return call(f"{module}|{name}", text(argument))


def laughs(depth: int) -> bytes:
    """A tuple of two tuples of two tuples, and so on: a few bytes, but 2^depth leaves."""
    return b")" + b"".join(b"q" + bytes([n]) + b"h" + bytes([n]) + b"\x86" for n in range(depth))


def huge_directory() -> bytes:
    """A million members of no bytes."""
    entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    directory = entry * 300_000
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 0, 0, 0, 0, 1, 0) + b"a"
    return (
        local
        + directory
        + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 65535, 65535, len(directory), len(local), 0)
    )


def patched(data: bytes, old: bytes, new: bytes, count: int = -1) -> bytes:
    assert old in data
    return data.replace(old, new, count)


def many(declared: int) -> bytes:
    """An .npz whose member inflates to ``declared`` bytes."""
    return zipped(
        {"weight.npy": npy(np.zeros(declared // 4, "<f4")), "bias.npy": npy(B)}, zipfile.ZIP_DEFLATED
    )


NPY = npy(W)
NPZ = npz(weight=W, bias=B)
PICKLES: dict[str, tuple[Callable[[], bytes], str]] = {
    "os.system": (lambda: pt(state(more=text("x") + run("posix", "system"))), "posix.system"),
    "nt.system": (lambda: pt(run("nt", "system")), "nt.system"),
    "eval": (lambda: pt(run("builtins", "eval", f"open({str(EVIDENCE)!r}, 'w')")), "builtins.eval"),
    "eval of Python 2": (
        lambda: pt(run("__builtin__", "eval", f"open({str(EVIDENCE)!r}, 'w')")),
        "__builtin__.eval",
    ),
    "exec": (lambda: pt(run("builtins", "exec", f"open({str(EVIDENCE)!r}, 'w')")), "builtins.exec"),
    "subprocess": (lambda: pt(call("subprocess|Popen", text("true"))), "subprocess.Popen"),
    "runpy": (lambda: pt(run("runpy", "run_path")), "runpy.run_path"),
    "getattr": (lambda: pt(call("builtins|getattr", text("a"), text("b"))), "builtins.getattr"),
    "import": (lambda: pt(run("importlib", "import_module")), "importlib.import_module"),
    "torch.load": (lambda: pt(run("torch", "load")), "torch.load"),
    "torch.hub": (lambda: pt(run("torch.hub", "load")), "torch.hub.load"),
    "a nested pickle": (lambda: pt(call("torch.storage|_load_from_bytes", text("x"))), "_load_from_bytes"),
    "numpy.load": (lambda: pt(run("numpy", "load")), "numpy.load"),
    "stack global": (
        lambda: pt(text("posix") + text("system") + b"\x93" + pack(text(f"touch {EVIDENCE}")) + b"R"),
        "posix.system",
    ),
    "a dotted name": (
        lambda: pt(text("collections") + text("OrderedDict.__init__.__globals__") + b"\x93"),
        "__globals__",
    ),
    "inst": (lambda: pt(b"(" + text(f"touch {EVIDENCE}") + b"iposix\nsystem\n"), "INST"),
    "obj": (lambda: pt(b"(ccollections\nOrderedDict\no"), "OBJ"),
    "newobj": (lambda: pt(b"ccollections\nOrderedDict\n)\x81"), "NEWOBJ"),
    "newobj_ex": (lambda: pt(b"ccollections\nOrderedDict\n)}\x92"), "NEWOBJ_EX"),
    "an extension": (lambda: pt(b"\x82\x01"), "EXT1"),
    "a persistent name": (lambda: pt(b"Psomewhere\n"), "PERSID"),
    "a buffer out of band": (lambda: pt(b"\x97"), "NEXT_BUFFER"),
    "a set": (lambda: pt(b"\x8f"), "EMPTY_SET"),
    "a whole module": (lambda: pt(call("torch.nn.modules.rnn|LSTM")), "weights_only=False"),
    "a class of one's own": (lambda: pt(b"c__main__\nNet\n)\x81}b"), "__main__.Net"),
    "a quantised tensor": (lambda: pt(call("torch._utils|_rebuild_qtensor")), "_rebuild_qtensor"),
    "a sparse tensor": (lambda: pt(call("torch._utils|_rebuild_sparse_tensor")), "_rebuild_sparse_tensor"),
    "called data": (lambda: pt(whole(1) + pack() + b"R"), "damaged"),
    "no stop": (lambda: zipped({"m/data.pkl": b"\x80\x02}"}), "damaged"),
    "an empty stack": (lambda: pt(b"0"), "POP"),
    "nothing to take": (lambda: pt(b"a"), "damaged"),
    "no mark": (lambda: pt(b"t"), "damaged"),
    "an unknown memo": (lambda: pt(b"h\7"), "damaged"),
    "a number extended": (lambda: pt(whole(1) + whole(2) + b"a"), "damaged"),
    "a key without a value": (lambda: pt(b"}(" + text("a") + b"u"), "damaged"),
    "laughs as a key": (lambda: pt(b"}" + laughs(120) + whole(1) + b"s"), "damaged"),
    "laughs as a shape": (
        lambda: pt(state(patched(tensor(), pack(whole(2), whole(3)), laughs(120)))),
        "damaged",
    ),
    "laughs as a storage": (
        lambda: pt(state(pack(text("storage"), laughs(120), text("0"), text("cpu"), whole(6)) + b"Q")),
        "damaged",
    ),
    "a view as a storage": (
        lambda: pt(state(call("torch._utils|_rebuild_tensor_v2", tensor(shape=(99,), strides=(0,)), whole(0),
                              pack(whole(99)), pack(whole(1)), b"\x89", call("collections|OrderedDict")))),
        "damaged",
    ),
    "a pickle without end": (lambda: pt(b"}0" * 100_000), "POP"),
    "many instructions": (lambda: pt(b"N" * 600_000), "pickle of more"),
    "many memos": (lambda: pt(b"}" + b"\x94" * 250_000), "holds 0 state_dicts"),
    "many marks": (lambda: pt(b"(" * 250_000), "damaged"),
    "many dicts": (lambda: pt(b"}" * 250_000), "holds 0 state_dicts"),
    "nine megabytes": (lambda: pt(text("x" * (9 * MIB))), "pickle of more"),
    "a negative offset": (lambda: pt(state(tensor(offset=-1))), "does not fit"),
    "a negative stride": (lambda: pt(state(tensor(strides=(3, -1)))), "does not fit"),
    "an offset beyond": (lambda: pt(state(tensor(offset=1))), "does not fit"),
    "strides beyond": (lambda: pt(state(tensor(strides=(1 << 60, 1)))), "does not fit"),
    "a shape beyond": (lambda: pt(state(tensor(shape=(1 << 40, 3)))), "does not fit"),
    "a tensor negated in place": (
        lambda: pt(state(tensor(more=b"}(" + text("neg") + b"\x88u"))),
        "does not fit",
    ),
    "too few strides": (lambda: pt(state(tensor(strides=(3,)))), "damaged"),
    "a storage of another size": (lambda: pt(state(tensor(count=7))), "damaged"),
    "a storage that is missing": (lambda: pt(**{"data/0": None}), "damaged"),
    "a storage elsewhere": (lambda: pt(state(tensor("../../etc/passwd"))), "damaged"),
    "a storage of bits": (lambda: pt(state(tensor(kind="QInt8Storage"))), "QInt8Storage"),
    "two state_dicts": (
        lambda: pt(b"}(" + text("a") + state() + text("b") + state() + b"u"),
        "holds 2 state_dicts",
    ),
    "no state_dict": (lambda: pt(b"}(" + text("epoch") + whole(1) + b"u"), "holds 0 state_dicts"),
    "a list": (lambda: pt(b"]"), "damaged"),
    "TorchScript": (lambda: pt(**{"constants.pkl": b"", "code/m.py": b""}), "TorchScript"),
    "big-endian": (lambda: pt(byteorder=b"big"), "big-endian"),
    "NaN": (lambda: pt(**{"data/1": np.array([1, np.nan], "<f4").tobytes()}), "NaN"),
}
ARCHIVES: dict[str, tuple[Callable[[], bytes], str]] = {
    "a zip cut in half": (lambda: NPZ[: len(NPZ) // 2], "damaged"),
    "a wrong byte": (lambda: patched(NPZ, W.tobytes(), bytes(24)), "CRC"),
    "a bomb": (lambda: many(1 << 26), "far more"),
    "a bomb in a .pt": (
        lambda: zipped({"m/data.pkl": b"\x80\x02" + state() + b".", "m/data/0": bytes(1 << 26)}, 8),
        "far more",
    ),
    "a bomb in a .keras": (
        lambda: zipped({"config.json": b"{}", "model.weights.h5": bytes(1 << 26)}, 8),
        "far more",
    ),
    "a header that lies": (
        lambda: patched(many(1 << 24), struct.pack("<I", (1 << 24) + 128), struct.pack("<I", 152)),
        "damaged",
    ),
    "many members": (huge_directory, "declares far more"),
    "two members of one name": (
        lambda: patched(npz(weight=W, aaaaaa=W, bias=B), b"aaaaaa", b"weight"),
        "two members",
    ),
    "encrypted": (lambda: patched(NPZ, b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\1\0"), "encrypted"),
    "compressed by LZMA": (lambda: zipped({"weight.npy": NPY}, zipfile.ZIP_LZMA), "compressed"),
    "a document": (lambda: zipped({"word/document.xml": b"<w/>"}), "no array"),
    "objects": (lambda: npz(weight=np.array([print], object), bias=B), "damaged"),
    "fields": (lambda: npz(weight=np.zeros(2, [("a", "<f4")]), bias=B), "weight (2,)"),
    "complex": (lambda: npz(weight=W.astype(complex), bias=B), "complex128"),
    "whole numbers": (lambda: npz(weight=W.astype(int), bias=B), "int64"),
    "strings": (lambda: npz(weight=W.astype(str), bias=B), "weight (2, 3)"),
    "an array too short": (lambda: npz(weight=NPY[:-4], bias=B), "damaged"),
    "an array declared too long": (
        lambda: npz(weight=patched(NPY, b"(2, 3)", b"(2,3e9)"), bias=B),
        "damaged",
    ),
    "an array of terabytes": (
        lambda: npz(weight=patched(NPY, b"(2, 3), }" + b" " * 12, b"(2, 3000000000000), }"), bias=B),
        "damaged",
    ),
    "a header of gigabytes": (
        lambda: npz(weight=b"\x93NUMPY\2\0" + struct.pack("<I", 1 << 31) + b"{" * 99, bias=B),
        "damaged",
    ),
    "nested brackets": (
        lambda: npz(weight=b"\x93NUMPY\1\0" + struct.pack("<H", 9000) + b"[" * 9000, bias=B),
        "damaged",
    ),
    "infinity": (lambda: npz(weight=np.full((2, 3), np.inf), bias=B), "NaN or infinite"),
    "too large for float32": (lambda: npz(weight=W.astype(float) + 1e300, bias=B), "infinite"),
}
SAFETENSORS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a length beyond the file": (lambda: (1 << 62).to_bytes(8, "little") + b"{}", "damaged"),
    "no JSON": (lambda: tensors(b"{weights}"), "damaged"),
    "a key twice": (lambda: tensors(b'{"a": {}, "a": {}}'), "twice"),
    "a hole": (lambda: tensors(bias={"dtype": "F32", "shape": [2], "data_offsets": [28, 36]}), "damaged"),
    "an overlap": (
        lambda: tensors(bias={"dtype": "F32", "shape": [2], "data_offsets": [20, 28]}),
        "damaged",
    ),
    "bytes left": (lambda: tensors(data=W.tobytes() + B.tobytes() + b"more"), "damaged"),
    "bytes missing": (lambda: tensors(data=W.tobytes()), "damaged"),
    "eight bits": (
        lambda: tensors(bias={"dtype": "F8_E4M3", "shape": [8], "data_offsets": [24, 32]}),
        "F8_E4M3",
    ),
    "another shape": (
        lambda: tensors(weight={"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 24]}),
        "damaged",
    ),
    "a negative shape": (
        lambda: tensors(weight={"dtype": "F32", "shape": [-2, -3], "data_offsets": [0, 24]}),
        "damaged",
    ),
    "a shape that overflows": (
        lambda: tensors(weight={"dtype": "F32", "shape": [1 << 62, 1 << 62], "data_offsets": [0, 24]}),
        "damaged",
    ),
    "truths for numbers": (
        lambda: tensors(bias={"dtype": "F32", "shape": [True, 2], "data_offsets": [24, 32]}),
        "damaged",
    ),
    "other metadata": (lambda: tensors(__metadata__={"format": 1}), "damaged"),
    "deep JSON": (lambda: tensors(b'{"a":' + b"[" * 100_000 + b"}"), "damaged"),
    "UTF-16": (lambda: tensors(json.dumps({"a": 1}).encode("utf-16-le")), "damaged"),
    "a header of three megabytes": (lambda: tensors(b"{" + b" " * 3 * MIB + b"}"), "bytes of JSON"),
    "a list": (lambda: tensors(b"{}"), "damaged"),
    "no weights": (lambda: tensors(b"{}", b""), "has nothing"),
}
FOREIGN: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "no known format"),
    "words": (lambda: b"weights: [1, 2, 3]\n", "no known format"),
    "a picture": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(99), "no known format"),
    "a bare pickle": (lambda: b"\x80\x04" + run("posix", "system") + b".", "pickle"),
    "GGUF": (lambda: b"GGUF" + bytes(99), "GGUF"),
    "ONNX": (lambda: b"\x08\x07\x12\x07pytorch", "ONNX"),
    "one array": (lambda: NPY, "one array"),
    "an empty zip": (lambda: zipped({}), "no known format"),
    "a checkpoint of ours": (lambda: b"MINILSTM" + bytes(99), "load_checkpoint"),
    "another shape": (lambda: npz(weight=np.ones((2, 4), "<f4"), bias=B), "(2, 4)"),
    "a transposed weight": (lambda: npz(weight=W.T, bias=B), "(3, 2)"),
    "no bias": (lambda: npz(weight=W), "(2, 3)"),
    "another bias": (lambda: npz(weight=W, bias=np.ones(3, "<f4")), "(3,)"),
    "one layer more": (
        lambda: npz(weight=W, bias=B, **{"fc.weight": W.T, "fc.bias": np.ones(3)}),
        "more than",
    ),
    "a normalisation": (lambda: npz(weight=W, bias=B, **{"bn.running_mean": B}), "bn.running_mean (2,)"),
    "a projection": (lambda: npz(weight=W, bias=B, **{"lstm.weight_hr_l0": W}), "lstm.weight_hr_l0 (2, 3)"),
    "weight_norm": (
        lambda: npz(bias=B, **{"parametrizations.weight.original0": W}),
        "parametrizations.weight.original0",
    ),
    "packed parameters": (lambda: npz(bias=B, **{"_packed_params": W}), "_packed_params"),
    "two layers without an order": (
        lambda: npz(**{"a.weight": W, "a.bias": B, "b.weight": W, "b.bias": B}),
        "which comes first",
    ),
}
EVERY = {
    **{f"pickle: {name}": case for name, case in PICKLES.items()},
    **{f"zip: {name}": case for name, case in ARCHIVES.items()},
    **{f"safetensors: {name}": case for name, case in SAFETENSORS.items()},
    **{f"foreign: {name}": case for name, case in FOREIGN.items()},
}
