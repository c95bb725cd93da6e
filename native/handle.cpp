#include "handle.h"

#include <algorithm>
#include <utility>

namespace penumbra {

namespace {

// Handles are made and released on JavaScript's thread alone.
int64_t live = 0, liveBytes = 0, created = 0, collected = 0;

// Released handles with their external values, to be used again: a new external value with a finalizer costs several
// allocations and work in every collection. JavaScript lets go of a handle when it releases it (see `dispose`).
constexpr size_t kSpares = 4096;
std::vector<Handle*> spares;

// V8 schedules collections by the external memory it is told of. Telling it of every small tensor costs more than
// the tensor, so changes gather until they matter.
constexpr int64_t kReportStep = 1 << 20;
int64_t unreported = 0;

void account(node_api_basic_env env, int64_t change) {
  unreported += change;
  if (unreported < kReportStep && unreported > -kReportStep) return;
  // Zeroed first: the call may collect, and a finalizer then comes back here.
  const int64_t report = std::exchange(unreported, 0);
  int64_t total = 0;
  napi_adjust_external_memory(env, report, &total);
}

// V8 collects beside the program, and on a busy machine it falls behind a loop that forgets its tensors. Where they have
// grown by so much since, a whole collection is asked for; where that frees little, nobody forgets, and the next waits longer.
constexpr int64_t kGrowth = 512 << 20;
int64_t growth = kGrowth, base = 0;
napi_ref collector = nullptr;

void collectIfGrown(napi_env env) {
  const int64_t grown = liveBytes - base;
  if (grown < growth || !collector) return;
  base = liveBytes;  // Before the call: what it runs may make tensors.
  napi_value run, undefined, result;
  check(env, napi_get_reference_value(env, collector, &run));
  check(env, napi_get_undefined(env, &undefined));
  const int64_t before = liveBytes;
  check(env, napi_call_function(env, undefined, run, 0, nullptr, &result));
  growth = before - liveBytes < grown / 4 ? 2 * growth : kGrowth;
}

void release(node_api_basic_env env, Handle* handle) {
  if (handle->state == Handle::State::kTensor) {
    --live;
    liveBytes -= handle->bytes;
    base = std::min(base, liveBytes);
    handle->tensor.reset();
    account(env, -handle->told);
  }
  handle->generator = at::Generator();
  handle->state = Handle::State::kReleased;
}

// Runs inside the collector, so a synchronous loop that never returns to the event loop is bounded too.
void finalize(node_api_basic_env env, void* data, void*) {
  auto* handle = static_cast<Handle*>(data);
  if (handle->state == Handle::State::kTensor) ++collected;
  release(env, handle);
  napi_delete_reference(env, handle->self);
  delete handle;
}

napi_value external(napi_env env, Handle* handle) {
  napi_value value;
  // One reference both calls the finalizer and lets the value be found again. A second reference to the same value must
  // not be deleted in the finalizer of the first: the collector may have both in hand.
  if (napi_create_external(env, handle, nullptr, nullptr, &value) != napi_ok ||
      napi_add_finalizer(env, value, handle, finalize, nullptr, &handle->self) != napi_ok) {
    delete handle;
    throw JsError("torch/node-api", "could not create a handle");
  }
  return value;
}

int64_t sizeOf(const at::Tensor& tensor) {
  // Sparse and other tensors without a strided storage have no simple size.
  return tensor.layout() == at::kStrided && !tensor.unsafeGetTensorImpl()->is_python_dispatch()
      ? static_cast<int64_t>(tensor.nbytes())
      : 0;
}

// release(handle): the caller must not use `handle` again, it may come to hold another tensor.
napi_value jsRelease(napi_env env, size_t argc, napi_value* argv) {
  Handle* handle = argc > 0 ? tryHandle(env, argv[0]) : nullptr;
  if (!handle || handle->state != Handle::State::kTensor) return nullptr;
  release(env, handle);
  if (spares.size() == kSpares) return nullptr;
  check(env, napi_reference_ref(env, handle->self, nullptr));
  spares.push_back(handle);
  return nullptr;
}

// The external value of a spare handle, which is now the caller's; null where there is none.
napi_value reuse(napi_env env, at::Tensor& tensor, Handle*& handle) {
  if (spares.empty()) return nullptr;
  handle = spares.back();
  spares.pop_back();
  napi_value value;
  check(env, napi_get_reference_value(env, handle->self, &value));
  check(env, napi_reference_unref(env, handle->self, nullptr));
  handle->tensor = std::move(tensor);
  handle->state = Handle::State::kTensor;
  return value;
}

// setCollector(run): a function that collects all garbage at once.
napi_value jsSetCollector(napi_env env, size_t, napi_value* argv) {
  if (collector) check(env, napi_delete_reference(env, collector));
  check(env, napi_create_reference(env, argv[0], 1, &collector));
  return nullptr;
}

napi_value jsStatistics(napi_env env, size_t, napi_value*) {
  napi_value result = object(env);
  set(env, result, "tensors", fromInt64(env, live));
  set(env, result, "bytes", fromInt64(env, liveBytes));
  set(env, result, "created", fromInt64(env, created));
  set(env, result, "collected", fromInt64(env, collected));
  return result;
}

}  // namespace

napi_value wrap(napi_env env, at::Tensor tensor) {
  if (!tensor.defined()) return null(env);
  const int64_t bytes = sizeOf(tensor), told = tensor.device().is_cpu() ? bytes : 0;
  Handle* handle = nullptr;
  napi_value value = reuse(env, tensor, handle);
  if (!value) {
    handle = new Handle{Handle::State::kTensor, std::move(tensor), at::Generator()};
    value = external(env, handle);
  }
  handle->bytes = bytes;
  handle->told = told;
  ++live;
  ++created;
  liveBytes += bytes;
  account(env, told);
  collectIfGrown(env);
  return value;
}

napi_value wrapGenerator(napi_env env, at::Generator generator) {
  return external(env, new Handle{Handle::State::kGenerator, at::Tensor(), std::move(generator)});
}

Handle* tryHandle(napi_env env, napi_value value) {
  void* data = nullptr;
  if (napi_get_value_external(env, value, &data) != napi_ok || data == nullptr) return nullptr;
  auto* handle = static_cast<Handle*>(data);
  switch (handle->state) {
    case Handle::State::kTensor:
    case Handle::State::kGenerator:
    case Handle::State::kReleased: return handle;
  }
  return nullptr;
}

const at::Tensor& toTensor(napi_env env, napi_value value, const char* argument) {
  Handle* handle = tryHandle(env, value);
  if (handle && handle->state == Handle::State::kTensor) return handle->tensor;
  if (handle && handle->state == Handle::State::kReleased)
    throw JsError("torch/use-after-release", std::string("argument '") + argument + "' is a tensor that was already released",
                  "keep it with keep(tensor), or return it from its tidy(), if it is needed after the scope ends");
  throw JsError("torch/argument-type", std::string("argument '") + argument + "': expected Tensor, got " + describe(env, value));
}

at::Generator& toGenerator(napi_env env, napi_value value, const char* argument) {
  Handle* handle = tryHandle(env, value);
  if (handle && handle->state == Handle::State::kGenerator) return handle->generator;
  throw JsError("torch/argument-type", std::string("argument '") + argument + "': expected Generator, got " + describe(env, value));
}

std::vector<at::Tensor> toTensors(napi_env env, napi_value array, const char* argument) {
  bool isArray = false;
  check(env, napi_is_array(env, array, &isArray));
  if (!isArray)
    throw JsError("torch/argument-type", std::string("argument '") + argument + "': expected an array of Tensors, got " + describe(env, array));
  uint32_t length = 0;
  check(env, napi_get_array_length(env, array, &length));
  std::vector<at::Tensor> tensors;
  tensors.reserve(length);
  for (uint32_t i = 0; i < length; ++i) {
    napi_value element;
    check(env, napi_get_element(env, array, i, &element));
    tensors.push_back(toTensor(env, element, argument));
  }
  return tensors;
}

void registerHandles(napi_env env, napi_value exports) {
  method(env, exports, "release", jsRelease);
  // What a tensor holds after its release.
  method(env, exports, "setCollector", jsSetCollector);
  set(env, exports, "released", external(env, new Handle{Handle::State::kReleased, at::Tensor(), at::Generator()}));
  method(env, exports, "handleStatistics", jsStatistics);
}

}  // namespace penumbra
