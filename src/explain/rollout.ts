import { PenumbraError } from '../errors.ts';
import type { Network } from '../models/index.ts';
import { aten, keep, noGrad, type Tensor, tidy } from '../torch/index.ts';
import { hooked, MultiheadAttention } from '../torch/nn/index.ts';
import { type Maps, numbersOf, type Wanted } from './grad-cam.ts';

/**
 * Attention rollout (Abnar and Zuidema, ACL 2020): with Ā_b the attention of block b, averaged over heads,
 *
 *     R = Â_B · … · Â_1,    Â_b = Ā_b/2 + I/2,
 *
 * and the map is the row of R that belongs to the token whose last state is read, at the patches. In a network with a token
 * for each finding that is the finding's own; where the class token becomes those tokens, each takes over its row. With one
 * class token the map is the same for every output: it says where the network looked, not what for.
 *
 * @param model in evaluation mode, float32
 * @throws `explain/method` for a network without attention
 */
export function attentionRollout(model: Network, images: Tensor, wanted: Wanted): Maps {
  const { attentions, grid } = model.places ?? {};
  if (attentions === undefined || grid === undefined) {
    throw new PenumbraError('explain/method', 'attention rollout is for vision transformers', {
      hint: 'use grad-cam; a network of your own can have `places.attentions`',
    });
  }
  const patches = grid[0] * grid[1];
  let rolled: Tensor | undefined;
  try {
    return tidy(() =>
      noGrad(() => {
        const logits = watched(model, images, attentions, (attention, input) => {
          const next = tidy(() => {
            const before = rolled ?? unrolled(input, patches);
            const length = input.shape[1]!;
            const widened = before.shape[1] === length ? before : divided(before, length);
            return attention.weights(input).mean([1]).matmul(widened).add(widened).mul(0.5);
          });
          rolled?.dispose();
          rolled = keep(next);
        });
        const tokens = rolled!.shape[1]! - patches;
        const outputs = numbersOf(wanted, logits);
        const rows = tokens === 1 ? outputs.mul(0) : outputs;
        const index = rows.unsqueeze(2).expand([-1, -1, patches]);
        return { maps: rolled!.gather(1, index).unflatten(2, grid), outputs, logits };
      }),
    );
  } finally {
    rolled?.dispose();
  }
}

/** Of the first block's tokens, what is of which patch: [1, length, patches]. */
function unrolled(tokens: Tensor, patches: number): Tensor {
  const identity = aten.eye(patches).to({ device: tokens.device });
  return aten
    .cat([aten.zeros([tokens.shape[1]! - patches, patches]).to({ device: tokens.device }), identity], 0)
    .unsqueeze(0);
}

/** [N, 1 + patches, …] to [N, length, …]: the tokens that came from the class token have its row. */
function divided(rolled: Tensor, length: number): Tensor {
  const patches = rolled.shape[1]! - 1;
  const token = rolled.narrow(1, 0, 1).expand([-1, length - patches, -1]);
  return aten.cat([token, rolled.narrow(1, 1, patches)], 1);
}

/** The forward pass, with `look` called for each attention and its input, in their order. */
function watched(
  model: Network,
  images: Tensor,
  names: readonly string[],
  look: (attention: MultiheadAttention, input: Tensor) => void,
): Tensor {
  const [name, ...others] = names;
  if (name === undefined) return model.forward(images);
  const attention = model.submodule(name);
  if (!(attention instanceof MultiheadAttention)) {
    throw new PenumbraError('explain/method', `${name} is no self-attention`, {
      hint: 'places.attentions names modules of the kind nn.MultiheadAttention',
    });
  }
  const show = (output: Tensor, input: Tensor) => {
    look(attention, input);
    return output;
  };
  return hooked(attention, show, () => watched(model, images, others, look));
}
