#include "batch_norm.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "arguments.h"
#include "batch_norm_kernels.h"
#include "handle.h"

namespace penumbra {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Elements below which a second thread costs more than it brings.
constexpr int64_t kGrain = 32768;

// The rows of a matrix, divided among threads: the same for the same shape and number of threads, and so the sums.
struct Shares {
  int64_t rows, channels, count;

  Shares(int64_t rows, int64_t channels)
      : rows(rows), channels(channels), count(std::clamp<int64_t>(rows * channels / kGrain, 1, std::min<int64_t>(at::get_num_threads(), rows))) {}

  int64_t begin(int64_t share) const { return rows * share / count; }

  template <typename Work>  // work(share, first row, number of rows)
  void each(Work work) const {
    at::parallel_for(0, count, 1, [&](int64_t from, int64_t to) {
      for (int64_t share = from; share < to; ++share) work(share, begin(share), begin(share + 1) - begin(share));
    });
  }
};

Shares sharesOf(const at::Tensor& input) { return {input.size(0) * input.size(2) * input.size(3), input.size(1)}; }

// The elements of a tensor as the kernels take them.
template <typename T>
const T* read(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<const T*>(tensor.const_data_ptr()) : nullptr;
}

template <typename T>
T* written(at::Tensor& tensor) {
  return tensor.defined() ? static_cast<T*>(tensor.mutable_data_ptr()) : nullptr;
}

// `work` with a value of the elements' type: float, or uint16_t for the bits of a bfloat16.
template <typename Work>
void withElements(const at::Tensor& tensor, Work work) {
  if (tensor.scalar_type() == at::kBFloat16) work(uint16_t{});
  else work(float{});
}

at::Tensor perChannel(const at::Tensor& like) { return at::empty_like(like, at::MemoryFormat::Contiguous); }

at::Tensor channelsLast(const at::Tensor& like) { return at::empty_like(like, at::MemoryFormat::ChannelsLast); }

struct Statistics {
  at::Tensor mean, inverse;  // [C]: of the batch, and one over its standard deviation
};

// Statistics of the batch; the running ones move towards them, where they are given.
Statistics statisticsOf(const at::Tensor& input, at::Tensor runningMean, at::Tensor runningVar, double momentum, double eps) {
  const Shares shares = sharesOf(input);
  const int64_t channels = shares.channels;
  std::vector<double> means(shares.count * channels), squares(shares.count * channels);
  std::vector<float> scratch(shares.count * 2 * channels);
  withElements(input, [&]<typename T>(T) {
    const T* x = read<T>(input);
    shares.each([&](int64_t share, int64_t row, int64_t rows) {
      BatchNormKernels<T>::moments(x + row * channels, rows, channels, &scratch[share * 2 * channels], &means[share * channels], &squares[share * channels]);
    });
  });
  const auto options = input.options().dtype(at::kFloat).memory_format(at::MemoryFormat::Contiguous);
  Statistics statistics{at::empty({channels}, options), at::empty({channels}, options)};
  float *mean = written<float>(statistics.mean), *inverse = written<float>(statistics.inverse);
  float *ofMean = written<float>(runningMean), *ofVar = written<float>(runningVar);
  const auto total = static_cast<double>(shares.rows);
  for (int64_t c = 0; c < channels; ++c) {
    // Chan, Golub and LeVeque (1979).
    double joined = 0, square = 0;
    for (int64_t share = 0; share < shares.count; ++share) {
      const auto before = static_cast<double>(shares.begin(share)), count = static_cast<double>(shares.begin(share + 1)) - before;
      const double delta = means[share * channels + c] - joined, part = count / (before + count);
      square += squares[share * channels + c] + delta * delta * before * part;
      joined += delta * part;
    }
    mean[c] = static_cast<float>(joined);
    inverse[c] = static_cast<float>(1 / std::sqrt(square / total + eps));
    if (ofMean) ofMean[c] = static_cast<float>(momentum * joined + (1 - momentum) * ofMean[c]);
    if (ofVar) ofVar[c] = static_cast<float>(momentum * square / (total - 1) + (1 - momentum) * ofVar[c]);
  }
  return statistics;
}

// LibTorch's operators with the same result, where a graph of the gradient is asked for. `output` tells where the
// activation let through; where it is not given, the normalized input does.
variable_list differentiableGradient(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& output,
                                     double eps, Activation activation) {
  at::AutoGradMode recorded(true);
  const at::Tensor normal = at::batch_norm(input, weight, bias, {}, {}, true, 0, eps, false);
  const at::Tensor seen = output.defined() ? output : normal.detach();
  at::Tensor inner = gradient;
  if (activation == Activation::kRelu) inner = at::threshold_backward(gradient, seen, 0);
  if (activation == Activation::kRelu6) inner = at::hardtanh_backward(gradient, seen, 0, 6);
  variable_list gradients = torch::autograd::grad({normal}, {input, weight, bias}, {inner}, true, true, true);
  gradients.push_back(inner);
  return gradients;
}

class FusedBatchNorm : public torch::autograd::Function<FusedBatchNorm> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, const std::optional<at::Tensor>& added,
                            const at::Tensor& runningMean, const at::Tensor& runningVar, double momentum, double eps, int64_t activation) {
    const Statistics statistics = statisticsOf(input, runningMean, runningVar, momentum, eps);
    const at::Tensor scale = at::mul(statistics.inverse, weight);
    const Channels norm{read<float>(statistics.mean), read<float>(scale), read<float>(bias)};
    const Shares shares = sharesOf(input);
    at::Tensor output = channelsLast(input);
    withElements(input, [&]<typename T>(T) {
      const T *x = read<T>(input), *other = added ? read<T>(*added) : nullptr;
      T* y = written<T>(output);
      shares.each([&](int64_t, int64_t row, int64_t rows) {
        const int64_t at = row * shares.channels;
        BatchNormKernels<T>::normalize(x + at, other ? other + at : nullptr, y + at, rows, shares.channels, norm, static_cast<Activation>(activation));
      });
    });
    // Without an addition the input alone tells what the activation let through.
    const bool keepsOutput = added && static_cast<Activation>(activation) != Activation::kNone;
    context->save_for_backward({input, weight, bias, statistics.mean, statistics.inverse, keepsOutput ? output : at::Tensor()});
    context->saved_data["added"] = added.has_value();
    context->saved_data["eps"] = eps;
    context->saved_data["activation"] = activation;
    return output;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &weight = saved[1], &bias = saved[2], &mean = saved[3], &inverse = saved[4], &output = saved[5];
    const auto activation = static_cast<Activation>(context->saved_data["activation"].toInt());
    const bool added = context->saved_data["added"].toBool();
    variable_list results(9);
    if (c10::GradMode::is_enabled()) {
      const auto some = differentiableGradient(gradients[0], input, weight, bias, output, context->saved_data["eps"].toDouble(), activation);
      std::copy(some.begin(), some.end() - (added ? 0 : 1), results.begin());
      return results;
    }
    const at::Tensor gradient = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    at::Tensor inner = output.defined() ? channelsLast(input) : at::Tensor(), inputGradient = channelsLast(input);
    at::Tensor weightGradient = perChannel(weight), biasGradient = perChannel(bias), factor = perChannel(weight), offset = perChannel(weight);
    const at::Tensor scale = at::mul(inverse, weight);
    const Channels norm{read<float>(mean), read<float>(scale), read<float>(bias)};
    const Shares shares = sharesOf(input);
    const int64_t channels = shares.channels;
    std::vector<double> ofGradient(shares.count * channels), ofProduct(shares.count * channels);
    std::vector<float> scratch(shares.count * 2 * channels);
    withElements(input, [&]<typename T>(T) {
      const T *x = read<T>(input), *dy = read<T>(gradient), *y = read<T>(output);
      T *dz = written<T>(inner), *dx = written<T>(inputGradient);
      shares.each([&](int64_t share, int64_t row, int64_t rows) {
        const int64_t at = row * channels;
        BatchNormKernels<T>::sums(x + at, dy + at, y ? y + at : nullptr, dz ? dz + at : nullptr, rows, channels, norm, activation, &scratch[share * 2 * channels],
                                  &ofGradient[share * channels], &ofProduct[share * channels]);
      });
      const float *invstd = read<float>(inverse), *scales = read<float>(scale);
      float *dw = written<float>(weightGradient), *db = written<float>(biasGradient), *factors = written<float>(factor), *offsets = written<float>(offset);
      const auto total = static_cast<double>(shares.rows);
      for (int64_t c = 0; c < channels; ++c) {
        double sum = 0, product = 0;
        for (int64_t share = 0; share < shares.count; ++share) {
          sum += ofGradient[share * channels + c];
          product += ofProduct[share * channels + c];
        }
        db[c] = static_cast<float>(sum);
        dw[c] = static_cast<float>(product * invstd[c]);
        factors[c] = static_cast<float>(-scales[c] * product * invstd[c] * invstd[c] / total);
        offsets[c] = static_cast<float>(-scales[c] * sum / total);
      }
      // What the first pass wrote has been through the activation already.
      const T* from = dz ? dz : dy;
      const Activation left = dz ? Activation::kNone : activation;
      shares.each([&](int64_t, int64_t row, int64_t rows) {
        const int64_t at = row * channels;
        BatchNormKernels<T>::gradient(x + at, from + at, dx + at, rows, channels, norm, factors, offsets, left);
      });
    });
    results[0] = inputGradient;
    results[1] = weightGradient;
    results[2] = biasGradient;
    if (added) results[3] = inner.defined() ? inner : gradient;
    return results;
  }
};

bool runs(at::ScalarType type) {
  // LibTorch's own variable for a lesser set of instructions counts for these too.
  static const bool wide = at::get_cpu_capability() == "AVX512";
  if (!wide) return false;
  return type == at::kFloat ? BatchNormKernels<float>::available() : type == at::kBFloat16 && BatchNormKernels<uint16_t>::available();
}

bool fitsPerChannel(const at::Tensor& tensor, int64_t channels) {
  return tensor.scalar_type() == at::kFloat && tensor.device().is_cpu() && tensor.dim() == 1 && tensor.size(0) == channels && tensor.is_contiguous();
}

Activation activationOf(const std::string& name) {
  if (name == "none") return Activation::kNone;
  if (name == "relu") return Activation::kRelu;
  if (name == "relu6") return Activation::kRelu6;
  throw JsError("torch/argument-value", "activation: expected none, relu or relu6");
}

// Null where the kernels do not fit: LibTorch's operators are to be used.
napi_value jsBatchNorm(napi_env env, size_t, napi_value* argv) {
  const at::Tensor input = toTensor(env, argv[0], "input");
  if (!input.device().is_cpu() || input.layout() != at::kStrided || input.dim() != 4 || !runs(input.scalar_type())) return null(env);
  if (input.numel() == 0 || input.numel() == input.size(1) || !input.is_contiguous(at::MemoryFormat::ChannelsLast)) return null(env);
  const at::Tensor weight = toTensor(env, argv[1], "weight"), bias = toTensor(env, argv[2], "bias");
  const at::Tensor runningMean = toTensor(env, argv[3], "runningMean"), runningVar = toTensor(env, argv[4], "runningVar");
  for (const at::Tensor* one : {&weight, &bias, &runningMean, &runningVar})
    if (!fitsPerChannel(*one, input.size(1))) return null(env);
  std::optional<at::Tensor> added;
  if (const Given given = givenType(env, argv[8]); given != Given::kUndefined && given != Given::kNull) {
    added = toTensor(env, argv[8], "added");
    if (added->scalar_type() != input.scalar_type() || !added->device().is_cpu() || added->sizes() != input.sizes()) return null(env);
    added = added->contiguous(at::MemoryFormat::ChannelsLast);
  }
  const auto activation = static_cast<int64_t>(activationOf(toString(env, argv[7])));
  return wrap(env, FusedBatchNorm::apply(input, weight, bias, added, runningMean, runningVar, toDouble(env, argv[5]), toDouble(env, argv[6]), activation));
}

napi_value jsFusesBatchNorm(napi_env env, size_t, napi_value* argv) { return fromBool(env, runs(toDtype(env, argv[0], "dtype"))); }

}  // namespace

void registerBatchNorm(napi_env env, napi_value exports) {
  method(env, exports, "batchNorm", jsBatchNorm);
  method(env, exports, "fusesBatchNorm", jsFusesBatchNorm);
}

}  // namespace penumbra
