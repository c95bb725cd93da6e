// What a JavaScript `Tensor` or `Generator` holds: an external value that owns one LibTorch object.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include "js.h"

namespace penumbra {

struct Handle {
  enum class State : uint32_t { kTensor = 0x50745e50, kGenerator = 0x50674e50, kReleased = 0x50645250 };
  State state;
  at::Tensor tensor;
  at::Generator generator;
  int64_t bytes = 0;        // what this handle was counted with
  int64_t told = 0;         // what V8 was told of it: memory of the host alone
  napi_ref self = nullptr;  // to its external value: weak, but strong while it waits to be used again
};

struct HandleStatistics {
  int64_t live;       // tensor handles not yet released
  int64_t liveBytes;  // sum of their sizes; views count with their own size
  int64_t created;    // since the process started
  int64_t collected;  // released by the garbage collector rather than by a scope
};

napi_value wrap(napi_env env, at::Tensor tensor);  // null for an undefined tensor
napi_value wrapGenerator(napi_env env, at::Generator generator);

Handle* tryHandle(napi_env env, napi_value value);               // nullptr where the value is no handle of ours
const at::Tensor& toTensor(napi_env env, napi_value value, const char* argument);
at::Generator& toGenerator(napi_env env, napi_value value, const char* argument);
std::vector<at::Tensor> toTensors(napi_env env, napi_value array, const char* argument);

void registerHandles(napi_env env, napi_value exports);

}  // namespace penumbra
