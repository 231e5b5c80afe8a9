"""The equations: LSTM, GRU and simple RNN, each with its derivation; one time step and a whole sequence, there and back."""
