// What the kernels compute, whatever the vectors that they compute it with. All arrays are float32, maps NHWC.
#pragma once
#include <stdint.h>

// out = act((A weights − mean) factor + bias + residual). A row of A is a position of the output: what its window sees
// of x, or, with taps, one number a channel: the sum of its 3×3 window by the taps.
struct Product {
  const float *x, *taps, *weights, *mean, *factor, *bias, *residual;  // taps [9, C] or null, weights [K, D], residual or null
  float* out;
  int64_t batch, height, width, channels, out_height, out_width, features, size, stride, pad_height, pad_width;
  bool before, after;  // ReLU of x, ReLU of out
};

// The maximum of windows, stride 2, plus the residual, of ⌈height / 2⌉ rows; which of its window it is first, row by row.
struct Pool {
  const float *x, *residual;  // residual or null
  float* out;
  uint8_t* index;  // or null
  int64_t batch, height, width, channels, size, top, left;
};

// The gradient of its map: a position receives what the windows do whose first maximum it is.
struct PoolGradient {
  const float* cotangent;
  const uint8_t* index;
  float* out;
  int64_t batch, height, width, channels, size, top, left;
};

// A 3×3 filter a channel, stride 1, padded as "SAME": the map, or, turned, the gradient of the map by that of the result.
struct Filter {
  const float *x, *taps;  // taps [9, C]
  float* out;
  int64_t batch, height, width, channels;
  bool turned;
};

// The gradient of its taps: sums of x times that of the result, of some rows of an image, a task each; sums [tasks, 9, C].
struct FilterGradient {
  const float *x, *cotangent;
  float* sums;
  int64_t batch, height, width, channels, rows;
};

// How a product is divided. Rows of A come in blocks that stay in the cache of a core. Where there is only one block, it
// is shared: made in parts by all threads first, then multiplied in parts of the columns. Otherwise a task is a block.
struct Plan {
  int64_t rows, blocks;    // rows of A a block (the last may have fewer), and how many blocks
  int64_t makers, parts;   // of a shared block: tasks that make it, tasks that multiply it; 0 where nothing is shared
  int64_t block, scratch;  // floats of a block, and of what a thread needs beside it
};

struct Kernels {
  Plan (*plan)(const Product&, int64_t threads);
  void (*fill)(const Product&, const Plan&, int64_t maker, float* block);  // a shared block
  void (*multiply)(const Product&, const Plan&, int64_t part, const float* block, float* scratch);
  void (*both)(const Product&, const Plan&, int64_t number, float* block, float* scratch);  // a block of one's own
  void (*pool)(const Pool&, int64_t row);                                                   // of batch × ⌈height / 2⌉
  void (*pool_gradient)(const PoolGradient&, int64_t row);                                  // of batch × height
  void (*filter)(const Filter&, int64_t row);                                               // of batch × height
  void (*filter_gradient)(const FilterGradient&, int64_t task);  // of batch × ⌈height / rows⌉
};

extern const Kernels kernels_128, kernels_256, kernels_512;
