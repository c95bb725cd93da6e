import { PenumbraError } from '../errors.ts';
import { aten, type Generator, type Tensor, tidy } from '../torch/index.ts';
import {
  Conv2d,
  chain,
  LayerNorm,
  Linear,
  Module,
  MultiheadAttention,
  normal_,
  Sequential,
  xavierUniform_,
} from '../torch/nn/index.ts';
import { type Classifier, imageSize, type ModelOptions } from './classifier.ts';
import type { Places } from './network.ts';
import { OutputLayer } from './output-layer.ts';

const DEPTH = 12;
/** The first block, from 0, that sees a token for each finding. */
const JOIN = DEPTH - 2;
const TOKENS = 'finding_tokens';

/**
 * Vision transformers (Dosovitskiy et al., ICLR 2021) over patches of 16×16 pixels, with torchvision's parameter names.
 * The widths Ti and S are those of DeiT (Touvron et al., ICML 2021), which torchvision does not have; B is in both.
 *
 * Every patch has its own learnt position, so a network takes images of the one `size` that it was made for.
 *
 * The `small` stem, for images of at most 64 pixels, has patches of 4×4 pixels: then the network is a ViT "/4", and the
 * weights of its patches are not those of a "/16".
 *
 * With `findingTokens` it is our LU-ViT: before the last two blocks the class token gives way to a token for each finding,
 * which starts as what the class token has become plus a learnt vector, and the logit of a finding comes from its own
 * token. Late tokens are those of CaiT (Touvron et al., ICCV 2021), and cost about a hundredth of a step; tokens in all
 * blocks would cost a fourteenth. `docs/lu-vit.md` says what of this is the paper's.
 */
export class VisionTransformer extends Module implements Classifier {
  readonly featureSize: number;
  readonly head = 'heads.head';
  readonly additions: readonly string[];
  readonly places: Places;
  private readonly size: number;
  private readonly classToken: Tensor;
  private readonly findingTokens: Tensor | undefined;
  private readonly patches: Conv2d;
  private readonly encoder: Encoder;
  private readonly last: OutputLayer;

  /** @param width a multiple of `heads` */
  constructor(width: number, heads: number, options: ModelOptions) {
    super();
    const { channels, generator } = options;
    const patch = options.stem === 'small' ? 4 : 16;
    this.size = imageSize('a vision transformer', options, patch);
    if (this.size % patch !== 0) {
      const below = this.size - (this.size % patch);
      throw new PenumbraError(
        'models/image-size',
        `a vision transformer cuts images into patches of ${patch}×${patch} pixels, which ${this.size}×${this.size} is no multiple of`,
        { hint: `train with size ${below} or ${below + patch}` },
      );
    }
    this.featureSize = width;
    this.classToken = this.parameter('class_token', aten.zeros([1, 1, width]));
    // torchvision cuts this normal distribution off at ±2, eight deviations away or more.
    const init = normal_(1 / Math.sqrt(channels * patch * patch));
    this.patches = this.child(
      'conv_proj',
      new Conv2d(channels, width, patch, { generator, stride: patch, bias: true, init }),
    );
    this.encoder = this.child('encoder', new Encoder((this.size / patch) ** 2 + 1, width, heads, generator));
    this.last = new OutputLayer(width, options.classes, { generator });
    this.child('heads', new Sequential({ head: this.last }));
    const side = this.size / patch;
    this.places = {
      // The last block has no use for what it would make of the patches: the gradient there is 0.
      map: `${layerName(DEPTH - 1)}.ln_1`,
      grid: [side, side],
      attentions: Array.from({ length: DEPTH }, (_, i) => `${layerName(i)}.self_attention`),
    };
    this.additions = options.findingTokens ? [TOKENS] : [];
    // Drawn last: everything else starts as in the network without them.
    if (options.findingTokens)
      this.findingTokens = this.parameter(
        TOKENS,
        normal_(0.02)(aten.empty([1, options.classes, width]), generator),
      );
  }

  /**
   * [N, channels, size, size] to [N, width], what the class token became; or to [N, classes, width], what the tokens of
   * the findings became.
   * @throws `models/image-size` for images of another size
   */
  features(images: Tensor): Tensor {
    const [batch, , height, width] = images.shape;
    if (height !== this.size || width !== this.size) {
      throw new PenumbraError(
        'models/image-size',
        `this vision transformer was made for images of ${this.size}×${this.size} pixels, and was given ${height}×${width}`,
        { hint: `load the images in size ${this.size}, or make the network with theirs` },
      );
    }
    return chain(
      images,
      this.patches,
      (x) => x.flatten(2),
      (x) => x.transpose(1, 2),
      (x) => {
        using tokens = this.classToken.expand([batch!, -1, -1]);
        return aten.cat([tokens, x], 1);
      },
      (x) => this.encoder.forward(x, this.findingTokens),
    );
  }

  /** [N, channels, size, size] to logits [N, classes]. */
  override forward(images: Tensor): Tensor {
    return chain(images, (x) => this.features(x), this.last);
  }
}

function layerName(block: number): string {
  return `encoder.layers.encoder_layer_${block}`;
}

/** What follows on the positions of the tokens [N, length, width]. */
class Encoder extends Module {
  private readonly positions: Tensor;
  private readonly blocks: readonly EncoderBlock[];
  private readonly norm: LayerNorm;

  constructor(length: number, width: number, heads: number, generator: Generator) {
    super();
    this.positions = this.parameter(
      'pos_embedding',
      normal_(0.02)(aten.empty([1, length, width]), generator),
    );
    this.blocks = Array.from({ length: DEPTH }, () => new EncoderBlock(width, heads, generator));
    const named = Object.fromEntries(this.blocks.map((block, i) => [`encoder_layer_${i}`, block]));
    this.child('layers', new Sequential(named));
    this.norm = this.child('ln', new LayerNorm(width, { eps: 1e-6 }));
  }

  /**
   * @param findings [1, K, width]: what a token of each finding is beyond the class token
   * @returns what the first token became, [N, width]; with `findings` what theirs did, [N, K, width]
   */
  override forward(tokens: Tensor, findings?: Tensor): Tensor {
    const wanted = findings?.shape[1] ?? 1;
    return chain(
      tokens,
      (x) => x.add(this.positions),
      ...this.blocks.slice(0, JOIN),
      (x) => (findings === undefined ? x : divided(x, findings)),
      ...this.blocks.slice(JOIN, -1),
      // Nobody reads what the last block makes of the patches, so it computes the other tokens only.
      (x) => this.blocks.at(-1)!.forward(x, wanted),
      (x) => (findings === undefined ? x.select(1, 0) : x),
      this.norm,
    );
  }
}

/** [N, 1 + patches, width] to [N, K + patches, width]: the class token becomes K. */
function divided(x: Tensor, findings: Tensor): Tensor {
  return tidy(() => {
    const [token, patches] = x.split_with_sizes([1, x.shape[1]! - 1], 1);
    return aten.cat([token!.add(findings), patches!], 1);
  });
}

/** Attention, then a perceptron of each token by itself; each beside a shortcut, and behind a layer norm. */
class EncoderBlock extends Module {
  private readonly norm1: LayerNorm;
  private readonly attention: MultiheadAttention;
  private readonly norm2: LayerNorm;
  private readonly mlp: Sequential;

  constructor(width: number, heads: number, generator: Generator) {
    super();
    this.norm1 = this.child('ln_1', new LayerNorm(width, { eps: 1e-6 }));
    this.attention = this.child('self_attention', new MultiheadAttention(width, heads, { generator }));
    this.norm2 = this.child('ln_2', new LayerNorm(width, { eps: 1e-6 }));
    const init = { init: xavierUniform_, biasInit: normal_(1e-6) };
    this.mlp = this.child(
      'mlp',
      new Sequential({
        0: new Linear(width, 4 * width, { ...init, generator }),
        1: (x) => x.gelu(),
        3: new Linear(4 * width, width, { ...init, generator }),
      }),
    );
  }

  /** @param tokens how many tokens, from the first on, to give the output of; all unless given */
  override forward(input: Tensor, tokens?: number): Tensor {
    using attended = chain(input, this.norm1, (x) => this.attention.forward(x, { queries: tokens }));
    using shortcut = tokens === undefined ? null : input.narrow(1, 0, tokens);
    using between = attended.add(shortcut ?? input);
    using output = chain(between, this.norm2, this.mlp);
    return output.add(between);
  }
}

export function vit_ti_16(options: ModelOptions): VisionTransformer {
  return new VisionTransformer(192, 3, options);
}

export function vit_s_16(options: ModelOptions): VisionTransformer {
  return new VisionTransformer(384, 6, options);
}

export function vit_b_16(options: ModelOptions): VisionTransformer {
  return new VisionTransformer(768, 12, options);
}

export function lu_vit_ti_16(options: ModelOptions): VisionTransformer {
  return vit_ti_16({ findingTokens: true, ...options });
}

export function lu_vit_s_16(options: ModelOptions): VisionTransformer {
  return vit_s_16({ findingTokens: true, ...options });
}

export function lu_vit_b_16(options: ModelOptions): VisionTransformer {
  return vit_b_16({ findingTokens: true, ...options });
}
