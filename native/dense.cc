// Dense convolutions, compiled once for each width of vectors (see vectors.h). A tile of the result, up to MR positions
// of a row by up to two vectors of features, stays in registers; rows of x are copied with their padding, and are read
// where they lie: what a window sees of one row is one run of numbers.
#include "dense.h"

#include "vectors.h"

namespace {

constexpr int64_t CACHE = 96 * 1024;  // floats of the rows of x that a task copies, where more than one row fits

inline int64_t share(int64_t n, int64_t most_of_one) { return ceil_div(n, ceil_div(n, most_of_one)); }  // even parts
inline int64_t vectors(int64_t features) { return ceil_div(features, L); }
inline int64_t panel_width(int64_t features, int64_t panel) { return features - 2 * L * panel > L ? 2 * L : L; }

void copy(float* to, const float* from, int64_t n) {
  int64_t i = 0;
  for (; i + L <= n; i += L) store(to + i, load(from + i));
  for (; i < n; ++i) to[i] = from[i];
}

// Rows [y0, y0 + rows) and columns [z0, z0 + columns) of an image, what is outside being 0.
void pad(const float* image, int64_t height, int64_t width, int64_t c, int64_t y0, int64_t z0, int64_t rows, int64_t columns, float* to) {
  const int64_t pitch = columns * c, left = most(0, least(columns, -z0)), right = most(left, least(columns, width - z0));
  for (int64_t y = y0; y < y0 + rows; ++y, to += pitch) {
    if (y < 0 || y >= height || left == right) {
      memset(to, 0, 4 * pitch);
      continue;
    }
    memset(to, 0, 4 * left * c);
    copy(to + left * c, image + (y * width + z0 + left) * c, (right - left) * c);
    memset(to + right * c, 0, 4 * (columns - right) * c);
  }
}

int64_t parts(int64_t features) { return ceil_div(features, 2 * L); }
int64_t panels(const Taps& t) { return t.rows * t.columns * t.channels * vectors(t.features) * L; }

void pack(const Taps& t, int64_t part, float* panels) {
  const int64_t first = 2 * L * part, width = panel_width(t.features, part), n = least(width, t.features - first);
  float* to = panels + t.rows * t.columns * t.channels * first;
  for (int64_t i = 0; i < t.rows; ++i)
    for (int64_t j = 0; j < t.columns; ++j, to += t.channels * width) {
      const int64_t tap = (t.first_row + i * t.row_step) * t.width + t.first_column + j * t.column_step;
      const float* from = t.kernel + tap * t.channels * t.features;
      if (t.transposed) {
        for (int64_t d = 0; d < n; ++d)
          for (int64_t c = 0; c < t.channels; ++c) to[c * width + d] = from[(first + d) * t.channels + c];
      } else {
        for (int64_t c = 0; c < t.channels; ++c) copy(to + c * width, from + c * t.features + first, n);
      }
      if (n < width)
        for (int64_t c = 0; c < t.channels; ++c) memset(to + c * width + n, 0, 4 * (width - n));
    }
}

// What a tile is computed from, and where it goes: positions `step` apart in x and `out_step` in the result.
struct Strip {
  int64_t rows, run, pitch, step, out_step, features;  // features: those of the panel that the result has
  const float* bias;
  bool relu;
};

template <int M, int N>
__attribute__((noinline)) void tile(const Strip& s, const float* a, const float* b, float* out) {
  constexpr int G = (M + 2) / 3;  // a pointer for three positions: with the step once and twice, no more are needed
  const int64_t step = s.step, run = s.run;
  V acc[M][N];
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) acc[m][n] = V{};
  for (int64_t i = 0; i < s.rows; ++i, a += s.pitch) {
    const float* from[G];
#pragma GCC unroll 16
    for (int g = 0; g < G; ++g) from[g] = a + 3 * g * step;
    for (int64_t k = 0; k < run; ++k, b += N * L) {
      V w[N];
#pragma GCC unroll 2
      for (int n = 0; n < N; ++n) w[n] = load(b + n * L);
#pragma GCC unroll 16
      for (int m = 0; m < M; ++m) {
        const V x = splat(from[m / 3][m % 3 * step]);
#pragma GCC unroll 2
        for (int n = 0; n < N; ++n) acc[m][n] += x * w[n];
      }
#pragma GCC unroll 16
      for (int g = 0; g < G; ++g) ++from[g];
    }
  }
#pragma GCC unroll 2
  for (int n = 0; n < N; ++n) {
    const int64_t count = s.features - n * L;
    float part[L] = {};
    if (s.bias)
      for (int64_t l = 0; l < L; ++l) part[l] = l < count ? s.bias[n * L + l] : 0;
    const V bias = load(part);
    float* to = out + n * L;
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m, to += s.out_step) {
      V y = acc[m][n] + bias;
      if (s.relu) y = relu(y);
      if (count >= L) {
        store(to, y);
      } else {
        store(part, y);
        for (int64_t l = 0; l < count; ++l) to[l] = part[l];
      }
    }
  }
}

// The same for the gradient: M numbers of the run of a row of the window, by N vectors of features, over positions.
struct Sums {
  int64_t rows, positions, pitch, step, features, all;  // all: features of a row of the sums
};

template <int M, int N>
__attribute__((noinline)) void sum(const Sums& s, const float* a, const float* g, float* out) {
  V acc[M][N];
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) acc[m][n] = V{};
  for (int64_t i = 0; i < s.rows; ++i, a += s.pitch) {
    const float* from = a;
    for (int64_t k = 0; k < s.positions; ++k, g += N * L, from += s.step) {
      V w[N];
#pragma GCC unroll 2
      for (int n = 0; n < N; ++n) w[n] = load(g + n * L);
#pragma GCC unroll 16
      for (int m = 0; m < M; ++m) {
        const V x = splat(from[m]);
#pragma GCC unroll 2
        for (int n = 0; n < N; ++n) acc[m][n] += x * w[n];
      }
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) {
      const int64_t count = s.features - n * L;
      float* to = out + m * s.all + n * L;
      if (count >= L) {
        store(to, load(to) + acc[m][n]);
      } else {
        float part[L];
        store(part, acc[m][n]);
        for (int64_t l = 0; l < count; ++l) to[l] += part[l];
      }
    }
}

typedef void (*Tile)(const Strip&, const float*, const float*, float*);
typedef void (*Sum)(const Sums&, const float*, const float*, float*);
#if BITS == 512
#define ROWS_OF_TILES(f, n)                                                                                      \
  {nullptr, f<1, n>, f<2, n>, f<3, n>, f<4, n>, f<5, n>, f<6, n>, f<7, n>, f<8, n>, f<9, n>, f<10, n>, f<11, n>, \
   f<12, n>, f<13, n>, f<14, n>}
#elif BITS == 256
#define ROWS_OF_TILES(f, n) {nullptr, f<1, n>, f<2, n>, f<3, n>, f<4, n>, f<5, n>, f<6, n>}
#else
#define ROWS_OF_TILES(f, n) {nullptr, f<1, n>, f<2, n>, f<3, n>, f<4, n>}
#endif
const Tile tiles[2][MR + 1] = {ROWS_OF_TILES(tile, 1), ROWS_OF_TILES(tile, 2)};
const Sum sums[2][MR + 1] = {ROWS_OF_TILES(sum, 1), ROWS_OF_TILES(sum, 2)};

int64_t columns_seen(int64_t positions, int64_t stride, int64_t window) { return (positions - 1) * stride + window; }

// Rows of the result whose windows fit the cache, at least one.
int64_t rows_at_once(int64_t pitch, int64_t stride, int64_t window, int64_t rows) {
  const int64_t fit = (CACHE / most(1, pitch) - window) / stride + 1;
  return share(rows, most(1, least(rows, fit)));
}

int64_t block(const Dense& p) {
  return rows_at_once(columns_seen(p.out_width, p.stride, p.columns) * p.channels, p.stride, p.rows, p.out_height);
}

int64_t scratch(const Dense& p) {
  return columns_seen(block(p), p.stride, p.rows) * columns_seen(p.out_width, p.stride, p.columns) * p.channels;
}

void compute(const Dense& p, int64_t task, float* scratch) {
  const int64_t rows = block(p), blocks = ceil_div(p.out_height, rows), image = task / blocks;
  const int64_t y0 = task % blocks * rows, y1 = least(p.out_height, y0 + rows);
  const int64_t columns = columns_seen(p.out_width, p.stride, p.columns), pitch = columns * p.channels;
  pad(p.x + image * p.height * p.width * p.channels, p.height, p.width, p.channels, y0 * p.stride - p.top, -p.left,
      columns_seen(y1 - y0, p.stride, p.rows), columns, scratch);
  const int64_t beside = share(p.out_width, MR), step = p.stride * p.channels, taps = p.rows * p.columns * p.channels;
  float* out = p.out + image * p.full_height * p.full_width * p.features;
  for (int64_t panel = 0; panel < parts(p.features); ++panel) {
    const int64_t first = 2 * L * panel;
    const Strip s = {p.rows, p.columns * p.channels, pitch, step, p.apart * p.features, p.features - first,
                     p.bias ? p.bias + first : nullptr, p.relu};
    const Tile* of = tiles[panel_width(p.features, panel) / L - 1];
    for (int64_t y = y0; y < y1; ++y) {
      const float* a = scratch + (y - y0) * p.stride * pitch;
      float* to = out + ((y * p.apart + p.first_row) * p.full_width + p.first_column) * p.features + first;
      for (int64_t z = 0; z < p.out_width; z += beside)
        of[least(beside, p.out_width - z)](s, a + z * step, p.panels + taps * first, to + z * p.apart * p.features);
    }
  }
}

struct Block {  // of the gradient: rows of the result at once, and what they need
  int64_t rows, pitch, map;
  explicit Block(const DenseGradient& p) : pitch(columns_seen(p.out_width, p.stride, p.columns) * p.channels) {
    rows = least(most(1, 512 / p.out_width), rows_at_once(pitch, p.stride, p.rows, p.out_height));
    map = columns_seen(rows, p.stride, p.rows) * pitch;
  }
};

int64_t gradient_scratch(const DenseGradient& p) {
  const Block b(p);
  return b.map + b.rows * p.out_width * vectors(p.features) * L;
}

void gradient(const DenseGradient& p, int64_t task, float* scratch) {
  const Block b(p);
  const int64_t d = p.features, run = p.columns * p.channels, all = p.batch * p.out_height, beside = share(run, MR);
  float *sums_here = p.sums + task * (p.rows * run + 1) * d, *bias = sums_here + p.rows * run * d, *g = scratch + b.map;
  memset(sums_here, 0, 4 * (p.rows * run + 1) * d);
  for (int64_t row = all * task / p.tasks, last = all * (task + 1) / p.tasks; row < last;) {
    const int64_t image = row / p.out_height, y0 = row % p.out_height;
    const int64_t n = least(least(b.rows, p.out_height - y0), last - row), positions = n * p.out_width;
    pad(p.x + image * p.height * p.width * p.channels, p.height, p.width, p.channels, y0 * p.stride - p.top, -p.left,
        columns_seen(n, p.stride, p.rows), b.pitch / p.channels, scratch);
    const float* cotangent = p.cotangent + row * p.out_width * d;
    for (int64_t panel = 0; panel < parts(d); ++panel) {
      const int64_t first = 2 * L * panel, width = panel_width(d, panel), count = least(width, d - first);
      float* to = g + positions * first;
      for (int64_t q = 0; q < positions; ++q, to += width) {
        copy(to, cotangent + q * d + first, count);
        memset(to + count, 0, 4 * (width - count));
      }
      const Sums of_ones = {1, positions, 0, 0, d - first, d};
      const float one = 1;
      sums[width / L - 1][1](of_ones, &one, g + positions * first, bias + first);
      const Sums s = {n, p.out_width, p.stride * b.pitch, p.stride * p.channels, d - first, d};
      for (int64_t i = 0; i < p.rows; ++i)
        for (int64_t k = 0; k < run; k += beside)
          sums[width / L - 1][least(beside, run - k)](s, scratch + i * b.pitch + k, g + positions * first,
                                                      sums_here + (i * run + k) * d + first);
    }
    row += n;
  }
}

}  // namespace

#if BITS == 512
extern const DenseKernels dense_512 = {panels, parts, pack, block, scratch, compute, gradient_scratch, gradient};
#elif BITS == 256
extern const DenseKernels dense_256 = {panels, parts, pack, block, scratch, compute, gradient_scratch, gradient};
#else
extern const DenseKernels dense_128 = {panels, parts, pack, block, scratch, compute, gradient_scratch, gradient};
#endif
