// Adam's update of one parameter, in the order of minilstm/optim/adam.py; p, m and v are changed in place. rate and floor
// include the bias corrections; decay is the weight decay: decay * p is added to the gradient.
extern "C" __global__ void adam(real* p, const real* g, real* m, real* v, real beta1, real beta2, real rest1, real rest2,
                                real rate, real floor, real decay, long long size) {
    const long long e = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= size) return;
    const real gradient = g[e] + decay * p[e];
    m[e] = beta1 * m[e] + rest1 * gradient;
    v[e] = beta2 * v[e] + rest2 * (gradient * gradient);
    p[e] -= rate * (m[e] / (sqrt(v[e]) + floor));
}
