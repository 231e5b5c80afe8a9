"""Weights from and for PyTorch and Keras: layouts.py converts, matching.py finds each tensor a place."""
