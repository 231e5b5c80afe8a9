// The optimisers' steps, one call a parameter. See minilstm/optim.py.

// Adam and AdamW in the order of minilstm.optim.Adam: p, m and v in place, unless *ok is 0. step = lr·k/(1 - β₁ᵗ) and
// floor = ε·k with k = √(1 - β₂ᵗ) come from the host; decay is the weight decay (Adam), shrink = 1 - lr·decay (AdamW).
extern "C" __global__ void adam(real* p, const real* g, real* m, real* v, const unsigned char* ok, real beta1, real beta2,
                                real rest1, real rest2, real step, real floor, real decay, real shrink, long long size) {
    const long long e = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= size || (ok && !*ok)) return;
    const real weight = p[e] * shrink, gradient = g[e] + decay * p[e];
    m[e] = beta1 * m[e] + rest1 * gradient;
    v[e] = beta2 * v[e] + rest2 * (gradient * gradient);
    p[e] = weight - step * (m[e] / (sqrt(v[e]) + floor));
}
