#include "autograd.h"

#include <ATen/autocast_mode.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include "arguments.h"
#include "handle.h"

namespace penumbra {

namespace {

bool present(napi_env env, size_t argc, napi_value* argv, size_t index) {
  if (index >= argc) return false;
  const Given given = givenType(env, argv[index]);
  return given != Given::kUndefined && given != Given::kNull;
}

bool flag(napi_env env, size_t argc, napi_value* argv, size_t index) { return present(env, argc, argv, index) && toBool(env, argv[index]); }

// backward(tensor, gradient | null, retainGraph, createGraph)
napi_value jsBackward(napi_env env, size_t argc, napi_value* argv) {
  const at::Tensor& tensor = toTensor(env, argv[0], "tensor");
  std::vector<at::Tensor> gradients;
  if (present(env, argc, argv, 1)) gradients.push_back(toTensor(env, argv[1], "gradient"));
  const bool createGraph = flag(env, argc, argv, 3);
  torch::autograd::backward({tensor}, gradients, flag(env, argc, argv, 2) || createGraph, createGraph);
  return nullptr;
}

// grad(outputs, inputs, gradOutputs | null, retainGraph, createGraph, allowUnused) -> (tensor | null)[]
napi_value jsGrad(napi_env env, size_t argc, napi_value* argv) {
  if (argc < 2) throw JsError("torch/missing-argument", "expected outputs and inputs");
  const auto outputs = toTensors(env, argv[0], "outputs");
  const auto inputs = toTensors(env, argv[1], "inputs");
  std::vector<at::Tensor> gradients;
  if (present(env, argc, argv, 2)) gradients = toTensors(env, argv[2], "gradOutputs");
  const bool createGraph = flag(env, argc, argv, 4);
  const auto results = torch::autograd::grad(outputs, inputs, gradients, flag(env, argc, argv, 3) || createGraph, createGraph, flag(env, argc, argv, 5));
  napi_value array;
  check(env, napi_create_array_with_length(env, results.size(), &array));
  for (uint32_t i = 0; i < results.size(); ++i) check(env, napi_set_element(env, array, i, wrap(env, results[i])));
  return array;
}

napi_value jsGradient(napi_env env, size_t, napi_value* argv) { return wrap(env, toTensor(env, argv[0], "tensor").grad()); }

napi_value jsSetGradient(napi_env env, size_t argc, napi_value* argv) {
  at::Tensor tensor = toTensor(env, argv[0], "tensor");
  tensor.mutable_grad() = present(env, argc, argv, 1) ? toTensor(env, argv[1], "gradient") : at::Tensor();
  return nullptr;
}

// setData(tensor, other): the same tensor object, and so the same leaf, over other's memory (device, dtype, layout).
napi_value jsSetData(napi_env env, size_t, napi_value* argv) {
  at::Tensor tensor = toTensor(env, argv[0], "tensor");
  tensor.set_data(toTensor(env, argv[1], "other"));
  return nullptr;
}

napi_value jsGradEnabled(napi_env env, size_t, napi_value*) { return fromBool(env, c10::GradMode::is_enabled()); }

napi_value jsSetGradEnabled(napi_env env, size_t, napi_value* argv) {
  c10::GradMode::set_enabled(toBool(env, argv[0]));
  return nullptr;
}

// enterAutocast(device, dtype) -> token for leaveAutocast
napi_value jsEnterAutocast(napi_env env, size_t, napi_value* argv) {
  const auto device = toDevice(env, argv[0], "device").type();
  napi_value token = object(env);
  set(env, token, "device", argv[0]);
  set(env, token, "enabled", fromBool(env, at::autocast::is_autocast_enabled(device)));
  set(env, token, "dtype", fromString(env, dtypeName(at::autocast::get_autocast_dtype(device))));
  at::autocast::set_autocast_dtype(device, toDtype(env, argv[1], "dtype"));
  at::autocast::set_autocast_enabled(device, true);
  at::autocast::increment_nesting();
  return token;
}

napi_value jsLeaveAutocast(napi_env env, size_t, napi_value* argv) {
  napi_value device, enabled, dtype;
  check(env, napi_get_named_property(env, argv[0], "device", &device));
  check(env, napi_get_named_property(env, argv[0], "enabled", &enabled));
  check(env, napi_get_named_property(env, argv[0], "dtype", &dtype));
  const auto type = toDevice(env, device, "device").type();
  // The outermost region owns the cache of converted weights.
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(type, toBool(env, enabled));
  at::autocast::set_autocast_dtype(type, toDtype(env, dtype, "dtype"));
  return nullptr;
}

}  // namespace

void registerAutograd(napi_env env, napi_value exports) {
  method(env, exports, "backward", jsBackward);
  method(env, exports, "grad", jsGrad);
  method(env, exports, "gradient", jsGradient);
  method(env, exports, "setGradient", jsSetGradient);
  method(env, exports, "setData", jsSetData);
  method(env, exports, "gradEnabled", jsGradEnabled);
  method(env, exports, "setGradEnabled", jsSetGradEnabled);
  method(env, exports, "enterAutocast", jsEnterAutocast);
  method(env, exports, "leaveAutocast", jsLeaveAutocast);
}

}  // namespace penumbra
