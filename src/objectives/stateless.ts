import type { StateDict } from '../torch/nn/index.ts';

/** The part of an objective that remembers nothing. */
export abstract class Stateless {
  stateDict(): StateDict {
    return new Map();
  }

  loadStateDict(_state: StateDict): void {}

  dispose(): void {}
}
