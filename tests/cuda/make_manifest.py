"""Write manifest.json: what the real CuPy has, by name and parameter, so that tests can check calls without having it.

    python tests/cuda/make_manifest.py        in an environment with CuPy; no GPU and no driver are needed

The parameters of a Python function come from its signature, those of a compiled function from the first line of its docstring.
A name whose parameters are unknown is kept with null.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

MANIFEST = Path(__file__).with_name("manifest.json")
SPACES = ("cuda", "cuda.runtime")           # below cupy itself
CLASSES = ("ndarray", "RawModule", "RawKernel", "cuda.Device", "cuda.Event", "cuda.Stream", "cuda.MemoryPointer")
VALUE = "value"
ANY, MORE = "**", "*"                       # takes keywords, or positions, without saying which


def parameters(thing: Any, name: str) -> list[str] | None:
    """Return the names of the parameters, with ANY and MORE where there may be others; None where nobody knows."""
    try:
        given = inspect.signature(thing).parameters.values()
        return [ANY if p.kind is p.VAR_KEYWORD else MORE if p.kind is p.VAR_POSITIONAL else p.name
                for p in given if p.name != "self"]
    except (TypeError, ValueError):
        pass
    first = (getattr(thing, "__doc__", None) or "").strip().partition("\n")[0].replace("\\", "")
    match = re.match(r"[\w. ]*?(\w+)\((.*)\)", first)
    if not match:
        return None
    names = []
    for part in _split(match[2]):
        word = part.partition("=")[0].strip()
        if word.startswith("*") and word != "*":
            names.append(ANY if word.startswith("**") else MORE)
        elif word and word not in "/*":
            names.append(re.split(r"[\s:]+", word)[0] if ":" in word else word.split()[-1])
    return [word for word in names if word != "self"]


def _split(text: str) -> list[str]:
    """Cut at the commas outside brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += letter in "([{"
        depth -= letter in ")]}"
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def look(cupy: Any) -> dict[str, Any]:
    """Return the manifest."""
    spaces: dict[str, dict[str, Any]] = {}
    for path in ("", *SPACES):
        space = cupy
        for word in filter(None, path.split(".")):
            space = getattr(space, word)
        names = spaces[path] = {}
        for name in sorted(dir(space)):
            thing = getattr(space, name)
            hidden = name.startswith("_") and name != "__version__" or name == "annotations"
            if hidden or isinstance(thing, cupy.ufunc) or inspect.ismodule(thing) and name not in " ".join(SPACES):
                continue
            names[name] = parameters(thing, name) if callable(thing) and not _is_dtype(thing) else VALUE
    classes: dict[str, dict[str, Any]] = {}
    for path in CLASSES:
        kind: Any = cupy
        for word in path.split("."):
            kind = getattr(kind, word)
        members = {name: getattr(kind, name) for name in sorted(dir(kind)) if not name.startswith("_")}
        classes[path] = {name: parameters(thing, name) if callable(thing) else VALUE for name, thing in members.items()}
    ufuncs = sorted(name for name in dir(cupy) if isinstance(getattr(cupy, name), cupy.ufunc))
    return {"cupy": cupy.__version__, "spaces": spaces, "classes": classes, "ufuncs": ufuncs,
            "ufunc": parameters(cupy.add, "add"),
            "ufunc methods": {name: parameters(getattr(cupy.add, name), name)
                              for name in ("accumulate", "at", "outer", "reduce", "reduceat")}}


def _is_dtype(thing: Any) -> bool:
    import numpy as np
    return isinstance(thing, type) and issubclass(thing, np.generic)


def main() -> int:
    try:
        import cupy
    except ImportError:
        print("make_manifest: error: needs CuPy: pip install cupy-cuda12x (no GPU is needed)", file=sys.stderr)
        return 2
    manifest = look(cupy)
    lines = json.dumps(manifest, indent=1, ensure_ascii=True)
    lists_on_a_line = re.sub(r"\[\s+([^\[\]]*?)\s+\]", lambda found: "[" + re.sub(r"\s+", " ", found[1]) + "]", lines)
    MANIFEST.write_text(lists_on_a_line + "\n", encoding="ascii")
    print(f"{MANIFEST}: CuPy {manifest['cupy']}, {sum(map(len, manifest['spaces'].values()))} names, "
          f"{len(manifest['ufuncs'])} ufuncs, {sum(map(len, manifest['classes'].values()))} members of classes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
