#include "arguments.h"

#include <ATen/core/List.h>
#include <c10/core/Layout.h>
#include <c10/core/MemoryFormat.h>

#include <array>
#include <cmath>
#include <utility>

#include "handle.h"

namespace penumbra {

namespace {

using Name = std::pair<const char*, at::ScalarType>;
constexpr std::array kDtypes = {
    Name{"float32", at::kFloat}, Name{"float64", at::kDouble}, Name{"bfloat16", at::kBFloat16}, Name{"float16", at::kHalf},
    Name{"int64", at::kLong}, Name{"int32", at::kInt}, Name{"int16", at::kShort}, Name{"int8", at::kChar}, Name{"uint8", at::kByte},
    Name{"bool", at::kBool}, Name{"complex64", at::kComplexFloat}, Name{"complex128", at::kComplexDouble},
    Name{"uint16", at::kUInt16}, Name{"uint32", at::kUInt32}, Name{"uint64", at::kUInt64},
    Name{"float8_e4m3fn", at::kFloat8_e4m3fn}, Name{"float8_e5m2", at::kFloat8_e5m2}};

constexpr std::array kMemoryFormats = {
    std::pair{"contiguous_format", at::MemoryFormat::Contiguous}, std::pair{"preserve_format", at::MemoryFormat::Preserve},
    std::pair{"channels_last", at::MemoryFormat::ChannelsLast}, std::pair{"channels_last_3d", at::MemoryFormat::ChannelsLast3d}};

constexpr std::array kLayouts = {
    std::pair{"strided", at::kStrided}, std::pair{"sparse", at::kSparse}, std::pair{"sparse_csr", at::kSparseCsr},
    std::pair{"sparse_csc", at::kSparseCsc}, std::pair{"sparse_bsr", at::kSparseBsr}, std::pair{"sparse_bsc", at::kSparseBsc},
    std::pair{"mkldnn", at::kMkldnn}};

template <typename Table>
auto lookUp(const Table& table, const std::string& name, const char* argument, const char* what) {
  std::string names;
  for (const auto& [candidate, value] : table) {
    if (name == candidate) return value;
    names += names.empty() ? candidate : std::string(", ") + candidate;
  }
  throw JsError("torch/argument-value",
                std::string("argument '") + argument + "': expected a " + what + " (" + names + "), got \"" + name + '"');
}

Kind kindOf(const c10::Type& type) {
  switch (type.kind()) {
    case c10::TypeKind::TensorType: return Kind::kTensor;
    case c10::TypeKind::IntType:
    case c10::TypeKind::SymIntType: return Kind::kInt;
    case c10::TypeKind::FloatType:
    case c10::TypeKind::SymFloatType: return Kind::kFloat;
    case c10::TypeKind::BoolType:
    case c10::TypeKind::SymBoolType: return Kind::kBool;
    case c10::TypeKind::NumberType: return Kind::kScalar;
    case c10::TypeKind::StringType: return Kind::kString;
    case c10::TypeKind::ScalarTypeType: return Kind::kDtype;
    case c10::TypeKind::LayoutType: return Kind::kLayout;
    case c10::TypeKind::MemoryFormatType: return Kind::kMemoryFormat;
    case c10::TypeKind::DeviceObjType: return Kind::kDevice;
    case c10::TypeKind::GeneratorType: return Kind::kGenerator;
    default: return Kind::kUnsupported;
  }
}

const char* expected(Kind kind) {
  switch (kind) {
    case Kind::kTensor: return "Tensor";
    case Kind::kInt: return "integer";
    case Kind::kFloat: return "number";
    case Kind::kBool: return "boolean";
    case Kind::kScalar: return "number, bigint or boolean";
    case Kind::kString: return "string";
    case Kind::kDtype: return "dtype name such as \"float32\"";
    case Kind::kLayout: return "layout name such as \"strided\"";
    case Kind::kMemoryFormat: return "memory format such as \"channels_last\"";
    case Kind::kDevice: return "device name such as \"cpu\" or \"cuda:0\"";
    case Kind::kGenerator: return "Generator";
    case Kind::kUnsupported: return "a type that JavaScript cannot give";
  }
  return "";
}

[[noreturn]] void mismatch(napi_env env, const Slot& slot, napi_value value) {
  std::string want = expected(slot.kind);
  if (slot.list) want = "an array of " + want;
  if (slot.list && slot.length > 0) want += " (or a single one)";
  if (slot.optional) want += " or null";
  throw JsError("torch/argument-type", "argument '" + slot.name + "': expected " + want + ", got " + describe(env, value));
}

bool scalarFits(Kind kind, Given given) {
  switch (kind) {
    case Kind::kTensor:
    case Kind::kGenerator: return given == Given::kHandle;
    case Kind::kInt: return given == Given::kNumber || given == Given::kBigInt;
    case Kind::kFloat: return given == Given::kNumber;
    case Kind::kBool: return given == Given::kBool;
    case Kind::kScalar: return given == Given::kNumber || given == Given::kBigInt || given == Given::kBool;
    case Kind::kString:
    case Kind::kDtype:
    case Kind::kLayout:
    case Kind::kMemoryFormat:
    case Kind::kDevice: return given == Given::kString;
    case Kind::kUnsupported: return false;
  }
  return false;
}

at::Scalar toScalar(napi_env env, const Slot& slot, Given given, napi_value value) {
  if (given == Given::kBool) return toBool(env, value);
  if (given == Given::kBigInt) return toInt64(env, value, slot.name.c_str());
  const double number = toDouble(env, value);
  const bool whole = number == std::floor(number) && std::abs(number) <= 9007199254740992.0 && !(number == 0 && std::signbit(number));
  return whole && !slot.wholeNumbersAreFloats ? at::Scalar(static_cast<int64_t>(number)) : at::Scalar(number);
}

c10::IValue element(napi_env env, const Slot& slot, const Argument& argument) {
  const auto& [value, given, handle] = argument;
  // First, because it is the usual one.
  if (slot.kind == Kind::kTensor && handle && handle->state == Handle::State::kTensor) return handle->tensor;
  if (!scalarFits(slot.kind, given)) mismatch(env, slot, value);
  const char* name = slot.name.c_str();
  switch (slot.kind) {
    case Kind::kTensor: return toTensor(env, value, name);
    case Kind::kInt: return toInt64(env, value, ("argument '" + slot.name + "'").c_str());
    case Kind::kFloat: return toDouble(env, value);
    case Kind::kBool: return toBool(env, value);
    case Kind::kScalar: return toScalar(env, slot, given, value);
    case Kind::kString: return toString(env, value);
    case Kind::kDtype: return toDtype(env, value, name);
    case Kind::kLayout: return lookUp(kLayouts, toString(env, value), name, "layout");
    case Kind::kMemoryFormat: return lookUp(kMemoryFormats, toString(env, value), name, "memory format");
    case Kind::kDevice: return toDevice(env, value, name);
    case Kind::kGenerator: return toGenerator(env, value, name);
    case Kind::kUnsupported: break;
  }
  mismatch(env, slot, value);
}

// Calls `each(argument)` over an array, a typed array of numbers, or n copies of a single value.
template <typename Each>
void forEachElement(napi_env env, const Slot& slot, const Argument& argument, Each each) {
  const auto& [value, given, handle] = argument;
  if (given == Given::kArray || given == Given::kTypedArray) {
    uint32_t length = 0;
    if (given == Given::kArray) {
      check(env, napi_get_array_length(env, value, &length));
    } else {
      size_t elements = 0;
      check(env, napi_get_typedarray_info(env, value, nullptr, &elements, nullptr, nullptr, nullptr));
      length = static_cast<uint32_t>(elements);
    }
    for (uint32_t i = 0; i < length; ++i) {
      napi_value item;
      check(env, napi_get_element(env, value, i, &item));
      each(argumentOf(env, item));
    }
  } else {
    for (int32_t i = 0; i < slot.length; ++i) each(argument);
  }
}

template <typename T>
c10::IValue listOf(napi_env env, const Slot& slot, const Argument& argument) {
  c10::List<T> list;
  forEachElement(env, slot, argument, [&](const Argument& item) { list.push_back(element(env, slot, item).template to<T>()); });
  return list;
}

}  // namespace

const char* dtypeName(at::ScalarType dtype) {
  for (const auto& [name, value] : kDtypes)
    if (value == dtype) return name;
  return c10::toString(dtype);
}

at::ScalarType toDtype(napi_env env, napi_value value, const char* argument) {
  return lookUp(kDtypes, toString(env, value), argument, "dtype");
}

c10::Device toDevice(napi_env env, napi_value value, const char* argument) {
  const std::string name = toString(env, value);
  try {
    return c10::Device(name);
  } catch (const c10::Error&) {
    throw JsError("torch/argument-value",
                  std::string("argument '") + argument + "': expected a device such as \"cpu\" or \"cuda:0\", got \"" + name + '"');
  }
}

Slot slotOf(const c10::Argument& argument) {
  Slot slot;
  slot.name = argument.name();
  slot.type = argument.real_type()->str();
  slot.keywordOnly = argument.kwarg_only();
  slot.written = argument.alias_info() && argument.alias_info()->isWrite();
  slot.defaultValue = argument.default_value();
  slot.length = argument.N().value_or(0);
  c10::TypePtr type = argument.real_type();
  if (type->kind() == c10::TypeKind::OptionalType) {
    slot.optional = true;
    type = type->castRaw<c10::OptionalType>()->getElementType();
  }
  if (type->kind() == c10::TypeKind::ListType) {
    slot.list = true;
    type = type->castRaw<c10::ListType>()->getElementType();
    if (type->kind() == c10::TypeKind::OptionalType) {
      slot.optionalElements = true;
      type = type->castRaw<c10::OptionalType>()->getElementType();
    }
  }
  slot.kind = kindOf(*type);
  return slot;
}

Given givenType(napi_env env, napi_value value) {
  napi_valuetype type;
  check(env, napi_typeof(env, value, &type));
  switch (type) {
    case napi_undefined: return Given::kUndefined;
    case napi_null: return Given::kNull;
    case napi_boolean: return Given::kBool;
    case napi_number: return Given::kNumber;
    case napi_bigint: return Given::kBigInt;
    case napi_string: return Given::kString;
    case napi_external: return Given::kHandle;
    case napi_object: break;
    default: return Given::kOther;
  }
  bool is = false;
  check(env, napi_is_array(env, value, &is));
  if (is) return Given::kArray;
  check(env, napi_is_typedarray(env, value, &is));
  return is ? Given::kTypedArray : Given::kObject;
}

// A handle needs one call, everything else two or more: handles are what most arguments are.
Argument argumentOf(napi_env env, napi_value value) {
  if (Handle* handle = tryHandle(env, value)) return {value, Given::kHandle, handle};
  return {value, givenType(env, value), nullptr};
}

bool accepts(napi_env env, const Slot& slot, const Argument& argument) {
  const auto& [value, given, handle] = argument;
  if (given == Given::kUndefined) return slot.defaultValue.has_value() || slot.optional;
  if (given == Given::kNull) return slot.optional;
  if (!slot.list) {
    if (!scalarFits(slot.kind, given)) return false;
    if (given != Given::kHandle) return true;
    return handle && (handle->state == Handle::State::kGenerator) == (slot.kind == Kind::kGenerator);
  }
  if (slot.length > 0 && scalarFits(slot.kind, given)) return true;
  if (given == Given::kTypedArray) return slot.kind == Kind::kInt || slot.kind == Kind::kFloat || slot.kind == Kind::kScalar;
  if (given != Given::kArray) return false;
  uint32_t length = 0;
  check(env, napi_get_array_length(env, value, &length));
  if (length == 0) return true;
  napi_value first;
  check(env, napi_get_element(env, value, 0, &first));
  const Given type = givenType(env, first);
  return scalarFits(slot.kind, type) || (slot.optionalElements && (type == Given::kNull || type == Given::kUndefined));
}

// A JavaScript number does not say whether 1 is an integer. Beside tensors, a whole number is an integer, as the same
// literal is in Python, so that adding 2 keeps an integer tensor. As the value that a factory fills with, it is a float.
c10::IValue toIValue(napi_env env, const Slot& slot, const Argument& argument) {
  const auto& [value, given, handle] = argument;
  if (given == Given::kUndefined) {
    if (slot.defaultValue) return *slot.defaultValue;
    if (slot.optional) return {};
    throw JsError("torch/missing-argument", "argument '" + slot.name + "' (" + slot.type + ") is missing");
  }
  if (given == Given::kNull) {
    if (slot.optional) return {};
    mismatch(env, slot, value);
  }
  if (!slot.list) return element(env, slot, argument);

  const bool single = slot.length > 0 && scalarFits(slot.kind, given);
  if (!single && given != Given::kArray && given != Given::kTypedArray) mismatch(env, slot, value);
  switch (slot.kind) {
    case Kind::kInt:
    case Kind::kDtype:
    case Kind::kLayout:
    case Kind::kMemoryFormat: return listOf<int64_t>(env, slot, argument);
    case Kind::kFloat: return listOf<double>(env, slot, argument);
    case Kind::kBool: return listOf<bool>(env, slot, argument);
    case Kind::kString: return listOf<std::string>(env, slot, argument);
    case Kind::kScalar: return listOf<at::Scalar>(env, slot, argument);
    case Kind::kTensor: {
      if (!slot.optionalElements) return listOf<at::Tensor>(env, slot, argument);
      c10::List<std::optional<at::Tensor>> list;
      forEachElement(env, slot, argument, [&](const Argument& item) {
        if (item.given == Given::kNull || item.given == Given::kUndefined) list.push_back(std::nullopt);
        else list.push_back(element(env, slot, item).toTensor());
      });
      return list;
    }
    default: mismatch(env, slot, value);
  }
}

napi_value fromIValue(napi_env env, c10::IValue&& value, Kind kind) {
  if (value.isTensor()) return wrap(env, std::move(value).toTensor());
  if (value.isNone()) return null(env);
  if (value.isBool()) return fromBool(env, value.toBool());
  if (value.isInt()) return kind == Kind::kDtype ? fromString(env, dtypeName(value.toScalarType())) : fromInt64(env, value.toInt());
  if (value.isSymInt()) return fromInt64(env, value.toSymInt().guard_int(__FILE__, __LINE__));
  if (value.isDouble()) return fromDouble(env, value.toDouble());
  if (value.isString()) return fromString(env, value.toStringRef());
  if (value.isDevice()) return fromString(env, value.toDevice().str());
  if (value.isGenerator()) return wrapGenerator(env, value.toGenerator());
  if (value.isComplexDouble()) {
    napi_value complex = object(env);
    set(env, complex, "re", fromDouble(env, value.toComplexDouble().real()));
    set(env, complex, "im", fromDouble(env, value.toComplexDouble().imag()));
    return complex;
  }
  std::vector<c10::IValue> elements;
  if (value.isTuple()) elements = value.toTupleRef().elements().vec();
  else if (value.isList()) elements = value.toListRef().vec();
  else throw JsError("torch/result-type", "the operator returned a " + value.tagKind() + ", which JavaScript has no form for");
  napi_value array;
  check(env, napi_create_array_with_length(env, elements.size(), &array));
  for (uint32_t i = 0; i < elements.size(); ++i) check(env, napi_set_element(env, array, i, fromIValue(env, std::move(elements[i]), kind)));
  return array;
}

}  // namespace penumbra
