"""Tell files apart by what is in them and read their tensors, trusting nothing that they declare.

A zip can inflate without end and name a million members. HDF5 can point into other files: only hard links are
followed, and only datasets are read whose every byte is stored there, in one piece, as Keras writes them.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from minilstm.backend.errors import CheckpointError
from minilstm.training.checkpoint import unique_keys
from minilstm.training.weights.pickles import BFLOAT16, read_state_dict

MAX_JSON, MAX_DIRECTORY, SLACK = 1 << 21, 1 << 22, 1 << 25      # bytes; the first two take many times as many
DTYPES: dict[str, Any] = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": BFLOAT16}
REFUSED = {b"\x80": "a pickle, or PyTorch's format before 1.6", b"GGUF": "GGUF", b"\x08": "ONNX",
           b"MINILSTM": "a checkpoint of minilstm, for ml.load_checkpoint", b"\x93NUMPY": "one array"}


class Source(NamedTuple):
    """The tensors of a file, or of another library's model."""

    format: str
    tensors: dict[str, np.ndarray]
    ordered: bool = False                   # whether in the order of the layers
    configs: list[dict[str, Any]] = []      # Keras' {"class_name", "config"} of each layer
    ignored: list[str] = []

    @property
    def layout(self) -> str:
        return "keras" if any("/" in name for name in self.tensors) else "torch"

    def arrays(self, names: Mapping[str, str]) -> dict[str, np.ndarray]:
        """Return the tensors of these names, NumPy's dtypes instead of bfloat16."""
        found = {role: self.tensors[name] for role, name in names.items()}
        return {role: (a["bfloat16"].astype("<u4") << 16).view("<f4") if a.dtype == BFLOAT16 else a
                for role, a in found.items()}

    def words(self, *layers: Mapping[str, str]) -> str:
        """Return the names and shapes of layers' tensors."""
        return "; ".join(", ".join(f"{name} {self.tensors[name].shape}" for name in layer.values())
                         for layer in layers)[:999]


def read_source(path: Path, room: int) -> Source:
    """Return the tensors of a file, which may inflate to ``room`` bytes. Raises CheckpointError, one line."""
    try:
        if not path.is_file():
            raise CheckpointError("does not exist, or is not a file")
        with open(path, "rb") as file:
            return _read(file, os.fstat(file.fileno()).st_size, room)
    except CheckpointError:
        raise
    except ImportError as error:
        raise CheckpointError(f'needs {error.name}: pip install "minilstm[weights]"') from None
    except Exception as error:              # zipfile, zlib, struct, json, NumPy and HDF5 raise what they like
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CheckpointError(f"is damaged: {reason}") from None


def _read(file: IO[bytes], size: int, room: int) -> Source:
    head = file.read(9)
    file.seek(0)
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        return _hdf5(file, size, None)
    if head[8:] == b"{":
        return _safetensors(file.read())
    if head[:4] != b"PK\3\4":
        kind = [words for magic, words in REFUSED.items() if head.startswith(magic)] or ["of no known format"]
        raise CheckpointError(f"is {kind[0]}; read are .pt, .safetensors, .npz, .keras and .h5")
    archive = _zip(file, max(size, room) + SLACK)
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


def _zip(file: IO[bytes], room: int) -> zipfile.ZipFile:
    """Open an archive whose directory is short: an entry of 47 bytes there takes 500 in memory."""
    file.seek(-98, os.SEEK_END)
    end = file.read()                   # perhaps zip64's record and its locator, then the usual record
    directory = int.from_bytes(end[40:48] if end[56:60] == b"PK\6\7" else end[88:92], "little")
    if end[76:80] + end[96:] != b"PK\5\6\0\0" or directory > MAX_DIRECTORY:
        raise CheckpointError("is damaged, or declares far more members than weights have")
    archive = zipfile.ZipFile(file)
    members = archive.infolist()
    if sum(info.file_size for info in members) > room:
        raise CheckpointError("declares far more bytes than weights of its size have")
    if len(archive.NameToInfo) < len(members) or any(info.compress_type not in (0, 8) for info in members):
        raise CheckpointError("has two members of one name, or is compressed in a way that is not read")
    return archive


def _json(text: bytes | str) -> Any:
    if len(text) > MAX_JSON:
        raise CheckpointError(f"has more than {MAX_JSON:,} bytes of JSON")
    return json.loads(text, object_pairs_hook=unique_keys)


def _safetensors(data: bytes) -> Source:
    import safetensors
    _json(data[8:8 + int.from_bytes(data[:8], "little")])       # a key twice, which the package lets pass
    tensors = {}
    for name, entry in safetensors.deserialize(data):
        if entry["dtype"] not in DTYPES:
            raise CheckpointError(f"{name} {entry['shape']} has dtype {entry['dtype']}, which is not read")
        tensors[name] = np.frombuffer(entry["data"], DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return Source("safetensors", tensors)


def _hdf5(file: IO[bytes], size: int, config: Any) -> Source:
    import h5py
    tensors, ignored = {}, []
    with h5py.File(file, "r") as root:
        if "model_config" in root.attrs:
            config = _json(root.attrs["model_config"])
        configs = list(_layers(config))
        order = {entry["config"]["name"]: place for place, entry in enumerate(configs)}
        for name, data in sorted(_datasets(root), key=lambda pair: order.get(f"{pair[0]}/".split("/")[1], 0)):
            if name.startswith("optimizer") or "seed_generator" in name:
                ignored.append(name.split("/")[0])
                continue
            size -= data.nbytes
            if size < 0 or data.chunks or data.external or data.is_virtual or \
                    data.id.get_storage_size() != data.nbytes:
                raise CheckpointError(f"{name}: its bytes are not all in this file, in one piece")
            tensors[name] = data[()]
        return Source("Keras' HDF5", tensors, "model_config" in root.attrs, configs, sorted(set(ignored)))


def _datasets(root: Any) -> Iterator[tuple[str, Any]]:
    import h5py
    groups = [("", root)]
    for path, group in groups:              # it grows
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink) or len(groups) > 1000:
                raise CheckpointError(f"{path[:99]}{name} is a link, or there are over 1,000 groups")
            if isinstance(group[name], h5py.Group):
                groups.append((f"{path}{name}/", group[name]))
            else:
                yield f"{path}{name}", group[name]


def _layers(model: Any) -> Iterator[dict[str, Any]]:
    """Yield the entry of each layer of a model's config in order, inner models' too."""
    inner = [] if model is None else model["config"]
    for entry in inner if isinstance(inner, list) else inner["layers"]:         # a list: before Keras 2.3
        yield from _layers(entry) if "layers" in entry["config"] else [entry]
