// The kernels as functions that XLA calls: checks, the choice of vectors, and the division among XLA's own threads.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "kernels.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

using Array = ffi::Buffer<ffi::F32>;
using Result = ffi::ResultBuffer<ffi::F32>;

int64_t widest() {  // of the vectors that this processor has, in bits
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma")) return 512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 256;
#endif
  return 128;
}

const Kernels* kernels(int64_t bits) {  // null where the processor has no such vectors; 0 bits: the widest
  const int64_t most = widest();
  if (bits == 0) bits = most;
#if defined(__x86_64__)
  if (bits == 512 && most >= 512) return &kernels_512;
  if (bits == 256 && most >= 256) return &kernels_256;
#endif
  return bits == 128 ? &kernels_128 : nullptr;
}

// Calls work(0), …, work(n − 1), on this thread and on those of the pool that are free, and returns when all are done.
void divide(ffi::ThreadPool& pool, int64_t threads, int64_t n, std::function<void(int64_t)> work) {
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
float* scratch(int64_t floats) {
  thread_local std::vector<float> memory;
  if (static_cast<int64_t>(memory.size()) < floats + 16) memory = std::vector<float>(floats + 16);
  const uintptr_t at = reinterpret_cast<uintptr_t>(memory.data());
  return memory.data() + (64 - at % 64) % 64 / sizeof(float);
}

ffi::Error product(ffi::ThreadPool pool, Array x, Array taps, Array weights, Array mean, Array factor, Array bias,
                   Array residual, Result out, int64_t size, int64_t stride, int64_t pad_height, int64_t pad_width,
                   bool filtered, bool added, bool before, bool after, int64_t bits) {
  const auto in = x.dimensions(), to = out->dimensions(), matrix = weights.dimensions();
  const auto wrong = [](const char* what) { return ffi::Error(ffi::ErrorCode::kInvalidArgument, what); };
  const Kernels* compute = kernels(bits);
  if (!compute) return wrong("this processor has no vectors of that width");
  if (in.size() != 4 || to.size() != 4 || matrix.size() != 2 || in[0] != to[0] || to[3] != matrix[1])
    return wrong("maps are [B, H, W, C], weights [K, D]");
  const Product p = {x.typed_data(), filtered ? taps.typed_data() : nullptr, weights.typed_data(), mean.typed_data(), factor.typed_data(),
                     bias.typed_data(), added ? residual.typed_data() : nullptr, out->typed_data(),
                     in[0], in[1], in[2], in[3], to[1], to[2], to[3], size, stride, pad_height, pad_width, before, after};
  const int64_t d = p.features, columns = filtered ? p.channels : size * size * p.channels;
  if (size < 1 || stride < 1 || matrix[0] != columns) return wrong("a row of weights is a number of the window");
  if (filtered && (int64_t(taps.element_count()) != 9 * p.channels || p.out_height != p.height || p.out_width != p.width))
    return wrong("taps are [9, C], and keep the size of the map");
  if (int64_t(mean.element_count()) != d || int64_t(factor.element_count()) != d || int64_t(bias.element_count()) != d)
    return wrong("mean, factor and bias are [D]");
  if (added && residual.element_count() != out->element_count()) return wrong("the residual has the shape of the result");
  if (out->element_count() == 0) return ffi::Error::Success();
  const int64_t threads = std::max<int64_t>(1, pool.num_threads());
  const Plan plan = compute->plan(p, threads);
  if (plan.makers) {
    float* block = scratch(plan.block + plan.scratch);
    divide(pool, threads, plan.makers, [=](int64_t maker) { compute->fill(p, plan, maker, block); });
    divide(pool, threads, plan.parts, [=](int64_t part) {
      float* memory = scratch(plan.block + plan.scratch);  // the first part of this thread's may be the block itself
      compute->multiply(p, plan, part, block, memory + plan.block);
    });
  } else {
    divide(pool, threads, plan.blocks, [=](int64_t number) {
      float* block = scratch(plan.block + plan.scratch);
      compute->both(p, plan, number, block, block + plan.block);
    });
  }
  return ffi::Error::Success();
}

ffi::Error pool_add(ffi::ThreadPool pool, Array x, Array residual, Result out, int64_t bits) {
  const auto in = x.dimensions(), to = out->dimensions();
  const Kernels* compute = kernels(bits);
  if (!compute || in.size() != 4 || to.size() != 4 || in[0] != to[0] || in[3] != to[3] || to[1] != (in[1] + 1) / 2 ||
      to[2] != (in[2] + 1) / 2 || residual.element_count() != out->element_count())
    return ffi::Error(ffi::ErrorCode::kInvalidArgument, "the result and the residual have half the size of the map");
  if (out->element_count() == 0) return ffi::Error::Success();
  const Pool p = {x.typed_data(), residual.typed_data(), out->typed_data(), in[0], in[1], in[2], in[3]};
  divide(pool, std::max<int64_t>(1, pool.num_threads()), in[0] * to[1], [=](int64_t row) { compute->pool(p, row); });
  return ffi::Error::Success();
}

bool equal(ffi::Span<const int64_t> a, ffi::Span<const int64_t> b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

ffi::Error filter(ffi::ThreadPool pool, Array x, Array taps, Result out, bool turned, int64_t bits) {
  const auto in = x.dimensions();
  const Kernels* compute = kernels(bits);
  if (!compute || in.size() != 4 || !equal(in, out->dimensions()) || int64_t(taps.element_count()) != 9 * in[3])
    return ffi::Error(ffi::ErrorCode::kInvalidArgument, "taps are [9, C], and keep the size of the map");
  if (out->element_count() == 0) return ffi::Error::Success();
  const Filter p = {x.typed_data(), taps.typed_data(), out->typed_data(), in[0], in[1], in[2], in[3], turned};
  divide(pool, std::max<int64_t>(1, pool.num_threads()), in[0] * in[1], [=](int64_t row) { compute->filter(p, row); });
  return ffi::Error::Success();
}

constexpr int64_t ROWS = 14;  // of a task: few enough to stay in the cache of a core, and for float32 sums

ffi::Error filter_gradient(ffi::ThreadPool pool, Array x, Array cotangent, Result out, int64_t bits) {
  const auto in = x.dimensions();
  const Kernels* compute = kernels(bits);
  if (!compute || in.size() != 4 || !equal(in, cotangent.dimensions()) || int64_t(out->element_count()) != 9 * in[3])
    return ffi::Error(ffi::ErrorCode::kInvalidArgument, "the gradient of taps is [9, C], of maps of one size");
  const int64_t tasks = in[0] * ((in[1] + ROWS - 1) / ROWS), count = out->element_count();
  std::vector<float> sums(tasks * count);
  const FilterGradient p = {x.typed_data(), cotangent.typed_data(), sums.data(), in[0], in[1], in[2], in[3], ROWS};
  divide(pool, std::max<int64_t>(1, pool.num_threads()), tasks, [=](int64_t task) { compute->filter_gradient(p, task); });
  float* total = out->typed_data();
  std::fill_n(total, count, 0.0f);
  for (int64_t task = 0; task < tasks; ++task)
    for (int64_t i = 0; i < count; ++i) total[i] += sums[task * count + i];
  return ffi::Error::Success();
}

}  // namespace

extern "C" int ordinal_blast_vector_bits() { return static_cast<int>(widest()); }

XLA_FFI_DEFINE_HANDLER_SYMBOL(OrdinalBlastProduct, product,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Ret<Array>()
                                  .Attr<int64_t>("size")
                                  .Attr<int64_t>("stride")
                                  .Attr<int64_t>("pad_height")
                                  .Attr<int64_t>("pad_width")
                                  .Attr<bool>("filtered")
                                  .Attr<bool>("added")
                                  .Attr<bool>("before")
                                  .Attr<bool>("after")
                                  .Attr<int64_t>("bits"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(OrdinalBlastPool, pool_add,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Array>().Arg<Array>().Ret<Array>().Attr<int64_t>(
                                  "bits"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(OrdinalBlastFilter, filter,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Ret<Array>()
                                  .Attr<bool>("turned")
                                  .Attr<int64_t>("bits"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    OrdinalBlastFilterGradient, filter_gradient,
    ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Array>().Arg<Array>().Ret<Array>().Attr<int64_t>("bits"));
