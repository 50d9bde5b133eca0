// Dense convolutions and their gradients as functions that XLA calls.
#include "dense.h"
#include "threads.h"

namespace {

// Packs the panels and computes all positions, in as many tasks as there are blocks of rows.
void convolve(ffi::ThreadPool& pool, const DenseKernels* compute, const Taps& taps, Dense p) {
  const int64_t threads = std::max<int64_t>(1, pool.num_threads()), panels = compute->panels(taps);
  const int64_t parts = compute->parts(p.features), floats = panels + compute->scratch(p), block = compute->block(p);
  float* memory = scratch(floats);
  p.panels = memory;
  divide(pool, taps.rows * taps.columns * taps.channels < 1024 ? 1 : threads, parts,
         [=](int64_t part) { compute->pack(taps, part, memory); });
  divide(pool, threads, p.batch * ((p.out_height + block - 1) / block), [=](int64_t task) {
    compute->compute(p, task, scratch(floats) + panels);  // the panels themselves are in this thread's memory or another's
  });
}

ffi::Error dense(ffi::ThreadPool pool, Array x, Array kernel, Array bias, Result out, int64_t stride, int64_t top,
                 int64_t left, bool biased, bool relu, int64_t bits) {
  const auto in = x.dimensions(), k = kernel.dimensions(), to = out->dimensions();
  const DenseKernels* compute = KERNELS(dense, bits);
  if (!compute) return wrong("this processor has no vectors of that width");
  if (in.size() != 4 || to.size() != 4 || k.size() != 4 || in[0] != to[0] || k[2] != in[3] || k[3] != to[3] || stride < 1)
    return wrong("maps are [B, H, W, C], kernels [k, k, C, D]");
  if (biased && int64_t(bias.element_count()) != to[3]) return wrong("the bias is [D]");
  if (out->element_count() == 0) return ffi::Error::Success();
  const Taps taps = {kernel.typed_data(), k[1], k[2], k[3], k[0], k[1], 0, 1, 0, 1, false};
  convolve(pool, compute, taps,
           {x.typed_data(), nullptr, biased ? bias.typed_data() : nullptr, out->typed_data(), in[0], in[1], in[2], in[3],
            to[3], k[0], k[1], stride, top, left, to[1], to[2], to[1], to[2], 1, 0, 0, relu});
  return ffi::Error::Success();
}

// Along one axis, which taps positions `phase`, `phase` + stride, … of the map meet, and where in the result.
struct Phase {
  int64_t first, taps, before, positions;
  Phase(int64_t phase, int64_t stride, int64_t padding, int64_t window, int64_t length) {
    const int64_t at = phase + padding;
    first = at % stride;
    taps = first < window ? (window - first + stride - 1) / stride : 0;
    before = taps - 1 - at / stride;  // the kernel is turned: the last of these taps comes first
    positions = phase < length ? (length - phase + stride - 1) / stride : 0;
  }
};

// The gradient of the map: as many convolutions of the cotangent as there are phases of the stride.
ffi::Error dense_map(ffi::ThreadPool pool, Array cotangent, Array kernel, Result out, int64_t stride, int64_t top,
                     int64_t left, int64_t bits) {
  const auto in = cotangent.dimensions(), k = kernel.dimensions(), to = out->dimensions();
  const DenseKernels* compute = KERNELS(dense, bits);
  if (!compute) return wrong("this processor has no vectors of that width");
  if (in.size() != 4 || to.size() != 4 || k.size() != 4 || in[0] != to[0] || k[3] != in[3] || k[2] != to[3] || stride < 1)
    return wrong("maps are [B, H, W, C], kernels [k, k, C, D]");
  if (out->element_count() == 0) return ffi::Error::Success();
  for (int64_t row = 0; row < stride; ++row)
    for (int64_t column = 0; column < stride; ++column) {
      const Phase y(row, stride, top, k[0], to[1]), z(column, stride, left, k[1], to[2]);
      if (!y.positions || !z.positions) continue;
      const Taps taps = {kernel.typed_data(), k[1], k[3], k[2], y.taps, z.taps, y.first + (y.taps - 1) * stride, -stride,
                         z.first + (z.taps - 1) * stride, -stride, true};
      convolve(pool, compute, taps,
               {cotangent.typed_data(), nullptr, nullptr, out->typed_data(), in[0], in[1], in[2], in[3], to[3], y.taps,
                z.taps, 1, y.before, z.before, y.positions, z.positions, to[1], to[2], stride, row, column, false});
    }
  return ffi::Error::Success();
}

constexpr int64_t SUMS = 1 << 20, LEAST = 8, MOST = 32;  // floats of all sums together; tasks

ffi::Error dense_kernel(ffi::ThreadPool pool, Array x, Array cotangent, Result out, int64_t rows, int64_t columns,
                        int64_t stride, int64_t top, int64_t left, int64_t bits) {
  const auto in = x.dimensions(), to = cotangent.dimensions();
  const DenseKernels* compute = KERNELS(dense, bits);
  if (!compute) return wrong("this processor has no vectors of that width");
  const int64_t count = out->element_count();
  if (in.size() != 4 || to.size() != 4 || in[0] != to[0] || stride < 1 || count != (rows * columns * in[3] + 1) * to[3])
    return wrong("maps are [B, H, W, C], the gradients of kernel and bias [k² C + 1, D]");
  float* total = out->typed_data();
  std::fill_n(total, count, 0.0f);
  if (cotangent.element_count() == 0 || count == 0) return ffi::Error::Success();
  // As many tasks for any number of threads, so that the sums are added up in one order.
  const int64_t tasks = std::min(to[0] * to[1], std::clamp(SUMS / count, LEAST, MOST));
  const int64_t threads = std::max<int64_t>(1, pool.num_threads());
  const std::unique_ptr<float[]> sums(new float[tasks * count]);  // each task begins its own
  const DenseGradient p = {x.typed_data(), cotangent.typed_data(), sums.get(), in[0], in[1], in[2], in[3], to[3],
                           rows, columns, stride, top, left, to[1], to[2], tasks};
  const int64_t floats = compute->gradient_scratch(p);
  divide(pool, threads, tasks, [=](int64_t task) { compute->gradient(p, task, scratch(floats)); });
  const float* from = sums.get();
  constexpr int64_t SLICE = 4096;
  divide(pool, tasks * count < 65536 ? 1 : threads, (count + SLICE - 1) / SLICE, [=](int64_t slice) {
    const int64_t begin = slice * SLICE, end = std::min(count, begin + SLICE);
    for (int64_t task = 0; task < tasks; ++task)
      for (int64_t i = begin; i < end; ++i) total[i] += from[task * count + i];
  });
  return ffi::Error::Success();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(OrdinalBlastDense, dense,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Ret<Array>()
                                  .Attr<int64_t>("stride")
                                  .Attr<int64_t>("top")
                                  .Attr<int64_t>("left")
                                  .Attr<bool>("biased")
                                  .Attr<bool>("relu")
                                  .Attr<int64_t>("bits"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(OrdinalBlastDenseMap, dense_map,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Ret<Array>()
                                  .Attr<int64_t>("stride")
                                  .Attr<int64_t>("top")
                                  .Attr<int64_t>("left")
                                  .Attr<int64_t>("bits"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(OrdinalBlastDenseKernel, dense_kernel,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Ret<Array>()
                                  .Attr<int64_t>("rows")
                                  .Attr<int64_t>("columns")
                                  .Attr<int64_t>("stride")
                                  .Attr<int64_t>("top")
                                  .Attr<int64_t>("left")
                                  .Attr<int64_t>("bits"));
