"""The fast twin of the embedding's gradient: the gradient at each position of a batch is added to its token's row, in place.

On the host, a compiled loop does this; on a device, a kernel. Both add in a fixed order, so every run gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, get_array_module
from minilstm.kernels import compiled
from minilstm.kernels.cuda.embedding import add_on_device
from minilstm.kernels.cuda.launch import takes
from minilstm.kernels.cuda.trial import trusted


def embedding_twin(dy: Array, dW: Array) -> Callable[[Array, Array, Array, int | None], None] | None:
    """Return the fast function for these arrays, or None if there is none.

    ``twin(dy, tokens, dW, padding_idx)`` adds to each row of dW (V, D) the sum of dy (..., D) over the positions of its token
    in tokens (...). The row ``padding_idx`` is not changed.
    """
    if get_array_module(dy, dW) is not np:
        return add_on_device if takes(dy, dW) and trusted("embedding", dW.dtype) else None
    functions = compiled.functions(dW, dy) if dW.flags.c_contiguous else None
    return None if functions is None else partial(_add_compiled, functions)


def _add_compiled(functions: Any, dy: np.ndarray, tokens: np.ndarray, dW: np.ndarray, padding_idx: int | None) -> None:
    functions.embedding.add_up(
        np.ascontiguousarray(dy.reshape(tokens.size, -1)), np.ascontiguousarray(tokens, dtype=np.int64),
        -1 if padding_idx is None else padding_idx, dW)
