// Products, filters and pooling, compiled once for each width of vectors (see vectors.h).
#include "kernels.h"

#include "vectors.h"

namespace {

// A tile of C is MR rows by NR columns in registers, over KC columns of A, whose panel of weights fits the first cache.
constexpr int NR = 2 * L;
constexpr int64_t KC = 256, LDA = KC + 16, MOST = 28 * (14 / MR) * MR;
constexpr int64_t CACHE = 320000;  // floats of a block of A: 1.3 MB

struct Shape {  // of the product: A [n, k], in kbs blocks of KC columns
  int64_t n, k, kbs, d;
  explicit Shape(const Product& p)
      : n(p.batch * p.out_height * p.out_width), k(p.taps ? p.channels : p.size * p.size * p.channels), kbs(ceil_div(k, KC)), d(p.features) {}
};

// Where a tile goes: null means to the sums `c`, to be gone on with.
struct End {
  const Product* p;
  int64_t row, column;
};

template <int M>
__attribute__((noinline)) void tile(const float* a, const float* b, float* c, int64_t k, bool first, const End* end) {
  V acc[M][2];
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) acc[m][0] = acc[m][1] = V{};
  for (int64_t i = 0; i < k; ++i, ++a, b += NR) {
    const V b0 = load(b), b1 = load(b + L);
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
      const V x = splat(a[m * LDA]);
      acc[m][0] += x * b0;
      acc[m][1] += x * b1;
    }
  }
  if (!first) {
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
      acc[m][0] += load(c + m * NR);
      acc[m][1] += load(c + m * NR + L);
    }
  }
  if (!end) {
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
      store(c + m * NR, acc[m][0]);
      store(c + m * NR + L, acc[m][1]);
    }
    return;
  }
  const Product& p = *end->p;
  const int64_t d = p.features, at = end->row * d + end->column;
#pragma GCC unroll 2
  for (int v = 0; v < 2; ++v) {
    const int64_t column = end->column + v * L;
    const V mean = load(p.mean + column), factor = load(p.factor + column), bias = load(p.bias + column);
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
      V y = (acc[m][v] - mean) * factor + bias;
      if (p.residual) y += load(p.residual + at + m * d + v * L);
      store(p.out + at + m * d + v * L, p.after ? relu(y) : y);
    }
  }
}
typedef void (*Tile)(const float*, const float*, float*, int64_t, bool, const End*);
const Tile tiles[] = {nullptr, tile<1>, tile<2>, tile<3>, tile<4>,
#if BITS >= 256
                      tile<5>, tile<6>,
#endif
#if BITS == 512
                      tile<7>, tile<8>, tile<9>, tile<10>, tile<11>, tile<12>, tile<13>, tile<14>,
#endif
};

inline float* slot(float* a, int64_t rows, int64_t row, int64_t k) {  // A by blocks of columns
  return a + ((k / KC) * rows + row) * LDA + k % KC;
}

// Channels [k, k + n) of one position, windows that leave the map included: what is outside is 0.
void filter_edge(const Product& p, const float* x, int64_t oh, int64_t w, int64_t k, int64_t n, float* out) {
  float sum[L] = {};
  for (int64_t i = 0; i < 3; ++i)
    for (int64_t j = 0; j < 3; ++j) {
      const int64_t y = oh + i - 1, z = w + j - 1;
      const bool in = y >= 0 && y < p.height && z >= 0 && z < p.width;
      const float *from = x + (in ? (y * p.width + z) * p.channels + k : 0), *t = p.taps + (3 * i + j) * p.channels + k;
      if (n == L) {
        V v = in ? load(from) : V{};
        store(sum, load(sum) + (p.before ? relu(v) : v) * load(t));
      } else {
        for (int64_t l = 0; l < n; ++l) {
          const float v = in ? from[l] : 0;
          sum[l] += (p.before ? relu(v) : v) * t[l];
        }
      }
    }
  memcpy(out, sum, 4 * n);
}

// N positions beside one another, whole windows, channels [k, k + L).
template <int N>
inline void filter_inside(const Product& p, const float* x, int64_t oh, int64_t w, int64_t k, const V* t, float* out) {
  V o[N] = {};
#pragma GCC unroll 3
  for (int i = 0; i < 3; ++i) {
    const float* from = x + ((oh + i - 1) * p.width + w - 1) * p.channels + k;
    V v[N + 2];
#pragma GCC unroll 6
    for (int j = 0; j < N + 2; ++j) {
      v[j] = load(from + j * p.channels);
      if (p.before) v[j] = relu(v[j]);
    }
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) o[n] += v[n] * t[3 * i] + v[n + 1] * t[3 * i + 1] + v[n + 2] * t[3 * i + 2];
  }
#pragma GCC unroll 4
  for (int n = 0; n < N; ++n) store(out + n * LDA, o[n]);
}

// Positions [w0, w1) of a row of the output, from row `row` of A on.
void filter(const Product& p, const float* x, int64_t oh, int64_t w0, int64_t w1, float* a, int64_t rows, int64_t row) {
  const bool inside = oh > 0 && oh < p.height - 1;
  for (int64_t k = 0; k < p.channels; k += L) {
    const int64_t n = least(L, p.channels - k);
    float* out = slot(a, rows, row, k);
    int64_t w = w0;
    if (inside && n == L) {
      V t[9];
      for (int i = 0; i < 9; ++i) t[i] = load(p.taps + i * p.channels + k);
      for (; w < least(w1, 1); ++w, out += LDA) filter_edge(p, x, oh, w, k, n, out);
      const int64_t last = least(w1, p.width - 1);
      for (; w + 4 <= last; w += 4, out += 4 * LDA) filter_inside<4>(p, x, oh, w, k, t, out);
      for (; w < last; ++w, out += LDA) filter_inside<1>(p, x, oh, w, k, t, out);
    }
    for (; w < w1; ++w, out += LDA) filter_edge(p, x, oh, w, k, n, out);
  }
}

// What the window of one position sees, row by row of the window, to one row of A.
void gather(const Product& p, const float* x, int64_t oh, int64_t ow, float* a, int64_t rows, int64_t row) {
  const int64_t c = p.channels, z0 = ow * p.stride - p.pad_width, z1 = z0 + p.size;
  int64_t k = 0;
  const auto put = [&](const float* from, int64_t n) {  // null: zeros
    while (n > 0) {
      const int64_t part = least(n, KC - k % KC);
      float* to = slot(a, rows, row, k);
      if (!from) {
        memset(to, 0, 4 * part);
      } else {
        int64_t l = 0;
        for (; l + L <= part; l += L) store(to + l, p.before ? relu(load(from + l)) : load(from + l));
        for (; l < part; ++l) to[l] = p.before ? relu(from[l]) : from[l];
        from += part;
      }
      k += part;
      n -= part;
    }
  };
  for (int64_t i = 0; i < p.size; ++i) {
    const int64_t y = oh * p.stride + i - p.pad_height;
    const int64_t left = most(z0, 0), right = y >= 0 && y < p.height ? most(least(z1, p.width), left) : left;
    const int64_t before = least(left, z1) - z0;
    put(nullptr, before * c);
    if (right > left) put(x + (y * p.width + left) * c, (right - left) * c);
    put(nullptr, (p.size - before - (right - left)) * c);
  }
}

// Positions [p0, p1) as rows of A from row `row` on.
void make_rows(const Product& p, int64_t p0, int64_t p1, float* a, int64_t rows, int64_t row) {
  const int64_t positions = p.out_height * p.out_width;
  while (p0 < p1) {
    const int64_t image = p0 / positions, oh = p0 % positions / p.out_width, ow = p0 % p.out_width;
    const int64_t n = least(p1 - p0, p.out_width - ow);
    const float* x = p.x + image * p.height * p.width * p.channels;
    if (p.taps)
      filter(p, x, oh, ow, ow + n, a, rows, row);
    else
      for (int64_t i = 0; i < n; ++i) gather(p, x, oh, ow + i, a, rows, row + i);
    p0 += n;
    row += n;
  }
}

inline void prefetch_run(const float* p, int64_t n) {  // the lines of n numbers, which may start anywhere
  for (int64_t i = 0; i < n; i += 16) __builtin_prefetch(p + i, 0, 2);
  __builtin_prefetch(p + n - 1, 0, 2);
}

// Rows of A (position p0 is the first of m) by the panels [from, to) of NR columns.
void multiply_rows(const Product& p, const Shape& s, const float* a, int64_t rows, int64_t p0, int64_t m, int64_t from, int64_t to, float* scratch) {
  float *b = scratch, *c = b + KC * NR;
  for (int64_t panel = from; panel < to; ++panel) {
    const int64_t n0 = panel * NR, n = least(NR, s.d - n0);
    for (int64_t kb = 0; kb < s.kbs; ++kb) {
      const int64_t k0 = kb * KC, k = least(KC, s.k - k0);
      const bool last = kb + 1 == s.kbs;
      if (n == NR) {
        for (int64_t i = 0; i < k; ++i) {
          const float* w = p.weights + (k0 + i) * s.d + n0;
          store(b + i * NR, load(w));
          store(b + i * NR + L, load(w + L));
        }
      } else {
        for (int64_t i = 0; i < k; ++i)
          for (int64_t j = 0; j < NR; ++j) b[i * NR + j] = j < n ? p.weights[(k0 + i) * s.d + n0 + j] : 0;
      }
      // The next panel lies scattered over pages: it is asked for while this one is multiplied.
      const int64_t next_k = last ? 0 : k0 + KC, next_n = last ? n0 + NR : n0;
      const int64_t ahead = panel + 1 < to || !last ? least(KC, s.k - next_k) : 0, share = ceil_div(ahead * MR, m);
      const int64_t width = least(NR, s.d - next_n);
      int64_t asked = 0;
      for (int64_t r = 0; r < m; r += MR) {
        for (const int64_t until = least(ahead, asked + share); asked < until; ++asked)
          prefetch_run(p.weights + (next_k + asked) * s.d + next_n, width);
        const int64_t count = least(MR, m - r);
        if (last)
          for (int64_t q = p0 + r; q < p0 + r + count; ++q) {
            const int64_t at = q * s.d + n0;
            prefetch_run(p.out + at, n);
            if (p.residual) prefetch_run(p.residual + at, n);
          }
        const End end = {&p, p0 + r, n0};
        tiles[count](a + (kb * rows + r) * LDA, b, c + r * NR, k, kb == 0, last && n == NR ? &end : nullptr);
      }
    }
    if (n == NR) continue;
    for (int64_t r = 0; r < m; ++r)
      for (int64_t j = 0; j < n; ++j) {
        const int64_t at = (p0 + r) * s.d + n0 + j;
        float y = (c[r * NR + j] - p.mean[n0 + j]) * p.factor[n0 + j] + p.bias[n0 + j];
        if (p.residual) y += p.residual[at];
        p.out[at] = p.after ? relu(y) : y;
      }
  }
}

Plan plan(const Product& p, int64_t threads) {
  const Shape s(p);
  const int64_t a_row = s.kbs * LDA, all = ceil_div(s.n, MR) * MR;
  Plan plan = {};
  if (all <= MOST && (all * a_row <= CACHE || all <= MR)) {
    plan.rows = all;
    plan.makers = least(ceil_div(s.n, MR), threads);
    plan.parts = least(ceil_div(s.d, NR), threads);
    plan.blocks = 1;
  } else {
    const int64_t rows = most(MR, least(MOST, CACHE / a_row / MR * MR));
    const int64_t rounds = ceil_div(ceil_div(s.n, rows), threads);  // as many blocks as every thread can have its share of
    plan.rows = ceil_div(ceil_div(s.n, rounds * threads), MR) * MR;
    plan.blocks = ceil_div(s.n, plan.rows);
  }
  plan.block = plan.rows * a_row;
  plan.scratch = KC * NR + plan.rows * NR;
  return plan;
}

void fill(const Product& p, const Plan& plan, int64_t maker, float* block) {
  const Shape s(p);
  const int64_t p0 = s.n * maker / plan.makers, p1 = s.n * (maker + 1) / plan.makers;
  make_rows(p, p0, p1, block, plan.rows, p0);
}

void multiply(const Product& p, const Plan& plan, int64_t part, const float* block, float* scratch) {
  const Shape s(p);
  const int64_t panels = ceil_div(s.d, NR);
  multiply_rows(p, s, block, plan.rows, 0, s.n, panels * part / plan.parts, panels * (part + 1) / plan.parts, scratch);
}

void both(const Product& p, const Plan& plan, int64_t number, float* block, float* scratch) {
  const Shape s(p);
  const int64_t p0 = number * plan.rows, p1 = least(s.n, p0 + plan.rows);
  make_rows(p, p0, p1, block, plan.rows, 0);
  multiply_rows(p, s, block, plan.rows, p0, p1 - p0, 0, ceil_div(s.d, NR), scratch);
}

// A number of a channel, or L of them, of a type that is loaded and stored.
inline void get(const float* p, V& v) { v = load(p); }
inline void get(const float* p, float& v) { v = *p; }
inline void put(float* p, V v) { store(p, v); }
inline void put(float* p, float v) { *p = v; }
typedef int32_t Index __attribute__((vector_size(4 * L)));
typedef uint8_t Bytes __attribute__((vector_size(L), aligned(1), may_alias));

// The largest of a window, of L channels or of one, and which of the window it is first; NaN stays.
template <class T, class I>
__attribute__((always_inline)) inline void largest(const Pool& p, const float* x, int64_t top, int64_t left, T& best, I& index) {
  const int64_t c = p.channels, y0 = most(0, top), z0 = most(0, left);
  const int64_t y1 = least(p.height, top + p.size), z1 = least(p.width, left + p.size);
  get(x + (y0 * p.width + z0) * c, best);
  index = I() + int((y0 - top) * p.size + z0 - left);
  for (int64_t y = y0; y < y1; ++y)
    for (int64_t z = z0; z < z1; ++z) {
      T v;
      get(x + (y * p.width + z) * c, v);
      const auto keep = (best >= v) | (best != best);
      index = keep ? index : I() + int((y - top) * p.size + z - left);
      best = keep ? best : v;
    }
}

void pool(const Pool& p, int64_t row) {
  const int64_t c = p.channels, rows = ceil_div(p.height, 2), columns = ceil_div(p.width, 2);
  const int64_t image = row / rows, top = 2 * (row % rows) - p.top;
  const float* x = p.x + image * p.height * p.width * c;
  for (int64_t ow = 0; ow < columns; ++ow) {
    const int64_t left = 2 * ow - p.left, at = (row * columns + ow) * c;
    int64_t k = 0;
    for (; k + L <= c; k += L) {
      V best;
      Index index;
      largest(p, x + k, top, left, best, index);
      store(p.out + at + k, p.residual ? best + load(p.residual + at + k) : best);
      if (p.index) *reinterpret_cast<Bytes*>(p.index + at + k) = __builtin_convertvector(index, Bytes);
    }
    for (; k < c; ++k) {
      float best;
      int index;
      largest(p, x + k, top, left, best, index);
      p.out[at + k] = p.residual ? best + p.residual[at + k] : best;
      if (p.index) p.index[at + k] = uint8_t(index);
    }
  }
}

inline void windows(int64_t at, int64_t padding, int64_t size, int64_t count, int64_t& from, int64_t& to) {
  from = most(0, (at + padding - size + 2) >> 1);  // of those that see this row or column
  to = least(count, (at + padding) / 2 + 1);
}

void pool_gradient(const PoolGradient& p, int64_t row) {
  const int64_t c = p.channels, rows = ceil_div(p.height, 2), columns = ceil_div(p.width, 2);
  const int64_t y = row % p.height, image = row / p.height * rows * columns * c;
  int64_t h0, h1, w0, w1;
  windows(y, p.top, p.size, rows, h0, h1);
  for (int64_t z = 0; z < p.width; ++z) {
    windows(z, p.left, p.size, columns, w0, w1);
    float* out = p.out + (row * p.width + z) * c;
    const auto sum = [&](int64_t k, auto one, auto total) {
      for (int64_t h = h0; h < h1; ++h)
        for (int64_t w = w0; w < w1; ++w) {
          const int64_t at = image + (h * columns + w) * c + k;
          const int place = int((y + p.top - 2 * h) * p.size + z + p.left - 2 * w);
          one(at, place, total);
        }
      put(out + k, total);
    };
    int64_t k = 0;
    for (; k + L <= c; k += L)
      sum(k, [&](int64_t at, int place, V& total) {
        const Index index = __builtin_convertvector(*reinterpret_cast<const Bytes*>(p.index + at), Index);
        total += index == Index() + place ? load(p.cotangent + at) : V{};
      }, V{});
    for (; k < c; ++k)
      sum(k, [&](int64_t at, int place, float& total) { total += p.index[at] == place ? p.cotangent[at] : 0; }, 0.0f);
  }
}

template <class T>
__attribute__((always_inline)) inline void filter_at(const Filter& p, int64_t y, int64_t z, int64_t k, int i0, int i1, int j0, int j1) {
  const int64_t c = p.channels;
  const float* x = p.x + ((y - 1) * p.width + z - 1) * c + k;
  T sum = T();
#pragma GCC unroll 3
  for (int i = 0; i < 3; ++i)
#pragma GCC unroll 3
    for (int j = 0; j < 3; ++j) {
      T value = T(), tap;  // outside, 0 times the tap, which may be no number
      if (i >= i0 && i < i1 && j >= j0 && j < j1) get(x + (i * p.width + j) * c, value);
      get(p.taps + (p.turned ? 8 - 3 * i - j : 3 * i + j) * c + k, tap);
      sum += value * tap;
    }
  put(p.out + (y * p.width + z) * c + k, sum);
}

void filter(const Filter& all, int64_t row) {
  Filter p = all;
  const int64_t c = p.channels, y = row % p.height, image = row / p.height * p.height * p.width * c;
  p.x += image;
  p.out += image;
  const int i0 = y == 0, i1 = y + 1 == p.height ? 2 : 3;
  for (int64_t z = 0; z < p.width; ++z) {
    const int j0 = z == 0, j1 = z + 1 == p.width ? 2 : 3;
    if (c < L) {
      for (int64_t k = 0; k < c; ++k) filter_at<float>(p, y, z, k, i0, i1, j0, j1);
    } else if (i0 || j0 || i1 < 3 || j1 < 3) {
      for (int64_t k = 0; k < c; k += L) filter_at<V>(p, y, z, least(k, c - L), i0, i1, j0, j1);  // the last ones may be written twice
    } else {
      for (int64_t k = 0; k < c; k += L) filter_at<V>(p, y, z, least(k, c - L), 0, 3, 0, 3);
    }
  }
}

template <class T>
void filter_sums(const FilterGradient& p, const float* x, const float* cotangent, float* sums, int64_t y0, int64_t y1, int64_t k) {
  const int64_t c = p.channels, line = p.width * c;
  T acc[9];
#pragma GCC unroll 9
  for (int t = 0; t < 9; ++t) acc[t] = T();
  for (int64_t y = y0; y < y1; ++y) {
    const bool row[3] = {y > 0, true, y + 1 < p.height};
    for (int64_t z = 0; z < p.width; ++z) {
      const bool column[3] = {z > 0, true, z + 1 < p.width};
      const float* from = x + (y - 1) * line + (z - 1) * c + k;
      T g, value;
      get(cotangent + y * line + z * c + k, g);
      if (row[0] && row[2] && column[0] && column[2]) {
#pragma GCC unroll 9
        for (int t = 0; t < 9; ++t) {
          get(from + (t / 3) * line + (t % 3) * c, value);
          acc[t] += value * g;
        }
      } else {
#pragma GCC unroll 9
        for (int t = 0; t < 9; ++t)
          if (row[t / 3] && column[t % 3]) {
            get(from + (t / 3) * line + (t % 3) * c, value);
            acc[t] += value * g;
          }
      }
    }
  }
#pragma GCC unroll 9
  for (int t = 0; t < 9; ++t) put(sums + t * c + k, acc[t]);
}

void filter_gradient(const FilterGradient& p, int64_t task) {
  const int64_t c = p.channels, tasks = ceil_div(p.height, p.rows), image = task / tasks * p.height * p.width * c;
  const int64_t y0 = task % tasks * p.rows, y1 = least(p.height, y0 + p.rows);
  float* sums = p.sums + task * 9 * c;
  if (c < L) {
    for (int64_t k = 0; k < c; ++k) filter_sums<float>(p, p.x + image, p.cotangent + image, sums, y0, y1, k);
  } else {
    for (int64_t k = 0; k < c; k += L) filter_sums<V>(p, p.x + image, p.cotangent + image, sums, y0, y1, least(k, c - L));
  }
}

}  // namespace

#if BITS == 512
extern const Kernels kernels_512 = {plan, fill, multiply, both, pool, pool_gradient, filter, filter_gradient};
#elif BITS == 256
extern const Kernels kernels_256 = {plan, fill, multiply, both, pool, pool_gradient, filter, filter_gradient};
#else
extern const Kernels kernels_128 = {plan, fill, multiply, both, pool, pool_gradient, filter, filter_gradient};
#endif
