import type { Generator } from '../generator.ts';
import { aten } from '../operators.ts';
import { type Tensor, tidy } from '../tensor.ts';
import { xavierUniform_, zeros_ } from './init.ts';
import { Linear } from './layers.ts';
import { Module } from './module.ts';

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
  constructor(width: number, heads: number, generator: Generator) {
    super();
    this.width = width;
    this.heads = heads;
    this.inProjWeight = this.parameter('in_proj_weight', aten.empty([3 * width, width]));
    xavierUniform_(this.inProjWeight, generator);
    this.inProjBias = this.parameter('in_proj_bias', aten.zeros([3 * width]));
    this.outProj = this.child('out_proj', new Linear(width, width, generator, { biasInit: zeros_ }));
  }

  /**
   * @param queries how many positions, from the first on, to give the output of; each attends to all positions. All
   *   unless given.
   * @returns [N, queries, width]
   */
  override forward(input: Tensor, queries?: number): Tensor {
    return tidy(() => {
      const [q, k, v] = this.project(input, queries).map((x) =>
        x.unflatten(-1, [this.heads, this.width / this.heads]).transpose(1, 2),
      ) as [Tensor, Tensor, Tensor];
      // The fused kernel takes these views as they are, and lays its result out so that this transpose is free too.
      const attended = aten.scaled_dot_product_attention(q, k, v);
      return this.outProj.forward(attended.transpose(1, 2).flatten(2));
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
