import { autocast } from '../autograd.ts';
import type { Generator } from '../generator.ts';
import { native } from '../native.ts';
import { aten } from '../operators.ts';
import { type Tensor, tidy } from '../tensor.ts';
import { xavierUniform_, zeros_ } from './init.ts';
import { Linear } from './layers.ts';
import { Module } from './module.ts';

export interface AttentionOptions {
  /** How many positions, from the first on, to give the output of; each attends to all that the mask leaves. Default: all. */
  queries?: number;
  /** Bool [N, length]: true where there is a token to attend to, at least one in every row. Default: everywhere. */
  mask?: Tensor;
}

/**
 * Self-attention with several heads over [N, length, width] (Vaswani et al. 2017, section 3.2), with the parameters of
 * PyTorch's `nn.MultiheadAttention`: the rows of `in_proj_weight` give queries, keys and values in this order.
 */
export class MultiheadAttention extends Module {
  readonly inProjWeight: Tensor;
  readonly inProjBias: Tensor;
  private readonly outProj: Linear;
  private readonly width: number;
  private readonly heads: number;

  /** @param width a multiple of `heads` */
  constructor(width: number, heads: number, options: { generator: Generator }) {
    super();
    const { generator } = options;
    this.width = width;
    this.heads = heads;
    this.inProjWeight = this.parameter('in_proj_weight', aten.empty([3 * width, width]));
    xavierUniform_(this.inProjWeight, generator);
    this.inProjBias = this.parameter('in_proj_bias', aten.zeros([3 * width]));
    this.outProj = this.child('out_proj', new Linear(width, width, { generator, biasInit: zeros_ }));
  }

  /** @returns [N, queries, width] */
  override forward(input: Tensor, { queries, mask }: AttentionOptions = {}): Tensor {
    return tidy(() => {
      const [q, k, v] = this.project(input, queries).map((x) =>
        x.unflatten(-1, [this.heads, this.width / this.heads]).transpose(1, 2),
      ) as [Tensor, Tensor, Tensor];
      return this.outProj.forward(attend(q, k, v, mask).transpose(1, 2).flatten(2));
    });
  }

  /**
   * How much each position attends to each other, [N, heads, length, length], float32: softmax(Q·Kᵀ / √d), whose product with
   * the values `forward` gives without ever holding it.
   */
  weights(input: Tensor): Tensor {
    return tidy(() => {
      const [q, k] = this.project(input, undefined).map((x) =>
        x
          .unflatten(-1, [this.heads, this.width / this.heads])
          .transpose(1, 2)
          .to({ dtype: 'float32' }),
      ) as [Tensor, Tensor, Tensor];
      return q
        .matmul(k.transpose(2, 3))
        .mul(Math.sqrt(this.heads / this.width))
        .softmax(-1);
    });
  }

  /** Queries, keys and values as views of one product, or of two where not all queries are wanted. */
  private project(input: Tensor, queries: number | undefined): Tensor[] {
    const { inProjWeight: weight, inProjBias: bias, width } = this;
    if (queries === undefined) return aten.linear(input, weight, bias).chunk(3, -1);
    const some = input.narrow(1, 0, queries);
    return [
      aten.linear(some, weight.narrow(0, 0, width), bias.narrow(0, 0, width)),
      ...aten
        .linear(input, weight.narrow(0, width, 2 * width), bias.narrow(0, width, 2 * width))
        .chunk(2, -1),
    ];
  }
}

/** Longer sequences would need too much memory for the weights of every pair. */
const MOST_PAIRED = 512;

/** LibTorch's fused kernel for bfloat16 is written for AVX-512; with less, asked for or there, it fails or is slow. */
let fusesHalf: boolean | undefined;

/**
 * softmax(Q·Kᵀ / √d)·V over [N, heads, length, d]. Views of a packed product are taken as they are.
 *
 * LibTorch's fused CPU kernel takes longer for its gradient in bfloat16 than in float32. Where that gradient will be
 * wanted, the separate products with scores in float32 need three quarters of its time (measured with AVX512-BF16), and
 * round no more than it does.
 */
function attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | undefined): Tensor {
  const [batch, , length, width] = k.shape as [number, number, number, number];
  const seen = mask?.view([batch, 1, 1, length]);
  const separate = q.dtype === 'bfloat16' && q.device === 'cpu' && q.requiresGrad && length <= MOST_PAIRED;
  if (!separate) {
    const half = q.dtype === 'bfloat16' && q.device === 'cpu';
    if (!half || (fusesHalf ??= native.info().cpuCapability.startsWith('AVX512')))
      return aten.scaled_dot_product_attention(q, k, v, seen ?? null);
    const [query, key, value] = [q, k, v].map((x) => x.to({ dtype: 'float32' })) as [Tensor, Tensor, Tensor];
    return autocast(() => aten.scaled_dot_product_attention(query, key, value, seen ?? null), {
      dtype: 'float32',
    }).to({ dtype: 'bfloat16' });
  }
  const scaled = q.to({ dtype: 'float32' }).mul_(1 / Math.sqrt(width));
  const scores = autocast(() => scaled.matmul(k.transpose(2, 3)), { dtype: 'float32' });
  const masked = seen === undefined ? scores : scores.masked_fill(seen.logical_not(), -Infinity);
  return masked.softmax(-1).to({ dtype: 'bfloat16' }).matmul(v);
}
