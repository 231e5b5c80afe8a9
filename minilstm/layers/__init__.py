"""Layers, which own parameters and gradients and remember each forward for its backward."""
