import { aten, type Generator, type Tensor } from '../torch/index.ts';
import { Linear, zeros_ } from '../torch/nn/index.ts';

/**
 * A last layer that starts at zero. From features [N, inputs] it is a linear layer. From a token for each output,
 * [N, outputs, inputs], output k is the product of row k of the weight with token k alone: as many numbers, under the same
 * names, as a linear layer.
 */
export class OutputLayer extends Linear {
  constructor(inputs: number, outputs: number, options: { generator: Generator }) {
    super(inputs, outputs, { ...options, init: zeros_, biasInit: zeros_ });
  }

  /** @returns [N, outputs] */
  override forward(input: Tensor): Tensor {
    if (input.ndim === 2) return super.forward(input);
    using products = input.mul(this.weight);
    using sums = products.sum([-1]);
    return aten.add(sums, this.bias);
  }
}
