#include "engine.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/Version.h>
#include <dlfcn.h>
#include <malloc.h>
#include <torch/version.h>

#include <filesystem>

#include "arguments.h"
#include "handle.h"

namespace penumbra {

namespace {

std::string cudaProblem;

std::string libraryFolder() {
  Dl_info info{};
  if (!dladdr(reinterpret_cast<void*>(&at::get_num_threads), &info) || !info.dli_fname) return "";
  return std::filesystem::path(info.dli_fname).parent_path().string();
}

// 90 for compute capability 9.0; 0 where it cannot be asked. The runtime comes with libtorch_cuda.so, and one call needs no
// headers of the CUDA toolkit.
int64_t computeCapability(int device) {
  using Get = int (*)(int*, int attribute, int device);
  constexpr int kMajor = 75, kMinor = 76;
  static const auto get = reinterpret_cast<Get>(dlsym(RTLD_DEFAULT, "cudaDeviceGetAttribute"));
  int major = 0, minor = 0;
  if (!get || get(&major, kMajor, device) != 0 || get(&minor, kMinor, device) != 0) return 0;
  return 10 * major + minor;
}

napi_value jsInfo(napi_env env, size_t, napi_value*) {
  napi_value info = object(env);
  set(env, info, "version", fromString(env, TORCH_VERSION));
  set(env, info, "path", fromString(env, libraryFolder()));
  set(env, info, "cpuCapability", fromString(env, at::get_cpu_capability()));
  set(env, info, "mkl", fromBool(env, at::hasMKL()));
  set(env, info, "mkldnn", fromBool(env, at::hasMKLDNN()));
  set(env, info, "configuration", fromString(env, at::show_config()));
  set(env, info, "threads", fromInt64(env, at::get_num_threads()));
  set(env, info, "interopThreads", fromInt64(env, at::get_num_interop_threads()));
  const int64_t devices = at::hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0;
  set(env, info, "cudaDevices", fromInt64(env, devices));
  set(env, info, "cudaProblem", fromString(env, cudaProblem));
  napi_value capabilities;
  check(env, napi_create_array_with_length(env, static_cast<size_t>(devices), &capabilities));
  for (int64_t i = 0; i < devices; ++i)
    check(env, napi_set_element(env, capabilities, static_cast<uint32_t>(i), fromInt64(env, computeCapability(static_cast<int>(i)))));
  set(env, info, "cudaCapabilities", capabilities);
  return info;
}

napi_value jsSetThreads(napi_env env, size_t, napi_value* argv) {
  const int64_t threads = toInt64(env, argv[0], "threads");
  if (threads < 1 || threads > 1024) throw JsError("torch/argument-value", "threads: expected 1 to 1024, got " + std::to_string(threads));
  at::set_num_threads(static_cast<int>(threads));
  return nullptr;
}

napi_value jsThreads(napi_env env, size_t, napi_value*) { return fromInt64(env, at::get_num_threads()); }

napi_value jsSetDeterministic(napi_env env, size_t, napi_value* argv) {
  at::globalContext().setDeterministicAlgorithms(toBool(env, argv[0]), /*warn_only=*/true);
  return nullptr;
}

// setCuda(tf32, benchmark): whether float32 products may be computed in TF32, and whether cuDNN tries its algorithms out.
napi_value jsSetCuda(napi_env env, size_t, napi_value* argv) {
  at::Context& context = at::globalContext();
  const bool tf32 = toBool(env, argv[0]);
  context.setAllowTF32CuBLAS(tf32);
  context.setAllowTF32CuDNN(tf32);
  context.setBenchmarkCuDNN(toBool(env, argv[1]));
  return nullptr;
}

// generator(seed, device)
napi_value jsGenerator(napi_env env, size_t argc, napi_value* argv) {
  if (argc < 2) throw JsError("torch/missing-argument", "expected a seed and a device");
  const auto seed = static_cast<uint64_t>(toInt64(env, argv[0], "seed"));
  const c10::Device device = toDevice(env, argv[1], "device");
  if (device.is_cpu()) return wrapGenerator(env, at::make_generator<at::CPUGeneratorImpl>(seed));
  at::Generator generator = at::globalContext().defaultGenerator(device).clone();
  generator.set_current_seed(seed);
  return wrapGenerator(env, generator);
}

napi_value jsGeneratorState(napi_env env, size_t, napi_value* argv) { return wrap(env, toGenerator(env, argv[0], "generator").get_state()); }

napi_value jsSetGeneratorState(napi_env env, size_t argc, napi_value* argv) {
  if (argc < 2) throw JsError("torch/missing-argument", "expected a generator and its state");
  toGenerator(env, argv[0], "generator").set_state(toTensor(env, argv[1], "state"));
  return nullptr;
}

}  // namespace

void loadCuda() {
  const std::string library = libraryFolder() + "/libtorch_cuda.so";
  if (!std::filesystem::exists(library)) return;
  if (!dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL)) cudaProblem = dlerror();
}

void registerEngine(napi_env env, napi_value exports) {
  // oneDNN's scratch buffers come from malloc; keep them instead of returning them to the system after every layer.
  mallopt(M_MMAP_THRESHOLD, 256 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  method(env, exports, "info", jsInfo);
  method(env, exports, "setThreads", jsSetThreads);
  method(env, exports, "threads", jsThreads);
  method(env, exports, "setDeterministic", jsSetDeterministic);
  method(env, exports, "setCuda", jsSetCuda);
  method(env, exports, "generator", jsGenerator);
  method(env, exports, "generatorState", jsGeneratorState);
  method(env, exports, "setGeneratorState", jsSetGeneratorState);
}

}  // namespace penumbra
