#include "distributed.h"

#ifdef PENUMBRA_C10D

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/accumulate_grad.h>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include <memory>
#include <unordered_set>

#include "handle.h"

namespace penumbra {

namespace {

using Buckets = std::vector<std::vector<size_t>>;
using Names = std::unordered_map<size_t, std::string>;
using Group = c10::intrusive_ptr<c10d::ProcessGroup>;

struct Entry {
  std::unique_ptr<c10d::Reducer> reducer;
  Place* place;
};
std::vector<Entry> reducers;

Entry& toReducer(napi_env env, napi_value value) {
  const int64_t number = toInt64(env, value, "reducer");
  if (number < 0 || number >= static_cast<int64_t>(reducers.size()) || !reducers[number].reducer)
    throw JsError("distributed/closed", "this reducer was released");
  return reducers[number];
}

// The constructor has grown with LibTorch's versions.
template <typename R = c10d::Reducer>
std::unique_ptr<R> make(const std::vector<at::Tensor>& params, const Buckets& buckets, const Group& group, bool findUnused, const Names& names) {
  const std::vector<bool> sparse(params.size(), false);
  constexpr int64_t cap = c10d::kDefaultBucketBytesCap, first = c10d::kDefaultFirstBucketBytes;
  constexpr bool views = true;
  if constexpr (std::is_constructible_v<R, std::vector<at::Tensor>, Buckets, Group, std::vector<bool>, int64_t, bool, bool, Names, int64_t, bool, bool,
                                        std::vector<int64_t>>)
    return std::make_unique<R>(params, buckets, group, sparse, cap, findUnused, views, names, first, false, false, std::vector<int64_t>{});
  else if constexpr (std::is_constructible_v<R, std::vector<at::Tensor>, Buckets, Group, std::vector<bool>, int64_t, bool, bool, Names, int64_t, bool, bool>)
    return std::make_unique<R>(params, buckets, group, sparse, cap, findUnused, views, names, first, false, false);
  else return std::make_unique<R>(params, buckets, group, sparse, cap, findUnused, views, names, first);
}

// makeReducer(group, parameters, names, findUnused) -> number. Buckets of 1 MiB, then 25, from the last parameter to the
// first: about the order in which gradients are ready. They stay as they are (`rebuild_buckets` is called once, after the
// first backward pass, by the caller's warm-up), since sums of three and more terms depend on where in a bucket they are.
napi_value jsMakeReducer(napi_env env, size_t argc, napi_value* argv) {
  if (argc < 4) throw JsError("torch/missing-argument", "expected a group, parameters, names and a flag");
  const auto params = toTensors(env, argv[1], "parameters");
  std::vector<at::Tensor> reversed(params.rbegin(), params.rend());
  std::vector<int64_t> indices(params.size());
  Names names;
  for (size_t i = 0; i < params.size(); ++i) {
    indices[i] = static_cast<int64_t>(params.size() - 1 - i);
    napi_value name;
    check(env, napi_get_element(env, argv[2], static_cast<uint32_t>(i), &name));
    names[i] = toString(env, name);
  }
  const Group group = toProcessGroup(env, argv[0]);
  try {
    auto [buckets, limits] = c10d::compute_bucket_assignment_by_size(
        reversed, {static_cast<size_t>(c10d::kDefaultFirstBucketBytes), static_cast<size_t>(c10d::kDefaultBucketBytesCap)}, {}, indices, {});
    reducers.push_back({make(params, buckets, group, toBool(env, argv[3]), names), &placeOf(env, argv[0])});
  } catch (...) {
    rethrowPeer();
  }
  return fromInt64(env, static_cast<int64_t>(reducers.size()) - 1);
}

// reduceBackward(reducer, loss): gradients of the loss, averaged over the group bucket by bucket while they are computed.
napi_value jsReduceBackward(napi_env env, size_t, napi_value* argv) {
  Entry& entry = toReducer(env, argv[0]);
  const at::Tensor loss = toTensor(env, argv[1], "loss");
  const Inside inside(*entry.place);
  try {
    entry.reducer->prepare_for_forward();
    entry.reducer->rebuild_buckets();
    entry.reducer->prepare_for_backward({loss});
    torch::autograd::backward({loss});
  } catch (...) {
    rethrowPeer();
  }
  return nullptr;
}

napi_value jsReleaseReducer(napi_env env, size_t, napi_value* argv) {
  toReducer(env, argv[0]).reducer.reset();
  return nullptr;
}

// reachesAll(loss, parameters): whether each of the parameters has a part in the loss.
napi_value jsReachesAll(napi_env env, size_t, napi_value* argv) {
  const at::Tensor loss = toTensor(env, argv[0], "loss");
  std::unordered_set<const at::TensorImpl*> missing;
  for (const auto& parameter : toTensors(env, argv[1], "parameters")) missing.insert(parameter.unsafeGetTensorImpl());
  std::unordered_set<torch::autograd::Node*> seen;
  std::vector<torch::autograd::Node*> open;
  const auto visit = [&](torch::autograd::Node* node) {
    if (node && seen.insert(node).second) open.push_back(node);
  };
  visit(loss.grad_fn().get());
  while (!open.empty() && !missing.empty()) {
    torch::autograd::Node* node = open.back();
    open.pop_back();
    if (auto* leaf = dynamic_cast<torch::autograd::AccumulateGrad*>(node)) missing.erase(leaf->variable.unsafeGetTensorImpl());
    for (const auto& edge : node->next_edges()) visit(edge.function.get());
  }
  return fromBool(env, missing.empty());
}

}  // namespace

void registerReducers(napi_env env, napi_value exports) {
  method(env, exports, "makeReducer", jsMakeReducer);
  method(env, exports, "reduceBackward", jsReduceBackward);
  method(env, exports, "releaseReducer", jsReleaseReducer);
  method(env, exports, "reachesAll", jsReachesAll);
}

}  // namespace penumbra

#else

namespace penumbra {

void registerReducers(napi_env, napi_value) {}

}  // namespace penumbra

#endif  // PENUMBRA_C10D
