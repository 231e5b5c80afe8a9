// The embedding's gradient: dW[v] = Σ dy over the places where v stands. Compiled with -DTOKEN=int or "long long".

typedef TOKEN token;

// Two kernels without atomic additions, so that the result is always the same. The positions in the batch are sorted by token
// (order (P,), stable) and cut into chunks of CHUNK. This kernel adds up each run of equal tokens within a chunk. A run that
// begins and ends inside the chunk is complete, and its sum is added to dW. The first and the last run may extend beyond the
// chunk: their sums are stored in edges (chunks, 2, D), [0] for the first and [1] for the last if that is another run.
constexpr int CHUNK = 32;

extern "C" __global__ void embedding_chunks(const token* tokens, const long long* order, const real* dy, real* edges, real* dW,
                                            long long padding, int V, int P, int D) {
    const int d = blockIdx.y * blockDim.x + threadIdx.x, start = blockIdx.x * CHUNK, stop = min(start + CHUNK, P);
    if (d >= D) return;
    real* edge = edges + (size_t)blockIdx.x * 2 * D + d;
    bool first = true;
    real sum = 0;
    for (int p = start; p < stop; ++p) {
        const long long place = order[p];
        const token v = tokens[place];
        sum += dy[(size_t)place * D + d];
        if (p + 1 < stop && tokens[order[p + 1]] == v) continue;
        if (first) edge[0] = sum;
        else if (p + 1 == stop) edge[D] = sum;
        else if (v != padding && 0 <= v && v < V) dW[(size_t)v * D + d] += sum;
        first = false;
        sum = 0;
    }
}

// The runs at the chunks' edges: the chunk in which a run begins adds up the shares of all chunks it goes through, in order.
extern "C" __global__ void embedding_edges(const token* tokens, const long long* order, const real* edges, real* dW,
                                           long long padding, int V, int P, int D) {
    const int d = blockIdx.y * blockDim.x + threadIdx.x, start = blockIdx.x * CHUNK, stop = min(start + CHUNK, P);
    if (d >= D) return;
    const token head = tokens[order[start]], tail = tokens[order[stop - 1]];
    const real* edge = edges + (size_t)blockIdx.x * 2 * D + d;
    for (int last = 0; last < 2; ++last) {
        const token v = last ? tail : head;
        if (last && tail == head) break;                                            // one run fills the chunk
        if (!last && start > 0 && tokens[order[start - 1]] == head) continue;       // begins in an earlier chunk
        real sum = edge[last ? D : 0];
        if (v == tail)
            for (int p = stop, c = 1; p < P && tokens[order[p]] == v; p += CHUNK, ++c) sum += edge[(size_t)c * 2 * D];
        if (v != padding && 0 <= v && v < V) dW[(size_t)v * D + d] += sum;
    }
}
