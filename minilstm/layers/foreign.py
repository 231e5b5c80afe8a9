"""Keywords that PyTorch's and Keras' layers and optimisers take and these do not; what to write here."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from minilstm.backend.errors import ArgumentError

INSTEAD = {
    "activation": "the activations of the equations are fixed; RNN takes nonlinearity=\"tanh\" or \"relu\"",
    "batch_first": "arrays are always batch-first here, (N, T, D); leave it out",
    "batch_input_shape": "give the sizes instead, as in LSTM(input_size, hidden_size)",
    "bias": "the cells always have biases; leave it out",
    "bias_initializer": "use init=\"default\" (Keras') or init=\"uniform\" (PyTorch's)",
    "device": "move the model afterwards: model.to(\"cupy\")",
    "embeddings_initializer": "use init=\"default\" (Keras') or init=\"uniform\" (PyTorch's)",
    "go_backwards": "use bidirectional=True, or reverse the input: x[:, ::-1]",
    "implementation": "there is one; leave it out",
    "inplace": "nothing is computed in place; leave it out",
    "input_dim": "the sizes are Embedding(num_embeddings, embedding_dim) and LSTM(input_size, hidden_size)",
    "input_length": "any length is taken; leave it out",
    "input_shape": "give the sizes instead, as in LSTM(input_size, hidden_size)",
    "kernel_initializer": "use init=\"default\" (Keras') or init=\"uniform\" (PyTorch's)",
    "mask_zero": "give the lengths with the call: model(x, lengths=lengths)",
    "max_norm": "rows are not rescaled; leave it out",
    "output_dim": "the sizes are Embedding(num_embeddings, embedding_dim)",
    "proj_size": "put a Linear layer after it",
    "rate": "write Dropout(p)",
    "recurrent_activation": "the gates are sigmoids, as in the equations; leave it out",
    "recurrent_dropout": "states are not dropped; dropout=p drops between layers, Dropout drops outputs",
    "recurrent_initializer": "use init=\"default\" (Keras') or init=\"uniform\" (PyTorch's)",
    "reset_after": "the reset gate always acts after the product, as with reset_after=True; leave it out",
    "return_state": "give it with the call: y, state = layer(x, return_state=True)",
    "scale_grad_by_freq": "gradients are plain sums; leave it out",
    "seed": "write rng=seed",
    "sparse": "gradients are dense; leave it out",
    "stateful": "write y, state = layer(x, state, return_state=True), or Trainer(..., carry_state=True)",
    "time_major": "arrays are always batch-first here, (N, T, D); leave it out",
    "unit_forget_bias": "init=\"default\" starts the forget bias at 1; leave it out",
    "units": "write LSTM(input_size, hidden_size) or Linear(in_features, out_features)",
    "unroll": "loops over time are not unrolled; leave it out",
    "use_bias": "Linear takes bias=False; the cells always have biases",
}


BETAS, CLIPPED, OUT = "write betas=(beta_1, beta_2)", "call clip_grad_norm before the step", "leave it out"
OPTIMIZER_INSTEAD = {
    "amsgrad": OUT, "beta_1": BETAS, "beta_2": BETAS, "capturable": OUT, "clipnorm": CLIPPED,
    "clipvalue": CLIPPED, "decay": "use a schedule, such as ExponentialLR", "differentiable": OUT,
    "epsilon": "write eps", "error_if_nonfinite": "step() raises NonFiniteError", "foreach": OUT,
    "fused": OUT, "global_clipnorm": CLIPPED, "jit_compile": OUT, "learning_rate": "write lr",
    "maximize": "change the sign of the loss", "name": OUT, "norm_type": "the norm is L2; leave it out",
    "parameters": "give the model, first", "params": "give the model, first",
    "use_ema": "use the callback AveragedWeights"}


def refuse_foreign(cls: Any, options: Iterable[str], instead: Mapping[str, str] = INSTEAD) -> None:
    """Raise ArgumentError, saying what to write instead, if a keyword is another library's and not one of
    of its own."""
    foreign = [name for name in options if name in instead]
    if not foreign:
        return
    bases = getattr(cls, "__mro__", ())[:-1]        # a function has none
    constructors = [vars(base)["__init__"] for base in bases if "__init__" in vars(base)]
    own = {name for constructor in constructors for name in inspect.signature(constructor).parameters}
    for name in foreign:
        if name not in own:
            raise ArgumentError(f"{cls.__name__}: {name} is not an argument here: {instead[name]}")
