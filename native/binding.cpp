// The add-on's one entry: everything JavaScript can call is registered here, a file each.
#include "allocator.h"
#include "autograd.h"
#include "engine.h"
#include "handle.h"
#include "js.h"
#include "operators.h"
#include "storage.h"

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
  try {
    installAllocator();
    loadCuda();
    method(env, exports, "setErrorFactory", jsSetErrorFactory);
    registerHandles(env, exports);
    registerOperators(env, exports);
    registerAutograd(env, exports);
    registerStorage(env, exports);
    registerAllocator(env, exports);
    registerEngine(env, exports);
  } catch (...) {
    throwCurrent(env, "penumbra");
  }
  return exports;
}
