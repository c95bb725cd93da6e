import type { Network } from '../models/index.ts';
import { aten, enableGrad, grad, keep, type Tensor, tensor, tidy } from '../torch/index.ts';
import { hooked } from '../torch/nn/index.ts';
import { byPlace, layerOf, type PlacedFeatures } from './places.ts';

export interface GradCamOptions {
  /** Name of the layer to look at. Default: the network's own `places.map`, its last features by place. */
  readonly layer?: string | undefined;
}

/** Which outputs are explained: for each of N images M numbers, or each image's greatest logit (M = 1). */
export type Wanted = readonly (readonly number[])[] | 'greatest';

/** What was explained of N images. */
export interface Maps {
  /** [N, M, h, w], float32, none negative: for M outputs of each image where it speaks for them. */
  readonly maps: Tensor;
  /** [N, M], int64: which. */
  readonly outputs: Tensor;
  /** [N, K] */
  readonly logits: Tensor;
}

/**
 * Grad-CAM (Selvaraju et al., ICCV 2017, equations 1 and 2): with A the last features by place and z_k the logit,
 *
 *     α_c = mean over places of ∂z_k/∂A_c,    map = max(0, Σ_c α_c·A_c).
 *
 * Of a vision transformer A is the patches' part of what the last block's first layer norm gives, as in pytorch-grad-cam:
 * behind that block the logits depend on the class token, or the tokens of the findings, alone. The forward pass up to A
 * records nothing, and each output costs one pass back through what follows it.
 *
 * @param model in evaluation mode, float32
 * @throws `explain/layer`
 */
export function gradCam(model: Network, images: Tensor, wanted: Wanted, options: GradCamOptions = {}): Maps {
  const layer = layerOf(model, options.layer);
  let leaf: Tensor | undefined;
  try {
    return tidy(() =>
      withoutGradients(model, () =>
        enableGrad(() => {
          const logits = hooked(
            model.submodule(layer),
            (output) => {
              leaf = keep(output.detach().requires_grad_());
              // What follows may work in place, which a leaf forbids.
              return leaf.clone();
            },
            () => model.forward(images),
          );
          const features = byPlace(leaf!.detach(), model, layer);
          const outputs = numbersOf(wanted, logits);
          const chosen = logits.gather(1, outputs);
          const maps = Array.from({ length: outputs.shape[1]! }, (_, m) =>
            tidy(() => {
              // Images do not see each other in evaluation, so the gradient of the sum is each one's own.
              const [slope] = grad([chosen.select(1, m).sum()], [leaf!], { retainGraph: true });
              return camOf(features, byPlace(slope!, model, layer));
            }),
          );
          return { maps: aten.stack(maps, 1), outputs, logits: logits.detach() };
        }),
      ),
    );
  } finally {
    leaf?.dispose();
  }
}

/** [N, M], int64. */
export function numbersOf(wanted: Wanted, logits: Tensor): Tensor {
  if (wanted === 'greatest') return logits.detach().argmax(1, true);
  return tensor(wanted as number[][], { dtype: 'int64' }).to({ device: logits.device });
}

/** [N, h, w] of features and of the slope at them. */
function camOf(at: PlacedFeatures, slope: PlacedFeatures): Tensor {
  if (at.kind === 'map') {
    const weights = slope.features.mean([2, 3], true);
    return weights.mul(at.features).sum([1]).relu();
  }
  const weights = slope.features.mean([1], true);
  return weights.mul(at.features).sum([-1]).relu().unflatten(1, at.grid);
}

/** Runs `body` while no parameter asks for a gradient: then only what follows the features is recorded. */
function withoutGradients<T>(model: Network, body: () => T): T {
  const asking = model.parameters().filter(({ requiresGrad }) => requiresGrad);
  for (const parameter of asking) parameter.requires_grad_(false);
  try {
    return body();
  } finally {
    for (const parameter of asking) parameter.requires_grad_(true);
  }
}
