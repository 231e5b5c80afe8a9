// What a training step does beside the layers, without making the host wait: clear the gradients, their norm, whether they are
// finite, accuracy, sums of the epoch.

constexpr int THREADS = 256;
constexpr int ARRAYS = 8;       // that one launch takes; where there are fewer, the others have no elements

#define ARRAYS_OF(type)                                                                                                       \
    type *g0, type *g1, type *g2, type *g3, type *g4, type *g5, type *g6, type *g7, long long n0, long long n1, long long n2, \
        long long n3, long long n4, long long n5, long long n6, long long n7
#define LIST_OF(type)                                            \
    type* const arrays[ARRAYS] = {g0, g1, g2, g3, g4, g5, g6, g7}; \
    const long long sizes[ARRAYS] = {n0, n1, n2, n3, n4, n5, n6, n7};

extern "C" __global__ void clear(ARRAYS_OF(real)) {
    LIST_OF(real)
    for (int a = 0; a < ARRAYS; ++a)
        for (long long e = (long long)blockIdx.x * blockDim.x + threadIdx.x; e < sizes[a];
             e += (long long)gridDim.x * blockDim.x)
            arrays[a][e] = 0;
}

// Add up the numbers of a block's threads, always in the same order; thread 0 gets the sum.
__device__ __forceinline__ double sum_of_block(double mine) {
    __shared__ double sums[THREADS];
    sums[threadIdx.x] = mine;
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if ((int)threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    return sums[0];
}

// partial[start + block] = the block's share of Σ g², in double precision, where squares of floats cannot overflow.
extern "C" __global__ void __launch_bounds__(THREADS) squares(ARRAYS_OF(const real), double* partial, int start) {
    LIST_OF(const real)
    double sum = 0;
    for (int a = 0; a < ARRAYS; ++a)
        for (long long e = (long long)blockIdx.x * THREADS + threadIdx.x; e < sizes[a]; e += (long long)gridDim.x * THREADS)
            sum += (double)arrays[a][e] * arrays[a][e];
    sum = sum_of_block(sum);
    if (threadIdx.x == 0) partial[start + blockIdx.x] = sum;
}

// *norm = √ Σ partial, by one block.
extern "C" __global__ void __launch_bounds__(THREADS) norm_of(const double* partial, int count, double* norm) {
    double sum = 0;
    for (int k = threadIdx.x; k < count; k += THREADS) sum += partial[k];
    sum = sum_of_block(sum);
    if (threadIdx.x == 0) *norm = sqrt(sum);
}

// g *= min(1, most / (*norm + 1e-6)), unless the norm is not finite.
extern "C" __global__ void clip(ARRAYS_OF(real), const double* norm, double most) {
    LIST_OF(real)
    const double factor = isfinite(*norm) ? fmin(most / (*norm + 1e-6), 1.0) : 1.0;
    for (int a = 0; a < ARRAYS; ++a)
        for (long long e = (long long)blockIdx.x * blockDim.x + threadIdx.x; e < sizes[a];
             e += (long long)gridDim.x * blockDim.x)
            arrays[a][e] *= (real)factor;
}

// finite[start + a] becomes 0 if array a holds NaN or infinity, unless *ok is 0 already: then the flags of that step stay.
// Several threads may write, all of them the same.
extern "C" __global__ void mark(ARRAYS_OF(const real), const unsigned char* ok, unsigned char* finite, int start) {
    LIST_OF(const real)
    if (!*ok) return;
    for (int a = 0; a < ARRAYS; ++a)
        for (long long e = (long long)blockIdx.x * blockDim.x + threadIdx.x; e < sizes[a];
             e += (long long)gridDim.x * blockDim.x)
            if (!isfinite(arrays[a][e])) finite[start + a] = 0;
}

// *ok = all flags, and one more good step if so. One thread.
extern "C" __global__ void settle(const unsigned char* finite, int count, unsigned char* ok, long long* good) {
    unsigned char all = 1;
    for (int k = 0; k < count; ++k) all = all && finite[k];
    *ok = all;
    *good += all;
}

extern "C" __global__ void sigmoid_of(const real* z, real* y, long long size) {
    const long long e = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (e < size) y[e] = sigmoid(z[e]);
}

// *share = the fraction of entries on the right side of the threshold, by one block.
extern "C" __global__ void __launch_bounds__(THREADS) accuracy(const real* prediction, const real* target, double threshold,
                                                               int size, double* share) {
    double right = 0;
    for (int e = threadIdx.x; e < size; e += THREADS)
        right += (prediction[e] >= (real)threshold) == (long long)target[e];
    right = sum_of_block(right);
    if (threadIdx.x == 0) *share = right / size;
}

// totals = (sum of loss, of score, of norm, samples, good steps, 1 after a bad step, its loss, its norm, for others). A step
// whose loss or norm is not finite shows in a gradient too, so that the optimiser lets nothing through. One thread.
extern "C" __global__ void tally(const real* loss, const double* score, const double* norm, double weight, double n,
                                 double* totals, real* gradient) {
    if (totals[5]) return;
    if (isfinite(*loss) && isfinite(*norm)) {
        totals[0] += (double)*loss * weight;
        totals[1] += score ? *score * n : 0;
        totals[2] += *norm;
        totals[3] += n;
        totals[4] += 1;
    } else {
        totals[5] = 1;
        totals[6] = *loss;
        totals[7] = *norm;
        *gradient = not_a_number();
    }
}
