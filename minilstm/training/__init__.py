"""Training: validation, history, callbacks and checkpoints around the five-line training loop."""
