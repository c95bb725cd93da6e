// JavaScript values to IValues and back, by the types of an operator's schema.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>

#include <optional>

#include "js.h"

namespace penumbra {

enum class Kind : uint8_t {
  kTensor, kInt, kFloat, kBool, kScalar, kString, kDtype, kLayout, kMemoryFormat, kDevice, kGenerator, kUnsupported
};

// One slot of a schema, resolved once so that a call does no type analysis.
struct Slot {
  std::string name;
  std::string type;  // as the schema prints it
  Kind kind = Kind::kUnsupported;
  bool optional = false;         // `T?`: null is a value
  bool list = false;             // `T[]`
  bool optionalElements = false; // `T?[]`
  int32_t length = 0;            // n of `T[n]`: a single value stands for n equal ones
  bool keywordOnly = false;
  bool written = false;          // `(a!)`
  bool wholeNumbersAreFloats = false;  // see toIValue
  std::optional<c10::IValue> defaultValue;
};

Slot slotOf(const c10::Argument& argument);

// The JavaScript type of an argument, read once and compared against the slots of every overload.
enum class Given : uint8_t { kUndefined, kNull, kBool, kNumber, kBigInt, kString, kHandle, kArray, kTypedArray, kObject, kOther };
Given givenType(napi_env env, napi_value value);

struct Handle;

// An argument with all that is asked of it again and again: its type, and what it holds where it is a handle of ours.
struct Argument {
  napi_value value;
  Given given;
  Handle* handle;
};
Argument argumentOf(napi_env env, napi_value value);

// Whether `argument` can fill `slot`, by type alone. Cheap; used to choose the overload.
bool accepts(napi_env env, const Slot& slot, const Argument& argument);

// Throws JsError with the argument's name, what was expected and what was given.
c10::IValue toIValue(napi_env env, const Slot& slot, const Argument& argument);

napi_value fromIValue(napi_env env, c10::IValue&& value, Kind kind);

const char* dtypeName(at::ScalarType dtype);
at::ScalarType toDtype(napi_env env, napi_value value, const char* argument);
c10::Device toDevice(napi_env env, napi_value value, const char* argument);

}  // namespace penumbra
