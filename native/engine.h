// What the loaded LibTorch is and can do; thread counts; generators.
#pragma once

#include "js.h"

namespace penumbra {

// Loads LibTorch's CUDA library where it lies beside the CPU one, so that no CUDA toolkit is needed to build.
void loadCuda();
void registerEngine(napi_env env, napi_value exports);

}  // namespace penumbra
