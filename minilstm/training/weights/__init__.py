"""Weights from and for PyTorch and Keras: layouts.py alone converts, and matching.py finds the place of each tensor."""
