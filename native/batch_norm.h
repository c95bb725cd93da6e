// Batch normalization, an addition and an activation in one pass over channels-last images.
#pragma once

#include "js.h"

namespace penumbra {

// exports.batchNorm(input, weight, bias, runningMean, runningVar, momentum, eps, activation, added | null) -> output | null
// exports.fusesBatchNorm(dtype) -> boolean
void registerBatchNorm(napi_env env, napi_value exports);

}  // namespace penumbra
