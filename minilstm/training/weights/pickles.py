"""PyTorch's .pt files (zips, since version 1.6) read as data: no code of a pickle runs.

``data.pkl`` is a program for a small stack machine. Python's own, the one written in Python, runs it here
with fewer instructions, and with the functions below in place of whatever a pickle may name. A tensor is a
view of a storage, ``data/N``: offset, sizes and strides, counted in numbers; its bounds are checked.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import re
import zipfile
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from minilstm.backend.errors import CheckpointError

BFLOAT16 = np.dtype([("bfloat16", "<u2")])      # NumPy has none
MAX_BYTES = 1 << 18                             # of a pickle; 100 times as many in memory
STORAGES: dict[str, Any] = {"Float": "<f4", "Double": "<f8", "Half": "<f2", "BFloat16": BFLOAT16,
                            "Long": "<i8", "Int": "<i4", "Byte": "u1", "Bool": "?"}
SAFE = re.compile(r"PROTO|FRAME|STOP|MARK|NONE|NEW(TRUE|FALSE)|EMPTY_(DICT|LIST|TUPLE)|TUPLE\d?|BININT\d?|"
                  r"LONG1|BINFLOAT|(SHORT_)?BIN(UNICODE|BYTES)|APPENDS?|(LONG_)?BIN(PUT|GET)|MEMOIZE|"
                  r"(STACK_)?GLOBAL|REDUCE|BINPERSID")
UNREAD = re.compile(r"torch\.(Size|device)|numpy\.(dtype|ndarray|_?core\.multiarray\.(scalar|_reconstruct))|"
                    r"_codecs\.encode")


def _expect(kind: Any, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"its pickle has a {type(value).__name__} where it must be {kind}")
    return value


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *more: Any) -> np.ndarray:
    _expect(bytes, storage.base)            # a storage itself, no view of one
    sizes = [_expect(int, n) for n in (offset, *shape, *strides)]
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if min(sizes) < 0 or any(more[2:]) or 0 not in shape and last >= storage.size:
        raise ValueError(f"a tensor {tuple(shape)} does not fit its storage of {storage.size} numbers")
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, [n * storage.itemsize for n in strides])


READ: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": lambda: {}, "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": lambda tensor, *_: _expect(np.ndarray, tensor)}


class StateDict(pickle._Unpickler):
    """Reads a pickle with an array for a tensor, a view of ``storage(key)``, and None for other objects."""

    stack: list[Any]

    def __init__(self, data: bytes, storage: Callable[[str], bytes]) -> None:
        super().__init__(io.BytesIO(data))
        self.storage = storage

    def find_class(self, module: str, name: str) -> Any:
        full, kind = f"{module}.{name}", name.removesuffix("Storage")
        if module == "torch" and kind != name and kind in STORAGES:
            return np.dtype(STORAGES[kind])
        if full not in READ and not UNREAD.fullmatch(full):
            own = "; of a model of your own, save torch.load(path, weights_only=False).state_dict()"
            raise CheckpointError(f"names {full[:99]!r} in its pickle, which is no part of a state_dict; "
                                  "nothing of it was run" + own * full.startswith(("torch.nn.", "__main__.")))
        return READ.get(full, lambda *_: None)

    def persistent_load(self, pid: Any) -> Any:
        _, dtype, key, _, count = pid
        return np.frombuffer(self.storage(_expect(str, key)), _expect(np.dtype, dtype), _expect(int, count))

    def set_items(self, items: list[Any]) -> None:
        for key, value in zip(items[::2], items[1::2], strict=True):    # other keys can take for ever to hash
            _expect(dict, self.stack[-1])[_expect((str, int), key)] = value


def _refuse(instruction: str, *_: Any) -> None:
    raise CheckpointError(f"has {instruction} in its pickle, which no state_dict needs; nothing of it ran")


StateDict.dispatch = {ord(op.code): StateDict.dispatch[ord(op.code)] if SAFE.fullmatch(op.name) else
                      partial(_refuse, op.name) for op in pickletools.opcodes} | {
    pickle.SETITEMS[0]: lambda self: self.set_items(self.pop_mark()),
    pickle.SETITEM[0]: lambda self: self.set_items([self.stack.pop(-2), self.stack.pop()]),
    pickle.BUILD[0]: lambda self: self.stack.pop()}         # attributes, such as an OrderedDict's _metadata


def read_state_dict(archive: zipfile.ZipFile, root: str) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the one state_dict below ``root`` in a .pt, and the names of what else is there."""
    def member(name: str) -> bytes:     # read() alone could inflate without end
        return archive.open(root + name).read(archive.getinfo(root + name).file_size)
    if f"{root}constants.pkl" in archive.NameToInfo:
        raise CheckpointError("is TorchScript, a program; save model.state_dict() instead")
    if f"{root}byteorder" in archive.NameToInfo and member("byteorder") != b"little":
        raise CheckpointError("has big-endian numbers, which are not read")
    if archive.getinfo(f"{root}data.pkl").file_size > MAX_BYTES:
        raise CheckpointError(f"has a pickle of more than {MAX_BYTES:,} bytes; save the state_dict alone")
    found = _expect(dict, StateDict(member("data.pkl"), cache(lambda key: member(f"data/{key}"))).load())
    states = [value for value in (found, *found.values()) if _is_state(value)]
    if len(states) != 1:
        raise CheckpointError(f"holds {len(states)} state_dicts; do torch.save(checkpoint[name], path)")
    tensors = {name: value for name, value in states[0].items() if isinstance(value, np.ndarray)}
    return tensors, [str(name) for name, value in {**found, **states[0]}.items()
                     if name not in tensors and value is not states[0]]


def _is_state(value: Any) -> bool:
    return isinstance(value, dict) and any(
        isinstance(value[key], np.ndarray) and re.search(r"(^|\.)(weight|bias)", str(key)) for key in value)
