import { PenumbraError } from '../errors.ts';
import type { Tensor } from '../torch/index.ts';
import type { StateDict } from '../torch/nn/index.ts';

/** The part of an objective that learns: tensors with names, saved and loaded as they are. */
export abstract class Stateful {
  abstract readonly name: string;

  /** The tensors themselves, not copies. */
  abstract stateDict(): StateDict;

  /** @throws `objectives/state` before anything is changed */
  loadStateDict(state: StateDict): void {
    const own = this.stateDict();
    for (const [name, tensor] of own) {
      if (state.get(name)?.shape.join() === tensor.shape.join()) continue;
      throw new PenumbraError(
        'objectives/state',
        `${this.name}: the saved state has no '${name}' of ${tensor.shape.join('×')}`,
        { hint: 'it was saved by another method or for another number of classes' },
      );
    }
    for (const [name, tensor] of own) tensor.copy_(state.get(name) as Tensor);
  }

  dispose(): void {
    for (const tensor of this.stateDict().values()) tensor.dispose();
  }
}
