import { type Handle, native } from './native.ts';
import { Tensor } from './tensor.ts';
import type { Device } from './types.ts';

/**
 * A source of random numbers. There is no hidden global one: every random operator asks for its generator, so that
 * a run can be saved and repeated.
 */
export class Generator {
  /** The native half. For the engine's own use. */
  readonly handle: Handle;

  /** @param seed an integer in [0, 2^63) */
  constructor(seed: number | bigint, device: Device = 'cpu') {
    this.handle = native.generator(seed, device === 'cuda' ? 'cuda:0' : device);
  }

  /** The whole state as a uint8 tensor: what a checkpoint stores. */
  get state(): Tensor {
    return new Tensor(native.generatorState(this.handle));
  }

  set state(state: Tensor) {
    native.setGeneratorState(this.handle, state.handle);
  }
}
