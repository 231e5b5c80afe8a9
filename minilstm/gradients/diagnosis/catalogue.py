"""The catalogue of mistakes in a hand-written backward pass: what one sees, which line, and what to ask oneself.

Collected from public implementations and from the family that the diagnosis searches (slips.py). Lines are those of the LSTM's
derivation, cells/lstm.py, where a cell is not named.
"""

from __future__ import annotations

from typing import NamedTuple


class Mistake(NamedTuple):
    """One kind: ``seen``, what a check shows; ``line``, in the derivation; ``question``, to ask oneself."""

    name: str
    seen: str
    line: str
    question: str


CATALOGUE = (
    Mistake("dh of step t+1 is not added", "right at T = 1, wrong at T = 2", "1", "Where does h_t go, besides the output?"),
    Mistake("dc of step t+1 is not added", "right at T = 1, wrong at T = 2", "7, 11",
            "By which two ways does c_t reach the loss?"),
    Mistake("a carry is added up, not replaced", "right at T = 2, wrong at T = 3", "1, 7",
            "Whose gradient is in dh_prev after step t?"),
    Mistake("dc_prev without f_t", "dc0 is wrong at T = 1", "7", "By what is c_{t-1} multiplied in c_t?"),
    Mistake("dc_prev with f of another step", "right at T = 1, wrong at T = 2", "7", "Which f stands in the equation of c_t?"),
    Mistake("dc_prev from one of dc's two sources", "dc0 is wrong at T = 1", "7",
            "Is dc complete when it is multiplied by f_t?"),
    Mistake("W is not transposed", "dh0 and dx are wrong, dW is right", "1", "Which shapes has dz Wᵀ? Is W square?"),
    Mistake("the wrong half of d[h, x]", "dh0 and dx are wrong, dW is right", "1", "Which columns of [h, x] are h's?"),
    Mistake("a gate is left out of dh_prev or dx", "only dh0, or only dx, is wrong at T = 1", "1",
            "How many gates read h_{t-1}?"),
    Mistake("the gradient before the nonlinearity", "all of one gate's blocks are wrong", "1, 2",
            "What is W multiplied with in z?"),
    Mistake("the final state's gradient is ignored", "wrong only if the final state is an output", "",
            "Who else uses h_T and c_T?"),
    Mistake("the loop leaves out a step", "that step's dx is zero", "", "What does range(T - 1, 0, -1) end with?"),
    Mistake("truncation", "right up to k steps, wrong beyond", "", "How many steps does the loop go back?"),
    Mistake("σ' is missing", "all of one gate's blocks are wrong", "4, 5, 6", "What lies between z and the gate?"),
    Mistake("σ' of the activated gate", "all of one gate's blocks are wrong", "4, 5, 6", "Is f, as kept, before or after σ?"),
    Mistake("tanh's rule for a sigmoid, or the reverse", "all of one gate's blocks are wrong", "3 to 6",
            "Which function made this gate?"),
    Mistake("tanh' is missing, or of the activated value", "the candidate's blocks are wrong", "3",
            "Is c̃, as kept, before or after tanh?"),
    Mistake("tanh'(c) with c for tanh(c)", "f, i and c̃ are wrong, o is right", "11", "1 - u²: what is u here?"),
    Mistake("o is missing in dc", "f, i and c̃ are wrong, o is right", "11", "What multiplies tanh(c_t) in h_t?"),
    Mistake("do where dh belongs", "f, i and c̃ are wrong, o is right", "11", "Was dh overwritten before it was used?"),
    Mistake("c_t for c_{t-1}", "only f's blocks are wrong", "10", "Which c does f_t multiply?"),
    Mistake("c for tanh(c)", "only o's blocks are wrong", "12", "What does o_t multiply in h_t?"),
    Mistake("partners of i and c̃ exchanged", "i's and c̃'s blocks are wrong", "8, 9", "d(u v)/du is ...?"),
    Mistake("blocks of dz in another order", "two gates' blocks are wrong", "3 to 6",
            "In which order does the forward cut z?"),
    Mistake("GRU: no direct path", "dh0 is wrong, dW is right at T = 1", "gru 8", "By what is h_{t-1} multiplied in h_t?"),
    Mistake("GRU: z and 1 - z exchanged", "the candidate's blocks are wrong", "gru 8, 10", "Which of the two keeps the past?"),
    Mistake("GRU: sign of dz", "z's blocks have the wrong sign", "gru 9", "What is d/dz of (1 - z) n + z h?"),
    Mistake("GRU: r is missing on the way back", "dh0 and dW_nh are wrong", "gru 6", "What does r multiply: h, or W h?"),
    Mistake("= for += in dW or db", "right at T = 1, wrong at T = 2", "2", "How many steps use the same W?"),
    Mistake("h_t for h_{t-1} in dW", "only the rows of h are wrong", "2", "Which h was multiplied with W_h at step t?"),
    Mistake("index -1 at t = 0", "only the rows of h are wrong", "2", "What is h[t - 1] for t = 0?"),
    Mistake("mean for the sum over the batch", "1/N times too small", "2", "Did the loss already divide by N?"),
    Mistake("p for p - y", "everything is wrong", "", "What is the gradient of -ln p_y?"),
    Mistake("1/N or 1/T forgotten, or twice", "everything by one factor", "", "Is the loss a sum or a mean?"),
    Mistake("clipping inside backward", "not linear in the gradients from above", "", "Does the optimiser clip already?"),
    Mistake("weight decay inside backward", "not zero where those from above are", "", "Is the penalty part of this loss?"),
    Mistake("the cache is used up or written", "a second backward differs or fails", "",
            "Does backward pop, or write with +=?"),
    Mistake("an upstream gradient is written", "dh += ... changes the caller's array", "", "Is dh a copy or a view?"),
    Mistake("the mask is drawn again", "forward and backward again differ", "", "Where is the mask kept?"),
    Mistake("the forward is not the equations", "the check passes", "", "Is each gate σ(z), each candidate tanh(z)?"),
)


def table() -> str:
    """Return the catalogue as text: number, name, what one sees, line, question."""
    lines = []
    for number, one in enumerate(CATALOGUE, 1):
        which = one.line.removeprefix("gru ")
        line = f"line{'s' * any(mark in which for mark in (',', 'to'))} {which}" if which else "no line"
        whose = " of the GRU" if which != one.line else ""
        lines += [f"{number:2}. {one.name} ({line}{whose})", f"      seen: {one.seen}", f"      ask:  {one.question}"]
    return "\n".join(lines)
