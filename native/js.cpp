#include "js.h"

#include <c10/util/Exception.h>

#include <cmath>

namespace penumbra {

namespace {

constexpr size_t kMaxArguments = 9;
napi_ref errorFactory = nullptr;

struct Method {
  Native native;
  const char* name;
};

// An error that was caught and raised again carries the C++ stack of the first one in its text. It helps nobody on the
// JavaScript side.
std::string withoutStack(std::string message) {
  if (const auto cut = message.find("\nException raised from"); cut != std::string::npos) message.resize(cut);
  return message;
}

napi_value trampoline(napi_env env, napi_callback_info info) {
  size_t argc = kMaxArguments;
  napi_value argv[kMaxArguments];
  void* data = nullptr;
  if (napi_get_cb_info(env, info, &argc, argv, nullptr, &data) != napi_ok) return nullptr;
  const auto* method = static_cast<Method*>(data);
  try {
    return method->native(env, argc, argv);
  } catch (...) {
    throwCurrent(env, method->name);
    return nullptr;
  }
}

}  // namespace

void setErrorFactory(napi_env env, napi_value factory) { check(env, napi_create_reference(env, factory, 1, &errorFactory)); }

namespace {

// Status codes are looked at and not thrown: see throwCurrent.
napi_value text(napi_env env, const std::string& value) {
  napi_value result = nullptr;
  return napi_create_string_utf8(env, value.data(), value.size(), &result) == napi_ok ? result : nullptr;
}

void throwToJs(napi_env env, const std::string& code, const std::string& message, const std::string& hint) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (pending) return;
  napi_value factory = nullptr, global = nullptr, none = nullptr, error = nullptr;
  if (errorFactory && napi_get_reference_value(env, errorFactory, &factory) == napi_ok && factory &&
      napi_get_undefined(env, &none) == napi_ok && napi_get_global(env, &global) == napi_ok) {
    napi_value args[3] = {text(env, code), text(env, message), hint.empty() ? none : text(env, hint)};
    if (args[0] && args[1] && args[2] && napi_call_function(env, global, factory, 3, args, &error) == napi_ok) {
      napi_throw(env, error);
      return;
    }
  }
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_error(env, code.c_str(), message.c_str());
}

void throwCaught(napi_env env, const char* name) {
  const std::string where(name);
  try {
    throw;
  } catch (const PendingException&) {
  } catch (const JsError& error) {
    throwToJs(env, error.code, where + ": " + error.what(), error.hint);
  } catch (const c10::OutOfMemoryError& error) {
    throwToJs(env, "torch/out-of-memory", where + ": " + withoutStack(error.what_without_backtrace()), "use a smaller batch or image size");
  } catch (const c10::Error& error) {
    throwToJs(env, "torch/operator", where + ": " + withoutStack(error.what_without_backtrace()), "");
  } catch (const std::bad_alloc&) {
    throwToJs(env, "torch/out-of-memory", where + ": out of memory", "use a smaller batch or image size");
  } catch (const std::exception& error) {
    throwToJs(env, "torch/operator", where + ": " + withoutStack(error.what()), "");
  } catch (...) {
    throwToJs(env, "torch/operator", where + ": unknown C++ exception", "");
  }
}

}  // namespace

void throwCurrent(napi_env env, const char* where) noexcept {
  try {
    throwCaught(env, where);
  } catch (...) {
    // No memory even for the message.
    bool pending = false;
    napi_is_exception_pending(env, &pending);
    if (!pending) napi_throw_error(env, "torch/out-of-memory", "out of memory");
  }
}

std::string describe(napi_env env, napi_value value) {
  napi_valuetype type;
  check(env, napi_typeof(env, value, &type));
  switch (type) {
    case napi_undefined: return "undefined";
    case napi_null: return "null";
    case napi_boolean: return toBool(env, value) ? "true" : "false";
    case napi_number: {
      const double number = toDouble(env, value);
      if (std::isfinite(number) && number == std::floor(number) && std::abs(number) < 1e15)
        return "number " + std::to_string(static_cast<int64_t>(number));
      return "number " + std::to_string(number);
    }
    case napi_string: {
      std::string text = toString(env, value);
      return text.size() > 40 ? "a string" : "string \"" + text + "\"";
    }
    case napi_symbol: return "a symbol";
    case napi_function: return "a function";
    case napi_external: return "a tensor or generator";
    case napi_bigint: return "a bigint";
    default: break;
  }
  bool is = false;
  napi_is_array(env, value, &is);
  if (is) return "an array";
  napi_is_typedarray(env, value, &is);
  return is ? "a typed array" : "an object";
}

std::string toString(napi_env env, napi_value value) {
  size_t length = 0;
  check(env, napi_get_value_string_utf8(env, value, nullptr, 0, &length));
  std::string text(length, '\0');
  check(env, napi_get_value_string_utf8(env, value, text.data(), length + 1, &length));
  return text;
}

double toDouble(napi_env env, napi_value value) {
  double number = 0;
  check(env, napi_get_value_double(env, value, &number));
  return number;
}

int64_t toInt64(napi_env env, napi_value value, const char* what) {
  napi_valuetype type;
  check(env, napi_typeof(env, value, &type));
  if (type == napi_bigint) {
    int64_t integer = 0;
    bool lossless = false;
    check(env, napi_get_value_bigint_int64(env, value, &integer, &lossless));
    if (lossless) return integer;
  } else if (type == napi_number) {
    const double number = toDouble(env, value);
    if (number == std::floor(number) && std::abs(number) <= 9007199254740992.0) return static_cast<int64_t>(number);
  }
  throw JsError("torch/argument-type", std::string(what) + ": expected an integer, got " + describe(env, value));
}

bool toBool(napi_env env, napi_value value) {
  bool result = false;
  check(env, napi_get_value_bool(env, value, &result));
  return result;
}

napi_value fromString(napi_env env, std::string_view text) {
  napi_value value;
  check(env, napi_create_string_utf8(env, text.data(), text.size(), &value));
  return value;
}

napi_value fromDouble(napi_env env, double number) {
  napi_value value;
  check(env, napi_create_double(env, number, &value));
  return value;
}

napi_value fromInt64(napi_env env, int64_t number) {
  napi_value value;
  if (number > 9007199254740991 || number < -9007199254740991) check(env, napi_create_bigint_int64(env, number, &value));
  else check(env, napi_create_int64(env, number, &value));
  return value;
}

napi_value fromBool(napi_env env, bool flag) {
  napi_value value;
  check(env, napi_get_boolean(env, flag, &value));
  return value;
}

napi_value null(napi_env env) {
  napi_value value;
  check(env, napi_get_null(env, &value));
  return value;
}

napi_value undefined(napi_env env) {
  napi_value value;
  check(env, napi_get_undefined(env, &value));
  return value;
}

napi_value object(napi_env env) {
  napi_value value;
  check(env, napi_create_object(env, &value));
  return value;
}

void set(napi_env env, napi_value target, const char* key, napi_value value) {
  check(env, napi_set_named_property(env, target, key, value));
}

void method(napi_env env, napi_value exports, const char* name, Native native) {
  napi_value function;
  check(env, napi_create_function(env, name, NAPI_AUTO_LENGTH, trampoline, new Method{native, name}, &function));
  set(env, exports, name, function);
}

}  // namespace penumbra
