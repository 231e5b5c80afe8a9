# a chain of nodes, one for each step of one sequence; the weights and their _diff arrays are attributes of the network
import numpy as np


def sigmoid(x):
    return 1.0 / (1 + np.exp(-x))


class Node:
    """One time step."""

    def __init__(self, net):
        self.net = net

    def forward(self, x, s_prev, h_prev):
        net = self.net
        self.xc = np.hstack((x, h_prev))
        self.s_prev = s_prev
        self.g = np.tanh(net.wg @ self.xc + net.bg)
        self.i = sigmoid(net.wi @ self.xc + net.bi)
        self.f = sigmoid(net.wf @ self.xc + net.bf)
        self.o = sigmoid(net.wo @ self.xc + net.bo)
        self.s = self.g * self.i + s_prev * self.f
        return self.s, np.tanh(self.s) * self.o

    def backward(self, top_h, top_s):
        net = self.net
        tanh_s = np.tanh(self.s)
        ds = top_s + top_h * self.o * (1 - tanh_s ** 2)
        do_input = top_h * tanh_s * self.o * (1 - self.o)
        di_input = ds * self.g * self.i * (1 - self.i)
        df_input = ds * self.s_prev * self.f * (1 - self.f)
        dg_input = ds * self.i * (1 - self.g ** 2)
        net.wi_diff += np.outer(di_input, self.xc)
        net.wf_diff += np.outer(df_input, self.xc)
        net.wo_diff += np.outer(do_input, self.xc)
        net.wg_diff += np.outer(dg_input, self.xc)
        net.bi_diff += di_input
        net.bf_diff += df_input
        net.bo_diff += do_input
        net.bg_diff += dg_input
        dxc = net.wi.T @ di_input + net.wf.T @ df_input + net.wo.T @ do_input + net.wg.T @ dg_input
        return dxc[:net.x_dim], dxc[net.x_dim:], ds * self.f


class Network:
    def __init__(self, x_dim, cells, rng):
        self.x_dim, self.cells = x_dim, cells
        for gate in "gifo":
            setattr(self, "w" + gate, rng.uniform(-0.5, 0.5, (cells, x_dim + cells)))
            setattr(self, "b" + gate, rng.uniform(-0.2, 0.2, cells))
        self.zero_diffs()

    def zero_diffs(self):
        for gate in "gifo":
            setattr(self, "w" + gate + "_diff", np.zeros((self.cells, self.x_dim + self.cells)))
            setattr(self, "b" + gate + "_diff", np.zeros(self.cells))

    def forward(self, xs):
        self.nodes = []
        s = h = np.zeros(self.cells)
        out = []
        for x in xs:
            node = Node(self)
            s, h = node.forward(x, s, h)
            self.nodes.append(node)
            out.append(h)
        return np.array(out)

    def backward(self, d_out):
        self.zero_diffs()
        d_xs = np.zeros((len(self.nodes), self.x_dim))
        dh = np.zeros(self.cells)
        ds = np.zeros(self.cells)
        for t in range(len(self.nodes) - 1, -1, -1):
            d_xs[t], dh, ds = self.nodes[t].backward(d_out[t] + dh, ds)
        return d_xs
