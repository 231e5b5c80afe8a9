"""Training: what a long run needs around the five-line loop."""
