"""What is wrong with a forward or backward whatever it computes: facts, and their words.

A gradient can be right and its backward do harm: it writes into its inputs, overwrites what it should add to,
clips. A SideEffect says so by a key and values; ``str`` gives the sentence.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Kind(NamedTuple):
    """``words``: the sentence, with places for values; ``mistake``: a key of MISTAKES, or ""."""

    words: str
    mistake: str = ""


WRITES = "was overwritten; forward and backward must not write into their inputs"
KINDS = {
    "random": Kind("forward and backward again give other gradients: random numbers are drawn again, without "
                   "a seed",
                   "mask_drawn_again"),
    "added": Kind("not zero where the gradients from above are zero: something else is added"),
    "decay": Kind("not zero where the gradients from above are zero: a multiple of the parameter is added, "
                  "as weight decay does", "weight_decay"),
    "clipped": Kind("not linear in the gradients from above: large ones are clipped", "clipping"),
    "multiplied": Kind("not linear in the gradients from above: they are multiplied with each other"),
    "overwritten": Kind(f"%s {WRITES}"),
    "upstream overwritten": Kind(f"upstream gradient %s {WRITES}", "upstream_written"),
    "cache written": Kind("a second backward gives another gradient of %s: the first one wrote into the "
                          "cache",
                          "cache_changed"),
    "not accumulated": Kind("the gradient of %s is not accumulated: a second backward must add to grads, not "
                            "overwrite them (write grads[name] += ...)"),
    "not read": Kind("the forward does not read %s, and backward gives it no gradient. Does the forward use "
                     "a copy of it? Read it from %s each time. If it is meant to be unused, give "
                     "allow_unused=(%r,)"),
    "no gradient": Kind("the forward reads %s, and no gradient of it was found (%s, ...). If it is a "
                        "constant, give allow_unused=(%r,)"),
}


class SideEffect(NamedTuple):
    """One of them: a key of KINDS, and the values that belong into its sentence."""

    key: str
    values: tuple[Any, ...] = ()

    @property
    def mistake(self) -> str:
        """The key in mistakes.MISTAKES; "" where the mistake has no name."""
        return KINDS[self.key].mistake

    def __str__(self) -> str:
        return KINDS[self.key].words % self.values
