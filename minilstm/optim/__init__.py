"""Optimisers, clipping, and schedules of the learning rate."""
