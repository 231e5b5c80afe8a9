"""lab: tools for experiments with recurrent layers (sweeps over many trials, training on tasks with long lags, reports)."""
