"""The gradient check: numerical derivatives, comparisons, side effects."""
