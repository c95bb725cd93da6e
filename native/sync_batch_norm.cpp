// Batch normalization whose statistics are those of all ranks' batches together, as one autograd function.
#include "distributed.h"

#ifdef PENUMBRA_C10D

#include <ATen/OpMathType.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/var_mean.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <array>

#include "handle.h"

namespace penumbra {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Ranks {
  c10::intrusive_ptr<c10d::ProcessGroup> group;
  Place* place;
};

// Waits for a collective. What fails in it keeps its name also where a plain backward pass runs it.
template <typename Collective>
void within(const Ranks& ranks, Collective begin) {
  const Inside inside(*ranks.place);
  try {
    begin()->wait();
  } catch (...) {
    rethrowPeer();
  }
}

// [C] -> [1, C, 1, 1]
at::Tensor acrossImages(const at::Tensor& channels) { return channels.view({1, -1, 1, 1}); }

// Of all ranks together: [C] each, in double precision and on the CPU, to the last bit equal on every rank.
struct Moments {
  at::Tensor mean, variance;
  double count = 0;
};

Moments momentsOfAll(const at::Tensor& wide, const Ranks& ranks) {
  const int64_t channels = wide.size(1);
  const auto options = at::TensorOptions().dtype(at::kDouble);
  // Count, then the means, then the sums of squares about them.
  at::Tensor own = at::zeros({1 + 2 * channels}, options);
  if (wide.numel() > 0) {
    const double count = static_cast<double>(wide.numel()) / static_cast<double>(channels);
    const auto [variance, mean] = at::var_mean(wide, at::IntArrayRef{0, 2, 3}, /*unbiased=*/false);
    own[0].fill_(count);
    own.slice(0, 1, 1 + channels).copy_(mean);
    own.slice(0, 1 + channels).copy_(variance).mul_(count);
  }
  std::vector<at::Tensor> inputs{own};
  std::vector<std::vector<at::Tensor>> outputs(1);
  for (int i = 0; i < ranks.group->getSize(); ++i) outputs[0].push_back(at::empty_like(own));
  within(ranks, [&] { return ranks.group->allgather(outputs, inputs); });
  // Chan, Golub and LeVeque (1979), rank by rank.
  Moments all{at::zeros({channels}, options), at::zeros({channels}, options)};
  for (const at::Tensor& one : outputs[0]) {
    const double count = one[0].item<double>();
    if (count == 0) continue;
    const double part = count / (all.count + count);
    const at::Tensor delta = one.slice(0, 1, 1 + channels) - all.mean;
    all.variance += one.slice(0, 1 + channels) + delta.square() * (all.count * part);
    all.mean += delta * part;
    all.count += count;
  }
  if (all.count > 0) all.variance /= all.count;
  return all;
}

class SyncBatchNorm : public torch::autograd::Function<SyncBatchNorm> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, at::Tensor runningMean, at::Tensor runningVar,
                            double momentum, double eps, const Ranks* ranks) {
    const at::Tensor wide = input.to(at::toOpMathType(input.scalar_type()));
    const Moments moments = momentsOfAll(wide, *ranks);
    if (moments.count > 1) {
      runningMean.mul_(1 - momentum).add_(moments.mean.to(runningMean.options()), momentum);
      runningVar.mul_(1 - momentum).add_((moments.variance * (moments.count / (moments.count - 1))).to(runningVar.options()), momentum);
    }
    const at::Tensor mean = moments.mean.to(wide.options()), inverse = (moments.variance + eps).rsqrt().to(wide.options());
    context->save_for_backward({input, weight, mean, inverse});
    context->saved_data["count"] = moments.count;
    context->saved_data["ranks"] = reinterpret_cast<int64_t>(ranks);
    const at::Tensor scale = inverse * weight;
    return at::addcmul(acrossImages(bias - mean * scale), wide, acrossImages(scale)).to(input.scalar_type());
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    if (c10::GradMode::is_enabled()) throw JsError("torch/second-derivative", "batch norm over several processes has no second derivative");
    const auto saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &weight = saved[1], &mean = saved[2], &inverse = saved[3];
    const auto& ranks = *reinterpret_cast<const Ranks*>(context->saved_data["ranks"].toInt());
    const auto type = mean.scalar_type();
    constexpr std::array<int64_t, 3> images{0, 2, 3};
    const at::Tensor gradient = gradients[0].to(type);
    const at::Tensor normal = (input.to(type) - acrossImages(mean)) * acrossImages(inverse);
    const at::Tensor biasGradient = gradient.sum(images), weightGradient = (gradient * normal).sum(images);
    variable_list results(8);
    results[1] = weightGradient.to(weight.scalar_type());
    results[2] = biasGradient.to(weight.scalar_type());
    // Every rank's inputs have a part in the statistics of all.
    std::vector<at::Tensor> sums{at::cat({biasGradient, weightGradient}).to(at::kDouble).cpu()};
    within(ranks, [&] { return ranks.group->allreduce(sums); });
    const at::Tensor means = (sums[0] / std::max(1.0, context->saved_data["count"].toDouble())).to(mean.options());
    const int64_t channels = mean.size(0);
    const at::Tensor centred = gradient - acrossImages(means.slice(0, 0, channels)) - normal * acrossImages(means.slice(0, channels));
    results[0] = (centred * acrossImages(inverse * weight)).to(input.scalar_type());
    return results;
  }
};

// The ranks of a group; not freed, since a graph may still name them.
const Ranks* ranksOf(napi_env env, napi_value number) {
  static auto& known = *new std::vector<const Ranks*>;
  Ranks ranks{toLayerGroup(env, number), &placeOf(env, number)};
  for (const Ranks* one : known)
    if (one->group == ranks.group) return one;
  known.push_back(new Ranks(std::move(ranks)));
  return known.back();
}

// syncBatchNorm(group, input, weight, bias, runningMean, runningVar, momentum, eps) -> tensor. Collective, and so is its
// gradient.
napi_value jsSyncBatchNorm(napi_env env, size_t argc, napi_value* argv) {
  if (argc < 8) throw JsError("torch/missing-argument", "expected a group, five tensors and two numbers");
  const at::Tensor input = toTensor(env, argv[1], "input");
  if (input.dim() != 4) throw JsError("torch/argument-value", "input: expected [N, C, H, W]");
  return wrap(env, SyncBatchNorm::apply(input, toTensor(env, argv[2], "weight"), toTensor(env, argv[3], "bias"), toTensor(env, argv[4], "runningMean"),
                                        toTensor(env, argv[5], "runningVar"), toDouble(env, argv[6]), toDouble(env, argv[7]), ranksOf(env, argv[0])));
}

}  // namespace

void registerSyncBatchNorm(napi_env env, napi_value exports) { method(env, exports, "syncBatchNorm", jsSyncBatchNorm); }

}  // namespace penumbra

#else

namespace penumbra {

void registerSyncBatchNorm(napi_env, napi_value) {}

}  // namespace penumbra

#endif  // PENUMBRA_C10D
