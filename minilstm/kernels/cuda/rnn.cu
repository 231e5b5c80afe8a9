// The simple recurrent network on the device: h_t = a(w_h [h_{t-1}, x_t] + b_h), a = tanh or relu. See minilstm/cells/rnn.py.
//
// The products with x are computed beforehand: xw (T, N, H) is x W_x. Arrays are time-major; row t of h (T+1, N, H) is the
// state before step t. Only y and dy are (N, T, H). A null pointer stands for an array that is not given or not wanted.

__device__ __forceinline__ real activate(real z, int relu) {
    return relu ? (z <= 0 ? (real)0 : z) : tanh(z);             // NaN stays NaN
}

__device__ __forceinline__ real derivative(real h, int relu) {
    return relu ? (real)(h <= 0 ? 0 : 1) : 1 - h * h;
}

#ifdef HIDDEN

// The whole sequence for R rows. Thread k computes unit k of each row. One barrier per step: h alternates between two buffers.
extern "C" __global__ void __launch_bounds__(H) rnn_forward(
        const real* xw, const real* W_h, const real* b, const real* h0, real* h, real* h_last, real* y, const int* lengths,
        int pre, int relu, int N, int T) {
    __shared__ __align__(16) real states[2 * R * H];
    const int k = threadIdx.x, first = blockIdx.x * R;
    const Column column(W_h + k, H);
    const real bias = b[k];
    Span span[R];
    real share[R], state[R];
#pragma unroll
    for (int r = 0; r < R; ++r) {
        const int n = first + r;
        share[r] = state[r] = 0;
        if (n < N) {
            span[r] = Span(lengths, pre, n, T);
            share[r] = xw[(size_t)n * H + k];
            if (h0) state[r] = h0[(size_t)n * H + k];
            if (h) h[(size_t)n * H + k] = state[r];
        }
        states[r * H + k] = state[r];
    }
    __syncthreads();
    for (int t = 0; t < T; ++t) {
        const real* now = states + (t & 1) * R * H;
        real* next = states + (~t & 1) * R * H;
        real ahead[R], z[R];
#pragma unroll
        for (int r = 0; r < R; ++r)                             // asked for now, needed at the next step
            ahead[r] = t + 1 < T && first + r < N ? xw[((size_t)(t + 1) * N + first + r) * H + k] : (real)0;
        column.dot(now, H, z);
#pragma unroll
        for (int r = 0; r < R; ++r) {
            const int n = first + r;
            const bool here = span[r].holds(t);
            if (here) state[r] = activate(z[r] + share[r] + bias, relu);    // a padded step carries the state
            next[r * H + k] = state[r];
            if (n < N && h) h[((size_t)(t + 1) * N + n) * H + k] = state[r];
            if (n < N && y) y[((size_t)n * T + t) * H + k] = here ? state[r] : (real)0;
            share[r] = ahead[r];
        }
        __syncthreads();
    }
#pragma unroll
    for (int r = 0; r < R; ++r)
        if (first + r < N) h_last[(size_t)(first + r) * H + k] = state[r];
}

// Back through the whole sequence for R rows: dz (T, N, H) and dh0, given W_hT (H, H), W_h transposed.
extern "C" __global__ void __launch_bounds__(H) rnn_backward(
        const real* W_hT, const real* h, const real* dy, const real* dh_last, real* dz, real* dh0, const int* lengths,
        int pre, int relu, int N, int T) {
    __shared__ __align__(16) real vectors[2 * R * H];
    const int k = threadIdx.x, first = blockIdx.x * R;
    const Column column(W_hT + k, H);
    Span span[R];
    real dh[R], h_t[R], above[R];
#pragma unroll
    for (int r = 0; r < R; ++r) {
        const int n = first + r;
        dh[r] = h_t[r] = above[r] = 0;
        if (n < N) {
            span[r] = Span(lengths, pre, n, T);
            if (dh_last) dh[r] = dh_last[(size_t)n * H + k];
            h_t[r] = h[((size_t)T * N + n) * H + k];
            if (dy) above[r] = dy[((size_t)n * T + T - 1) * H + k];
        }
    }
    for (int t = T - 1; t >= 0; --t) {
        real* now = vectors + (t & 1) * R * H;
        real back[R];
#pragma unroll
        for (int r = 0; r < R; ++r) {
            const int n = first + r;
            const bool here = span[r].holds(t);
            if (here) dh[r] += above[r];
            const real d = here ? dh[r] * derivative(h_t[r], relu) : (real)0;                       // 3
            now[r * H + k] = d;
            if (n < N) {
                dz[((size_t)t * N + n) * H + k] = d;
                h_t[r] = h[((size_t)t * N + n) * H + k];        // asked for now, needed at the next step
                if (dy && t > 0) above[r] = dy[((size_t)n * T + t - 1) * H + k];
            }
        }
        __syncthreads();
        column.dot(now, H, back);                                                                   // 1
#pragma unroll
        for (int r = 0; r < R; ++r)
            if (span[r].holds(t)) dh[r] = back[r];              // a padded step is the identity
    }
#pragma unroll
    for (int r = 0; r < R; ++r)
        if (first + r < N) dh0[(size_t)(first + r) * H + k] = dh[r];
}

#else

// One step for any H, with one thread for each unit of each row; from_h (N, H) is h_{t-1} W_h. h has T+1 rows, or 2 that are
// used alternately if nothing is kept for backward.
extern "C" __global__ void rnn_forward_step(
        const real* xw, const real* from_h, const real* b, real* h, real* y, const int* lengths, int pre, int relu,
        int N, int T, int H, int rows, int t) {
    const size_t e = (size_t)blockIdx.x * blockDim.x + threadIdx.x, size = (size_t)N * H;
    if (e >= size) return;
    const int n = (int)(e / H), k = (int)(e % H);
    const bool here = Span(lengths, pre, n, T).holds(t);
    real state = h[t % rows * size + e];
    if (here) state = activate(xw[t * size + e] + from_h[e] + b[k], relu);
    h[(t + 1) % rows * size + e] = state;
    if (y) y[((size_t)n * T + t) * H + k] = here ? state : (real)0;
}

// One step backward. The gradient of h_t from step t+1 has two parts: carried (N, H), written by that step, and from_later
// (N, H), its dz W_hT, which is not read at the last step.
extern "C" __global__ void rnn_backward_step(
        const real* h, const real* dy, const real* from_later, real* carried, real* dz, const int* lengths, int pre, int relu,
        int N, int T, int H, int t) {
    const size_t e = (size_t)blockIdx.x * blockDim.x + threadIdx.x, size = (size_t)N * H;
    if (e >= size) return;
    const int n = (int)(e / H), k = (int)(e % H);
    const bool here = Span(lengths, pre, n, T).holds(t);
    real dh = carried[e];
    if (t < T - 1) dh += from_later[e];
    if (here && dy) dh += dy[((size_t)n * T + t) * H + k];
    dz[t * size + e] = here ? dh * derivative(h[(t + 1) * size + e], relu) : (real)0;               // 3
    carried[e] = here ? (real)0 : dh;
}

#endif
