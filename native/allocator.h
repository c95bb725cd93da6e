// A caching allocator for LibTorch's CPU tensors.
//
// glibc returns every large activation to the system and faults its pages in again one step later, which costs a
// training step up to a third of its time. This allocator keeps what a step has used: large blocks are carved best-fit
// from segments that stay mapped (with huge pages where the system grants them) and merge with free neighbours again.
#pragma once

#include "js.h"

namespace penumbra {

void installAllocator();
void registerAllocator(napi_env env, napi_value exports);

}  // namespace penumbra
