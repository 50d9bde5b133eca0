// Vectors of BITS bits, 128, 256 or 512, and the least that is done with them. For files that are compiled once for
// each width. Nothing of the C++ library may be used there: its inline functions would be shared by the linker with code
// that has to run on any processor.
#pragma once
#include <stdint.h>
#include <string.h>

namespace {

constexpr int L = BITS / 32;                                 // numbers of a vector
constexpr int MR = BITS == 512 ? 14 : BITS == 256 ? 6 : 4;  // rows of a tile that is held in registers, two vectors each
typedef float V __attribute__((vector_size(4 * L), aligned(4), may_alias));

inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline V load(const float* p) { return *reinterpret_cast<const V*>(p); }
inline void store(float* p, V v) { *reinterpret_cast<V*>(p) = v; }
inline float relu(float x) { return 0 > x ? 0 : x; }  // NaN stays
inline V relu(V x) {
  const V zero = {};
  return zero > x ? zero : x;
}
inline V splat(float x) {
#if BITS == 512
  V v = {x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
#elif BITS == 256
  V v = {x, x, x, x, x, x, x, x};
#else
  V v = {x, x, x, x};
#endif
#if BITS == 512
  __asm__("" : "+v"(v));  // one load into a register, where the compiler would load for either multiplication
#endif
  return v;
}

}  // namespace
