"""Checkpoints: named arrays and a JSON-able dict in one file. Loading returns what was saved, or raises.

Loading a pickle can run arbitrary code, and a zip of .npy files accepts many kinds of damage silently.
Checkpoints therefore have their own format, simple enough to be read with a hex editor. All integers are
unsigned and little-endian:

    bytes 0..7      the magic "MINILSTM"
    bytes 8..11     format version, 1
    bytes 12..15    length of the header in bytes, n
    bytes 16..23    length of the whole file in bytes
    next n bytes    header: UTF-8 JSON {"arrays": [{"name", "dtype", "shape", "offset"}, ...], "meta": {...}}
    then            the arrays' raw bytes in the order of the header, C order, little-endian, without gaps; an
                    offset is counted from the end of the header and is the sum of the preceding lengths
    last 32 bytes   SHA-256 of all preceding bytes

The reader checks the lengths against the size of the file before it reads the data, the digest before it
parses the header, and every declared name, dtype, shape and offset before it creates an array. In ``meta``,
floats are written by Python's json module: they are restored exactly, and NaN, Infinity and -Infinity are
allowed (the best loss of a schedule starts at infinity). Keys become strings and tuples become lists, as
always in JSON.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, to_numpy
from minilstm.backend.checks import as_array, is_array
from minilstm.backend.errors import CheckpointError, DtypeError, reason_of
from minilstm.backend.paths import as_path
from minilstm.training.atomic_write import PathLike, atomic_write, remove_orphans

MAGIC, VERSION = b"MINILSTM", 1
DTYPES = ("|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8", "<c8", "<c16")
MAX_HEADER = 1 << 28        # bytes: far more than any real header, far less than the memory
MAX_AXES = 32
_PREFIX = struct.Struct("<8sIIQ")
_DIGEST = hashlib.sha256().digest_size


def save_checkpoint(path: PathLike, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> None:
    """Write ``arrays`` (name -> array of integers, floats or complex numbers) and ``meta`` to one file.

    The arrays may be on the host or a device. The file is written completely or not at all. Raises
    CheckpointError, naming the file, if a value cannot be stored, the disk is full, or the folder is missing
    or read-only; an existing file of that name is then unchanged.

    >>> import os, tempfile
    >>> import numpy as np
    >>> import minilstm as ml
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.ckpt")
    ...     ml.save_checkpoint(path, {"W": np.eye(2)}, {"epoch": 3})
    ...     arrays, meta = ml.load_checkpoint(path)
    >>> arrays["W"].shape, meta
    ((2, 2), {'epoch': 3})
    """
    where = os.fspath(path := as_path("save_checkpoint", path))
    entries, blobs, offset = [], [], 0
    for name, value in arrays.items():
        if not isinstance(name, str) or not name:
            raise CheckpointError(f"{where}: array names are non-empty strings, got {name!r}")
        if not is_array(value):
            raise CheckpointError(f"{where}: {name} is a {type(value).__name__}, not an array")
        try:
            host = to_numpy(as_array(name, value))
        except DtypeError as error:
            raise CheckpointError(f"{where}: {error}") from None
        code = host.dtype.newbyteorder("<").str
        if code not in DTYPES or host.ndim > MAX_AXES:
            raise CheckpointError(f"{where}: {name} has dtype {host.dtype} and {host.ndim} axes; "
                                  "a checkpoint holds integers, floats and complex numbers "
                                  f"of up to {MAX_AXES} axes")
        blob = host.astype(code, copy=False).tobytes()
        entries.append({"name": name, "dtype": code, "shape": list(host.shape), "offset": offset})
        blobs.append(blob)
        offset += len(blob)
    if not isinstance(meta, Mapping):
        raise CheckpointError(f"{where}: meta is a dict, got {type(meta).__name__}")
    try:
        header = json.dumps({"arrays": entries, "meta": dict(meta)}).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{where}: meta cannot be written as JSON: {error}") from None
    if len(header) > MAX_HEADER:
        raise CheckpointError(f"{where}: names and meta take {len(header)} bytes as JSON, "
                              f"more than {MAX_HEADER}")
    total = _PREFIX.size + len(header) + offset + _DIGEST
    blobs[:0] = [_PREFIX.pack(MAGIC, VERSION, len(header), total), header]
    digest = hashlib.sha256()
    for blob in blobs:
        digest.update(blob)
    blobs.append(digest.digest())
    try:
        atomic_write(path, blobs)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{where}: cannot be written: {reason_of(error)}") from None
    remove_orphans(path)


def load_checkpoint(path: PathLike) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return (arrays, meta) exactly as they were saved.

    The arrays are new, writable, on the host, in native byte order. Raises CheckpointError, naming the file,
    if it is missing, is not a checkpoint, has a newer format, or differs from what was written by even a
    single bit.
    """
    where = os.fspath(path := as_path("load_checkpoint", path))
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise CheckpointError(f"{where}: is not a regular file")
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = _check_prefix(where, file.read(_PREFIX.size), size)
            file.seek(0)
            data = memoryview(file.read(size))
    except (OSError, ValueError, MemoryError) as error:
        raise CheckpointError(f"{where}: cannot be read: {reason_of(error)}") from None
    if len(data) != size or hashlib.sha256(data[:-_DIGEST]).digest() != data[-_DIGEST:]:
        raise CheckpointError(f"{where}: is damaged: its contents do not match its SHA-256 digest")
    body = data[_PREFIX.size + length:-_DIGEST]
    try:
        text = str(data[_PREFIX.size:_PREFIX.size + length], "utf-8")
        return _parse(json.loads(text, object_pairs_hook=_unique_keys), body)
    except (ValueError, RecursionError, OverflowError) as error:
        raise CheckpointError(f"{where}: has a malformed header: {reason_of(error)}") from None


def _check_prefix(where: str, prefix: bytes, size: int) -> int:
    """Check magic number, version and both lengths, given the file's size; return the header's length."""
    if not prefix.startswith(MAGIC[:len(prefix)]) or not prefix:
        raise CheckpointError(f"{where}: is not a minilstm checkpoint" + ("" if prefix else ": it is empty"))
    if len(prefix) < _PREFIX.size:
        raise CheckpointError(f"{where}: is damaged: it ends after {size} bytes")
    _, version, length, total = _PREFIX.unpack(prefix)
    if version != VERSION:
        raise CheckpointError(f"{where}: has format version {version}, "
                              f"this minilstm reads version {VERSION}")
    if total != size:
        raise CheckpointError(f"{where}: is damaged: its header gives {total} bytes, but it has {size}")
    if length > min(MAX_HEADER, size - _PREFIX.size - _DIGEST):
        raise CheckpointError(f"{where}: is damaged: a header of {length} bytes does not fit")
    return int(length)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key occurs twice")
    return result


def _parse(header: Any, body: memoryview) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Check each array's entry in the header, then create the array. Raises ValueError with the reason."""
    if not isinstance(header, dict) or set(header) != {"arrays", "meta"}:
        raise ValueError("expected exactly the keys arrays and meta")
    entries, meta = header["arrays"], header["meta"]
    if not isinstance(entries, list) or not isinstance(meta, dict):
        raise ValueError("arrays is a list and meta a dict")
    arrays: dict[str, np.ndarray] = {}
    end = 0
    for entry in entries:
        if not isinstance(entry, dict) or set(entry) != {"name", "dtype", "shape", "offset"}:
            raise ValueError("an array has exactly a name, dtype, shape and offset")
        name, code = entry["name"], entry["dtype"]
        shape, offset = entry["shape"], entry["offset"]
        if not isinstance(name, str) or not name or name in arrays:
            raise ValueError(f"array name {name!r} is empty, not a string or there twice")
        if code not in DTYPES:
            raise ValueError(f"array {name} has dtype {code!r}, expected one of {', '.join(DTYPES)}")
        is_shape = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape)
        if not is_shape or len(shape) > MAX_AXES:
            raise ValueError(f"array {name} has no valid shape")
        count = math.prod(shape)
        length = count * np.dtype(code).itemsize
        if type(offset) is not int or offset != end or length > len(body) - end:
            raise ValueError(f"array {name} has a wrong offset, or does not fit into the file")
        end += length
        values = np.frombuffer(body, code, count, offset) if count else np.empty(0, code)
        arrays[name] = values.reshape(shape).astype(np.dtype(code).newbyteorder("="))
    if end != len(body):
        raise ValueError(f"the arrays take {end} bytes of {len(body)}")
    return arrays, meta
