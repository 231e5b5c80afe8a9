"""Tell files apart by what is in them and read their tensors, trusting nothing that they declare.

A zip can inflate without end and name a million members. HDF5 can point into other files: only hard links are followed,
and only datasets are read whose every byte is stored there, in one piece, as Keras writes them.
"""

from __future__ import annotations

import io
import json
import math
import os
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from minilstm.backend.errors import CheckpointError
from minilstm.training.weights.pickles import BFLOAT16, read_state_dict

MAX_JSON, MAX_DIRECTORY, SLACK = 1 << 21, 1 << 22, 1 << 25      # bytes; the first two can become 24 and 10 times as many
SAFETENSORS: dict[str, Any] = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": BFLOAT16,
                               "I64": "<i8", "I32": "<i4"}
REFUSED = {b"\x80": "a pickle, or PyTorch's format before 1.6; save its state_dict() with a newer PyTorch", b"GGUF": "GGUF",
           b"MINILSTM": "a checkpoint of minilstm, for ml.load_checkpoint", b"\x08": "ONNX", b"\x93NUMPY": "one array"}


class Source(NamedTuple):
    """The tensors of a file, or of another library's model."""

    format: str
    tensors: dict[str, np.ndarray]
    ordered: bool = False                   # whether in the order of the layers
    configs: list[dict[str, Any]] = []      # Keras' {"class_name", "config"} of each layer
    ignored: list[str] = []


def read_source(path: Path, room: int) -> Source:
    """Return the tensors of a file, which may inflate to ``room`` bytes. Raises CheckpointError, one line."""
    try:
        if not path.is_file():
            raise CheckpointError("is not a file" if path.exists() else "does not exist")
        with open(path, "rb") as file:
            return _read(file, os.fstat(file.fileno()).st_size, room)
    except CheckpointError:
        raise
    except ImportError as error:
        raise CheckpointError(f'needs {error.name}: pip install "minilstm[weights]"') from None
    except Exception as error:              # zipfile, zlib, struct, json, NumPy and HDF5 raise what they like
        raise CheckpointError(f"is damaged: {' '.join(str(error).split())[:200] or type(error).__name__}") from None


def _read(file: IO[bytes], size: int, room: int) -> Source:
    head = file.read(9)
    file.seek(0)
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        return _hdf5(file, size, None)
    if head[8:] == b"{":
        return _safetensors(file.read())
    if head[:4] != b"PK\3\4":
        kind = next((words for magic, words in REFUSED.items() if head.startswith(magic)), "of an unknown format")
        raise CheckpointError(f"is {kind}; read are .pt, .safetensors, .npz, .keras and .h5")
    archive = _zip(file, size, max(size, room) + SLACK)
    names = archive.namelist()
    if "model.weights.h5" in names:
        weights = archive.open("model.weights.h5").read(size)
        return _hdf5(io.BytesIO(weights), len(weights), _json(archive.open("config.json").read(MAX_JSON + 1)))
    for name in names:
        if name.split("/")[1:] == ["data.pkl"]:
            tensors, ignored = read_state_dict(archive, name.removesuffix("data.pkl"))
            return Source("PyTorch's torch.save", tensors, True, ignored=ignored)
    if not all(name.endswith(".npy") for name in names):
        raise CheckpointError("is an archive in which something is no array")
    return Source("NumPy's .npz", dict(np.load(file, allow_pickle=False)))


def _zip(file: IO[bytes], size: int, room: int) -> zipfile.ZipFile:
    file.seek(max(0, size - 65_700))
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    (directory,) = struct.unpack_from("<I", tail, at + 12) if at >= 0 else (0,)
    if at >= 76 and tail[at - 20:at - 16] == b"PK\6\7":         # zip64: in a record of its own
        (directory,) = struct.unpack_from("<Q", tail, at - 36)
    archive = None if directory > MAX_DIRECTORY else zipfile.ZipFile(file)
    members = archive.infolist() if archive else []
    if archive is None or sum(info.file_size for info in members) > room:
        raise CheckpointError("declares far more members or bytes than weights of its size have")
    if len(archive.NameToInfo) < len(members) or any(i.flag_bits & 1 or i.compress_type not in (0, 8) for i in members):
        raise CheckpointError("has two members of one name, or is encrypted or compressed in a way that is not read")
    return archive


def _json(text: bytes | str) -> Any:
    if len(text) > MAX_JSON:
        raise CheckpointError(f"has more than {MAX_JSON:,} bytes of JSON")
    return json.loads(text if isinstance(text, str) else text.decode(), object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise CheckpointError("is damaged: its JSON has a key twice")
    return dict(pairs)


def _safetensors(data: bytes) -> Source:
    """The length of a header, the header, and the tensors' bytes without gaps."""
    base = end = 8 + int.from_bytes(data[:8], "little")
    header, tensors = _json(data[8:base]), {}
    if not all(type(value) is str for value in header.pop("__metadata__", {}).values()):
        raise CheckpointError("is damaged: its __metadata__ holds other things than strings")
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        code, shape, (start, stop) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        if code not in SAFETENSORS:
            raise CheckpointError(f"{name} {shape} has dtype {code}, which is not read")
        dtype, whole = np.dtype(SAFETENSORS[code]), all(type(n) is int and n >= 0 for n in (*shape, start, stop))
        if not whole or base + start != end or stop - start != math.prod(shape) * dtype.itemsize:
            raise CheckpointError(f"is damaged: {name} {shape}, {code}, cannot be the bytes {start} to {stop}")
        tensors[name], end = np.frombuffer(data, dtype, math.prod(shape), end).reshape(shape), base + stop
    if end != len(data):
        raise CheckpointError(f"is damaged: its tensors end after {end:,} of {len(data):,} bytes")
    return Source("safetensors", tensors)


def _hdf5(file: IO[bytes], size: int, config: Any) -> Source:
    import h5py
    tensors, ignored = {}, []
    with h5py.File(file, "r") as root:
        if "model_config" in root.attrs:
            config = _json(root.attrs["model_config"])
        configs = list(_layers(config))
        order = {entry["config"]["name"]: place for place, entry in enumerate(configs)}
        for name, data in sorted(_walk(root, "", set()), key=lambda item: order.get(item[0].split("/")[1:2].pop(), 0)):
            if name.startswith("optimizer") or "seed_generator" in name:
                ignored.append(name.split("/")[0])
                continue
            stored, size = data.id.get_create_plist(), size - data.nbytes
            if stored.get_layout() not in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT) or stored.get_external_count() \
                    or data.id.get_storage_size() != data.nbytes or size < 0:
                raise CheckpointError(f"{name}: its bytes are not all in this file, in one piece, as Keras stores them")
            tensors[name] = data[()]
        return Source("Keras' HDF5", tensors, "model_config" in root.attrs, configs, sorted(set(ignored)))


def _walk(group: Any, path: str, seen: set[Any]) -> Iterator[tuple[str, Any]]:
    """Yield (path, dataset) of all below a group."""
    import h5py
    for name in group:
        where = f"{path}{name}"
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise CheckpointError(f"{where} is a link to another place")
        item = group[name]
        address = h5py.h5o.get_info(item.id).addr
        if address in seen or len(seen) > 10_000:
            raise CheckpointError(f"{where} stands there twice, or beside 10,000 others")
        seen.add(address)
        yield from _walk(item, f"{where}/", seen) if isinstance(item, h5py.Group) else [(where, item)]


def _layers(model: Any) -> Iterator[dict[str, Any]]:
    """Yield the entry of each layer of a model's config in order, inner models' too."""
    inner = [] if model is None else model["config"]
    for entry in inner if isinstance(inner, list) else inner["layers"]:         # a list: before Keras 2.3
        yield from _layers(entry) if "layers" in entry["config"] else [entry]
