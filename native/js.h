// Node-API in the form the rest of the add-on reads: values in, values out, C++ exceptions at the boundary.
#pragma once

// Experimental, for finalizers that run inside the collector (see handle.cpp).
#define NAPI_EXPERIMENTAL
#define NAPI_VERSION 2147483647
#include <node_api.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace penumbra {

// An error with a code that JavaScript programs can test; every other C++ exception becomes `torch/operator`.
struct JsError : std::runtime_error {
  std::string code;
  std::string hint;
  JsError(std::string code, const std::string& message, std::string hint = "")
      : std::runtime_error(message), code(std::move(code)), hint(std::move(hint)) {}
};

// A pending JavaScript exception that must travel through C++ frames untouched.
struct PendingException {};

inline void check(napi_env env, napi_status status) {
  if (status == napi_ok) return;
  if (status == napi_pending_exception) throw PendingException{};
  const napi_extended_error_info* info = nullptr;
  napi_get_last_error_info(env, &info);
  throw JsError("torch/node-api", info && info->error_message ? info->error_message : "Node-API call failed");
}

using Native = napi_value (*)(napi_env, size_t argc, napi_value* argv);

// To be called inside a catch block: rethrows the current C++ exception as a JavaScript one, prefixed with `where`.
// Throws nothing itself, whatever fails meanwhile: an exception out of a catch block would end the process.
void throwCurrent(napi_env env, const char* where) noexcept;
void setErrorFactory(napi_env env, napi_value factory);

std::string describe(napi_env env, napi_value value);  // what it is, for error messages; never its full content

std::string toString(napi_env env, napi_value value);
double toDouble(napi_env env, napi_value value);
int64_t toInt64(napi_env env, napi_value value, const char* what);
bool toBool(napi_env env, napi_value value);
napi_value fromString(napi_env env, std::string_view text);
napi_value fromDouble(napi_env env, double number);
napi_value fromInt64(napi_env env, int64_t number);  // a BigInt where a double would lose digits
napi_value fromBool(napi_env env, bool value);
napi_value null(napi_env env);
napi_value undefined(napi_env env);
napi_value object(napi_env env);
void set(napi_env env, napi_value target, const char* key, napi_value value);

// Adds a function `name` to `exports`; arguments beyond `argc` read as undefined.
void method(napi_env env, napi_value exports, const char* name, Native native);

}  // namespace penumbra
