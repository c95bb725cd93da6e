// backward, grad, gradient mode and autocast: what lies beside the operators.
#pragma once

#include "js.h"

namespace penumbra {

void registerAutograd(napi_env env, napi_value exports);

}  // namespace penumbra
