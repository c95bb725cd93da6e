#include "batch_norm_kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#include <algorithm>
#include <type_traits>

// What follows is compiled for AVX-512 whatever the rest is compiled for; `available` says whether it may run. Functions
// over floats use nothing of AVX512-BF16.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16"))), apply_to = function)
#else
// GCC's own header sets off these warnings (its bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")
#endif

namespace penumbra {

namespace {

constexpr int64_t kLanes = 16;
// Rows that are taken together where they are short, of so many bytes: what belongs to a channel is fetched once for all of
// them, and sums need not wait for each other. Longer ones are read one after another, as the processor fetches ahead only
// along memory.
constexpr int kRows = 8;
constexpr int64_t kShort = 128;

template <bool kTail>
inline __m512 load(const float* from, __mmask16 mask) {
  if constexpr (kTail) return _mm512_maskz_loadu_ps(mask, from);
  else return _mm512_loadu_ps(from);
}

template <bool kTail>
inline __m512 load(const uint16_t* from, __mmask16 mask) {
  __m256i half;
  if constexpr (kTail) half = _mm256_maskz_loadu_epi16(mask, from);
  else half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

template <bool kTail>
inline void store(float* to, __m512 value, __mmask16 mask) {
  if constexpr (kTail) _mm512_mask_storeu_ps(to, mask, value);
  else _mm512_storeu_ps(to, value);
}

// Rounds to the nearest, ties to even.
template <bool kTail>
inline void store(uint16_t* to, __m512 value, __mmask16 mask) {
  const __m256i half = (__m256i)_mm512_cvtneps_pbh(value);
  if constexpr (kTail) _mm256_mask_storeu_epi16(to, mask, half);
  else _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), half);
}

inline float valueOf(float value) { return value; }

inline float valueOf(uint16_t bits) { return __builtin_bit_cast(float, static_cast<uint32_t>(bits) << 16); }

// Results of so many bytes are out of the cache before anyone reads them. Written past it, memory need not be read first.
constexpr int64_t kLarge = 4 << 20;

// Whether they are; lines of 64 bytes must be written as a whole, which only vectors of floats are.
template <typename T>
inline bool isPast(const T* to, int64_t rows, int64_t channels) {
  if constexpr (!std::is_same_v<T, float>) return false;
  else return rows * channels * int64_t{sizeof(float)} >= kLarge && channels % kLanes == 0 && reinterpret_cast<uintptr_t>(to) % 64 == 0;
}

template <bool kTail, typename T>
inline void storeResult(T* to, __m512 value, __mmask16 mask, bool past) {
  if constexpr (std::is_same_v<T, float> && !kTail) {
    if (past) return _mm512_stream_ps(to, value);
  }
  store<kTail>(to, value, mask);
}

// NaN stays NaN, as in LibTorch: the second operand is what comes back beside it.
template <Activation kActivation>
inline __m512 activate(__m512 z) {
  if constexpr (kActivation == Activation::kNone) return z;
  z = _mm512_max_ps(_mm512_setzero_ps(), z);
  if constexpr (kActivation == Activation::kRelu6) z = _mm512_min_ps(_mm512_set1_ps(6.0f), z);
  return z;
}

// Where the activation lets its gradient through.
template <Activation kActivation>
inline __mmask16 passes(__m512 z) {
  if constexpr (kActivation == Activation::kNone) return 0xffff;
  const __mmask16 above = _mm512_cmp_ps_mask(z, _mm512_setzero_ps(), _CMP_NLE_UQ);
  if constexpr (kActivation == Activation::kRelu6) return above & _mm512_cmp_ps_mask(z, _mm512_set1_ps(6.0f), _CMP_NGE_UQ);
  return above;
}

// Sums over one block of rows are taken in float32, and sums of blocks in double precision: a block is small enough for the
// first not to matter, and for the cache.
inline int64_t rowsOfBlock(int64_t channels) { return std::clamp<int64_t>(32768 / channels, 16, 64); }

// work.template at<rows, tail>(first row, channel, mask) over the rows [begin, end) and all channels.
template <typename Work>
inline void eachVector(const Work& work, int64_t begin, int64_t end) {
  const int64_t channels = work.channels, whole = channels / kLanes * kLanes;
  const auto mask = static_cast<__mmask16>((1u << (channels - whole)) - 1);
  int64_t row = begin;
  for (const bool together = channels * sizeof(*work.x) <= kShort; together && row + kRows <= end; row += kRows) {
    for (int64_t channel = 0; channel < whole; channel += kLanes) work.template at<kRows, false>(row, channel, 0xffff);
    if (mask) work.template at<kRows, true>(row, whole, mask);
  }
  for (; row < end; ++row) {
    for (int64_t channel = 0; channel < whole; channel += kLanes) work.template at<1, false>(row, channel, 0xffff);
    if (mask) work.template at<1, true>(row, whole, mask);
  }
  _mm_sfence();  // What went past the cache is there for other threads too.
}

// Sums of deviations from the block's first row.
template <typename T>
struct Deviations {
  const T* x;
  int64_t channels, first;
  float* sum;

  template <int kCount, bool kTail>
  void at(int64_t row, int64_t channel, __mmask16 mask) const {
    const T* from = x + row * channels + channel;
    const __m512 origin = load<kTail>(x + first * channels + channel, mask);
    __m512 total = load<kTail>(sum + channel, mask);
    for (int r = 0; r < kCount; ++r) total = _mm512_add_ps(total, _mm512_sub_ps(load<kTail>(from + r * channels, mask), origin));
    store<kTail>(sum + channel, total, mask);
  }
};

// Sums of squared deviations from the block's mean.
template <typename T>
struct Squares {
  const T* x;
  int64_t channels;
  const float* mean;
  float* square;

  template <int kCount, bool kTail>
  void at(int64_t row, int64_t channel, __mmask16 mask) const {
    const T* from = x + row * channels + channel;
    const __m512 middle = load<kTail>(mean + channel, mask);
    __m512 total = load<kTail>(square + channel, mask);
    for (int r = 0; r < kCount; ++r) {
      const __m512 d = _mm512_sub_ps(load<kTail>(from + r * channels, mask), middle);
      total = _mm512_fmadd_ps(d, d, total);
    }
    store<kTail>(square + channel, total, mask);
  }
};

template <typename T, Activation kActivation, bool kAdded>
struct Normalize {
  const T *x, *added;
  T* y;
  int64_t channels;
  Channels norm;
  bool past;

  template <int kCount, bool kTail>
  void at(int64_t row, int64_t channel, __mmask16 mask) const {
    const __m512 mean = load<kTail>(norm.mean + channel, mask), scale = load<kTail>(norm.scale + channel, mask), bias = load<kTail>(norm.bias + channel, mask);
    int64_t i = row * channels + channel;
    for (int r = 0; r < kCount; ++r, i += channels) {
      __m512 z = _mm512_fmadd_ps(_mm512_sub_ps(load<kTail>(x + i, mask), mean), scale, bias);
      if constexpr (kAdded) z = _mm512_add_ps(z, load<kTail>(added + i, mask));
      storeResult<kTail>(y + i, activate<kActivation>(z), mask, past);
    }
  }
};

template <typename T, Activation kActivation, bool kOutput>
struct Sums {
  const T *x, *dy, *y;
  T* dz;
  int64_t channels;
  Channels norm;
  float *sum, *product;
  bool past;

  template <int kCount, bool kTail>
  void at(int64_t row, int64_t channel, __mmask16 mask) const {
    const __m512 mean = load<kTail>(norm.mean + channel, mask), scale = load<kTail>(norm.scale + channel, mask), bias = load<kTail>(norm.bias + channel, mask);
    __m512 total = load<kTail>(sum + channel, mask), products = load<kTail>(product + channel, mask);
    int64_t i = row * channels + channel;
    for (int r = 0; r < kCount; ++r, i += channels) {
      const __m512 d = _mm512_sub_ps(load<kTail>(x + i, mask), mean);
      __m512 gradient = load<kTail>(dy + i, mask);
      if constexpr (kActivation != Activation::kNone) {
        __m512 z;
        if constexpr (kOutput) z = load<kTail>(y + i, mask);
        else z = _mm512_fmadd_ps(d, scale, bias);
        gradient = _mm512_maskz_mov_ps(passes<kActivation>(z), gradient);
      }
      if constexpr (kOutput) storeResult<kTail>(dz + i, gradient, mask, past);
      total = _mm512_add_ps(total, gradient);
      products = _mm512_fmadd_ps(gradient, d, products);
    }
    store<kTail>(sum + channel, total, mask);
    store<kTail>(product + channel, products, mask);
  }
};

template <typename T, Activation kActivation>
struct Gradient {
  const T *x, *dy;
  T* dx;
  int64_t channels;
  Channels norm;
  const float *factor, *offset;
  bool past;

  template <int kCount, bool kTail>
  void at(int64_t row, int64_t channel, __mmask16 mask) const {
    const __m512 mean = load<kTail>(norm.mean + channel, mask), scale = load<kTail>(norm.scale + channel, mask), bias = load<kTail>(norm.bias + channel, mask);
    const __m512 factors = load<kTail>(factor + channel, mask), offsets = load<kTail>(offset + channel, mask);
    int64_t i = row * channels + channel;
    for (int r = 0; r < kCount; ++r, i += channels) {
      const __m512 d = _mm512_sub_ps(load<kTail>(x + i, mask), mean);
      __m512 gradient = load<kTail>(dy + i, mask);
      if constexpr (kActivation != Activation::kNone)
        gradient = _mm512_maskz_mov_ps(passes<kActivation>(_mm512_fmadd_ps(d, scale, bias)), gradient);
      storeResult<kTail>(dx + i, _mm512_fmadd_ps(scale, gradient, _mm512_fmadd_ps(factors, d, offsets)), mask, past);
    }
  }
};

template <typename T, Activation kActivation, bool kOutput>
void sumsOf(Sums<T, kActivation, kOutput> work, int64_t rows, double* ofGradient, double* ofProduct) {
  const int64_t block = rowsOfBlock(work.channels);
  for (int64_t row = 0; row < rows; row += block) {
    std::fill_n(work.sum, work.channels, 0.0f);
    std::fill_n(work.product, work.channels, 0.0f);
    eachVector(work, row, std::min(row + block, rows));
    for (int64_t c = 0; c < work.channels; ++c) {
      ofGradient[c] += work.sum[c];
      ofProduct[c] += work.product[c];
    }
  }
}

}  // namespace

// Blocks are joined as in Chan, Golub and LeVeque (1979).
template <typename T>
void BatchNormKernels<T>::moments(const T* x, int64_t rows, int64_t channels, float* scratch, double* mean, double* squares) {
  float *sum = scratch, *square = scratch + channels;
  const int64_t block = rowsOfBlock(channels);
  for (int64_t row = 0; row < rows; row += block) {
    const int64_t end = std::min(row + block, rows);
    const double count = static_cast<double>(end - row), share = count / static_cast<double>(end), weight = share * static_cast<double>(row);
    std::fill_n(sum, channels, 0.0f);
    eachVector(Deviations<T>{x, channels, row, sum}, row, end);
    for (int64_t c = 0; c < channels; ++c) {
      sum[c] = valueOf(x[row * channels + c]) + sum[c] / static_cast<float>(count);
      square[c] = 0;
    }
    eachVector(Squares<T>{x, channels, sum, square}, row, end);
    for (int64_t c = 0; c < channels; ++c) {
      const double delta = sum[c] - mean[c];
      squares[c] += square[c] + delta * delta * weight;
      mean[c] += delta * share;
    }
  }
}

template <typename T>
void BatchNormKernels<T>::normalize(const T* x, const T* added, T* y, int64_t rows, int64_t channels, Channels norm, Activation activation) {
  const bool past = isPast(y, rows, channels);
  switch (activation) {
    case Activation::kNone:
      return added ? eachVector(Normalize<T, Activation::kNone, true>{x, added, y, channels, norm, past}, 0, rows)
                   : eachVector(Normalize<T, Activation::kNone, false>{x, added, y, channels, norm, past}, 0, rows);
    case Activation::kRelu:
      return added ? eachVector(Normalize<T, Activation::kRelu, true>{x, added, y, channels, norm, past}, 0, rows)
                   : eachVector(Normalize<T, Activation::kRelu, false>{x, added, y, channels, norm, past}, 0, rows);
    case Activation::kRelu6:
      return added ? eachVector(Normalize<T, Activation::kRelu6, true>{x, added, y, channels, norm, past}, 0, rows)
                   : eachVector(Normalize<T, Activation::kRelu6, false>{x, added, y, channels, norm, past}, 0, rows);
  }
}

template <typename T>
void BatchNormKernels<T>::sums(const T* x, const T* dy, const T* y, T* dz, int64_t rows, int64_t channels, Channels norm, Activation activation, float* scratch,
                               double* ofGradient, double* ofProduct) {
  float *sum = scratch, *product = scratch + channels;
  const bool past = isPast(dz, rows, channels);
  switch (activation) {
    case Activation::kNone: return sumsOf(Sums<T, Activation::kNone, false>{x, dy, y, dz, channels, norm, sum, product, past}, rows, ofGradient, ofProduct);
    case Activation::kRelu:
      return y ? sumsOf(Sums<T, Activation::kRelu, true>{x, dy, y, dz, channels, norm, sum, product, past}, rows, ofGradient, ofProduct)
               : sumsOf(Sums<T, Activation::kRelu, false>{x, dy, y, dz, channels, norm, sum, product, past}, rows, ofGradient, ofProduct);
    case Activation::kRelu6:
      return y ? sumsOf(Sums<T, Activation::kRelu6, true>{x, dy, y, dz, channels, norm, sum, product, past}, rows, ofGradient, ofProduct)
               : sumsOf(Sums<T, Activation::kRelu6, false>{x, dy, y, dz, channels, norm, sum, product, past}, rows, ofGradient, ofProduct);
  }
}

template <typename T>
void BatchNormKernels<T>::gradient(const T* x, const T* dy, T* dx, int64_t rows, int64_t channels, Channels norm, const float* factor, const float* offset,
                                   Activation activation) {
  const bool past = isPast(dx, rows, channels);
  switch (activation) {
    case Activation::kNone: return eachVector(Gradient<T, Activation::kNone>{x, dy, dx, channels, norm, factor, offset, past}, 0, rows);
    case Activation::kRelu: return eachVector(Gradient<T, Activation::kRelu>{x, dy, dx, channels, norm, factor, offset, past}, 0, rows);
    case Activation::kRelu6: return eachVector(Gradient<T, Activation::kRelu6>{x, dy, dx, channels, norm, factor, offset, past}, 0, rows);
  }
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

template <>
bool BatchNormKernels<float>::available() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

template <>
bool BatchNormKernels<uint16_t>::available() {
  return BatchNormKernels<float>::available() && __builtin_cpu_supports("avx512bf16");
}

template struct BatchNormKernels<float>;
template struct BatchNormKernels<uint16_t>;

}  // namespace penumbra

#else

namespace penumbra {

template <typename T>
void BatchNormKernels<T>::moments(const T*, int64_t, int64_t, float*, double*, double*) {}
template <typename T>
void BatchNormKernels<T>::normalize(const T*, const T*, T*, int64_t, int64_t, Channels, Activation) {}
template <typename T>
void BatchNormKernels<T>::sums(const T*, const T*, const T*, T*, int64_t, int64_t, Channels, Activation, float*, double*, double*) {}
template <typename T>
void BatchNormKernels<T>::gradient(const T*, const T*, T*, int64_t, int64_t, Channels, const float*, const float*, Activation) {}
template <typename T>
bool BatchNormKernels<T>::available() {
  return false;
}

template struct BatchNormKernels<float>;
template struct BatchNormKernels<uint16_t>;

}  // namespace penumbra

#endif
