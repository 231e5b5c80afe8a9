"""What the diagnosis found: facts, and the one place that puts them into English.

A finding says by a key what the backward does (``form``) and, by the key of mistakes.MISTAKES, which mistake
that is. The grader asks for the words without what is right: who is told the corrected line copies it.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Form(NamedTuple):
    """What a backward does: the key of the mistake, or ""; the words; what belongs there instead."""

    mistake: str
    words: str
    right: str = ""


FORMS = {
    "formula": Form("", "%s = %s"),
    "forward": Form("wrong_forward", "%s in the forward", ", where the equation is %s"),
    # what is handed on to step t-1
    "nothing handed on": Form("dh_not_added", "dh_prev = 0: nothing is handed on to step t-1"),
    "not read": Form("dh_not_added", "dh_prev of step t+1 is not added to dh"),
    "twice": Form("", "dh_prev = 2 dz Wᵀ"),
    "negated": Form("", "dh_prev = -dz Wᵀ"),
    "dz W": Form("not_transposed", "dh_prev = dz W, not transposed"),
    "h from the end": Form("wrong_half", "dh_prev is cut from the last columns of d[h, x], which are x's"),
    "h from the front": Form("wrong_half", "dh_prev is cut from the first columns of d[x, h], which are x's"),
    "h too early": Form("wrong_half", "dh_prev is cut one column too early from d[1, x, h]"),
    "dh_prev added up": Form("carry_added_up", "dh_prev is added to that of step t+1: += for ="),
    "dh_prev before": Form("before_nonlinearity",
                           "dh_prev is made from the gradients before the nonlinearities"),
    "dh handed on": Form("before_nonlinearity", "dh itself is handed on as dh_prev", ", not dz Wᵀ"),
    "dh added": Form("term_too_many", "dh is added to dh_prev"),
    "gate not transposed": Form("not_transposed", "in dh_prev, W of gate %s is not transposed"),
    "gate through another": Form("gate_left_out", "in dh_prev, gate %s goes through W of gate %s"),
    "without gate": Form("gate_left_out", "dh_prev without the share of gate %s"),
    "one gate alone": Form("gate_left_out", "dh_prev has the share of gate %s alone"),
    "da_n handed on": Form("gru_no_r", "dh_prev has da_n", " where dq belongs"),
    "direct path alone": Form("gate_left_out", "dh_prev = dh * z_t alone: the share through W is missing"),
    "dc_prev added up": Form("carry_added_up", "dc_prev is added to that of step t+1: += for ="),
    "dc frozen": Form("dc_not_added", "dc stays what it was at the last step"),
    "blocks exchanged": Form("blocks_exchanged", "the blocks of gates %s and %s are exchanged in dz"),
    # the loop and what comes from above
    "above at one step": Form("", "only the %s step's dh from above"),
    "nothing from above": Form("", "no dh from above"),
    "last step left out": Form("step_left_out", "a loop that leaves out the last step"),
    "first step left out": Form("step_left_out", "a loop that leaves out the first step (t = 0)"),
    "truncated": Form("truncation", "only the last %s steps gone back through (truncated)"),
    "final ignored": Form("final_state_ignored", "the gradient of the final %s state ignored"),
    "finals ignored": Form("final_state_ignored", "the gradients of the final states ignored"),
    # the loss
    "loss negated": Form("", "the wrong sign of the loss's gradient"),
    "p": Form("p_without_y", "p where p - y belongs: nothing is subtracted at the target"),
    "sum": Form("factor", "the gradient of a sum where the loss is a mean: the factor 1/n is missing"),
    "mean": Form("factor", "a gradient divided by %s", ", where the loss is not"),
    "last loss": Form("", "only the last step's loss gone back through"),
    "p + y": Form("sign", "p + y", " where p - y belongs"),
    "squared": Form("", "(p - y) * p * (1 - p): the rule of the squared error, not of cross-entropy"),
    # one gradient
    "zero": Form("zero", "it stays zero"),
    "dh returned": Form("before_nonlinearity", "dh of the first step itself is returned", ", not dz Wᵀ"),
    "dc returned": Form("dc_prev_without_f",
                        "dc of the first step itself is returned, without the factor f_t"),
    "states exchanged": Form("order", "dh0 and dc0 are returned in the wrong order"),
    "word once": Form("", "a word that occurs twice is counted once (dE[tokens] += ...)"),
    "word once a step": Form("", "a word that occurs twice in a step is counted once (dE[tokens] += ...)"),
    "instead": Form("another_value", "%s is used", " where %s belongs"),
    "h_t": Form("h_for_h_prev", "h_t is used", " where h_{t-1} belongs"),
    "h_t for h0": Form("h_for_h_prev", "the first step's h_t for h0 (a view that was written to)"),
    "wrapped": Form("index_minus_one", "%s is used, with index -1 at t = 0"),
    "x wrapped": Form("index", "%s is used, with index -1 at t = 0"),
    "every step": Form("index", "%s at every step"),
    "zero for h0": Form("", "zero for h0"),
    "x reversed": Form("order", "x in the reverse order"),
    "first share": Form("sum_over_time", "the first step's share alone"),
    "written last": Form("sum_over_time", "= for +=: the first step's share alone, written last"),
    "last share": Form("sum_over_time", "the last step's share alone"),
    "without first": Form("sum_over_time", "the first step (t = 0) is left out of the sum"),
    "without last": Form("sum_over_time", "the last step is left out of the sum"),
    "transposed": Form("", "transposed"),
    "before": Form("before_nonlinearity", "the gradient before the nonlinearity is used"),
    "all before": Form("before_nonlinearity", "the gradients before the nonlinearities are used"),
    "another gate": Form("blocks_exchanged", "the gradient of gate %s is used"),
    "another factor": Form("gru_no_r", "the gradient that belongs to x is used"),
    "factor of h": Form("", "the gradient that belongs to h is used"),
    "dq": Form("", "dq is used", " where da_n belongs"),
    "dh": Form("before_nonlinearity", "dh itself is used"),
    "one sequence": Form("", "the %s sequence of the batch alone is used"),
    "dx reversed": Form("order", "its steps are in the reverse order"),
    "dx of one step": Form("", "only the %s step's is there"),
    "dx without first": Form("step_left_out", "the first step's (t = 0) is missing"),
    "dx without last": Form("step_left_out", "the last step's is missing"),
    "dx shifted": Form("index", "each step has %s"),
    "dx wrapped": Form("index_minus_one", "each step has %s (index -1)"),
    "dx added up": Form("carry_added_up", "later steps are added to each"),
    "share missing": Form("gate_left_out", "the share of gate %s is missing"),
    "share alone": Form("gate_left_out", "it has the share of gate %s alone"),
    "x from the front": Form("wrong_half", "it is cut from the first columns of d[h, x], which are h's"),
    "x from the end": Form("wrong_half", "it is cut from the last columns of d[x, h], which are h's"),
    "x too early": Form("wrong_half", "it is cut one column too early from d[1, x, h]"),
    "W_h for W_x": Form("another_value", "W_h is used", " where W_x belongs"),
    "W_x not transposed": Form("not_transposed", "W_x is not transposed"),
    "factor": Form("factor", "it is %s times what it should be"),
    "negative factor": Form("sign", "it is %s times what it should be"),
    "1/N": Form("mean_over_batch", "it is 1/N times what it should be"),
    "clipped": Form("clipping", "it is clipped at %s"),
    "weight decay": Form("weight_decay", "%s times the weights are added (weight decay)"),
}


class Part(NamedTuple):
    """A gradient, or one gate's part of it; ``array``: the array of a student that holds it."""

    name: str
    gate: str = ""
    array: str = ""

    def __str__(self) -> str:
        return f"{self.name} of gate {self.gate}" if self.gate else self.name


class Finding(NamedTuple):
    """One mistake that was found.

    ``form`` (a key of FORMS) and ``values``: what the backward does. ``name``: the key of the mistake where
    the form does not tell. ``line``, ``right``: the number of the line in the derivation of cells/lstm.py,
    gru.py or rnn.py, and that line; None and "" where it has none. ``parts``: the gradients. ``later``: at t
    > 0 alone.
    """

    form: str
    values: tuple[Any, ...] = ()
    name: str = ""
    line: int | None = None
    right: str = ""
    parts: tuple[Part, ...] = ()
    later: bool = False

    @property
    def mistake(self) -> str:
        """The key in mistakes.MISTAKES; "" where the mistake has no name."""
        return self.name or FORMS[self.form].mistake

    @property
    def where(self) -> str:
        """The gradients, in words: each part, or if there are many the arrays that hold them."""
        return ", ".join(map(str, self.parts) if len(self.parts) <= 4 else self.arrays)

    @property
    def arrays(self) -> list[str]:
        """The arrays of the student that are wrong, each once."""
        return list(dict.fromkeys(part.array for part in self.parts if part.array))

    @property
    def wrong(self) -> str:
        """What the backward does, in words."""
        return self.words()

    def words(self, tell_right: bool = True) -> str:
        """Return what the backward does in words, on request without what belongs there."""
        form = FORMS[self.form]
        count = form.words.count("%s")
        text = form.words % self.values[:count]
        if tell_right and form.right:
            text += form.right % self.values[count:]
        return text.replace(" + -1 * ", " - ") + " at t > 0" * self.later

    def __str__(self) -> str:
        text = f"{self.where}: {self.wrong}" if self.arrays else self.wrong
        return text if self.line is None else f"{text}; line {self.line} of the derivation says {self.right}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {name: getattr(self, name) for name in ("mistake", "line", "right", "wrong", "where")}
