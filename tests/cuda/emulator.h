// CUDA kernels on a CPU: what g++ needs to compile a .cu source as it stands, and to run it.
//
// The blocks of a grid run one after another. The threads of a block are fibers: one runs until it meets a barrier, then the
// next, in their order or, with a seed, in a random one, so that a missing barrier shows in the numbers. Shared memory is
// filled with NaN before each block, since on a device nobody clears it. With EMULATE_THREADS the threads are those of the
// system with a real barrier, for ThreadSanitizer and AddressSanitizer to watch.

#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>
#ifdef EMULATE_THREADS
#include <pthread.h>
#else
#include <ucontext.h>
#endif

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
#ifdef EMULATE_THREADS
#define __shared__ static
#define EMULATE_LOCAL static thread_local
#else
#define __shared__ static __attribute__((section("shared_memory")))
#define EMULATE_LOCAL static
extern char __start_shared_memory[] __attribute__((weak)), __stop_shared_memory[] __attribute__((weak));
#endif

struct dim3 { unsigned x, y, z; };
EMULATE_LOCAL dim3 threadIdx;
static dim3 blockIdx, blockDim, gridDim;

template <class T> T __ldg(const T* address) { return *address; }
[[maybe_unused]] static inline int min(int a, int b) { return a < b ? a : b; }
[[maybe_unused]] static inline int max(int a, int b) { return a > b ? a : b; }

namespace emulator {

static void (*kernel)(void**);
static void** arguments;
static uint64_t randomness;

// A random number below n (xorshift64); always 0 without a seed.
static unsigned below(unsigned n) {
    randomness ^= randomness << 13, randomness ^= randomness >> 7, randomness ^= randomness << 17;
    return (unsigned)(randomness % n);
}

// 0 to n - 1, shuffled where there is a seed.
static std::vector<unsigned> order(unsigned n) {
    std::vector<unsigned> numbers(n);
    for (unsigned k = 0; k < n; ++k) numbers[k] = k;
    if (randomness)
        for (unsigned k = n; k > 1; --k) std::swap(numbers[k - 1], numbers[below(k)]);
    return numbers;
}

static dim3 place(unsigned number, dim3 size) {
    return {number % size.x, number / size.x % size.y, number / size.x / size.y};
}

#ifdef EMULATE_THREADS

static pthread_barrier_t barrier;

static void* run_thread(void* number) {
    threadIdx = place((unsigned)(uintptr_t)number, blockDim);
    kernel(arguments);
    return nullptr;
}

static const char* run_block(unsigned threads) {
    std::vector<pthread_t> running(threads);
    pthread_attr_t small;
    pthread_attr_init(&small), pthread_attr_setstacksize(&small, 1 << 18);
    pthread_barrier_init(&barrier, nullptr, threads);
    for (unsigned k : order(threads))
        if (pthread_create(&running[k], &small, run_thread, (void*)(uintptr_t)k)) return "no more threads";
    for (unsigned k = 0; k < threads; ++k) pthread_join(running[k], nullptr);
    pthread_barrier_destroy(&barrier);
    return nullptr;
}

#else

struct Fiber { ucontext_t context; bool done; };
static std::vector<Fiber> fibers;
static std::vector<char> stacks;
static ucontext_t scheduler;
static unsigned current;
constexpr size_t STACK = 1 << 16;

static void run_fiber() {
    kernel(arguments);
    fibers[current].done = true;
}

static const char* run_block(unsigned threads) {
    fibers.resize(threads), stacks.resize(threads * STACK);
    if (__start_shared_memory) memset(__start_shared_memory, 255, __stop_shared_memory - __start_shared_memory);
    for (unsigned k = 0; k < threads; ++k) {
        getcontext(&fibers[k].context);
        fibers[k].done = false;
        fibers[k].context.uc_stack.ss_sp = &stacks[k * STACK];
        fibers[k].context.uc_stack.ss_size = STACK;
        fibers[k].context.uc_link = &scheduler;
        makecontext(&fibers[k].context, run_fiber, 0);
    }
    for (unsigned done = 0; done < threads;) {
        for (unsigned k : order(threads)) {
            current = k;
            threadIdx = place(k, blockDim);
            swapcontext(&scheduler, &fibers[k].context);
            done += fibers[k].done;
        }
        if (done && done < threads) return "some threads of a block returned while others wait at a barrier";
    }
    return nullptr;
}

#endif

// What a parameter is: f, d, i, l, B for float, double, int, long long, unsigned char; behind a P (or C) if it points to such
// (const) values.
template <class T> std::string code() {
    if constexpr (std::is_pointer_v<T>) {
        using Target = std::remove_pointer_t<T>;
        return (std::is_const_v<Target> ? "C" : "P") + code<std::remove_const_t<Target>>();
    } else if constexpr (std::is_same_v<T, float>) return "f";
    else if constexpr (std::is_same_v<T, double>) return "d";
    else if constexpr (std::is_same_v<T, int>) return "i";
    else if constexpr (std::is_same_v<T, long long>) return "l";
    else if constexpr (std::is_same_v<T, unsigned char>) return "B";
    else return "?";
}

template <class... A> std::string signature(void (*)(A...)) { return ((code<A>() + " ") + ...); }

template <class... A, size_t... I> void call(void (*f)(A...), void** values, std::index_sequence<I...>) {
    f(*static_cast<std::remove_const_t<A>*>(values[I])...);
}

template <class... A> void call(void (*f)(A...), void** values) { call(f, values, std::index_sequence_for<A...>()); }

// Run a grid; return null, or what went wrong.
static const char* launch(void (*body)(void**), const unsigned* grid, const unsigned* block, void** values, uint64_t seed) {
    gridDim = {grid[0], grid[1], grid[2]}, blockDim = {block[0], block[1], block[2]};
    kernel = body, arguments = values, randomness = seed;
    if (blockDim.x * blockDim.y * blockDim.z > 1024) return "more than 1024 threads in a block";
    for (unsigned number : order(gridDim.x * gridDim.y * gridDim.z)) {
        blockIdx = place(number, gridDim);
        if (const char* wrong = run_block(blockDim.x * blockDim.y * blockDim.z)) return wrong;
    }
    return nullptr;
}

// A program of its own: arguments come from one file, arrays go to another. Each array has memory of its own, exactly its size.
[[maybe_unused]] static int run_files(void (*body)(void**), const char* from, const char* to) {
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    auto read = [&](void* where, size_t bytes) { if (fread(where, 1, bytes, in) != bytes) exit(3); };
    uint64_t head[8];                                   // grid, block, seed, number of arguments
    read(head, sizeof head);
    std::vector<std::pair<char*, uint64_t>> pieces(head[7]);
    std::vector<uint64_t> kinds(head[7]);               // 0: a number, 1: an array
    std::vector<void*> values(head[7]);
    for (size_t k = 0; k < head[7]; ++k) {
        read(&kinds[k], 8), read(&pieces[k].second, 8);
        pieces[k].first = static_cast<char*>(malloc(pieces[k].second));
        read(pieces[k].first, pieces[k].second);
        values[k] = kinds[k] ? static_cast<void*>(&pieces[k].first) : pieces[k].first;
    }
    unsigned grid[3], block[3];
    for (int k = 0; k < 3; ++k) grid[k] = (unsigned)head[k], block[k] = (unsigned)head[3 + k];
    const char* wrong = launch(body, grid, block, values.data(), head[6]);
    if (wrong) fprintf(stderr, "%s\n", wrong);
    for (size_t k = 0; k < head[7]; ++k) {
        if (kinds[k]) fwrite(pieces[k].first, 1, pieces[k].second, out);
        free(pieces[k].first);
    }
    fclose(in), fclose(out);
    return wrong ? 2 : 0;
}

}  // namespace emulator

[[maybe_unused]] static void __syncthreads() {
#ifdef EMULATE_THREADS
    pthread_barrier_wait(&emulator::barrier);
#else
    swapcontext(&emulator::fibers[emulator::current].context, &emulator::scheduler);
#endif
}

#define EMULATE(name)                                                                                                   \
    static void name##_body(void** values) { emulator::call(name, values); }                                           \
    extern "C" const char* name##_signature() {                                                                        \
        static const std::string text = emulator::signature(name);                                                     \
        return text.c_str();                                                                                           \
    }                                                                                                                  \
    extern "C" const char* name##_launch(const unsigned* grid, const unsigned* block, void** values, uint64_t seed) { \
        return emulator::launch(name##_body, grid, block, values, seed);                                               \
    }

// One line for each kernel in main of a program: run the one that the third argument names.
#define EMULATE_ENTRY(name) \
    if (!strcmp(arguments[3], #name)) return emulator::run_files(name##_body, arguments[1], arguments[2]);
