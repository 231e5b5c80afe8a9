"""PyTorch's .pt files (zips, since version 1.6) read as data: no pickle is ever loaded, so no code of one can run.

``data.pkl`` is a program for a small stack machine. The one below knows the instructions that build numbers, names, lists
and dicts. Where a function is to be called it notes which, and refuses those that no state_dict needs. A tensor is a view
of a storage, ``data/N``: offset, sizes and strides, counted in numbers; its bounds are checked.
"""

from __future__ import annotations

import pickletools
import re
import zipfile
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from minilstm.backend.errors import CheckpointError

BFLOAT16 = np.dtype([("bfloat16", "<u2")])      # NumPy has none
MAX_BYTES, MAX_INSTRUCTIONS = 1 << 23, 500_000
STORAGES: dict[str, Any] = {
    "torch.FloatStorage": "<f4", "torch.DoubleStorage": "<f8", "torch.HalfStorage": "<f2", "torch.BFloat16Storage": BFLOAT16,
    "torch.LongStorage": "<i8", "torch.IntStorage": "<i4"}
TENSOR, PARAMETER = "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"
KNOWN = re.compile(r"torch\.(\w+Storage|Size|device)|torch\._utils\._rebuild_(tensor_v2|parameter)|collections\.OrderedDict|"
                   r"numpy\.(dtype|ndarray|_?core\.multiarray\.(scalar|_reconstruct))|_codecs\.encode")
VALUES = ("BININT", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BIN", "BINBYTES")
NEW: dict[str, Callable[[], Any]] = {"NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False,
                                     "EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}


class Name(str):
    """A function or class that a pickle names, or what it would have made."""


def parse_pickle(data: bytes, storage: Callable[[str], bytes]) -> Any:
    """Return what a pickle describes, with an array for a tensor, a view of ``storage(key)``, and Names for other objects.

    Raises CheckpointError, and what damaged bytes lead to.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[Any, Any] = {}

    def pop(count: int) -> list[Any]:
        """Take the last ``count`` values; with 0, all since the last mark."""
        start = len(stack) - count if count else marks.pop()
        values = stack[start:]
        del stack[start:]
        return values

    for step, (instruction, argument, _) in enumerate(pickletools.genops(data)):
        code = instruction.name
        if step > MAX_INSTRUCTIONS:
            raise CheckpointError(f"has a pickle of more than {MAX_INSTRUCTIONS:,} instructions")
        if code in NEW:
            stack.append(NEW[code]())
        elif code.startswith(VALUES):
            stack.append(argument)
        elif code == "MARK":
            marks.append(len(stack))
        elif code in ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"):
            stack.append(tuple(pop(int(code[5:] or 0))))
        elif code in ("APPEND", "APPENDS"):
            items = pop(code == "APPEND")
            _expect(list, stack[-1]).extend(items)
        elif code in ("SETITEM", "SETITEMS"):
            items = pop(2 * (code == "SETITEM"))
            keys = [key if type(key) is int else _expect(str, key) for key in items[::2]]   # hashing can take for ever
            _expect(dict, stack[-1]).update(zip(keys, items[1::2], strict=True))
        elif code in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if argument is None else argument] = stack[-1]
        elif code in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif code in ("GLOBAL", "STACK_GLOBAL"):
            stack.append(_known(argument.replace(" ", ".", 1) if argument else ".".join(pop(2))))
        elif code == "REDUCE":
            function, arguments = pop(2)
            stack.append(_made(_expect(Name, function), arguments, storage))
        elif code == "BUILD":
            stack.pop()                         # attributes, such as an OrderedDict's _metadata
        elif code not in ("PROTO", "FRAME", "STOP", "BINPERSID"):       # the last: its tuple names a storage
            raise CheckpointError(f"has {code} in its pickle, which no state_dict needs; nothing of it was run")
    return stack.pop()


def _expect(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise CheckpointError(f"is damaged: its pickle has a {type(value).__name__} where a {kind.__name__} must be")
    return value


def _known(name: str) -> Name:
    if KNOWN.fullmatch(name):
        return Name(name)
    own = "; of a model of your own, save torch.load(path, weights_only=False).state_dict()"
    raise CheckpointError(f"names {name[:99]!r} in its pickle, which is no part of a state_dict; nothing of it was run"
                          + own * name.startswith(("torch.nn.", "__main__.")))


def _made(function: Name, arguments: Any, storage: Callable[[str], bytes]) -> Any:
    if function == "collections.OrderedDict" and not arguments:
        return {}
    if function == PARAMETER:
        return _expect(np.ndarray, arguments[0])
    if function != TENSOR:
        return function
    (_, kind, key, _, count), offset, shape, strides = arguments[:4]
    numbers = np.frombuffer(storage(key), STORAGES[kind])
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if min([_expect(int, n) for n in (offset, *shape, *strides)]) < 0 or len(numbers) != count or any(arguments[6:]) or \
            0 not in shape and last >= count:
        raise CheckpointError(f"is damaged: a tensor {tuple(shape)} does not fit its storage of {len(numbers)} numbers")
    return np.lib.stride_tricks.as_strided(numbers[offset:], shape, [n * numbers.itemsize for n in strides])


def read_state_dict(archive: zipfile.ZipFile, root: str) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the one state_dict in a .pt, whose members begin with ``root``, and the names of what else is there.

    Raises CheckpointError, and what damaged bytes lead to.
    """
    def member(name: str) -> bytes:
        return archive.open(root + name).read(archive.getinfo(root + name).file_size)   # read() would inflate without end
    if f"{root}constants.pkl" in archive.NameToInfo:
        raise CheckpointError("is TorchScript, a program; save model.state_dict() instead")
    if f"{root}byteorder" in archive.NameToInfo and member("byteorder") != b"little":
        raise CheckpointError("has big-endian numbers, which are not read")
    if archive.getinfo(f"{root}data.pkl").file_size > MAX_BYTES:
        raise CheckpointError(f"has a pickle of more than {MAX_BYTES:,} bytes")
    found = parse_pickle(member("data.pkl"), cache(lambda key: member(f"data/{key}")))
    outer = {"": found} if _is_state(found) else _expect(dict, found)
    states = [key for key in outer if _is_state(outer[key])]
    if len(states) != 1:
        raise CheckpointError(f"holds {len(states)} state_dicts {states}; torch.save(checkpoint[name], path) saves one")
    tensors = {key: value for key, value in outer[states[0]].items() if isinstance(value, np.ndarray)}
    return tensors, [str(key) for key in [*outer, *outer[states[0]]] if key != states[0] and key not in tensors]


def _is_state(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(value[key], np.ndarray) and re.search(r"(^|\.)(weight|bias)", str(key))
                                           for key in value)
