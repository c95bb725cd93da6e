// Process groups of c10d over Gloo: a store where processes meet, a group, its collectives, and a watch that says who was
// lost. The order is PyTorch's own: TCPStore, PrefixStore, ProcessGroupGloo, ProcessGroup.
#include "distributed.h"

#ifdef PENUMBRA_C10D

#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "handle.h"

namespace penumbra {

namespace {

using std::chrono::milliseconds;
using StorePointer = c10::intrusive_ptr<c10d::Store>;

constexpr milliseconds kBeat{500};
// How long a rank may show no sign of life before it counts as lost, once something has gone wrong.
constexpr milliseconds kSilence{3000};
// How long the main thread may stay inside a collective once it is known that it cannot end.
constexpr int64_t kStuck = 3000;

int64_t now() { return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::string key(const char* name, int rank) { return std::string(name) + "/" + std::to_string(rank); }

StorePointer connect(const std::string& host, int64_t port, bool serves, const std::string& prefix, milliseconds timeout) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(port);
  options.isServer = serves;
  options.waitWorkers = false;
  options.multiTenant = serves;
  options.timeout = timeout;
  return c10::make_intrusive<c10d::PrefixStore>(prefix, c10::make_intrusive<c10d::TCPStore>(host, options));
}

// Which rank was lost. Every rank's watch shows a sign of life in the store, from a thread of its own, so that a process
// that computes or waits is alive and one that was killed or stopped is not. When a collective fails on any rank, that rank
// writes `trouble`; every watch then sees whose signs have ended and who left with a message. A main thread that is still
// inside a collective after that waits for what cannot come, and the watch ends the process: nothing else could wake it.
class Watch {
 public:
  struct Names {
    int rank;
    // "process 12 on node3", by rank.
    std::vector<std::string> who;
    // Whether the store lives in rank 0.
    bool hosted;
  };

  Watch(StorePointer store, Names names, Place& place) : store_(std::move(store)), names_(std::move(names)), place_(place), thread_([this] { run(); }) {}

  ~Watch() { stop(); }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      leaving_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  // Signs of life are no longer missed: this process is about to go in good order.
  void leave() {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
  }

  void ask() {
    const std::lock_guard lock(mutex_);
    asked_ = true;
    wake_.notify_all();
  }

  std::optional<std::string> verdict() {
    const std::lock_guard lock(mutex_);
    return verdict_;
  }

  std::string name(int rank) const { return "rank " + std::to_string(rank) + " of " + std::to_string(names_.who.size()) + " (" + names_.who[rank] + ")"; }

  std::string storeLost() const {
    return names_.hosted ? name(0) + " was lost: it was killed or stopped, or its machine cannot be reached"
                         : "the store where the processes meet cannot be reached any more";
  }

 private:
  // False where the process leaves.
  bool rest(milliseconds time) {
    std::unique_lock lock(mutex_);
    const bool asked = asked_;
    wake_.wait_for(lock, time, [&] { return leaving_ || asked_ != asked; });
    return !leaving_;
  }

  bool leaving() {
    const std::lock_guard lock(mutex_);
    return leaving_;
  }

  bool asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

  void run() {
    std::string found;
    try {
      while (true) {
        beat();
        if (asked() || store_->check({"trouble"})) break;
        if (!rest(kBeat)) return;
      }
      found = investigate();
    } catch (...) {
      found = storeLost();
    }
    if (leaving()) return;
    {
      const std::lock_guard lock(mutex_);
      verdict_ = found;
    }
    // Goes on to show signs of life: others are still looking.
    for (;;) {
      if (!rest(milliseconds(100))) return;
      try {
        beat();
      } catch (...) {
      }
      const int64_t since = place_.inside.load();
      if (since == 0 || asked() || now() - std::max(since, foundAt_) < kStuck) continue;
      std::fprintf(stderr, "error [distributed/lost-rank]: %s\n  hint: the same command goes on from the last checkpoint\n", found.c_str());
      std::fflush(stderr);
      ::_exit(1);
    }
  }

  void beat() { store_->set(key("beat", names_.rank), std::to_string(++count_) + " " + std::to_string(place_.position.load())); }

  std::vector<std::string> all(const char* what) {
    std::vector<std::string> keys;
    for (size_t rank = 0; rank < names_.who.size(); ++rank) keys.push_back(key(what, static_cast<int>(rank)));
    std::vector<std::string> values;
    for (const auto& value : store_->multiGet(keys)) values.emplace_back(value.begin(), value.end());
    return values;
  }

  std::string investigate() {
    store_->set("trouble", "1");
    const auto before = all("beat");
    std::vector<std::string> left;
    const int64_t start = now();
    do {
      left = all("left");
      for (size_t rank = 0; rank < left.size(); ++rank)
        if (left[rank].size() > 1) return told(name(static_cast<int>(rank)) + " ended with an error:" + left[rank]);
      if (!rest(kBeat / 2)) return "";
      beat();
    } while (now() - start < kSilence.count());
    const auto after = all("beat");
    std::vector<int> silent;
    for (size_t rank = 0; rank < after.size(); ++rank)
      if (after[rank] == before[rank] && left[rank].empty()) silent.push_back(static_cast<int>(rank));
    if (silent.empty()) return told(slowest(after));
    std::string sentence = name(silent[0]);
    for (size_t i = 1; i < std::min<size_t>(silent.size(), 4); ++i) sentence += ", " + name(silent[i]);
    if (silent.size() > 4) sentence += " and " + std::to_string(silent.size() - 4) + " more";
    return told(sentence + (silent.size() == 1 ? " was lost: it was killed or stopped, or its machine cannot be reached"
                                               : " were lost: they were killed or stopped, or their machines cannot be reached"));
  }

  // All are alive: one has not come as far as the others.
  std::string slowest(const std::vector<std::string>& beats) const {
    size_t least = 0;
    const auto position = [&](size_t rank) { return std::strtoll(beats[rank].c_str() + beats[rank].find(' ') + 1, nullptr, 10); };
    for (size_t rank = 1; rank < beats.size(); ++rank)
      if (position(rank) < position(least)) least = rank;
    return "the processes can no longer reach each other, though all are alive; " + name(static_cast<int>(least)) + " is furthest behind";
  }

  std::string told(std::string sentence) {
    foundAt_ = now();
    return sentence;
  }

  StorePointer store_;
  Names names_;
  Place& place_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool leaving_ = false, asked_ = false;
  std::optional<std::string> verdict_;
  int64_t foundAt_ = now(), count_ = 0;
  std::thread thread_;  // Last: it uses all of the above.
};

using GroupPointer = c10::intrusive_ptr<c10d::ProcessGroup>;

struct Member {
  GroupPointer group;
  // What layers use inside a forward or backward pass, from the first that asks for it on.
  GroupPointer layers;
  StorePointer store;
  std::string address;
  milliseconds timeout;
  Place place;
  std::unique_ptr<Watch> watch;
};

// Neither is destroyed unless it is left in good order: after a failure a thread of Gloo may still wait, and would be
// waited for.
std::vector<StorePointer>& stores = *new std::vector<StorePointer>;
std::vector<Member*>& members = *new std::vector<Member*>;

StorePointer& toStore(napi_env env, napi_value value) {
  const int64_t number = toInt64(env, value, "store");
  if (number < 0 || number >= static_cast<int64_t>(stores.size()) || !stores[number]) throw JsError("distributed/closed", "this store was closed");
  return stores[number];
}

Member& toMember(napi_env env, napi_value value) {
  const int64_t number = toInt64(env, value, "group");
  if (number < 0 || number >= static_cast<int64_t>(members.size()) || !members[number]) throw JsError("distributed/closed", "this process group was left");
  return *members[number];
}

template <typename Body>
auto guarded(Body body) {
  try {
    return body();
  } catch (...) {
    rethrowPeer();
  }
}

void need(size_t argc, size_t count) {
  if (argc < count) throw JsError("torch/missing-argument", "expected " + std::to_string(count) + " arguments");
}

// Gloo between all ranks, its connections named apart from those of other groups of the same store. Collective.
GroupPointer connectGroup(const Member& member, int rank, int size, const char* name) {
  auto options = c10d::ProcessGroupGloo::Options::create(member.timeout);
  options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(member.address));
  const auto backend = c10::make_intrusive<c10d::ProcessGroupGloo>(c10::make_intrusive<c10d::PrefixStore>(name, member.store), rank, size, options);
  auto group = c10::make_intrusive<c10d::ProcessGroup>(member.store, rank, size);
  for (const auto device : {at::kCPU, at::kCUDA}) group->setBackend(device, c10d::ProcessGroup::BackendType::GLOO, c10::intrusive_ptr<c10d::Backend>(backend));
  group->setDefaultBackend(c10d::ProcessGroup::BackendType::GLOO);
  group->setGroupName("penumbra-" + std::string(name) + std::to_string(members.size()));
  return group;
}

// openStore(host, port, serves, prefix, timeoutMs) -> number
napi_value jsOpenStore(napi_env env, size_t argc, napi_value* argv) {
  need(argc, 5);
  const std::string host = toString(env, argv[0]), prefix = toString(env, argv[3]);
  const int64_t port = toInt64(env, argv[1], "port"), timeout = toInt64(env, argv[4], "timeout");
  stores.push_back(guarded([&] { return connect(host, port, toBool(env, argv[2]), prefix, milliseconds(timeout)); }));
  return fromInt64(env, static_cast<int64_t>(stores.size()) - 1);
}

napi_value jsCloseStore(napi_env env, size_t, napi_value* argv) {
  toStore(env, argv[0]).reset();
  return nullptr;
}

napi_value jsStoreSet(napi_env env, size_t argc, napi_value* argv) {
  need(argc, 3);
  const std::string name = toString(env, argv[1]), value = toString(env, argv[2]);
  guarded([&] { toStore(env, argv[0])->set(name, value); });
  return nullptr;
}

// storeGet(store, key) -> text | null where the key is not there
napi_value jsStoreGet(napi_env env, size_t argc, napi_value* argv) {
  need(argc, 2);
  const std::string name = toString(env, argv[1]);
  const auto value = guarded([&]() -> std::optional<std::string> {
    auto& store = toStore(env, argv[0]);
    if (!store->check({name})) return std::nullopt;
    return store->get_to_str(name);
  });
  return value ? fromString(env, *value) : null(env);
}

napi_value jsStoreAdd(napi_env env, size_t argc, napi_value* argv) {
  need(argc, 3);
  const std::string name = toString(env, argv[1]);
  const int64_t by = toInt64(env, argv[2], "by");
  return fromInt64(env, guarded([&] { return toStore(env, argv[0])->add(name, by); }));
}

// joinGroup({store, host, port, prefix, hosted}, rank, who, address, timeoutMs) -> number. Collective; every rank has put
// `beat/<rank>` and `left/<rank>` into the store.
napi_value jsJoinGroup(napi_env env, size_t argc, napi_value* argv) {
  need(argc, 5);
  const auto field = [&](const char* name) {
    napi_value value;
    check(env, napi_get_named_property(env, argv[0], name, &value));
    return value;
  };
  const StorePointer store = toStore(env, field("store"));
  const std::string host = toString(env, field("host")), prefix = toString(env, field("prefix")), address = toString(env, argv[3]);
  const int64_t port = toInt64(env, field("port"), "port");
  const int rank = static_cast<int>(toInt64(env, argv[1], "rank"));
  const milliseconds timeout(toInt64(env, argv[4], "timeout"));
  std::vector<std::string> who;
  uint32_t size = 0;
  check(env, napi_get_array_length(env, argv[2], &size));
  for (uint32_t i = 0; i < size; ++i) {
    napi_value element;
    check(env, napi_get_element(env, argv[2], i, &element));
    who.push_back(toString(env, element));
  }
  auto member = std::make_unique<Member>();
  guarded([&] {
    store->setTimeout(timeout);
    member->store = store;
    member->address = address;
    member->timeout = timeout;
    member->group = connectGroup(*member, rank, static_cast<int>(size), "gloo");
    // A connection of its own: the first one is busy while the main thread waits. As patient: a store that stands still for
    // a while is not lost.
    member->watch = std::make_unique<Watch>(connect(host, port, false, prefix, timeout), Watch::Names{rank, who, toBool(env, field("hosted"))}, member->place);
  });
  members.push_back(member.release());
  return fromInt64(env, static_cast<int64_t>(members.size()) - 1);
}

// leaveGroup(group): waits for all, then takes everything down.
napi_value jsLeaveGroup(napi_env env, size_t, napi_value* argv) {
  Member& member = toMember(env, argv[0]);
  {
    const Inside inside(member.place);
    guarded([&] {
      member.group->barrier()->wait();
      member.watch->leave();
      // Nobody misses this one any more, and the store may go with rank 0.
      member.group->barrier()->wait();
    });
  }
  member.watch->stop();
  members[toInt64(env, argv[0], "group")] = nullptr;
  delete &member;
  return nullptr;
}

// allReduce(group, tensor, operation): in place.
napi_value jsAllReduce(napi_env env, size_t argc, napi_value* argv) {
  need(argc, 3);
  Member& member = toMember(env, argv[0]);
  std::vector<at::Tensor> tensors{toTensor(env, argv[1], "tensor")};
  const std::string name = toString(env, argv[2]);
  c10d::AllreduceOptions options;
  options.reduceOp = name == "max" ? c10d::ReduceOp::MAX : name == "min" ? c10d::ReduceOp::MIN : c10d::ReduceOp::SUM;
  const Inside inside(member.place);
  guarded([&] { member.group->allreduce(tensors, options)->wait(); });
  return nullptr;
}

// broadcast(group, tensor, root): in place.
napi_value jsBroadcast(napi_env env, size_t argc, napi_value* argv) {
  need(argc, 3);
  Member& member = toMember(env, argv[0]);
  std::vector<at::Tensor> tensors{toTensor(env, argv[1], "tensor")};
  c10d::BroadcastOptions options;
  options.rootRank = toInt64(env, argv[2], "root");
  const Inside inside(member.place);
  guarded([&] { member.group->broadcast(tensors, options)->wait(); });
  return nullptr;
}

// allGather(group, tensor) -> one a rank, of the same shape on every rank.
napi_value jsAllGather(napi_env env, size_t argc, napi_value* argv) {
  need(argc, 2);
  Member& member = toMember(env, argv[0]);
  std::vector<at::Tensor> inputs{toTensor(env, argv[1], "tensor").contiguous()};
  std::vector<std::vector<at::Tensor>> outputs(1);
  for (int i = 0; i < member.group->getSize(); ++i) outputs[0].push_back(at::empty_like(inputs[0]));
  {
    const Inside inside(member.place);
    guarded([&] { member.group->allgather(outputs, inputs)->wait(); });
  }
  napi_value array;
  check(env, napi_create_array_with_length(env, outputs[0].size(), &array));
  for (uint32_t i = 0; i < outputs[0].size(); ++i) check(env, napi_set_element(env, array, i, wrap(env, outputs[0][i])));
  return array;
}

// verifyParameters(group, tensors): that they have the same shapes, types and strides everywhere. Sizes that differ would
// end the process inside Gloo.
napi_value jsVerifyParameters(napi_env env, size_t argc, napi_value* argv) {
  need(argc, 2);
  Member& member = toMember(env, argv[0]);
  const auto tensors = toTensors(env, argv[1], "tensors");
  const Inside inside(member.place);
  guarded([&] { c10d::verify_params_across_processes(member.group, tensors, {}); });
  return nullptr;
}

// askWatch(group), watchVerdict(group) -> sentence | null as long as it is not known, lostStore(group) -> sentence
napi_value jsAskWatch(napi_env env, size_t, napi_value* argv) {
  toMember(env, argv[0]).watch->ask();
  return nullptr;
}

napi_value jsWatchVerdict(napi_env env, size_t, napi_value* argv) {
  const auto verdict = toMember(env, argv[0]).watch->verdict();
  return verdict ? fromString(env, *verdict) : null(env);
}

napi_value jsLostStore(napi_env env, size_t, napi_value* argv) { return fromString(env, toMember(env, argv[0]).watch->storeLost()); }

// exitNow(code): ends the process without waiting for any thread.
napi_value jsExitNow(napi_env env, size_t, napi_value* argv) { ::_exit(static_cast<int>(toInt64(env, argv[0], "code"))); }

}  // namespace

c10::intrusive_ptr<c10d::ProcessGroup> toProcessGroup(napi_env env, napi_value number) { return toMember(env, number).group; }

c10::intrusive_ptr<c10d::ProcessGroup> toLayerGroup(napi_env env, napi_value number) {
  Member& member = toMember(env, number);
  if (!member.layers) {
    const Inside inside(member.place);
    guarded([&] { member.layers = connectGroup(member, member.group->getRank(), member.group->getSize(), "layers"); });
  }
  return member.layers;
}

Place& placeOf(napi_env env, napi_value number) { return toMember(env, number).place; }

Inside::Inside(Place& place) : place_(place), within_(place.inside != 0) {
  ++place_.position;
  place_.inside = now();
}

Inside::~Inside() { place_.inside = within_ ? now() : 0; }

void rethrowPeer() {
  try {
    throw;
  } catch (const JsError&) {
    throw;
  } catch (const PendingException&) {
    throw;
  } catch (const c10::DistError& error) {
    throw JsError("distributed/peer", error.what_without_backtrace());
  } catch (const std::exception& error) {
    const std::string text = error.what();
    // Gloo's own exceptions have no type that is visible here; each begins with the place in its sources.
    if (text.find("gloo/") == std::string::npos) throw;
    throw JsError("distributed/peer", text);
  }
}

void registerProcessGroups(napi_env env, napi_value exports) {
  // A connection that ends with its peer is reported by us, and c10d's own warnings about it carry a C++ stack.
  setenv("TORCH_CPP_LOG_LEVEL", "ERROR", 0);
  c10::initLogging();
  method(env, exports, "openStore", jsOpenStore);
  method(env, exports, "closeStore", jsCloseStore);
  method(env, exports, "storeSet", jsStoreSet);
  method(env, exports, "storeGet", jsStoreGet);
  method(env, exports, "storeAdd", jsStoreAdd);
  method(env, exports, "joinGroup", jsJoinGroup);
  method(env, exports, "leaveGroup", jsLeaveGroup);
  method(env, exports, "allReduce", jsAllReduce);
  method(env, exports, "broadcast", jsBroadcast);
  method(env, exports, "allGather", jsAllGather);
  method(env, exports, "verifyParameters", jsVerifyParameters);
  method(env, exports, "askWatch", jsAskWatch);
  method(env, exports, "watchVerdict", jsWatchVerdict);
  method(env, exports, "lostStore", jsLostStore);
  method(env, exports, "exitNow", jsExitNow);
}

}  // namespace penumbra

#else

namespace penumbra {

// A LibTorch without c10d: what is missing is said in JavaScript.
void registerProcessGroups(napi_env, napi_value) {}

}  // namespace penumbra

#endif  // PENUMBRA_C10D
