// The LSTM on the device; the equations and the numbered steps of the derivation are in minilstm/cells/lstm.py.
//
// The products with x are computed beforehand: on entry, gates (T, N, 4H) is x W_x; on return, f, i, o, c̃ after their
// nonlinearity. Arrays are time-major; row t of h and c (T+1, N, H) is the state before step t. Only y and dy are (N, T, H).
// A null pointer stands for an array that is not given or not wanted.

struct Gates { real f, i, o, c; };

// c_{t-1} becomes c_t; returns h_t.
__device__ __forceinline__ real lstm_cell(const Gates& g, real& c) {
    c = g.f * c + g.i * g.c;
    return g.o * tanh(c);
}

// Returns dz, given dh; the gradient of c_t becomes that of c_{t-1}.
__device__ __forceinline__ Gates lstm_cell_backward(const Gates& g, real c_prev, real c, real dh, real& dc) {
    const real tanh_c = tanh(c);
    const real dc_t = dc + dh * g.o * (1 - tanh_c * tanh_c);        // 11
    dc = dc_t * g.f;                                                // 7
    return {dc_t * c_prev * g.f * (1 - g.f),                        // 10, 6
            dc_t * g.c * g.i * (1 - g.i),                           // 9, 5
            dh * tanh_c * g.o * (1 - g.o),                          // 12, 4
            dc_t * g.i * (1 - g.c * g.c)};                          // 8, 3
}

#ifdef HIDDEN

constexpr int THREADS = 4 * H;
constexpr int CELLS = (R + 3) / 4;      // cells (a row's unit) of each thread: number e = thread + s * THREADS of R * H

// The whole sequence for R rows. At each step, thread j first computes column j of the gates for all rows, then its own cells.
// Without h and c, nothing is kept for backward.
extern "C" __global__ void __launch_bounds__(THREADS) lstm_forward(
        real* gates, const real* W_h, const real* b, const real* h0, const real* c0, real* h, real* c, real* h_last,
        real* c_last, real* y, const int* lengths, int pre, int N, int T) {
    __shared__ __align__(16) real states[R * H];
    __shared__ __align__(16) real values[R * 4 * H];
    const int j = threadIdx.x, first = blockIdx.x * R, live = min(R, N - first);        // rows of this block that there are
    const Column column(W_h + j, 4 * H);
    const real bias = b[j];
    const size_t step = (size_t)N * 4 * H;
    real* at = gates + (size_t)first * 4 * H + j;
    Span span[CELLS];
    real share[R], cell[CELLS];
#pragma unroll
    for (int s = 0; s < CELLS; ++s) {
        const int e = j + s * THREADS, n = first + e / H;
        const size_t place = (size_t)n * H + e % H;
        real state = 0;
        cell[s] = 0;
        if (e < R * H && n < N) {
            span[s] = Span(lengths, pre, n, T);
            if (h0) state = h0[place];
            if (c0) cell[s] = c0[place];
            if (h) h[place] = state, c[place] = cell[s];
        }
        if (e < R * H) states[e] = state;
    }
#pragma unroll
    for (int r = 0; r < R; ++r) share[r] = r < live ? at[r * 4 * H] : (real)0;
    __syncthreads();
    for (int t = 0; t < T; ++t, at += step) {
        real ahead[R], z[R];
#pragma unroll
        for (int r = 0; r < R; ++r)                             // asked for now, needed at the next step
            ahead[r] = t + 1 < T && r < live ? at[step + r * 4 * H] : (real)0;
        column.dot(states, H, z);
#pragma unroll
        for (int r = 0; r < R; ++r) {
            z[r] += share[r] + bias;
            const real value = j < 3 * H ? sigmoid(z[r]) : tanh(z[r]);
            values[r * 4 * H + j] = value;
            if (h && r < live) at[r * 4 * H] = value;
            share[r] = ahead[r];
        }
        __syncthreads();
#pragma unroll
        for (int s = 0; s < CELLS; ++s) {
            const int e = j + s * THREADS, r = e / H, k = e % H, n = first + r;
            if (e >= R * H || n >= N) continue;
            const bool here = span[s].holds(t);
            if (here) {                                         // a padded step carries the state
                const real* v = values + r * 4 * H + k;
                states[e] = lstm_cell({v[0], v[H], v[2 * H], v[3 * H]}, cell[s]);
            }
            const size_t place = ((size_t)(t + 1) * N + n) * H + k;
            if (h) h[place] = states[e], c[place] = cell[s];
            if (y) y[((size_t)n * T + t) * H + k] = here ? states[e] : (real)0;
        }
        __syncthreads();
    }
#pragma unroll
    for (int s = 0; s < CELLS; ++s) {
        const int e = j + s * THREADS, n = first + e / H;
        if (e >= R * H || n >= N) continue;
        h_last[(size_t)n * H + e % H] = states[e];
        c_last[(size_t)n * H + e % H] = cell[s];
    }
}

// Backward through the whole sequence for R rows: computes dz (T, N, 4H), which may be gates itself, dh0 and dc0, given W_hT
// (4H, H), the transpose of W_h. At each step, each thread first handles its cells; then thread j = (gate, k) computes the
// gradient that unit k of step t-1 gets through that gate, and the four are added up.
extern "C" __global__ void __launch_bounds__(THREADS) lstm_backward(
        const real* gates, const real* W_hT, const real* c, const real* dy, const real* dh_last, const real* dc_last, real* dz,
        real* dh0, real* dc0, const int* lengths, int pre, int N, int T) {
    __shared__ __align__(16) real vectors[R * 4 * H];
    __shared__ __align__(16) real parts[R * 4 * H];
    const int j = threadIdx.x, gate = j / H, first = blockIdx.x * R;
    const Column column(W_hT + (size_t)gate * H * H + j % H, H);
    Span span[CELLS];
    Gates g[CELLS] = {};
    real dh[CELLS], dc[CELLS], c_t[CELLS], c_prev[CELLS], above[CELLS];

    // Load the values of a cell that step t needs, one step before they are used.
    auto ask = [&](int s, int n, int k, int t) {
        const real* v = gates + ((size_t)t * N + n) * 4 * H + k;
        g[s] = {v[0], v[H], v[2 * H], v[3 * H]};
        c_prev[s] = c[((size_t)t * N + n) * H + k];
        above[s] = dy ? dy[((size_t)n * T + t) * H + k] : (real)0;
    };
#pragma unroll
    for (int s = 0; s < CELLS; ++s) {
        const int e = j + s * THREADS, k = e % H, n = first + e / H;
        const size_t place = (size_t)n * H + k;
        dh[s] = dc[s] = c_t[s] = c_prev[s] = above[s] = 0;
        if (e >= R * H || n >= N) continue;
        span[s] = Span(lengths, pre, n, T);
        if (dh_last) dh[s] = dh_last[place];
        if (dc_last) dc[s] = dc_last[place];
        c_t[s] = c[(size_t)T * N * H + place];
        ask(s, n, k, T - 1);
    }
    for (int t = T - 1; t >= 0; --t) {
#pragma unroll
        for (int s = 0; s < CELLS; ++s) {
            const int e = j + s * THREADS, r = e / H, k = e % H, n = first + r;
            if (e >= R * H) continue;
            Gates d = {0, 0, 0, 0};
            if (span[s].holds(t)) {
                dh[s] += above[s];
                d = lstm_cell_backward(g[s], c_prev[s], c_t[s], dh[s], dc[s]);
            }
            c_t[s] = c_prev[s];
            real* v = vectors + r * 4 * H + k;
            v[0] = d.f, v[H] = d.i, v[2 * H] = d.o, v[3 * H] = d.c;
            if (n >= N) continue;
            if (t > 0) ask(s, n, k, t - 1);
            real* w = dz + ((size_t)t * N + n) * 4 * H + k;
            w[0] = d.f, w[H] = d.i, w[2 * H] = d.o, w[3 * H] = d.c;
        }
        __syncthreads();
        real back[R];
        column.dot(vectors + gate * H, 4 * H, back);                    // 1
#pragma unroll
        for (int r = 0; r < R; ++r) parts[r * 4 * H + j] = back[r];
        __syncthreads();
#pragma unroll
        for (int s = 0; s < CELLS; ++s) {
            const int e = j + s * THREADS;
            const real* p = parts + e / H * 4 * H + e % H;
            if (e < R * H && span[s].holds(t)) dh[s] = p[0] + p[H] + p[2 * H] + p[3 * H];   // a padded step is the identity
        }
    }
#pragma unroll
    for (int s = 0; s < CELLS; ++s) {
        const int e = j + s * THREADS, n = first + e / H;
        if (e >= R * H || n >= N) continue;
        dh0[(size_t)n * H + e % H] = dh[s];
        dc0[(size_t)n * H + e % H] = dc[s];
    }
}

#else

// One step for any H, with one thread for each unit of each row; from_h (N, 4H) is h_{t-1} W_h. h and c have T+1 rows, or 2
// that are used alternately if nothing is kept for backward.
extern "C" __global__ void lstm_forward_step(
        real* gates, const real* from_h, const real* b, real* h, real* c, real* y, const int* lengths, int pre,
        int N, int T, int H, int rows, int t) {
    const size_t e = (size_t)blockIdx.x * blockDim.x + threadIdx.x, size = (size_t)N * H;
    if (e >= size) return;
    const int n = (int)(e / H), k = (int)(e % H);
    const bool here = Span(lengths, pre, n, T).holds(t);
    const size_t now = t % rows * size + e, next = (t + 1) % rows * size + e;
    real state = h[now], cell = c[now];
    if (here) {
        real* v = gates + ((size_t)t * N + n) * 4 * H + k;
        const real* u = from_h + (size_t)n * 4 * H + k;
        const Gates g = {sigmoid(v[0] + u[0] + b[k]), sigmoid(v[H] + u[H] + b[H + k]),
                         sigmoid(v[2 * H] + u[2 * H] + b[2 * H + k]), tanh(v[3 * H] + u[3 * H] + b[3 * H + k])};
        v[0] = g.f, v[H] = g.i, v[2 * H] = g.o, v[3 * H] = g.c;
        state = lstm_cell(g, cell);
    }
    h[next] = state, c[next] = cell;
    if (y) y[((size_t)n * T + t) * H + k] = here ? state : (real)0;
}

// One step backward. The gradient of h_t from step t+1 has two parts: carried (N, H), written by that step, and from_later
// (N, H), its dz W_hT, which is not read at the last step. dc (N, H) is the gradient of c_t on entry, of c_{t-1} on return.
extern "C" __global__ void lstm_backward_step(
        const real* gates, const real* c, const real* dy, const real* from_later, real* carried, real* dc, real* dz,
        const int* lengths, int pre, int N, int T, int H, int t) {
    const size_t e = (size_t)blockIdx.x * blockDim.x + threadIdx.x, size = (size_t)N * H;
    if (e >= size) return;
    const int n = (int)(e / H), k = (int)(e % H);
    const bool here = Span(lengths, pre, n, T).holds(t);
    real dh = carried[e];
    if (t < T - 1) dh += from_later[e];
    Gates d = {0, 0, 0, 0};
    if (here) {
        const real* v = gates + ((size_t)t * N + n) * 4 * H + k;
        if (dy) dh += dy[((size_t)n * T + t) * H + k];
        d = lstm_cell_backward({v[0], v[H], v[2 * H], v[3 * H]}, c[t * size + e], c[(t + 1) * size + e], dh, dc[e]);
    }
    real* w = dz + ((size_t)t * N + n) * 4 * H + k;
    w[0] = d.f, w[H] = d.i, w[2 * H] = d.o, w[3 * H] = d.c;
    carried[e] = here ? (real)0 : dh;
}

#endif
