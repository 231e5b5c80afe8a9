"""The mistakes that are made in a hand-written backward pass, in one table.

They are collected from public implementations and from the family that the diagnosis searches
(wrong_lines.py). What it finds, the grader and ``--json`` speak of them by their keys.
"""

from __future__ import annotations

from typing import NamedTuple


class Mistake(NamedTuple):
    """One kind of mistake.

    ``seen``: what a check shows. ``question``: what to ask oneself. ``lines``: where it is made, in the
    derivation of ``cell`` (or ANY). ``in_loop``: it is the loop over time that is wrong.
    """

    key: str
    name: str
    seen: str
    question: str
    lines: tuple[int, ...] = ()
    cell: str = "LSTM"
    in_loop: bool = False


ANY = "any layer"           # a mistake that is made in no one cell
_SIGMOIDS, _GATES, _ALL_OF_ONE = (4, 5, 6), (3, 4, 5, 6), "all of one gate's blocks are wrong"
MISTAKES = {mistake.key: mistake for mistake in (
    Mistake("dh_not_added", "dh of step t+1 is not added", "right at T = 1, wrong at T = 2",
            "Where does h_t go, besides the output?", (1,)),
    Mistake("dc_not_added", "dc of step t+1 is not added", "right at T = 1, wrong at T = 2",
            "By which two ways does c_t reach the loss?", (7, 11)),
    Mistake("carry_added_up", "a carry is added up, not replaced", "right at T = 2, wrong at T = 3",
            "Whose gradient is in dh_prev after step t?", (1, 7)),
    Mistake("dc_prev_without_f", "dc_prev without f_t", "dc0 is wrong at T = 1",
            "By what is c_{t-1} multiplied in c_t?", (7,)),
    Mistake("dc_prev_with_another_f", "dc_prev with f of another step", "right at T = 1, wrong at T = 2",
            "Which f stands in the equation of c_t?", (7,)),
    Mistake("dc_prev_from_one_source", "dc_prev from one of dc's two sources", "dc0 is wrong at T = 1",
            "Is dc complete when it is multiplied by f_t?", (7,)),
    Mistake("not_transposed", "W is not transposed", "dh0 and dx are wrong, dW is right",
            "Which shapes has dz Wᵀ? Is W square?", (1,)),
    Mistake("wrong_half", "the wrong half of d[h, x]", "dh0 and dx are wrong, dW is right",
            "Which columns of [h, x] are h's?", (1,)),
    Mistake("gate_left_out", "a gate is left out of dh_prev or dx", "only dh0, or only dx, is wrong at T = 1",
            "How many gates read h_{t-1}?", (1,)),
    Mistake("before_nonlinearity", "the gradient before the nonlinearity", _ALL_OF_ONE,
            "What is W multiplied with in z?", (1, 2)),
    Mistake("final_state_ignored", "the final state's gradient is ignored",
            "wrong only if the final state is an output", "Who else uses h_T and c_T?"),
    Mistake("step_left_out", "the loop leaves out a step", "that step's dx is zero",
            "What does range(T - 1, 0, -1) end with?", in_loop=True),
    Mistake("truncation", "truncation", "right up to k steps, wrong beyond",
            "How many steps does the loop go back?", in_loop=True),
    Mistake("no_sigmoid_derivative", "σ' is missing", _ALL_OF_ONE, "What lies between z and the gate?",
            _SIGMOIDS),
    Mistake("sigmoid_derivative_of_gate", "σ' of the activated gate", _ALL_OF_ONE,
            "Is the gate, as kept, before or after σ?", _SIGMOIDS),
    Mistake("rules_exchanged", "tanh's rule for a sigmoid, or the reverse", _ALL_OF_ONE,
            "Which function made this gate?", _GATES),
    Mistake("no_tanh_derivative", "tanh' is missing", "all that tanh was applied to is wrong",
            "What lies between z and the value, or between c_t and h_t?", (3,)),
    Mistake("tanh_derivative", "tanh' of the activated value",
            "the candidate's blocks are wrong", "Is the value, as kept, before or after tanh?", (3,)),
    Mistake("c_in_tanh_derivative", "tanh'(c) with c for tanh(c)", "f, i and c̃ are wrong, o is right",
            "1 - u²: what is u here?", (11,)),
    Mistake("do_for_dh", "do where dh belongs", "f, i and c̃ are wrong, o is right",
            "Was dh overwritten before it was used?", (11,)),
    Mistake("no_o_in_dc", "o is missing in dc", "f, i and c̃ are wrong, o is right",
            "What multiplies tanh(c_t) in h_t?", (11,)),
    Mistake("c_for_c_prev", "c_t for c_{t-1}", "only f's blocks are wrong", "Which c does f_t multiply?",
            (10,)),
    Mistake("c_for_tanh_c", "c for tanh(c)", "only o's blocks are wrong", "What does o_t multiply in h_t?",
            (12,)),
    Mistake("partners_exchanged", "partners of i and c̃ exchanged", "i's and c̃'s blocks are wrong",
            "d(u v)/du is ...?", (8, 9)),
    Mistake("blocks_exchanged", "blocks of dz in another order", "two gates' blocks are wrong",
            "In which order does the forward cut z?", _GATES),
    Mistake("gru_no_direct_path", "GRU: no direct path", "dh0 is wrong, dW is right at T = 1",
            "By what is h_{t-1} multiplied in h_t?", (8,), "GRU"),
    Mistake("gru_z_exchanged", "GRU: z and 1 - z exchanged", "the candidate's blocks are wrong",
            "Which of the two keeps the past?", (8, 10), "GRU"),
    Mistake("gru_sign_of_dz", "GRU: sign of dz", "z's blocks have the wrong sign",
            "What is d/dz of (1 - z) n + z h?", (9,), "GRU"),
    Mistake("gru_no_r", "GRU: r is missing on the way back", "dh0 and dW_nh are wrong",
            "What does r multiply: h, or W h?", (6,), "GRU"),
    Mistake("sum_over_time", "= for += in dW or db", "right at T = 1, wrong at T = 2",
            "How many steps use the same W?", (2,)),
    Mistake("h_for_h_prev", "h_t for h_{t-1} in dW", "only the rows of h are wrong",
            "Which h was multiplied with W_h at step t?", (2,)),
    Mistake("index_minus_one", "index -1 at t = 0", "only the rows of h are wrong",
            "What is h[t - 1] for t = 0?", (2,)),
    Mistake("mean_over_batch", "mean for the sum over the batch", "1/N times too small",
            "Did the loss already divide by N?", (2,)),
    Mistake("zero", "a gradient stays zero", "one gradient is zero everywhere", "Which line fills it?"),
    Mistake("p_without_y", "p for p - y", "everything is wrong", "What is the gradient of -ln p_y?"),
    Mistake("factor", "1/N or 1/T forgotten, or twice", "everything by one factor",
            "Is the loss a sum or a mean?"),
    Mistake("clipping", "clipping inside backward", "not linear in the gradients from above",
            "Does the optimiser clip already?"),
    Mistake("weight_decay", "weight decay inside backward", "not zero where those from above are",
            "Is the penalty part of this loss?"),
    Mistake("cache_changed", "the cache is used up or written", "a second backward differs or fails",
            "Does backward pop, or write with +=?"),
    Mistake("upstream_written", "an upstream gradient is written", "dh += ... changes the caller's array",
            "Is dh a copy or a view?"),
    Mistake("mask_drawn_again", "the mask is drawn again", "forward and backward again differ",
            "Where is the mask kept?"),
    Mistake("wrong_forward", "the forward is not the equations", "the check passes",
            "Is each gate σ(z), each candidate tanh(z)?"),
    *(Mistake(*words, cell=ANY) for words in (         # what a repair is, in any layer
        ("term_missing", "a term is missing", "wrong only where that term is not zero",
         "By which ways does this value reach the loss?"),
        ("term_too_many", "a term too many", "", "Does this value reach the loss this way?"),
        ("factor_missing", "a factor is missing", "", "What stands between this value and the next?"),
        ("factor_too_many", "a factor too many", "", "Is this already in what comes from above?"),
        ("another_factor", "another factor belongs here", "", "What is the derivative, and of which value?"),
        ("another_value", "another value belongs here", "", "Which of them does the forward use here?"),
        ("another_function", "another function belongs here", "", "Which function made this value?"),
        ("function_missing", "a function is missing", "", "Is it this value, or a function of it?"),
        ("function_too_many", "a function too many", "", "Is this value before the function, or after?"),
        ("another_operator", "another operator belongs here", "", "Which does the derivative have?"),
        ("overwritten", "= for +=", "right where it happens once", "How often does the forward use this?"),
        ("added_up", "+= for =", "right where it happens once", "Does what was there before belong to it?"),
        ("loop", "how the loop runs", "often right at T = 1", "In which order, from where, and how far?"),
        ("sign", "a sign", "one gradient is negated", "With which sign does the forward take it?"),
        ("complement", "u for 1 - u, or the reverse", "", "Which of the two does the forward use?"),
        ("square", "a square", "", "What is squared: all of it, or a part?"),
        ("index", "an index", "often right at T = 1", "Which step's value did the forward use?"),
        ("repeated_index", "a repeated index counts once", "right without repetition",
         "What do two places with the same index add?"),
        ("slice", "a slice", "", "Which columns did the forward take?"),
        ("order", "the order", "", "In which order does the forward use them?"),
        ("axis", "a sum over another axis", "", "Over which axis did the forward repeat it?"),
        ("number", "a number", "", "Where does this number come from?"),
        ("copy", "a copy is missing", "", "Who else writes into this array?"),
        ("line_missing", "a line is missing", "", "What becomes of this value for the next step?"),
        ("line_too_many", "a line too many", "", "Which line of the forward is this the derivative of?")))
)}


def table() -> str:
    """Return the mistakes as text: number, name, lines, what one sees, question."""
    rows = []
    for number, mistake in enumerate(MISTAKES.values(), 1):
        lines = ", ".join(map(str, mistake.lines))
        line = f"line{'s' * (len(mistake.lines) > 1)} {lines}" if lines else "no line"
        whose = "" if mistake.cell == "LSTM" else f" of the {mistake.cell}"
        where = ANY if mistake.cell == ANY else f"{line}{whose}"
        rows.append(f"{number:2}. {mistake.name} ({where})")
        if mistake.seen:
            rows.append(f"      seen: {mistake.seen}")
        rows.append(f"      ask:  {mistake.question}")
    return "\n".join(rows)
