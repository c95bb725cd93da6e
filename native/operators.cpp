#include "operators.h"

#include <ATen/core/enum_tag.h>

#include <algorithm>
#include <memory>
#include <unordered_map>

#include "arguments.h"
#include "handle.h"

namespace penumbra {

namespace {

constexpr size_t kMaxPositional = 32;

struct Overload {
  c10::OperatorHandle handle;
  std::vector<Slot> slots;
  std::vector<Kind> returns;
  std::vector<int> aliases;    // per result: the slot whose tensor it is (`(a!)`), or -1
  size_t positional = 0;       // slots before the keyword-only ones
  int generatorSlot = -1;
  bool random = false;
  bool writesOut = false;      // `out` variants come last in the search
};

struct Operator {
  std::string name;  // aten::add
  std::vector<Overload> overloads;
};

// What a call passed: positional values, and at most one trailing options object.
struct Arguments {
  Argument positional[kMaxPositional];
  size_t count = 0;
  std::vector<std::pair<std::string, Argument>> options;

  const Argument* option(const std::string& name) const {
    for (const auto& [key, argument] : options)
      if (key == name) return &argument;
    return nullptr;
  }
};

int aliasedSlot(const c10::FunctionSchema& schema, const c10::Argument& result) {
  if (!result.alias_info() || !result.alias_info()->isWrite()) return -1;
  for (size_t i = 0; i < schema.arguments().size(); ++i) {
    const auto* alias = schema.arguments()[i].alias_info();
    if (alias && alias->isWrite() && alias->beforeSets() == result.alias_info()->beforeSets() &&
        schema.arguments()[i].type()->kind() == c10::TypeKind::TensorType)
      return static_cast<int>(i);
  }
  return -1;
}

Overload overloadOf(c10::OperatorHandle handle) {
  const c10::FunctionSchema& schema = handle.schema();
  Overload overload{handle, {}, {}, {}};
  bool takesTensor = false;
  for (const auto& argument : schema.arguments()) {
    Slot slot = slotOf(argument);
    takesTensor |= slot.kind == Kind::kTensor && !slot.written;
    if (slot.kind == Kind::kGenerator) overload.generatorSlot = static_cast<int>(overload.slots.size());
    if (slot.keywordOnly && slot.written) overload.writesOut = true;
    if (!slot.keywordOnly) ++overload.positional;
    overload.slots.push_back(std::move(slot));
  }
  if (!takesTensor)
    for (Slot& slot : overload.slots) slot.wholeNumbersAreFloats = slot.name == "fill_value" || slot.name == "s";
  for (const auto& result : schema.returns()) {
    overload.returns.push_back(slotOf(result).kind);
    overload.aliases.push_back(aliasedSlot(schema, result));
  }
  overload.random = handle.hasTag(at::Tag::nondeterministic_seeded);
  return overload;
}

Arguments readArguments(napi_env env, size_t argc, napi_value* argv) {
  Arguments arguments;
  for (size_t i = 0; i < argc; ++i) arguments.positional[i] = argumentOf(env, argv[i]);
  if (argc > 0 && arguments.positional[argc - 1].given == Given::kObject) {
    napi_value keys;
    check(env, napi_get_property_names(env, argv[--argc], &keys));
    uint32_t count = 0;
    check(env, napi_get_array_length(env, keys, &count));
    for (uint32_t i = 0; i < count; ++i) {
      napi_value key, value;
      check(env, napi_get_element(env, keys, i, &key));
      check(env, napi_get_property(env, argv[argc], key, &value));
      const Argument argument = argumentOf(env, value);
      if (argument.given != Given::kUndefined) arguments.options.emplace_back(toString(env, key), argument);
    }
  }
  // A trailing `undefined` is an argument left out.
  while (argc > 0 && arguments.positional[argc - 1].given == Given::kUndefined) --argc;
  arguments.count = argc;
  return arguments;
}

// Why `overload` cannot take `arguments`, with how many slots did fit; an empty reason means that it can.
struct Fit {
  size_t slots = 0;
  std::string reason;
  const char* code = "torch/argument-type";
};

Fit fit(napi_env env, const Overload& overload, const Arguments& arguments, bool explain) {
  Fit result;
  const auto fail = [&](auto&& reason) {
    result.reason = explain ? reason() : "no";
    return result;
  };
  if (arguments.count > overload.positional)
    return fail([&] {
      return "takes at most " + std::to_string(overload.positional) + " positional arguments, got " + std::to_string(arguments.count);
    });
  size_t used = 0;
  for (size_t i = 0; i < overload.slots.size(); ++i) {
    const Slot& slot = overload.slots[i];
    const Argument* given = i < arguments.count ? &arguments.positional[i] : nullptr;
    if (const Argument* option = arguments.options.empty() ? nullptr : arguments.option(slot.name)) {
      if (given && given->given != Given::kUndefined) return fail([&] { return "argument '" + slot.name + "' is given twice"; });
      given = option;
      ++used;
    }
    if (given ? accepts(env, slot, *given) : slot.defaultValue || slot.optional) {
      ++result.slots;
      continue;
    }
    if (!given) result.code = "torch/missing-argument";
    return fail([&]() -> std::string {
      if (!given) return "argument '" + slot.name + "' (" + slot.type + ") is missing";
      try {
        toIValue(env, slot, *given);
      } catch (const JsError& error) {
        return error.what();
      }
      return "argument '" + slot.name + "': expected " + slot.type;
    });
  }
  if (used == arguments.options.size()) return result;
  return fail([&] {
    std::string unknown, known;
    for (const auto& [key, argument] : arguments.options) {
      bool found = false;
      for (const Slot& slot : overload.slots) found |= slot.name == key;
      if (!found) unknown = key;
    }
    for (const Slot& slot : overload.slots) known += (known.empty() ? "" : ", ") + slot.name;
    return "has no argument '" + unknown + "' (it has " + known + ")";
  });
}

const Overload& choose(napi_env env, const Operator& op, const Arguments& arguments) {
  for (const Overload& overload : op.overloads)
    if (fit(env, overload, arguments, false).reason.empty()) return overload;
  // None fits: explain by the overload that came furthest.
  Fit best = fit(env, op.overloads.front(), arguments, true);
  std::string signatures;
  for (const Overload& overload : op.overloads) {
    Fit candidate = fit(env, overload, arguments, true);
    if (candidate.slots > best.slots) best = candidate;
    signatures += "\n    " + c10::toString(overload.handle.schema());
  }
  // A tensor that was released is the real reason, whatever the overload.
  for (size_t i = 0; i < arguments.count; ++i)
    if (const Handle* handle = arguments.positional[i].handle; handle && handle->state == Handle::State::kReleased)
      toTensor(env, arguments.positional[i].value, op.overloads.front().slots[std::min(i, op.overloads.front().slots.size() - 1)].name.c_str());
  throw JsError(best.code, best.reason, "signatures:" + signatures);
}

// Random numbers must come from a generator that the caller holds: a hidden global one cannot be saved or repeated.
void requireGenerator(const Overload& overload, const c10::Stack& stack) {
  if (overload.generatorSlot >= 0) {
    if (!stack[overload.generatorSlot].isNone()) return;
  } else {
    for (size_t i = 0; i < overload.slots.size(); ++i) {
      const std::string& name = overload.slots[i].name;
      if ((name == "p" || name == "dropout_p" || name == "dropout") && stack[i].isDouble() && stack[i].toDouble() == 0) return;
      if ((name == "train" || name == "training") && stack[i].isBool() && !stack[i].toBool()) return;
    }
  }
  throw JsError("torch/needs-generator", "draws random numbers and needs a generator", "pass { generator: new Generator(seed) }");
}

const Argument* argumentFor(const Overload& overload, const Arguments& arguments, size_t slot) {
  const Argument* given = slot < arguments.count ? &arguments.positional[slot] : nullptr;
  if (!arguments.options.empty() && (!given || given->given == Given::kUndefined))
    if (const Argument* option = arguments.option(overload.slots[slot].name)) return option;
  return given;
}

// The stack of one call. Its memory serves the next one; what it holds is let go.
struct StackLease {
  c10::Stack& stack = memory();
  ~StackLease() { stack.clear(); }

 private:
  static c10::Stack& memory() {
    static auto* stack = new c10::Stack();  // operators are called on JavaScript's one thread, one at a time
    return *stack;
  }
};

napi_value call(napi_env env, const Operator& op, size_t argc, napi_value* argv) {
  const Arguments arguments = readArguments(env, argc, argv);
  const Overload& overload = op.overloads.size() == 1 && arguments.options.empty() && arguments.count <= op.overloads.front().positional
      ? op.overloads.front()
      : choose(env, op, arguments);

  const StackLease lease;
  c10::Stack& stack = lease.stack;
  for (size_t i = 0; i < overload.slots.size(); ++i) {
    const Slot& slot = overload.slots[i];
    const Argument* given = argumentFor(overload, arguments, i);
    if (given) stack.push_back(toIValue(env, slot, *given));
    else if (slot.defaultValue) stack.push_back(*slot.defaultValue);
    else if (slot.optional) stack.emplace_back();
    else throw JsError("torch/missing-argument", "argument '" + slot.name + "' (" + slot.type + ") is missing");
  }
  if (overload.random) requireGenerator(overload, stack);

  overload.handle.callBoxed(stack);

  // A result that is one of the arguments comes back as that very value, not as a second handle.
  const auto result = [&](size_t i) {
    if (overload.aliases[i] >= 0)
      if (const Argument* given = argumentFor(overload, arguments, overload.aliases[i])) return given->value;
    return fromIValue(env, std::move(stack[i]), overload.returns[i]);
  };
  if (stack.empty()) return undefined(env);
  if (stack.size() == 1) return result(0);
  napi_value results;
  check(env, napi_create_array_with_length(env, stack.size(), &results));
  for (uint32_t i = 0; i < stack.size(); ++i) check(env, napi_set_element(env, results, i, result(i)));
  return results;
}

napi_value trampoline(napi_env env, napi_callback_info info) {
  size_t argc = kMaxPositional;
  napi_value argv[kMaxPositional];
  void* data = nullptr;
  if (napi_get_cb_info(env, info, &argc, argv, nullptr, &data) != napi_ok) return nullptr;
  const auto* op = static_cast<const Operator*>(data);
  try {
    return call(env, *op, std::min(argc, kMaxPositional), argv);
  } catch (...) {
    throwCurrent(env, op->name.c_str());
    return nullptr;
  }
}

std::unordered_map<std::string, std::unique_ptr<Operator>>& table() {
  static auto* operators = new std::unordered_map<std::string, std::unique_ptr<Operator>>();
  return *operators;
}

// Names of all overloads by operator name, made once: the dispatcher can only list everything.
const std::vector<c10::OperatorName>& overloadNames(const std::string& name) {
  static const auto* index = [] {
    auto* names = new std::unordered_map<std::string, std::vector<c10::OperatorName>>();
    for (auto& candidate : c10::Dispatcher::singleton().getAllOpNames()) (*names)[candidate.name].push_back(candidate);
    return names;
  }();
  static const std::vector<c10::OperatorName> none;
  const auto found = index->find(name);
  return found == index->end() ? none : found->second;
}

napi_value jsOperator(napi_env env, size_t argc, napi_value* argv) {
  const std::string name = argc > 0 ? toString(env, argv[0]) : "";
  auto& slot = table()[name];
  if (!slot) {
    auto op = std::make_unique<Operator>();
    op->name = "aten::" + name;
    for (const auto& candidate : overloadNames(op->name)) {
      if (auto handle = c10::Dispatcher::singleton().findSchema(candidate)) op->overloads.push_back(overloadOf(*handle));
    }
    if (op->overloads.empty()) {
      table().erase(name);
      throw JsError("torch/unknown-operator", "LibTorch has no operator '" + name + "'");
    }
    // Functional forms first; among them those with the fewest slots, so that defaults choose the plainest overload.
    std::stable_sort(op->overloads.begin(), op->overloads.end(), [](const Overload& a, const Overload& b) {
      if (a.writesOut != b.writesOut) return b.writesOut;
      return a.slots.size() < b.slots.size();
    });
    slot = std::move(op);
  }
  napi_value function;
  check(env, napi_create_function(env, name.c_str(), NAPI_AUTO_LENGTH, trampoline, slot.get(), &function));
  return function;
}

napi_value describeSlots(napi_env env, const std::vector<c10::Argument>& arguments) {
  napi_value array;
  check(env, napi_create_array_with_length(env, arguments.size(), &array));
  for (uint32_t i = 0; i < arguments.size(); ++i) {
    const Slot slot = slotOf(arguments[i]);
    napi_value entry = object(env);
    set(env, entry, "name", fromString(env, slot.name));
    set(env, entry, "type", fromString(env, slot.type));
    set(env, entry, "length", fromDouble(env, slot.length));
    set(env, entry, "optional", fromBool(env, slot.optional));
    set(env, entry, "list", fromBool(env, slot.list));
    set(env, entry, "optionalElements", fromBool(env, slot.optionalElements));
    set(env, entry, "keywordOnly", fromBool(env, slot.keywordOnly));
    set(env, entry, "written", fromBool(env, slot.written));
    set(env, entry, "hasDefault", fromBool(env, slot.defaultValue.has_value()));
    static constexpr const char* kKinds[] = {"Tensor", "int", "float", "bool", "Scalar", "str", "ScalarType", "Layout", "MemoryFormat", "Device", "Generator", "unsupported"};
    set(env, entry, "kind", fromString(env, kKinds[static_cast<size_t>(slot.kind)]));
    check(env, napi_set_element(env, array, i, entry));
  }
  return array;
}

napi_value jsSchemas(napi_env env, size_t, napi_value*) {
  napi_value array;
  check(env, napi_create_array(env, &array));
  uint32_t count = 0;
  for (const auto& name : c10::Dispatcher::singleton().getAllOpNames()) {
    if (name.name.rfind("aten::", 0) != 0) continue;
    const auto handle = c10::Dispatcher::singleton().findSchema(name);
    if (!handle) continue;
    napi_value entry = object(env);
    set(env, entry, "name", fromString(env, name.name.substr(6)));
    set(env, entry, "overload", fromString(env, name.overload_name));
    set(env, entry, "schema", fromString(env, c10::toString(handle->schema())));
    set(env, entry, "random", fromBool(env, handle->hasTag(at::Tag::nondeterministic_seeded)));
    set(env, entry, "arguments", describeSlots(env, handle->schema().arguments()));
    set(env, entry, "returns", describeSlots(env, handle->schema().returns()));
    check(env, napi_set_element(env, array, count++, entry));
  }
  return array;
}

}  // namespace

void registerOperators(napi_env env, napi_value exports) {
  method(env, exports, "operator", jsOperator);
  method(env, exports, "schemas", jsSchemas);
}

}  // namespace penumbra
