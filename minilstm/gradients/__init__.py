"""Gradients, checked against numerical derivatives and watched on their way back through time."""
