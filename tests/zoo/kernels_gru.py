# GRU with two kernels, one for both gates and one for the candidate, which reads [x, r * state]; u keeps the old state
import numpy as np


def gru_layer(inputs, state, gate_kernel, gate_bias, cand_kernel, cand_bias):
    """inputs: (batch, time, features); gate_kernel: (features + units, 2 * units), columns r then u."""
    tape = []
    outputs = np.empty(inputs.shape[:2] + (state.shape[1],))
    for t in range(inputs.shape[1]):
        xh = np.c_[inputs[:, t], state]
        r, u = np.split(1.0 / (1.0 + np.exp(-(xh @ gate_kernel + gate_bias))), 2, axis=1)
        xrh = np.c_[inputs[:, t], r * state]
        cand = np.tanh(xrh @ cand_kernel + cand_bias)
        tape.append((xh, xrh, state, r, u, cand))
        state = u * state + (1 - u) * cand
        outputs[:, t] = state
    return outputs, state, (tape, gate_kernel, cand_kernel, inputs.shape[2])


def gru_layer_backward(g_outputs, g_final, saved):
    tape, gate_kernel, cand_kernel, features = saved
    g_gate_kernel = np.zeros(gate_kernel.shape)
    g_gate_bias = np.zeros(gate_kernel.shape[1])
    g_cand_kernel = np.zeros(cand_kernel.shape)
    g_cand_bias = np.zeros(cand_kernel.shape[1])
    g_inputs = []
    g_state = g_final
    for t, (xh, xrh, state, r, u, cand) in reversed(list(enumerate(tape))):
        g_state = g_state + g_outputs[:, t]

        # new state = u * state + (1 - u) * cand
        g_u = g_state * (state - cand)
        g_cand = g_state * (1 - u)
        g_prev = g_state * u

        # cand = tanh([x, r * state] K + b)
        g_pre = g_cand * (1 - cand ** 2)
        g_cand_kernel += xrh.T @ g_pre
        g_cand_bias += g_pre.sum(axis=0)
        g_xrh = g_pre @ cand_kernel.T
        g_x = g_xrh[:, :features]
        g_rh = g_xrh[:, features:]
        g_r = g_rh * state
        g_prev = g_prev + g_rh * r

        # r, u = sigmoid([x, state] K + b)
        g_gates = np.c_[g_r * r * (1 - r), g_u * u * (1 - u)]
        g_gate_kernel += xh.T @ g_gates
        g_gate_bias += g_gates.sum(axis=0)
        g_xh = g_gates @ gate_kernel.T
        g_x = g_x + g_xh[:, :features]
        g_prev = g_prev + g_xh[:, features:]

        g_inputs.append(g_x)
        g_state = g_prev
    g_inputs.reverse()
    return np.stack(g_inputs, axis=1), g_state, g_gate_kernel, g_gate_bias, g_cand_kernel, g_cand_bias
