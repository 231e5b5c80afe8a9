// The GRU on the device; the equations and the numbered steps of the derivation are in minilstm/cells/gru.py.
//
// The products with x are computed beforehand: on entry, gates (T, N, 3H) is x W_x; on return, r, z, n after their
// nonlinearity. q (T, N, H) is the candidate's product with h. The biases b (4H) are b_r, b_z, b_nx, b_nh. Arrays are
// time-major; row t of h (T+1, N, H) is the state before step t. Only y and dy are (N, T, H). A null pointer stands for an
// array that is not given or not wanted.

struct Values { real r, z, n, q; };

// Returns h_t.
__device__ __forceinline__ real gru_cell(const Values& v, real h) {
    return (1 - v.z) * v.n + v.z * h;
}

// Returns da_r, da_z, da_n, dq, given dh; changes dh to the part of dh_prev that does not come from a matrix product.
__device__ __forceinline__ Values gru_cell_backward(const Values& v, real h_prev, real& dh) {
    const real da_n = dh * (1 - v.z) * (1 - v.n * v.n);             // 9, 6
    const Values d = {da_n * v.q * v.r * (1 - v.r),                 // 5, 3
                      dh * (h_prev - v.n) * v.z * (1 - v.z),        // 8, 4
                      da_n, da_n * v.r};                            // 5
    dh *= v.z;                                                      // 7
    return d;
}

#ifdef HIDDEN

constexpr int THREADS = 3 * H;
constexpr int CELLS = (R + 2) / 3;      // cells (a row's unit) of each thread: number e = thread + s * THREADS of R * H

// The whole sequence for R rows. At each step, thread j first computes column j of the products for all rows, then its own
// cells. Without h, nothing is kept for backward.
extern "C" __global__ void __launch_bounds__(THREADS) gru_forward(
        real* gates, real* q, const real* W_h, const real* b, const real* h0, real* h, real* h_last, real* y,
        const int* lengths, int pre, int N, int T) {
    __shared__ __align__(16) real states[R * H];
    __shared__ __align__(16) real values[R * 4 * H];               // r, z, q and the candidate's share of x
    const int j = threadIdx.x, first = blockIdx.x * R, live = min(R, N - first);        // rows of this block that there are
    const bool candidate = j >= 2 * H;
    const Column column(W_h + j, 3 * H);
    const real bias = b[j], bias_h = candidate ? b[H + j] : (real)0;
    const size_t step = (size_t)N * 3 * H;
    real* at = gates + (size_t)first * 3 * H + j;
    Span span[CELLS];
    real share[R];
#pragma unroll
    for (int s = 0; s < CELLS; ++s) {
        const int e = j + s * THREADS, n = first + e / H;
        const size_t place = (size_t)n * H + e % H;
        real state = 0;
        if (e < R * H && n < N) {
            span[s] = Span(lengths, pre, n, T);
            if (h0) state = h0[place];
            if (h) h[place] = state;
        }
        if (e < R * H) states[e] = state;
    }
#pragma unroll
    for (int r = 0; r < R; ++r) share[r] = r < live ? at[r * 3 * H] : (real)0;
    __syncthreads();
    for (int t = 0; t < T; ++t, at += step) {
        real ahead[R], a[R];
#pragma unroll
        for (int r = 0; r < R; ++r)                             // asked for now, needed at the next step
            ahead[r] = t + 1 < T && r < live ? at[step + r * 3 * H] : (real)0;
        column.dot(states, H, a);
#pragma unroll
        for (int r = 0; r < R; ++r) {
            const real from_x = share[r] + bias;
            const real value = candidate ? a[r] + bias_h : sigmoid(a[r] + from_x);
            values[r * 4 * H + j] = value;
            if (candidate) values[r * 4 * H + H + j] = from_x;
            if (h && r < live && candidate) q[((size_t)t * N + first + r) * H + j - 2 * H] = value;
            if (h && r < live && !candidate) at[r * 3 * H] = value;
            share[r] = ahead[r];
        }
        __syncthreads();
#pragma unroll
        for (int s = 0; s < CELLS; ++s) {
            const int e = j + s * THREADS, r = e / H, k = e % H, n = first + r;
            if (e >= R * H || n >= N) continue;
            const real* v = values + r * 4 * H + k;
            const real candidate_value = tanh(v[3 * H] + v[0] * v[2 * H]);
            const bool here = span[s].holds(t);
            if (here) states[e] = gru_cell({v[0], v[H], candidate_value, v[2 * H]}, states[e]);     // else it is carried
            if (h) gates[((size_t)t * N + n) * 3 * H + 2 * H + k] = candidate_value;
            if (h) h[((size_t)(t + 1) * N + n) * H + k] = states[e];
            if (y) y[((size_t)n * T + t) * H + k] = here ? states[e] : (real)0;
        }
        __syncthreads();
    }
#pragma unroll
    for (int s = 0; s < CELLS; ++s) {
        const int e = j + s * THREADS, n = first + e / H;
        if (e < R * H && n < N) h_last[(size_t)n * H + e % H] = states[e];
    }
}

// Backward through the whole sequence for R rows: computes da (T, N, 3H) of r, z, n and dq (T, N, H), which may be gates and q
// themselves, and dh0, given W_hT (3H, H), the transpose of W_h. At each step, each thread first handles its cells; then
// thread j = (gate, k) computes the gradient that unit k of step t-1 gets through that gate, and the three are added up.
extern "C" __global__ void __launch_bounds__(THREADS) gru_backward(
        const real* gates, const real* q, const real* W_hT, const real* h, const real* dy, const real* dh_last, real* da,
        real* dq, real* dh0, const int* lengths, int pre, int N, int T) {
    __shared__ __align__(16) real vectors[R * 3 * H];
    __shared__ __align__(16) real parts[R * 3 * H];
    const int j = threadIdx.x, gate = j / H, first = blockIdx.x * R;
    const Column column(W_hT + (size_t)gate * H * H + j % H, H);
    Span span[CELLS];
    Values v[CELLS] = {};
    real dh[CELLS], h_prev[CELLS], above[CELLS];

    // Load the values of a cell that step t needs, one step before they are used.
    auto ask = [&](int s, int n, int k, int t) {
        const size_t row = (size_t)t * N + n;
        const real* g = gates + row * 3 * H + k;
        v[s] = {g[0], g[H], g[2 * H], q[row * H + k]};
        h_prev[s] = h[row * H + k];
        above[s] = dy ? dy[((size_t)n * T + t) * H + k] : (real)0;
    };
#pragma unroll
    for (int s = 0; s < CELLS; ++s) {
        const int e = j + s * THREADS, k = e % H, n = first + e / H;
        dh[s] = h_prev[s] = above[s] = 0;
        if (e >= R * H || n >= N) continue;
        span[s] = Span(lengths, pre, n, T);
        if (dh_last) dh[s] = dh_last[(size_t)n * H + k];
        ask(s, n, k, T - 1);
    }
    for (int t = T - 1; t >= 0; --t) {
#pragma unroll
        for (int s = 0; s < CELLS; ++s) {
            const int e = j + s * THREADS, r = e / H, k = e % H, n = first + r;
            if (e >= R * H) continue;
            Values d = {0, 0, 0, 0};
            if (span[s].holds(t)) {
                dh[s] += above[s];
                d = gru_cell_backward(v[s], h_prev[s], dh[s]);
            }
            real* u = vectors + r * 3 * H + k;
            u[0] = d.r, u[H] = d.z, u[2 * H] = d.q;
            if (n >= N) continue;
            if (t > 0) ask(s, n, k, t - 1);
            const size_t row = (size_t)t * N + n;
            real* w = da + row * 3 * H + k;
            w[0] = d.r, w[H] = d.z, w[2 * H] = d.n;
            dq[row * H + k] = d.q;
        }
        __syncthreads();
        real back[R];
        column.dot(vectors + gate * H, 3 * H, back);                    // 1
#pragma unroll
        for (int r = 0; r < R; ++r) parts[r * 3 * H + j] = back[r];
        __syncthreads();
#pragma unroll
        for (int s = 0; s < CELLS; ++s) {
            const int e = j + s * THREADS;
            const real* p = parts + e / H * 3 * H + e % H;
            if (e < R * H && span[s].holds(t)) dh[s] += p[0] + p[H] + p[2 * H];     // a padded step is the identity
        }
    }
#pragma unroll
    for (int s = 0; s < CELLS; ++s) {
        const int e = j + s * THREADS, n = first + e / H;
        if (e < R * H && n < N) dh0[(size_t)n * H + e % H] = dh[s];
    }
}

#else

// One step for any H, with one thread for each unit of each row; from_h (N, 3H) is h_{t-1} W_h. h has T+1 rows, or 2 that are
// used alternately if nothing is kept for backward.
extern "C" __global__ void gru_forward_step(
        real* gates, real* q, const real* from_h, const real* b, real* h, real* y, const int* lengths, int pre,
        int N, int T, int H, int rows, int t) {
    const size_t e = (size_t)blockIdx.x * blockDim.x + threadIdx.x, size = (size_t)N * H;
    if (e >= size) return;
    const int n = (int)(e / H), k = (int)(e % H);
    const bool here = Span(lengths, pre, n, T).holds(t);
    real state = h[t % rows * size + e];
    if (here) {
        real* g = gates + ((size_t)t * N + n) * 3 * H + k;
        const real* u = from_h + (size_t)n * 3 * H + k;
        Values v = {sigmoid(g[0] + u[0] + b[k]), sigmoid(g[H] + u[H] + b[H + k]), 0, u[2 * H] + b[3 * H + k]};
        v.n = tanh(g[2 * H] + b[2 * H + k] + v.r * v.q);
        g[0] = v.r, g[H] = v.z, g[2 * H] = v.n;
        if (q) q[t * size + e] = v.q;
        state = gru_cell(v, state);
    }
    h[(t + 1) % rows * size + e] = state;
    if (y) y[((size_t)n * T + t) * H + k] = here ? state : (real)0;
}

// One step backward. The gradient of h_t from step t+1 has two parts: carried (N, H), written by that step, and from_later
// (N, H), its to_h W_hT, which is not read at the last step. to_h (N, 3H) receives da_r, da_z, dq of this step.
extern "C" __global__ void gru_backward_step(
        const real* gates, const real* q, const real* h, const real* dy, const real* from_later, real* carried, real* da,
        real* dq, real* to_h, const int* lengths, int pre, int N, int T, int H, int t) {
    const size_t e = (size_t)blockIdx.x * blockDim.x + threadIdx.x, size = (size_t)N * H;
    if (e >= size) return;
    const int n = (int)(e / H), k = (int)(e % H);
    const size_t row = (size_t)t * N + n;
    real dh = carried[e];
    if (t < T - 1) dh += from_later[e];
    Values d = {0, 0, 0, 0};
    if (Span(lengths, pre, n, T).holds(t)) {
        const real* g = gates + row * 3 * H + k;
        if (dy) dh += dy[((size_t)n * T + t) * H + k];
        d = gru_cell_backward({g[0], g[H], g[2 * H], q[row * H + k]}, h[row * H + k], dh);
    }
    real* w = da + row * 3 * H + k;
    real* u = to_h + (size_t)n * 3 * H + k;
    w[0] = u[0] = d.r, w[H] = u[H] = d.z, w[2 * H] = d.n;
    dq[row * H + k] = u[2 * H] = d.q;
    carried[e] = dh;
}

#endif
