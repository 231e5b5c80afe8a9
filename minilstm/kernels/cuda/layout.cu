// Conversion from the library's batch-first layout to the kernels' time-major layout.

// x (N, T, D) -> y (T, N, D); padded steps become 0, whatever x contains there.
extern "C" __global__ void time_major(const real* x, real* y, const int* lengths, int pre, int N, int T, int D) {
    const size_t e = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= (size_t)T * N * D) return;
    const int d = (int)(e % D), n = (int)(e / D % N), t = (int)(e / D / N);
    y[e] = Span(lengths, pre, n, T).holds(t) ? x[((size_t)n * T + t) * D + d] : (real)0;
}
