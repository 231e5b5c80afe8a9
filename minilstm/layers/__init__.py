"""Layers: what owns parameters and gradients and remembers a forward for its backward."""
