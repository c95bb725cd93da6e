// Tensors over memory that JavaScript or a file owns, and JavaScript arrays over memory that a tensor owns.
#pragma once

#include "js.h"

namespace penumbra {

void registerStorage(napi_env env, napi_value exports);

}  // namespace penumbra
