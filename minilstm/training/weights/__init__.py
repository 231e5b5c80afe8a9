"""Weights from and for PyTorch and Keras: layouts.py alone converts, matching.py finds each tensor a place."""
