"""Somebody else's code, checked from the shell: read from a file or notebook, run in a process of its own, and judged."""
