// What every function that XLA calls needs: the choice of vectors, the division among XLA's own threads, memory.
#pragma once
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

using Array = ffi::Buffer<ffi::F32>;
using Result = ffi::ResultBuffer<ffi::F32>;

inline int64_t widest() {  // of the vectors that this processor has, in bits
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma")) return 512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 256;
#endif
  return 128;
}

// The kernels for vectors of so many bits, 0 for the widest; null where the processor has no such vectors.
template <class K>
const K* chosen(int64_t bits, const K& narrow, const K* middle, const K* wide) {
  const int64_t most = widest();
  if (bits == 0) bits = most;
  if (bits > most) return nullptr;
  return bits == 512 ? wide : bits == 256 ? middle : bits == 128 ? &narrow : nullptr;
}

#if defined(__x86_64__)
#define KERNELS(name, bits) chosen(bits, name##_128, &name##_256, &name##_512)
#else
#define KERNELS(name, bits) chosen(bits, name##_128, nullptr, nullptr)
#endif

// Calls work(0), …, work(n − 1), on this thread and on those of the pool that are free, and returns when all are done.
inline void divide(ffi::ThreadPool& pool, int64_t threads, int64_t n, std::function<void(int64_t)> work) {
  struct State {
    std::atomic<int64_t> next{0}, done{0};
    std::mutex mutex;
    std::condition_variable finished;
    int64_t n;
    std::function<void(int64_t)> work;
  };
  auto state = std::make_shared<State>();  // a thread that comes too late still looks at it
  state->n = n;
  state->work = std::move(work);
  const auto help = [state] {
    for (int64_t i; (i = state->next.fetch_add(1)) < state->n;) {
      state->work(i);
      if (state->done.fetch_add(1) + 1 == state->n) {
        std::lock_guard<std::mutex> lock(state->mutex);
        state->finished.notify_all();
      }
    }
  };
  for (int64_t i = 1; i < threads && i < n; ++i) pool.Schedule(std::function<void()>(help));
  help();
  const auto done = [&] { return state->done.load() == n; };
  for (int spin = 0; spin < 20000 && !done(); ++spin) {  // the others end at about the same time: sleeping takes longer
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  std::unique_lock<std::mutex> lock(state->mutex);
  state->finished.wait(lock, done);
}

// Memory of a thread, kept from call to call, aligned to a line of the cache.
inline float* scratch(int64_t floats) {
  thread_local std::vector<float> memory;
  if (static_cast<int64_t>(memory.size()) < floats + 16) memory = std::vector<float>(floats + 16);
  const uintptr_t at = reinterpret_cast<uintptr_t>(memory.data());
  return memory.data() + (64 - at % 64) % 64 / sizeof(float);
}

inline ffi::Error wrong(const char* what) { return ffi::Error(ffi::ErrorCode::kInvalidArgument, what); }
