// The add-on's one entry: everything JavaScript can call is registered here, a file each.
#include "allocator.h"
#include "autograd.h"
#include "batch_norm.h"
#include "convolution.h"
#include "distributed.h"
#include "engine.h"
#include "handle.h"
#include "js.h"
#include "operators.h"
#include "storage.h"

#include <atomic>

namespace penumbra {

namespace {

napi_value jsSetErrorFactory(napi_env env, size_t, napi_value* argv) {
  setErrorFactory(env, argv[0]);
  return nullptr;
}

}  // namespace

}  // namespace penumbra

NAPI_MODULE_INIT() {
  using namespace penumbra;
  // Handles, spares and the error factory belong to one environment: another one's references would be used in it.
  static std::atomic<bool> loaded{false};
  if (loaded.exchange(true)) {
    napi_throw_error(env, "torch/one-thread", "the engine is already in use by another thread of this process");
    return nullptr;
  }
  try {
    installAllocator();
    loadCuda();
    method(env, exports, "setErrorFactory", jsSetErrorFactory);
    registerHandles(env, exports);
    registerOperators(env, exports);
    registerAutograd(env, exports);
    registerBatchNorm(env, exports);
    registerConvolution(env, exports);
    registerStorage(env, exports);
    registerAllocator(env, exports);
    registerEngine(env, exports);
    registerProcessGroups(env, exports);
    registerReducers(env, exports);
    registerSyncBatchNorm(env, exports);
  } catch (...) {
    throwCurrent(env, "penumbra");
  }
  return exports;
}
