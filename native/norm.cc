// Sums of batch normalisation, compiled once for each width of vectors (see vectors.h).
#include "norm.h"

#include "vectors.h"

namespace {

constexpr int W = 4;  // rows that are added up apart, so that neither the processor waits nor the digits get lost

struct Rows {
  const float *x, *g;
  float *first, *second;
  int64_t n, c;
  explicit Rows(const Norm& p, int64_t task) : c(p.channels) {
    const int64_t blocks = ceil_div(p.positions, p.rows), image = task / blocks, from = task % blocks * p.rows;
    n = p.valid && p.valid[image] == 0 ? 0 : least(p.rows, p.positions - from);
    const int64_t at = (image * p.positions + from) * c;
    x = p.x + at;
    g = p.cotangent ? p.cotangent + at : nullptr;
    first = p.sums + task * 2 * c;
    second = first + c;
  }
};

inline void get(const float* p, V& v) { v = load(p); }
inline void get(const float* p, float& v) { v = *p; }
inline void put(float* p, V v) { store(p, v); }
inline void put(float* p, float v) { *p = v; }

template <class T>
inline T total(const T* sums) {
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

template <class T>
void moments_at(const Rows& r, int64_t k) {
  T sums[W] = {}, v;
  for (int64_t i = 0; i < r.n; i += W)
#pragma GCC unroll 4
    for (int j = 0; j < W; ++j)
      if (i + j < r.n) {
        get(r.x + (i + j) * r.c + k, v);
        sums[j] += v;
      }
  const T mean = total(sums) / float(most(r.n, 1));
  put(r.first + k, mean);
  T squares[W] = {};
  for (int64_t i = 0; i < r.n; i += W)
#pragma GCC unroll 4
    for (int j = 0; j < W; ++j)
      if (i + j < r.n) {
        get(r.x + (i + j) * r.c + k, v);
        squares[j] += (v - mean) * (v - mean);
      }
  put(r.second + k, total(squares));
}

template <class T>
void products_at(const Rows& r, const float* means, int64_t k) {
  T sums[W] = {}, products[W] = {}, mean, v, g;
  get(means + k, mean);
  for (int64_t i = 0; i < r.n; i += W)
#pragma GCC unroll 4
    for (int j = 0; j < W; ++j)
      if (i + j < r.n) {
        get(r.x + (i + j) * r.c + k, v);
        get(r.g + (i + j) * r.c + k, g);
        sums[j] += g;
        products[j] += g * (v - mean);
      }
  put(r.first + k, total(sums));
  put(r.second + k, total(products));
}

void moments(const Norm& p, int64_t task) {
  const Rows r(p, task);
  if (r.c < L)
    for (int64_t k = 0; k < r.c; ++k) moments_at<float>(r, k);
  else
    for (int64_t k = 0; k < r.c; k += L) moments_at<V>(r, least(k, r.c - L));  // the last ones may be computed twice
}

void products(const Norm& p, int64_t task) {
  const Rows r(p, task);
  if (r.c < L)
    for (int64_t k = 0; k < r.c; ++k) products_at<float>(r, p.mean, k);
  else
    for (int64_t k = 0; k < r.c; k += L) products_at<V>(r, p.mean, least(k, r.c - L));
}

}  // namespace

#if BITS == 512
extern const NormKernels norm_512 = {moments, products};
#elif BITS == 256
extern const NormKernels norm_256 = {moments, products};
#else
extern const NormKernels norm_128 = {moments, products};
#endif
