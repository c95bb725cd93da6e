import { noGrad } from '../autograd.ts';
import type { Generator } from '../generator.ts';
import type { Tensor } from '../tensor.ts';

/** Fills a new weight, in place. */
export type Initializer = (weight: Tensor, generator: Generator) => Tensor;

/** Number of inputs and outputs that one weight connects (convolutions count their window). */
function fans(weight: Tensor): { fanIn: number; fanOut: number } {
  const [outputs = 1, inputs = 1, ...window] = weight.shape;
  const area = window.reduce((product, size) => product * size, 1);
  return { fanIn: inputs * area, fanOut: outputs * area };
}

/** N(0, 2 / fan_out), in place: He et al. 2015, as torchvision initialises most of its convolutions. */
export function kaimingNormal_(weight: Tensor, generator: Generator): Tensor {
  return normal_(Math.sqrt(2 / fans(weight).fanOut))(weight, generator);
}

/** N(0, 2 / fan_in), in place: the same for the forward pass instead of the backward one. */
export function kaimingNormalFanIn_(weight: Tensor, generator: Generator): Tensor {
  return normal_(Math.sqrt(2 / fans(weight).fanIn))(weight, generator);
}

/** U(−b, b) with b = √(6 / (fan_in + fan_out)), in place: Glorot and Bengio 2010. */
export function xavierUniform_(weight: Tensor, generator: Generator): Tensor {
  const { fanIn, fanOut } = fans(weight);
  const bound = Math.sqrt(6 / (fanIn + fanOut));
  return noGrad(() => weight.uniform_(-bound, bound, { generator }));
}

/** U(−b, b) with b = 1/√fan_in, in place: PyTorch's default for the weight and bias of linear layers and convolutions. */
export function uniformFanIn_(tensor: Tensor, weight: Tensor, generator: Generator): Tensor {
  const bound = 1 / Math.sqrt(fans(weight).fanIn);
  return noGrad(() => tensor.uniform_(-bound, bound, { generator }));
}

/** An initializer that draws from N(0, deviation²). */
export function normal_(deviation: number): Initializer {
  return (weight, generator) => noGrad(() => weight.normal_(0, deviation, { generator }));
}

export function zeros_(weight: Tensor): Tensor {
  return noGrad(() => weight.zero_());
}
