"""The GRU's functions: every gradient, against the oracle, and the rules they keep."""

from __future__ import annotations

import cell_tests

(test_gradients_of_a_step_are_right, test_gradients_of_the_sequence_are_right, test_forward_equals_the_oracle,
 test_backward_equals_the_oracle, test_steps_chained_are_the_sequence, test_pure_and_backward_repeats,
 test_a_cache_outlives_the_callers_arrays) = cell_tests.tests_of("gru")
