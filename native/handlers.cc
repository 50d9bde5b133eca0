// Products, filters and pooling as functions that XLA calls.
#include "kernels.h"
#include "threads.h"

namespace {

ffi::Error product(ffi::ThreadPool pool, Array x, Array taps, Array weights, Array mean, Array factor, Array bias,
                   Array residual, Result out, int64_t size, int64_t stride, int64_t pad_height, int64_t pad_width,
                   bool filtered, bool added, bool before, bool after, int64_t bits) {
  const auto in = x.dimensions(), to = out->dimensions(), matrix = weights.dimensions();
  const Kernels* compute = KERNELS(kernels, bits);
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
  const Kernels* compute = KERNELS(kernels, bits);
  if (!compute || in.size() != 4 || to.size() != 4 || in[0] != to[0] || in[3] != to[3] || to[1] != (in[1] + 1) / 2 ||
      to[2] != (in[2] + 1) / 2 || residual.element_count() != out->element_count())
    return wrong("the result and the residual have half the size of the map");
  if (out->element_count() == 0) return ffi::Error::Success();
  const Pool p = {x.typed_data(), residual.typed_data(), out->typed_data(), nullptr, in[0], in[1], in[2], in[3],
                  3, in[1] % 2, in[2] % 2};
  divide(pool, std::max<int64_t>(1, pool.num_threads()), in[0] * to[1], [=](int64_t row) { compute->pool(p, row); });
  return ffi::Error::Success();
}

using Bytes = ffi::Buffer<ffi::U8>;

bool halved(ffi::Span<const int64_t> whole, ffi::Span<const int64_t> half) {
  return whole.size() == 4 && half.size() == 4 && whole[0] == half[0] && half[1] == (whole[1] + 1) / 2 &&
         half[2] == (whole[2] + 1) / 2 && whole[3] == half[3];
}

ffi::Error max_pool(ffi::ThreadPool pool, Array x, Result out, ffi::Result<Bytes> index, int64_t size, int64_t top,
                    int64_t left, int64_t bits) {
  const auto in = x.dimensions(), to = out->dimensions();
  const Kernels* compute = KERNELS(kernels, bits);
  if (!compute || !halved(in, to) || !halved(in, index->dimensions()) || size < 2 || size > 3)
    return wrong("the maxima of 2×2 or 3×3 windows and their places have half the size of the map");
  if (out->element_count() == 0) return ffi::Error::Success();
  const Pool p = {x.typed_data(), nullptr, out->typed_data(), index->typed_data(), in[0], in[1], in[2], in[3],
                  size, top, left};
  divide(pool, std::max<int64_t>(1, pool.num_threads()), in[0] * to[1], [=](int64_t row) { compute->pool(p, row); });
  return ffi::Error::Success();
}

ffi::Error max_pool_gradient(ffi::ThreadPool pool, Array cotangent, Bytes index, Result out, int64_t size, int64_t top,
                             int64_t left, int64_t bits) {
  const auto to = out->dimensions();
  const Kernels* compute = KERNELS(kernels, bits);
  if (!compute || !halved(to, cotangent.dimensions()) || !halved(to, index.dimensions()))
    return wrong("the maxima of 2×2 or 3×3 windows and their places have half the size of the map");
  if (out->element_count() == 0) return ffi::Error::Success();
  const PoolGradient p = {cotangent.typed_data(), index.typed_data(), out->typed_data(), to[0], to[1], to[2], to[3],
                          size, top, left};
  divide(pool, std::max<int64_t>(1, pool.num_threads()), to[0] * to[1], [=](int64_t row) { compute->pool_gradient(p, row); });
  return ffi::Error::Success();
}

bool equal(ffi::Span<const int64_t> a, ffi::Span<const int64_t> b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

ffi::Error filter(ffi::ThreadPool pool, Array x, Array taps, Result out, bool turned, int64_t bits) {
  const auto in = x.dimensions();
  const Kernels* compute = KERNELS(kernels, bits);
  if (!compute || in.size() != 4 || !equal(in, out->dimensions()) || int64_t(taps.element_count()) != 9 * in[3])
    return wrong("taps are [9, C], and keep the size of the map");
  if (out->element_count() == 0) return ffi::Error::Success();
  const Filter p = {x.typed_data(), taps.typed_data(), out->typed_data(), in[0], in[1], in[2], in[3], turned};
  divide(pool, std::max<int64_t>(1, pool.num_threads()), in[0] * in[1], [=](int64_t row) { compute->filter(p, row); });
  return ffi::Error::Success();
}

constexpr int64_t ROWS = 14;  // of a task: few enough to stay in the cache of a core, and for float32 sums

ffi::Error filter_gradient(ffi::ThreadPool pool, Array x, Array cotangent, Result out, int64_t bits) {
  const auto in = x.dimensions();
  const Kernels* compute = KERNELS(kernels, bits);
  if (!compute || in.size() != 4 || !equal(in, cotangent.dimensions()) || int64_t(out->element_count()) != 9 * in[3])
    return wrong("the gradient of taps is [9, C], of maps of one size");
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

XLA_FFI_DEFINE_HANDLER_SYMBOL(OrdinalBlastMaxPool, max_pool,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Array>()
                                  .Ret<Array>()
                                  .Ret<Bytes>()
                                  .Attr<int64_t>("size")
                                  .Attr<int64_t>("top")
                                  .Attr<int64_t>("left")
                                  .Attr<int64_t>("bits"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(OrdinalBlastMaxPoolGradient, max_pool_gradient,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Array>()
                                  .Arg<Bytes>()
                                  .Ret<Array>()
                                  .Attr<int64_t>("size")
                                  .Attr<int64_t>("top")
                                  .Attr<int64_t>("left")
                                  .Attr<int64_t>("bits"));
