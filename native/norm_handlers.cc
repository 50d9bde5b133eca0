// Sums of batch normalisation as functions that XLA calls. Blocks are added up in one order, in double, whatever the
// number of threads.
#include "norm.h"
#include "threads.h"

namespace {

constexpr int64_t BLOCK = 16384;  // floats: they stay in the cache while they are read twice

// Runs all blocks, and hands over every block's count of positions and its two sums.
template <class Add>
void blocks(ffi::ThreadPool& pool, void (*compute)(const Norm&, int64_t), Norm p, Add add) {
  p.rows = std::max<int64_t>(1, BLOCK / p.channels);
  const int64_t parts = (p.positions + p.rows - 1) / p.rows, tasks = p.batch * parts, threads = pool.num_threads();
  const std::unique_ptr<float[]> sums(new float[tasks * 2 * p.channels]);
  p.sums = sums.get();
  divide(pool, std::max<int64_t>(1, threads), tasks, [=](int64_t task) { compute(p, task); });
  for (int64_t task = 0; task < tasks; ++task) {
    if (p.valid && p.valid[task / parts] == 0) continue;
    add(std::min(p.rows, p.positions - task % parts * p.rows), p.sums + task * 2 * p.channels);
  }
}

int64_t positions(ffi::Span<const int64_t> shape) { return shape[1] * shape[2]; }

ffi::Error moments(ffi::ThreadPool pool, Array x, Array valid, Result out, bool masked, int64_t bits) {
  const auto in = x.dimensions();
  const NormKernels* compute = KERNELS(norm, bits);
  if (!compute || in.size() != 4 || int64_t(out->element_count()) != 2 * in[3] || (masked && int64_t(valid.element_count()) != in[0]))
    return wrong("a map is [B, H, W, C], what is valid [B], the moments [2, C]");
  const int64_t c = in[3];
  std::vector<double> mean(c), squares(c);
  double count = 0;
  if (x.element_count())
    blocks(pool, compute->moments,
           {x.typed_data(), nullptr, nullptr, masked ? valid.typed_data() : nullptr, nullptr, in[0], positions(in), c, 0},
           [&](int64_t n, const float* sums) {  // Chan, Golub and LeVeque, 1983
             const double share = n / (count + n), weight = count * share;
             for (int64_t k = 0; k < c; ++k) {
               const double apart = sums[k] - mean[k];
               mean[k] += apart * share;
               squares[k] += sums[c + k] + apart * apart * weight;
             }
             count += n;
           });
  std::copy_n(mean.begin(), c, out->typed_data());
  std::copy_n(squares.begin(), c, out->typed_data() + c);
  return ffi::Error::Success();
}

ffi::Error products(ffi::ThreadPool pool, Array x, Array cotangent, Array mean, Result out, int64_t bits) {
  const auto in = x.dimensions();
  const NormKernels* compute = KERNELS(norm, bits);
  if (!compute || in.size() != 4 || int64_t(out->element_count()) != 2 * in[3] || int64_t(mean.element_count()) != in[3] ||
      cotangent.element_count() != x.element_count())
    return wrong("maps are [B, H, W, C] of one size, the mean [C], the sums [2, C]");
  const int64_t c = in[3];
  std::vector<double> totals(2 * c);
  if (x.element_count())
    blocks(pool, compute->products,
           {x.typed_data(), mean.typed_data(), cotangent.typed_data(), nullptr, nullptr, in[0], positions(in), c, 0},
           [&](int64_t, const float* sums) {
             for (int64_t k = 0; k < 2 * c; ++k) totals[k] += sums[k];
           });
  std::copy_n(totals.begin(), 2 * c, out->typed_data());
  return ffi::Error::Success();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(OrdinalBlastMoments, moments,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Ret<Array>()
                                  .Attr<bool>("masked")
                                  .Attr<int64_t>("bits"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(OrdinalBlastProducts, products,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Ret<Array>()
                                  .Attr<int64_t>("bits"));
