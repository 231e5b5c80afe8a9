// Code shared by the kernels: the floating point type, the sigmoid, padding, and one thread's column of a matrix.
//
// launch.py puts this file in front of one other file and compiles the two together with -DREAL=float or double. No header is
// included, so NVRTC alone can compile the sources.

typedef REAL real;

// Four numbers that leave shared memory in one load (two, if they are doubles).
struct __align__(16) quad { real x, y, z, w; };

// σ(z) = 1 / (1 + exp(-z)), but exp never gets a positive number: as accurate as sigmoid in minilstm/cells/activations.py.
__device__ __forceinline__ real sigmoid(real z) {
    const real e = exp(z < 0 ? z : -z);
    return (z < 0 ? e : (real)1) / (1 + e);
}

__device__ __forceinline__ real not_a_number() { return (real)nan(""); }

// The real steps of row n: start to stop - 1, or all T if there are no lengths. Lengths are not checked on a device; they are
// clipped to the range 0 to T.
struct Span {
    int start, stop;
    __device__ Span() : start(0), stop(0) {}
    __device__ Span(const int* lengths, int pre, int n, int T) : start(0), stop(T) {
        if (!lengths) return;
        const int length = min(max(lengths[n], 0), T);
        if (pre) start = T - length;
        else stop = length;
    }
    __device__ bool holds(int t) const { return start <= t && t < stop; }
};

#ifdef HIDDEN       // the persistent kernels alone know H when they are compiled

constexpr int H = HIDDEN;       // size of the hidden state, a multiple of 32: then all threads of a warp are in one gate
constexpr int R = ROWS;         // rows of the batch that a block takes

// A column of H weights: the first HELD stay in registers for the whole sequence; the others are read at each step through the
// read-only cache, where neighbouring threads read neighbouring addresses. Each weight is used for R rows.
struct Column {
    static constexpr int SUMS = R > 2 ? 1 : 2;          // with few rows, two sums: the additions need not wait for each other
    real held[HELD];
    const real* weights;
    int stride;

    __device__ __forceinline__ Column(const real* weights, int stride) : weights(weights), stride(stride) {
#pragma unroll
        for (int k = 0; k < HELD; ++k) held[k] = weights[k * stride];
    }

    // products[r] = Σ_k vectors[r * pitch + k] * column[k], the vectors in shared memory.
    __device__ __forceinline__ void dot(const real* vectors, int pitch, real* products) const {
        real sums[R][SUMS];
#pragma unroll
        for (int r = 0; r < R; ++r)
#pragma unroll
            for (int s = 0; s < SUMS; ++s) sums[r][s] = 0;
#pragma unroll
        for (int k = 0; k < HELD; k += 4) add(vectors + k, pitch, held[k], held[k + 1], held[k + 2], held[k + 3], sums);
#pragma unroll 2
        for (int k = HELD; k < H; k += 4) {
            const real* w = weights + k * stride;
            add(vectors + k, pitch, __ldg(w), __ldg(w + stride), __ldg(w + 2 * stride), __ldg(w + 3 * stride), sums);
        }
#pragma unroll
        for (int r = 0; r < R; ++r) products[r] = SUMS == 1 ? sums[r][0] : sums[r][0] + sums[r][SUMS - 1];
    }

    __device__ __forceinline__ void add(const real* vectors, int pitch, real w0, real w1, real w2, real w3,
                                        real (*sums)[SUMS]) const {
#pragma unroll
        for (int r = 0; r < R; ++r) {
            const quad v = *reinterpret_cast<const quad*>(vectors + r * pitch);
            sums[r][0] += v.x * w0;
            sums[r][SUMS - 1] += v.y * w1;
            sums[r][0] += v.z * w2;
            sums[r][SUMS - 1] += v.w * w3;
        }
    }
};

#endif
