"""Losses, each with its hand-derived gradient, and metrics."""
