// What the data-parallel half of the add-on shares: process groups and stores by number, and how failures are told.
#pragma once

#include "js.h"

#ifdef PENUMBRA_C10D

#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>

#include <atomic>

namespace penumbra {

// What the watch of a group looks at; see process_group.cpp.
struct Place {
  // Since when the main thread is inside a collective, in milliseconds of the steady clock; 0 where it is not.
  std::atomic<int64_t> inside{0};
  // Collectives begun so far.
  std::atomic<int64_t> position{0};
};

c10::intrusive_ptr<c10d::ProcessGroup> toProcessGroup(napi_env env, napi_value number);
// Another group of the same ranks, for collectives inside of a pass: a reducer's run at the same time, and in an order of their
// own. Collective when it is first asked for.
c10::intrusive_ptr<c10d::ProcessGroup> toLayerGroup(napi_env env, napi_value number);
// Stays where it is until the group is left.
Place& placeOf(napi_env env, napi_value number);

// Marks the main thread as inside a collective; may stand inside another.
class Inside {
 public:
  explicit Inside(Place& place);
  ~Inside();
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  Place& place_;
  bool within_;
};

// To be called inside a catch block: rethrows what another process or the network did as `distributed/peer`, and
// everything else as it is.
[[noreturn]] void rethrowPeer();

}  // namespace penumbra

#endif  // PENUMBRA_C10D

namespace penumbra {

// Stores, process groups and collectives.
void registerProcessGroups(napi_env env, napi_value exports);
// Gradients averaged over a group while they are computed.
void registerReducers(napi_env env, napi_value exports);
// Batch normalization by the statistics of all ranks.
void registerSyncBatchNorm(napi_env env, napi_value exports);

}  // namespace penumbra
