// Sums over the positions of maps, by channel: what batch normalisation and its gradient need. Maps are float32, NHWC.
#pragma once
#include <stdint.h>

// A task is a block of positions of one image, as many as fit the cache, and has its own two sums, [tasks, 2, channels].
struct Norm {
  const float *x, *mean;     // of x alone: its mean in the block, and the sum of (x − that)²; mean null
  const float* cotangent;    // with it: its sum, and that of it times (x − mean)
  const float* valid;        // of an image: 0 leaves it out; null for none
  float* sums;
  int64_t batch, positions, channels, rows;  // rows: of a block
};

struct NormKernels {
  void (*moments)(const Norm&, int64_t task);  // of batch × ⌈positions / rows⌉
  void (*products)(const Norm&, int64_t task);
};

extern const NormKernels norm_128, norm_256, norm_512;
