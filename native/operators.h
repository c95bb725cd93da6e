// Every ATen operator, called through the dispatcher from its schema.
#pragma once

#include "js.h"

namespace penumbra {

// exports.operators(): the schemas of all ATen operators of the loaded library.
// exports.operator(name): one function for all overloads of `aten::name`.
void registerOperators(napi_env env, napi_value exports);

}  // namespace penumbra
