// Dense convolutions and their gradients, whatever the vectors. All arrays are float32, maps NHWC.
#pragma once
#include <stdint.h>

// Positions that a convolution computes of its result, each from the window of x that begins at its position times the
// stride, less the padding. With `apart` 2, say, they are every second one of `out`, from (first_row, first_column) on.
struct Dense {
  const float *x, *panels, *bias;  // panels of the kernel, see `pack`; bias [features] or null
  float* out;                      // [batch, full_height, full_width, features]
  int64_t batch, height, width, channels, features;
  int64_t rows, columns, stride, top, left;  // of the window; padding before the first row and column
  int64_t out_height, out_width;             // positions to compute
  int64_t full_height, full_width, apart, first_row, first_column;
  bool relu;  // of the result
};

// The taps of a kernel that a convolution uses: of its rows first_row, first_row + row_step, …, columns alike. As it
// is, [height, width, channels, features], or transposed, [height, width, features, channels].
struct Taps {
  const float* kernel;
  int64_t width, channels, features, rows, columns, first_row, row_step, first_column, column_step;
  bool transposed;
};

// The gradient of a kernel: sums over positions of what the window sees of x, by the cotangent. A task is some rows of
// the result, counted through the batch, and has its own sums: [rows × columns × channels + 1, features] floats, the last
// row those of the cotangent alone.
struct DenseGradient {
  const float *x, *cotangent;
  float* sums;
  int64_t batch, height, width, channels, features, rows, columns, stride, top, left, out_height, out_width, tasks;
};

struct DenseKernels {
  int64_t (*panels)(const Taps&);       // floats of the panels
  int64_t (*parts)(int64_t features);   // how many panels
  void (*pack)(const Taps&, int64_t part, float* panels);
  int64_t (*block)(const Dense&);       // rows of the result a task
  int64_t (*scratch)(const Dense&);     // floats that a task needs
  void (*compute)(const Dense&, int64_t task, float* scratch);  // of batch × ⌈out_height / block⌉
  int64_t (*gradient_scratch)(const DenseGradient&);
  void (*gradient)(const DenseGradient&, int64_t task, float* scratch);
};

extern const DenseKernels dense_128, dense_256, dense_512;
