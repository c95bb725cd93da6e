#include "storage.h"

#include <ATen/Functions.h>
#include <ATen/ops/from_blob.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>

#include "arguments.h"
#include "handle.h"

namespace penumbra {

namespace {

// A tensor over a JavaScript buffer may be freed on any thread, a reference only on JavaScript's. Such references wait
// here until the next buffer is shared.
std::mutex abandonedMutex;
std::vector<napi_ref> abandoned;

void dropAbandoned(napi_env env) {
  std::vector<napi_ref> references;
  {
    std::lock_guard lock(abandonedMutex);
    references.swap(abandoned);
  }
  for (napi_ref reference : references) napi_delete_reference(env, reference);
}

std::vector<int64_t> toShape(napi_env env, napi_value array) {
  bool isArray = false;
  check(env, napi_is_array(env, array, &isArray));
  if (!isArray) throw JsError("torch/argument-type", "argument 'shape': expected an array of integers, got " + describe(env, array));
  uint32_t length = 0;
  check(env, napi_get_array_length(env, array, &length));
  std::vector<int64_t> shape(length);
  for (uint32_t i = 0; i < length; ++i) {
    napi_value item;
    check(env, napi_get_element(env, array, i, &item));
    shape[i] = toInt64(env, item, "argument 'shape'");
    if (shape[i] < 0) throw JsError("torch/argument-value", "argument 'shape': sizes must not be negative");
  }
  return shape;
}

int64_t numberOfElements(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (const int64_t size : shape)
    if (__builtin_mul_overflow(count, size, &count)) throw JsError("torch/argument-value", "argument 'shape': too many elements");
  return count;
}

struct View {
  void* data = nullptr;
  size_t bytes = 0;
  napi_value buffer = nullptr;
};

View viewOf(napi_env env, napi_value typedArray) {
  View view;
  bool is = false;
  check(env, napi_is_typedarray(env, typedArray, &is));
  if (!is) throw JsError("torch/argument-type", "argument 'data': expected a typed array, got " + describe(env, typedArray));
  napi_typedarray_type type;
  size_t length = 0, offset = 0;
  check(env, napi_get_typedarray_info(env, typedArray, &type, &length, &view.data, &view.buffer, &offset));
  static constexpr size_t kWidths[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8, 2};
  view.bytes = length * (static_cast<size_t>(type) < std::size(kWidths) ? kWidths[type] : 1);
  return view;
}

// share(typedArray, shape, dtype): a tensor over the same memory.
napi_value jsShare(napi_env env, size_t argc, napi_value* argv) {
  if (argc < 3) throw JsError("torch/missing-argument", "expected a typed array, a shape and a dtype");
  dropAbandoned(env);
  const View view = viewOf(env, argv[0]);
  const auto shape = toShape(env, argv[1]);
  const auto dtype = toDtype(env, argv[2], "dtype");
  const int64_t count = numberOfElements(shape);
  if (static_cast<size_t>(count) * c10::elementSize(dtype) != view.bytes)
    throw JsError("torch/argument-value", "argument 'data': the shape asks for " + std::to_string(count) + " elements of " +
                  dtypeName(dtype) + ", the array holds " + std::to_string(view.bytes) + " bytes");
  if (view.bytes == 0) return wrap(env, at::empty(shape, dtype));
  napi_ref reference;
  check(env, napi_create_reference(env, argv[0], 1, &reference));
  auto tensor = at::from_blob(view.data, shape, [reference](void*) {
    std::lock_guard lock(abandonedMutex);
    abandoned.push_back(reference);
  }, at::TensorOptions(dtype));
  return wrap(env, tensor);
}

napi_typedarray_type arrayType(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat: return napi_float32_array;
    case at::kDouble: return napi_float64_array;
    case at::kInt: return napi_int32_array;
    case at::kLong: return napi_bigint64_array;
    case at::kShort: return napi_int16_array;
    case at::kChar: return napi_int8_array;
    case at::kUInt16:
    case at::kHalf:
    case at::kBFloat16: return napi_uint16_array;  // raw bits: JavaScript has no such numbers on every version
    case at::kUInt32: return napi_uint32_array;
    case at::kUInt64: return napi_biguint64_array;
    default: return napi_uint8_array;
  }
}

// The plain bytes of a tensor, for JavaScript to look at.
const at::Tensor& toReadable(napi_env env, napi_value value) {
  const at::Tensor& tensor = toTensor(env, value, "tensor");
  if (!tensor.device().is_cpu() || tensor.layout() != at::kStrided)
    throw JsError("torch/argument-value", "expected a strided CPU tensor, got one on " + tensor.device().str(), "copy it with .to({ device: 'cpu' }) first");
  if (!tensor.is_contiguous())
    throw JsError("torch/argument-value", "expected a contiguous tensor", "call .contiguous() first");
  if (c10::isComplexType(tensor.scalar_type()))
    throw JsError("torch/argument-value", "complex tensors have no typed array", "use view_as_real first");
  if (tensor.is_neg()) throw JsError("torch/argument-value", "the tensor is a negated view", "call .resolve_neg() first");
  return tensor;
}

napi_value typedArray(napi_env env, const at::Tensor& tensor, napi_value buffer) {
  const auto type = arrayType(tensor.scalar_type());
  const size_t width = type == napi_uint8_array ? 1 : tensor.element_size();
  napi_value array;
  check(env, napi_create_typedarray(env, type, tensor.nbytes() / width, buffer, 0, &array));
  return array;
}

// What an array over a tensor's memory keeps alive. Node frees such an array's memory when its event loop turns, which
// in a synchronous loop is too late; so the storage can be let go of before.
struct Keeper {
  at::Storage storage;
};
using KeeperPointer = std::shared_ptr<Keeper>;
constexpr uint64_t kKeeperTag = 0x50656e4b65657021;
struct KeeperHandle {
  uint64_t tag = kKeeperTag;
  KeeperPointer keeper;
};

// data(tensor): [a typed array over the tensor's memory, what keeps the memory]; the second is null for an empty one.
napi_value jsData(napi_env env, size_t, napi_value* argv) {
  const at::Tensor& tensor = toReadable(env, argv[0]);
  const size_t bytes = tensor.nbytes();
  napi_value result, buffer, handle = null(env);
  check(env, napi_create_array_with_length(env, 2, &result));
  if (bytes == 0) {
    void* nothing = nullptr;
    check(env, napi_create_arraybuffer(env, 0, &nothing, &buffer));
  } else {
    const auto keeper = std::make_shared<Keeper>(Keeper{tensor.storage()});
    auto ofBuffer = std::make_unique<KeeperPointer>(keeper);
    check(env, napi_create_external_arraybuffer(
        env, tensor.data_ptr(), bytes, [](node_api_basic_env, void*, void* hint) { delete static_cast<KeeperPointer*>(hint); }, ofBuffer.get(), &buffer));
    ofBuffer.release();
    auto ofHandle = std::make_unique<KeeperHandle>(KeeperHandle{kKeeperTag, keeper});
    check(env, napi_create_external(env, ofHandle.get(), [](node_api_basic_env, void* data, void*) { delete static_cast<KeeperHandle*>(data); }, nullptr, &handle));
    ofHandle.release();
  }
  check(env, napi_set_element(env, result, 0, typedArray(env, tensor, buffer)));
  check(env, napi_set_element(env, result, 1, handle));
  return result;
}

// detach(array, keeper): ends an array of `data`, which has no elements from then on, and gives its memory back.
napi_value jsDetach(napi_env env, size_t argc, napi_value* argv) {
  if (argc < 2) throw JsError("torch/missing-argument", "expected a typed array and its keeper");
  void* data = nullptr;
  if (napi_get_value_external(env, argv[1], &data) != napi_ok || !data || static_cast<KeeperHandle*>(data)->tag != kKeeperTag)
    throw JsError("torch/argument-type", "argument 'keeper': expected what data() gave");
  const View view = viewOf(env, argv[0]);
  bool detached = false;
  check(env, napi_is_detached_arraybuffer(env, view.buffer, &detached));
  // The array first: nothing may look at memory that is gone.
  if (!detached) check(env, napi_detach_arraybuffer(env, view.buffer));
  static_cast<KeeperHandle*>(data)->keeper->storage = at::Storage();
  return undefined(env);
}

// copy(tensor): a typed array of JavaScript's own with the tensor's elements.
napi_value jsCopy(napi_env env, size_t, napi_value* argv) {
  const at::Tensor& tensor = toReadable(env, argv[0]);
  void* memory = nullptr;
  napi_value buffer;
  check(env, napi_create_arraybuffer(env, tensor.nbytes(), &memory, &buffer));
  if (tensor.nbytes() > 0) std::memcpy(memory, tensor.const_data_ptr(), tensor.nbytes());
  return typedArray(env, tensor, buffer);
}

// A file mapped copy-on-write: tensors over it may be written, the file never is.
struct MappedFile {
  char* data = nullptr;
  size_t size = 0;
  ~MappedFile() {
    if (data) munmap(data, size);
  }
};
constexpr uint64_t kMapTag = 0x50656e4d61704669;
struct MapHandle {
  uint64_t tag = kMapTag;
  std::shared_ptr<MappedFile> file;
};

napi_value jsMapFile(napi_env env, size_t, napi_value* argv) {
  const std::string path = toString(env, argv[0]);
  if (path.find('\0') != std::string::npos) throw JsError("torch/file", "the path has a zero byte in it");
  // Not to wait for ever where the path is a pipe.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) throw JsError("torch/file", std::string(std::strerror(errno)) + ": " + path);
  struct stat status {};
  auto file = std::make_shared<MappedFile>();
  std::string problem;
  if (fstat(descriptor, &status) != 0) problem = std::strerror(errno);
  else if (!S_ISREG(status.st_mode)) problem = "not a regular file";
  else if (status.st_size > 0) {  // nothing can be mapped of an empty file
    // NORESERVE: a file larger than the memory can be read, too.
    void* data = mmap(nullptr, status.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, descriptor, 0);
    if (data == MAP_FAILED) {
      problem = std::strerror(errno);
    } else {
      file->data = static_cast<char*>(data);
      file->size = status.st_size;
    }
  }
  close(descriptor);
  if (!problem.empty()) throw JsError("torch/file", problem + ": " + path);
  auto* handle = new MapHandle{kMapTag, file};
  napi_value result = object(env), external;
  check(env, napi_create_external(env, handle, [](node_api_basic_env, void* data, void*) { delete static_cast<MapHandle*>(data); }, nullptr, &external));
  set(env, result, "map", external);
  set(env, result, "size", fromDouble(env, static_cast<double>(file->size)));
  return result;
}

std::shared_ptr<MappedFile> toFile(napi_env env, napi_value value) {
  void* data = nullptr;
  if (napi_get_value_external(env, value, &data) != napi_ok || !data || static_cast<MapHandle*>(data)->tag != kMapTag)
    throw JsError("torch/argument-type", "argument 'map': expected a mapped file");
  return static_cast<MapHandle*>(data)->file;
}

void checkRange(const MappedFile& file, int64_t offset, int64_t bytes) {
  if (offset < 0 || bytes < 0 || static_cast<size_t>(offset) > file.size || static_cast<size_t>(bytes) > file.size - offset)
    throw JsError("torch/argument-value", "bytes " + std::to_string(offset) + " to " + std::to_string(offset + bytes) + " lie outside the file of " +
                  std::to_string(file.size) + " bytes");
}

// mappedBytes(map, offset, length): a copy, for headers.
napi_value jsMappedBytes(napi_env env, size_t argc, napi_value* argv) {
  if (argc < 3) throw JsError("torch/missing-argument", "expected a map, an offset and a length");
  const auto file = toFile(env, argv[0]);
  const int64_t offset = toInt64(env, argv[1], "offset"), length = toInt64(env, argv[2], "length");
  checkRange(*file, offset, length);
  void* copy = nullptr;
  napi_value buffer;
  check(env, napi_create_buffer_copy(env, length, file->data + offset, &copy, &buffer));
  return buffer;
}

// mappedTensor(map, offset, shape, dtype): over the file's pages; the map lives as long as the tensor.
napi_value jsMappedTensor(napi_env env, size_t argc, napi_value* argv) {
  if (argc < 4) throw JsError("torch/missing-argument", "expected a map, an offset, a shape and a dtype");
  const auto file = toFile(env, argv[0]);
  const int64_t offset = toInt64(env, argv[1], "offset");
  const auto shape = toShape(env, argv[2]);
  const auto dtype = toDtype(env, argv[3], "dtype");
  int64_t bytes = 0;
  if (__builtin_mul_overflow(numberOfElements(shape), static_cast<int64_t>(c10::elementSize(dtype)), &bytes))
    throw JsError("torch/argument-value", "argument 'shape': too many elements");
  checkRange(*file, offset, bytes);
  if (bytes == 0) return wrap(env, at::empty(shape, dtype));
  char* data = file->data + offset;
  if (reinterpret_cast<size_t>(data) % c10::elementSize(dtype) != 0) {
    at::Tensor copy = at::empty(shape, dtype);
    std::memcpy(copy.data_ptr(), data, bytes);
    return wrap(env, copy);
  }
  return wrap(env, at::from_blob(data, shape, [file](void*) {}, at::TensorOptions(dtype)));
}

napi_value sizes(napi_env env, at::IntArrayRef values) {
  napi_value array;
  check(env, napi_create_array_with_length(env, values.size(), &array));
  for (uint32_t i = 0; i < values.size(); ++i) check(env, napi_set_element(env, array, i, fromInt64(env, values[i])));
  return array;
}

napi_value jsShape(napi_env env, size_t, napi_value* argv) { return sizes(env, toTensor(env, argv[0], "tensor").sizes()); }
napi_value jsStrides(napi_env env, size_t, napi_value* argv) { return sizes(env, toTensor(env, argv[0], "tensor").strides()); }
napi_value jsDtype(napi_env env, size_t, napi_value* argv) { return fromString(env, dtypeName(toTensor(env, argv[0], "tensor").scalar_type())); }
napi_value jsDevice(napi_env env, size_t, napi_value* argv) { return fromString(env, toTensor(env, argv[0], "tensor").device().str()); }
napi_value jsRequiresGrad(napi_env env, size_t, napi_value* argv) { return fromBool(env, toTensor(env, argv[0], "tensor").requires_grad()); }

// Any one-element tensor, without the two operator calls that .item() in ATen would take.
napi_value jsItem(napi_env env, size_t, napi_value* argv) {
  const at::Tensor& tensor = toTensor(env, argv[0], "tensor");
  if (tensor.numel() != 1)
    throw JsError("torch/argument-value", "expected a tensor with one element, got " + std::to_string(tensor.numel()));
  return fromIValue(env, tensor.item(), Kind::kScalar);
}

napi_value jsIsContiguous(napi_env env, size_t argc, napi_value* argv) {
  const at::Tensor& tensor = toTensor(env, argv[0], "tensor");
  const bool channelsLast = argc > 1 && toString(env, argv[1]) == "channels_last";
  return fromBool(env, tensor.is_contiguous(channelsLast ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous));
}

}  // namespace

void registerStorage(napi_env env, napi_value exports) {
  method(env, exports, "share", jsShare);
  method(env, exports, "data", jsData);
  method(env, exports, "detach", jsDetach);
  method(env, exports, "copy", jsCopy);
  method(env, exports, "mapFile", jsMapFile);
  method(env, exports, "mappedBytes", jsMappedBytes);
  method(env, exports, "mappedTensor", jsMappedTensor);
  method(env, exports, "shape", jsShape);
  method(env, exports, "strides", jsStrides);
  method(env, exports, "dtype", jsDtype);
  method(env, exports, "device", jsDevice);
  method(env, exports, "requiresGrad", jsRequiresGrad);
  method(env, exports, "item", jsItem);
  method(env, exports, "isContiguous", jsIsContiguous);
}

}  // namespace penumbra
