"""lab: experiments with recurrent layers (sweeps over many trials, tasks with long lags, reports)."""
