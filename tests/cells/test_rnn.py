"""The simple RNN's functions, with tanh and relu: against the oracle, every gradient, and the rules they keep."""

from __future__ import annotations

import cell_tests
from cases import Case, cases
from hypothesis import given, settings
from hypothesis import strategies as st

KIND = st.sampled_from(["tanh", "relu"])


@settings(max_examples=40)
@given(cases(kind=KIND, num_layers=1, bidirectional=False))
def test_forward_equals_the_oracle(case: Case) -> None:
    cell_tests.forward_equals_the_oracle(case)


@settings(max_examples=15)
@given(cases(kind=KIND, num_layers=1, bidirectional=False, return_sequences=True, states=True,
             T=st.sampled_from([1, 2, 4]), D=st.sampled_from([1, 3])))
def test_backward_equals_the_oracle(case: Case) -> None:
    cell_tests.backward_equals_the_oracle(case)


@settings(max_examples=20)
@given(case=cases(kind=KIND, num_layers=1, bidirectional=False, return_sequences=True), weights_float32=st.booleans())
def test_gradients_of_the_sequence_are_right(case: Case, weights_float32: bool) -> None:
    cell_tests.gradients_of_the_sequence_are_right(case, weights_float32)


@settings(max_examples=10)
@given(cases(kind=KIND, num_layers=1, bidirectional=False, T=1))
def test_gradients_of_a_step_are_right(case: Case) -> None:
    cell_tests.gradients_of_a_step_are_right(case)


@settings(max_examples=40)
@given(cases(kind=KIND, num_layers=1, bidirectional=False, return_sequences=True, padding="none", states=True))
def test_steps_chained_are_the_sequence(case: Case) -> None:
    cell_tests.steps_chained_are_the_sequence(case)


@settings(max_examples=40)
@given(cases(kind=KIND, num_layers=1, bidirectional=False, return_sequences=True))
def test_pure_and_backward_repeats(case: Case) -> None:
    cell_tests.pure_and_backward_repeats(case)


@settings(max_examples=40)
@given(cases(kind=KIND, num_layers=1, bidirectional=False, return_sequences=True))
def test_a_cache_outlives_the_callers_arrays(case: Case) -> None:
    cell_tests.a_cache_outlives_the_callers_arrays(case)
