// Binary cross-entropy, of probabilities and of logits, in one call each way. See minilstm/losses.py; what it refuses on the
// host (a probability or a target outside [0, 1]) becomes NaN here.

constexpr int THREADS = 256;

// One entry's loss for a probability p; logarithms no smaller than -100.
__device__ __forceinline__ real bce(real p, real y, real smallest) {
    if (p < 0 || p > 1 || !(y >= 0 && y <= 1)) return not_a_number();
    const real log_p = p <= smallest ? (real)-100 : log(p), log_q = 1 - p <= smallest ? (real)-100 : log1p(-p);
    return -(y * log_p + (1 - y) * log_q);
}

// The same for a logit z, positive targets weighing w.
__device__ __forceinline__ real bce_with_logits(real z, real y, real w) {
    if (!(y >= 0 && y <= 1)) return not_a_number();
    const real tail = log1p(exp(z >= 0 ? -z : z));
    return w * y * ((z >= 0 ? (real)0 : -z) + tail) + (1 - y) * ((z >= 0 ? z : (real)0) + tail);
}

// loss (1,) = scale * Σ of all entries' losses, in double precision, by one block and always in the same order. constant: the
// smallest p whose logarithm is taken (probabilities), or the weight of positive targets (logits).
extern "C" __global__ void __launch_bounds__(THREADS) bce_forward(
        const real* prediction, const real* target, real* loss, int logits, real constant, double scale, int size) {
    __shared__ double sums[THREADS];
    const int j = threadIdx.x;
    double sum = 0;
    for (int e = j; e < size; e += THREADS)
        sum += logits ? bce_with_logits(prediction[e], target[e], constant) : bce(prediction[e], target[e], constant);
    sums[j] = sum;
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (j < half) sums[j] += sums[j + half];
    }
    if (j == 0) *loss = (real)(sums[0] * scale);
}

// dprediction, times scale; of probabilities (p - y) / max(p (1 - p), 1e-12), of logits (1 - y) σ(z) - w y (1 - σ(z)).
extern "C" __global__ void bce_backward(const real* prediction, const real* target, real* dprediction, int logits,
                                        real constant, real scale, int size) {
    const long long e = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= size) return;
    const real x = prediction[e], y = target[e];
    real d;
    if (logits) {
        const real p = sigmoid(x);
        d = (1 - y) * p - constant * y * (1 - p);
    } else {
        const real pq = x * (1 - x);
        d = (x - y) / (pq < (real)1e-12 ? (real)1e-12 : pq);
    }
    const bool wrong = !(y >= 0 && y <= 1) || (!logits && (x < 0 || x > 1));
    dprediction[e] = wrong ? not_a_number() : d * scale;
}
