"""The ten steps of examples/exercises: which functions each asks for, how each is judged, and what it is
worth.

A step is recognised by the names of its functions, so that a file may have any name and a notebook may hold
several steps.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from minilstm.exercises import answers
from minilstm.exercises.cells import GRU_STEP, LSTM, LSTM_STEP, RNN, RNN_STEP, CellExercise, judge_backward
from minilstm.exercises.numbers import Task, judge
from minilstm.exercises.own_work import library_calls
from minilstm.exercises.verdict import NOT_HANDED_IN, Names, Unanswered, Verdict, failed, names_of
from minilstm.gradients.targets.failures import at_line


class Function(NamedTuple):
    """One function of a step: its points, the first question, and what it is judged by."""

    name: str
    points: int
    question: str
    task: Task | CellExercise


class Step(NamedTuple):
    """``stem``: of the exercise's file; ``title``; and the functions, whose points add up to 10."""

    stem: str
    title: str
    functions: tuple[Function, ...]

    @property
    def name(self) -> str:
        """The first word of ``stem``, such as "step01"."""
        return self.stem[:len("step01")]


class Graded(NamedTuple):
    """One function's points and verdict."""

    function: str
    score: float
    points: int
    mistakes: Sequence[str]     # their keys
    detail: str
    hint: str

    @property
    def mistake(self) -> str:
        """The mistakes' names."""
        return names_of(self.mistakes)

    @property
    def handed_in(self) -> bool:
        """Whether there was something to grade."""
        return NOT_HANDED_IN not in self.mistakes


STEPS = (
    Step("step01_rnn_step", "RNN step", (
        Function("rnn_step", 4, "which shape has [h, x] W?", RNN_STEP.forward),
        Function("rnn_step_backward", 6, "what is the last operation of the forward, and its derivative?",
                 RNN_STEP))),
    Step("step02_rnn_through_time", "back through time", (
        Function("rnn_forward", 4, "which state does step t read, and where does it write?", RNN.forward),
        Function("rnn_backward", 6, "where does h_t go, besides the output?", RNN))),
    Step("step03_lstm_step", "LSTM step", (
        Function("lstm_step", 10, "which columns of z belong to which gate?", LSTM_STEP.forward),)),
    Step("step04_lstm_step_backward", "LSTM step backward", (
        Function("lstm_step_backward", 10, "which equation of the forward is the last, and what does it "
                                           "multiply?", LSTM_STEP),)),
    Step("step05_lstm_through_time", "LSTM through time", (
        Function("lstm_forward", 4, "what does each step get from the one before?", LSTM.forward),
        Function("lstm_backward", 6, "what reaches h_t, and what c_t, from step t + 1?", LSTM))),
    Step("step06_embedding", "embedding", (
        Function("embedding_forward", 4, "which row does token 3 select?", answers.EMBEDDING),
        Function("embedding_backward", 6, "what do two places with the same word add to its row?",
                 answers.EMBEDDING_BACK))),
    Step("step07_bce_and_adam", "BCE and Adam", (
        Function("bce_forward", 3, "what is the loss of one score, without the mean?", answers.BCE),
        Function("bce_backward", 3, "what is dp/dz, and what cancels?", answers.BCE_BACK),
        Function("adam_step", 4, "how much of the old mean is kept?", answers.ADAM))),
    Step("step08_padding", "padding and lengths", (
        Function("pad", 2, "how long is each sequence?", answers.PAD),
        Function("masked_rnn_forward", 4, "what must a padded step do with the state it got?",
                 answers.MASKED),
        Function("masked_rnn_backward", 4, "what is the derivative of a step that does nothing?",
                 answers.MASKED_BACK))),
    Step("step09_gru", "GRU step", (
        Function("gru_step", 4, "which columns and which biases belong to which gate?", GRU_STEP.forward),
        Function("gru_step_backward", 6, "by how many ways does h_{t-1} reach h_t?", GRU_STEP))),
    Step("step10_clipping_and_forget_bias", "clipping and forget bias", (
        Function("clip_by_norm", 4, "what is the norm of several arrays together?", answers.CLIP),
        Function("survival", 3, "between which numbers does a gate lie?", answers.SURVIVAL),
        Function("bias_needed", 3, "when is a bias enough?", answers.BIAS))),
)


def steps_in(text: str, name: str = "") -> list[Step]:
    """Return the step that a file is named after (ada_step05.py; it may hold functions of other steps too),
    or else those of which its code defines a function. Nothing is run: a broken file has its steps too."""
    after = [step for step in STEPS if re.search(rf"(?<![A-Za-z]){step.name}(?!\d)", name, re.IGNORECASE)]
    return after or [step for step in STEPS
                     if any(_defines(text, function.name) for function in step.functions)]


def _defines(text: str, name: str) -> bool:
    line = rf"^[^#\n]*(\bdef\s+{name}\s*\(|\b{name}\s*=[^=]|\bimport\b.*\b{name}\b)"
    return re.search(line, text, re.MULTILINE) is not None


def is_step_file(stem: str) -> bool:
    """Return whether a file has an exercise's own name, also short (step03): in any case, and with what a
    download adds to it."""
    stems = "|".join(f"{step.stem}|{step.name}" for step in STEPS)
    return re.fullmatch(rf"({stems})([\W_][\W\d_]*)?(copy[\W\d_]*)?", stem, re.IGNORECASE) is not None


def grade(names: Names, step: Step) -> list[Graded]:
    """Judge the functions of a step among the names that a submission defines."""
    return [_graded(names, function) for function in step.functions]


def _graded(names: Names, function: Function) -> Graded:
    with library_calls() as calls:
        try:
            task = function.task
            verdict = (judge(names, function.name, function.question, task) if isinstance(task, Task) else
                       judge_backward(names, function.name, function.question, task))
        except Unanswered as error:
            verdict = error.verdict
        except SystemExit as error:
            verdict = Verdict(0.0, ("ends itself",), f"SystemExit{at_line(error)}",
                              "who calls a function that ends the program?")
        except Exception as error:
            verdict = failed(function.name, error, function.question)
            if not at_line(error):      # no line of the student's raised
                verdict = verdict._replace(mistakes=("not checked",), hint="")
    if calls:
        verdict = Verdict(0.0, ("borrowed",), f"it calls minilstm's {calls[0]}",
                          "what would you write if minilstm were not there?")
    return Graded(function.name, verdict.score * function.points, function.points, *verdict[1:])
