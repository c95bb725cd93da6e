#include "allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>

namespace penumbra {

namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kSmall = 2 << 10;            // up to here: free lists by size, in a region of their own
constexpr size_t kSmallRegion = size_t{4} << 30;  // address space only; pages are taken when touched
constexpr size_t kSlab = 64 << 10;            // one size each
constexpr size_t kMiddle = 32 << 10;          // up to here: malloc
constexpr size_t kHugePage = 2 << 20;
constexpr size_t kSegment = 64 << 20;         // the least that is mapped at once
constexpr size_t kSplitRemainder = 64 << 10;  // a smaller rest stays with its block

struct Block {
  char* data;
  size_t size;
  bool free;
  Block* previous;  // neighbours inside the same segment
  Block* next;
};

struct BySize {
  bool operator()(const Block* a, const Block* b) const { return a->size != b->size ? a->size < b->size : a->data < b->data; }
};

struct Statistics {
  size_t allocated = 0, peak = 0, reserved = 0, limit = 0;
};

size_t roundUp(size_t value, size_t to) { return (value + to - 1) / to * to; }

// Held for a few instructions, by one thread nearly always: a mutex would cost more than what it guards.
class SpinLock {
 public:
  void lock() {
    while (taken_.exchange(true, std::memory_order_acquire)) std::this_thread::yield();
  }
  void unlock() { taken_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> taken_{false};
};

class CachingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t size) override {
    if (size == 0) return {nullptr, nullptr, &CachingAllocator::release, c10::Device(c10::kCPU)};
    void* data = size <= kSmall ? small(size) : size <= kMiddle ? middle(size) : large(size);
    return {data, data, &CachingAllocator::release, c10::Device(c10::kCPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &CachingAllocator::release; }

  void copy_data(void* destination, const void* source, size_t count) const override { std::memcpy(destination, source, count); }

  // Gives segments without a live block back to the system.
  void trim() {
    std::lock_guard lock(mutex_);
    for (auto it = free_.begin(); it != free_.end();) {
      Block* block = *it;
      if (block->previous || block->next) {
        ++it;
        continue;
      }
      it = free_.erase(it);
      munmap(block->data, block->size);
      statistics_.reserved -= block->size;
      delete block;
    }
  }

  Statistics statistics() {
    std::lock_guard lock(mutex_);
    return statistics_;
  }

  void resetPeak() {
    std::lock_guard lock(mutex_);
    statistics_.peak = statistics_.allocated;
  }

  void setLimit(size_t bytes) {
    std::lock_guard lock(mutex_);
    statistics_.limit = bytes;
  }

  static CachingAllocator& instance() {
    static auto* allocator = new CachingAllocator();  // never destroyed: tensors may outlive every other static
    return *allocator;
  }

 private:
  CachingAllocator() {
    void* region = mmap(nullptr, kSmallRegion, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region != MAP_FAILED) smallRegion_ = smallEnd_ = static_cast<char*>(region);
  }

  // Losses, learning rates and step counts: an aligned malloc would cost more than the operator that fills them.
  void* small(size_t size) {
    const size_t list = (size - 1) / kAlignment;
    {
      std::lock_guard lock(smallLock_);
      if (!smallFree_[list]) carve(list);
      if (FreeItem* item = smallFree_[list]) {
        smallFree_[list] = item->next;
        return item;
      }
    }
    return middle(size);
  }

  void carve(size_t list) {
    if (!smallRegion_ || smallEnd_ + kSlab > smallRegion_ + kSmallRegion) return;
    slabList_.push_back(static_cast<uint8_t>(list));
    const size_t step = (list + 1) * kAlignment;
    for (char* item = smallEnd_; item + step <= smallEnd_ + kSlab; item += step)
      smallFree_[list] = new (item) FreeItem{smallFree_[list]};
    smallEnd_ += kSlab;
  }

  static void* middle(size_t size) {
    void* data = nullptr;
    if (posix_memalign(&data, kAlignment, size) != 0) outOfMemory(size);
    return data;
  }

  void* large(size_t size) {
    const size_t wanted = roundUp(size, 4096);
    TORCH_CHECK_WITH(OutOfMemoryError, wanted >= size && size < (size_t{1} << 47), "cannot allocate ", size, " bytes");
    std::lock_guard lock(mutex_);
    if (statistics_.limit && statistics_.allocated + wanted > statistics_.limit)
      TORCH_CHECK_WITH(OutOfMemoryError, false, "cannot allocate ", size, " bytes: the limit set by setMemoryLimit() is ", statistics_.limit);
    Block key{nullptr, wanted, true, nullptr, nullptr};
    auto found = free_.lower_bound(&key);
    Block* block = found == free_.end() ? map(wanted) : *found;
    if (found != free_.end()) free_.erase(found);
    if (block->size - wanted >= kSplitRemainder) split(block, wanted);
    block->free = false;
    live_.emplace(block->data, block);
    statistics_.allocated += block->size;
    statistics_.peak = std::max(statistics_.peak, statistics_.allocated);
    return block->data;
  }

  Block* map(size_t size) {
    const size_t bytes = roundUp(std::max(size, kSegment), kHugePage);
    // Over-mapped and cut, so that the segment begins on a huge page.
    char* raw = static_cast<char*>(mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (raw == MAP_FAILED) outOfMemory(size);
    char* data = reinterpret_cast<char*>(roundUp(reinterpret_cast<size_t>(raw), kHugePage));
    if (data > raw) munmap(raw, data - raw);
    if (raw + kHugePage > data) munmap(data + bytes, raw + kHugePage - data);
    madvise(data, bytes, MADV_HUGEPAGE);
    statistics_.reserved += bytes;
    return new Block{data, bytes, false, nullptr, nullptr};
  }

  void split(Block* block, size_t size) {
    auto* rest = new Block{block->data + size, block->size - size, true, block, block->next};
    if (rest->next) rest->next->previous = rest;
    block->next = rest;
    block->size = size;
    free_.insert(rest);
  }

  static void release(void* data) {
    if (data == nullptr) return;
    CachingAllocator& self = instance();
    if (const size_t offset = static_cast<char*>(data) - self.smallRegion_; self.smallRegion_ && offset < kSmallRegion) {
      std::lock_guard lock(self.smallLock_);
      FreeItem*& list = self.smallFree_[self.slabList_[offset / kSlab]];
      list = new (data) FreeItem{list};
      return;
    }
    // Large blocks begin on a page; malloc's may too, so the table decides.
    if (reinterpret_cast<size_t>(data) % 4096 == 0) {
      std::lock_guard lock(self.mutex_);
      const auto found = self.live_.find(data);
      if (found != self.live_.end()) {
        Block* block = found->second;
        self.live_.erase(found);
        self.statistics_.allocated -= block->size;
        self.merge(block);
        return;
      }
    }
    std::free(data);
  }

  void merge(Block* block) {
    if (Block* next = block->next; next && next->free) {
      free_.erase(next);
      absorb(block, next);
    }
    if (Block* previous = block->previous; previous && previous->free) {
      free_.erase(previous);  // its key, the size, is about to change
      absorb(previous, block);
      block = previous;
    }
    block->free = true;
    free_.insert(block);
  }

  void absorb(Block* block, Block* next) {
    block->size += next->size;
    block->next = next->next;
    if (next->next) next->next->previous = block;
    delete next;
  }

  [[noreturn]] static void outOfMemory(size_t size) {
    TORCH_CHECK_WITH(OutOfMemoryError, false, "the system has no ", size, " bytes left");
    std::abort();
  }

  struct FreeItem {
    FreeItem* next;
  };
  SpinLock smallLock_;
  char* smallRegion_ = nullptr;
  char* smallEnd_ = nullptr;
  std::vector<uint8_t> slabList_;  // the free list that each slab belongs to
  FreeItem* smallFree_[kSmall / kAlignment] = {};

  std::mutex mutex_;
  std::set<Block*, BySize> free_;
  std::unordered_map<void*, Block*> live_;
  Statistics statistics_;
};

napi_value jsStatistics(napi_env env, size_t, napi_value*) {
  const Statistics statistics = CachingAllocator::instance().statistics();
  napi_value result = object(env);
  set(env, result, "allocated", fromDouble(env, static_cast<double>(statistics.allocated)));
  set(env, result, "peak", fromDouble(env, static_cast<double>(statistics.peak)));
  set(env, result, "reserved", fromDouble(env, static_cast<double>(statistics.reserved)));
  return result;
}

napi_value jsTrim(napi_env, size_t, napi_value*) {
  CachingAllocator::instance().trim();
  return nullptr;
}

napi_value jsResetPeak(napi_env, size_t, napi_value*) {
  CachingAllocator::instance().resetPeak();
  return nullptr;
}

napi_value jsSetLimit(napi_env env, size_t argc, napi_value* argv) {
  CachingAllocator::instance().setLimit(argc > 0 ? static_cast<size_t>(toInt64(env, argv[0], "bytes")) : 0);
  return nullptr;
}

}  // namespace

void installAllocator() {
  if (const char* choice = std::getenv("PENUMBRA_ALLOCATOR"); choice && std::string(choice) == "system") return;
  c10::SetCPUAllocator(&CachingAllocator::instance(), /*priority=*/100);
}

void registerAllocator(napi_env env, napi_value exports) {
  method(env, exports, "allocatorStatistics", jsStatistics);
  method(env, exports, "trimAllocator", jsTrim);
  method(env, exports, "resetPeak", jsResetPeak);
  method(env, exports, "setMemoryLimit", jsSetLimit);
}

}  // namespace penumbra
