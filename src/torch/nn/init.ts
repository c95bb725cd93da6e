import { noGrad } from '../autograd.ts';
import type { Generator } from '../generator.ts';
import type { Tensor } from '../tensor.ts';

/** Number of inputs and outputs that one weight connects (convolutions count their window). */
function fans(weight: Tensor): { fanIn: number; fanOut: number } {
  const [outputs = 1, inputs = 1, ...window] = weight.shape;
  const area = window.reduce((product, size) => product * size, 1);
  return { fanIn: inputs * area, fanOut: outputs * area };
}

/** N(0, 2 / fan_out), in place: He et al. 2015, as torchvision initialises its convolutions. */
export function kaimingNormal_(weight: Tensor, generator: Generator): Tensor {
  return noGrad(() => weight.normal_(0, Math.sqrt(2 / fans(weight).fanOut), { generator }));
}

/** U(−b, b) with b = 1/√fan_in, in place: PyTorch's default for the weight and bias of linear layers and convolutions. */
export function uniformFanIn_(tensor: Tensor, weight: Tensor, generator: Generator): Tensor {
  const bound = 1 / Math.sqrt(fans(weight).fanIn);
  return noGrad(() => tensor.uniform_(-bound, bound, { generator }));
}
