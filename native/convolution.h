// Convolutions of small images as matrix products.
#pragma once

#include "js.h"

namespace penumbra {

// exports.convolve(input, weight, bias | null, stride, padding)
void registerConvolution(napi_env env, napi_value exports);

}  // namespace penumbra
