#include "convolution.h"

#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstring>

#include "arguments.h"
#include "handle.h"

// GCC and Clang compile the loop below once for each of these and choose when the library is loaded.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define PENUMBRA_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define PENUMBRA_CLONES
#endif

namespace penumbra {

namespace {

// One image's windows: [height, width, channels] in memory, under a square kernel.
struct Windows {
  int64_t height, width, channels, kernel, stride, padding, outHeight, outWidth;

  int64_t rows() const { return outHeight * outWidth; }
  int64_t columns() const { return kernel * kernel * channels; }
  int64_t pixels() const { return height * width * channels; }
};

Windows windowsOf(const at::Tensor& input, const at::Tensor& weight, int64_t stride, int64_t padding) {
  const int64_t kernel = weight.size(2);
  const auto out = [&](int64_t size) { return (size + 2 * padding - kernel) / stride + 1; };
  return {input.size(2), input.size(3), input.size(1), kernel, stride, padding, out(input.size(2)), out(input.size(3))};
}

// Calls `visit(column, pixel)` with the offsets of every window's elements; pixel is −1 in the padding.
template <typename Visit>
void eachWindow(const Windows& w, Visit visit) {
  int64_t column = 0;
  for (int64_t oh = 0; oh < w.outHeight; ++oh)
    for (int64_t ow = 0; ow < w.outWidth; ++ow)
      for (int64_t kh = 0; kh < w.kernel; ++kh)
        for (int64_t kw = 0; kw < w.kernel; ++kw, column += w.channels) {
          const int64_t h = oh * w.stride - w.padding + kh, x = ow * w.stride - w.padding + kw;
          const bool inside = h >= 0 && h < w.height && x >= 0 && x < w.width;
          visit(column, inside ? (h * w.width + x) * w.channels : -1);
        }
}

// [N, C, H, W] in channels-last memory -> [N · rows, kernel² · C].
at::Tensor toColumns(const at::Tensor& input, const Windows& w) {
  const int64_t images = input.size(0);
  if (w.kernel == 1 && w.stride == 1 && w.padding == 0) return input.permute({0, 2, 3, 1}).view({images * w.rows(), w.channels});
  at::Tensor columns = at::empty({images * w.rows(), w.columns()}, input.options().memory_format(at::MemoryFormat::Contiguous));
  const auto* from = static_cast<const char*>(input.const_data_ptr());
  auto* to = static_cast<char*>(columns.mutable_data_ptr());
  const int64_t size = input.element_size();
  at::parallel_for(0, images, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const char* image = from + n * w.pixels() * size;
      char* rows = to + n * w.rows() * w.columns() * size;
      eachWindow(w, [&](int64_t column, int64_t pixel) {
        if (pixel < 0) std::memset(rows + column * size, 0, w.channels * size);
        else std::memcpy(rows + column * size, image + pixel * size, w.channels * size);
      });
    }
  });
  return columns;
}

PENUMBRA_CLONES void addTo(float* sum, const uint16_t* terms, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t bits = static_cast<uint32_t>(terms[i]) << 16;
    float term;
    std::memcpy(&term, &bits, 4);
    sum[i] += term;
  }
}

PENUMBRA_CLONES void roundTo(c10::BFloat16* to, const float* from, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = c10::BFloat16(from[i]);
}

void addTo(float* sum, const float* terms, int64_t count) {
  for (int64_t i = 0; i < count; ++i) sum[i] += terms[i];
}

void roundTo(float* to, const float* from, int64_t count) { std::memcpy(to, from, count * sizeof(float)); }

// The adjoint of toColumns: sums in float32, rounded once.
template <typename T, typename Bits>
void sumColumns(const at::Tensor& columns, at::Tensor& image, const Windows& w) {
  const auto* from = reinterpret_cast<const Bits*>(columns.const_data_ptr());
  auto* to = static_cast<T*>(image.mutable_data_ptr());
  at::parallel_for(0, image.size(0), 1, [&](int64_t begin, int64_t end) {
    std::vector<float> sums(w.pixels());
    for (int64_t n = begin; n < end; ++n) {
      std::fill(sums.begin(), sums.end(), 0.0f);
      const Bits* rows = from + n * w.rows() * w.columns();
      eachWindow(w, [&](int64_t column, int64_t pixel) {
        if (pixel >= 0) addTo(sums.data() + pixel, rows + column, w.channels);
      });
      roundTo(to + n * w.pixels(), sums.data(), w.pixels());
    }
  });
}

at::Tensor fromColumns(const at::Tensor& columns, at::IntArrayRef shape, const Windows& w) {
  if (w.kernel == 1 && w.stride == 1 && w.padding == 0)
    return columns.view({shape[0], shape[2], shape[3], shape[1]}).permute({0, 3, 1, 2});
  at::Tensor image = at::empty(shape, columns.options().memory_format(at::MemoryFormat::ChannelsLast));
  if (columns.scalar_type() == at::kBFloat16) sumColumns<c10::BFloat16, uint16_t>(columns, image, w);
  else sumColumns<float, float>(columns, image, w);
  return image;
}

// [outputs, C, kernel, kernel] -> [outputs, kernel² · C]; a view where the weight is in channels-last memory.
at::Tensor toRows(const at::Tensor& weight) { return weight.permute({0, 2, 3, 1}).reshape({weight.size(0), -1}); }

class ProductConvolution : public torch::autograd::Function<ProductConvolution> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& given, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                            int64_t stride, int64_t padding) {
    const at::Tensor input = given.contiguous(at::MemoryFormat::ChannelsLast);
    const Windows w = windowsOf(input, weight, stride, padding);
    context->save_for_backward({input, weight});
    context->saved_data["stride"] = stride;
    context->saved_data["padding"] = padding;
    context->saved_data["bias"] = bias.has_value();
    const at::Tensor columns = toColumns(input, w), rows = toRows(weight).t();
    // Not a view of the product: what a custom function returns as a view cannot be changed in place (relu_).
    at::Tensor output = at::empty({input.size(0), weight.size(0), w.outHeight, w.outWidth}, input.options().memory_format(at::MemoryFormat::ChannelsLast));
    at::Tensor product = output.permute({0, 2, 3, 1}).view({columns.size(0), weight.size(0)});
    if (bias) at::addmm_out(product, *bias, columns, rows);
    else at::mm_out(product, columns, rows);
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &weight = saved[1];
    const int64_t stride = context->saved_data["stride"].toInt(), padding = context->saved_data["padding"].toInt();
    const bool bias = context->saved_data["bias"].toBool();
    const bool forInput = context->needs_input_grad(0), forWeight = context->needs_input_grad(1);
    at::Tensor inputGradient, weightGradient, biasGradient;
    if (c10::GradMode::is_enabled()) {
      // Asked for a graph of the gradient: LibTorch's own operator has one.
      std::tie(inputGradient, weightGradient, biasGradient) =
          at::convolution_backward(gradients[0], input, weight, weight.size(0), {stride, stride}, {padding, padding}, {1, 1}, false, {0, 0}, 1,
                                   {forInput, forWeight, bias});
    } else {
      const Windows w = windowsOf(input, weight, stride, padding);
      const at::Tensor gradient =
          gradients[0].contiguous(at::MemoryFormat::ChannelsLast).permute({0, 2, 3, 1}).reshape({input.size(0) * w.rows(), weight.size(0)});
      if (forInput) inputGradient = fromColumns(at::mm(gradient, toRows(weight)), input.sizes(), w);
      if (forWeight)
        weightGradient = at::mm(gradient.t(), toColumns(input, w)).view({weight.size(0), w.kernel, w.kernel, w.channels}).permute({0, 3, 1, 2});
      if (bias) biasGradient = gradient.sum(0);
    }
    return {inputGradient, weightGradient, biasGradient, at::Tensor(), at::Tensor()};
  }
};

// convolve(input [N, C, H, W], weight [outputs, C, kernel, kernel], bias [outputs] | null, stride, padding): what conv2d
// returns, computed as one matrix product over gathered windows (im2col), its gradients as two. Under autocast in the
// type that autocast would choose.
napi_value jsConvolve(napi_env env, size_t, napi_value* argv) {
  at::Tensor input = toTensor(env, argv[0], "input"), weight = toTensor(env, argv[1], "weight");
  std::optional<at::Tensor> bias;
  if (const Given given = givenType(env, argv[2]); given != Given::kUndefined && given != Given::kNull) bias = toTensor(env, argv[2], "bias");
  if (at::autocast::is_autocast_enabled(at::kCPU)) {
    const auto type = at::autocast::get_autocast_dtype(at::kCPU);
    input = at::autocast::cached_cast(type, input, at::kCPU);
    weight = at::autocast::cached_cast(type, weight, at::kCPU);
    if (bias) bias = at::autocast::cached_cast(type, *bias, at::kCPU);
  }
  const auto type = input.scalar_type();
  if (type != weight.scalar_type() || (type != at::kBFloat16 && type != at::kFloat) || !input.device().is_cpu())
    throw JsError("torch/argument-type", "convolve takes images and a weight on the CPU, both bfloat16 or both float32");
  if (input.dim() != 4 || weight.dim() != 4 || input.size(1) != weight.size(1) || weight.size(2) != weight.size(3))
    throw JsError("torch/argument-type", "convolve takes images [N, C, H, W] and a weight [outputs, C, kernel, kernel]");
  return wrap(env, ProductConvolution::apply(input, weight, bias, toInt64(env, argv[3], "stride"), toInt64(env, argv[4], "padding")));
}

}  // namespace

void registerConvolution(napi_env env, napi_value exports) { method(env, exports, "convolve", jsConvolve); }

}  // namespace penumbra
