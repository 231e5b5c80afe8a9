"""The equations of LSTM, GRU and simple RNN, with derivations: one time step and a whole sequence, forward
and backward."""
