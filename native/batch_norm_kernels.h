// Batch normalization over the rows of a [rows, channels] matrix, which is what channels-last images are: the loops alone,
// for processors with AVX-512. Each function works on the rows that it is given, so that threads can share the matrix.
#pragma once

#include <cstdint>

namespace penumbra {

// What follows the normalization, elementwise: nothing, max(y, 0), or min(max(y, 0), 6).
enum class Activation { kNone, kRelu, kRelu6 };

// One value a channel: y = (x - mean) * scale + bias.
struct Channels {
  const float *mean, *scale, *bias;
};

// T is float, or uint16_t for the bits of a bfloat16.
template <typename T>
struct BatchNormKernels {
  // Mean and sum of squared deviations of each channel, into zeros. `scratch` has room for two numbers a channel, here and below.
  static void moments(const T* x, int64_t rows, int64_t channels, float* scratch, double* mean, double* squares);
  // y = activation(norm(x) + added); `added` may be null.
  static void normalize(const T* x, const T* added, T* y, int64_t rows, int64_t channels, Channels norm, Activation activation);
  // With z what the activation is given and dz its gradient: adds the sums of dz and of dz * (x - mean) of each channel. Where
  // `y` is given, it tells where the activation let through and dz is written; otherwise x tells.
  static void sums(const T* x, const T* dy, const T* y, T* dz, int64_t rows, int64_t channels, Channels norm, Activation activation, float* scratch,
                   double* ofGradient, double* ofProduct);
  // dx = scale * dz + factor * (x - mean) + offset, with dz from dy by what x tells of the activation.
  static void gradient(const T* x, const T* dy, T* dx, int64_t rows, int64_t channels, Channels norm, const float* factor, const float* offset,
                       Activation activation);
  // Whether this processor can run them.
  static bool available();
};

}  // namespace penumbra
