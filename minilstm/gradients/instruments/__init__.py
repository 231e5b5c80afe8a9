"""Gradients watched on their way back through time: how large, by which path, through which gate."""
