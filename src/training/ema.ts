import { aten, keep, noGrad, type Tensor, tidy } from '../torch/index.ts';
import type { Module, StateDict } from '../torch/nn/index.ts';

/**
 * An exponential moving average of a network's weights (Polyak & Juditsky, 1992; as timm's and torchvision's): after
 * step t, average ← d·average + (1 − d)·weights with d = min(decay, (1 + t)/(10 + t)), so that the first weights, which
 * know nothing, are soon forgotten (TensorFlow's rule). Buffers of floating point (batch norm's statistics) are averaged
 * too; counters are copied.
 */
export class WeightAverage {
  private readonly decay: number;
  private readonly model: Module;
  private readonly averages: StateDict;

  /** @param decay in (0, 1) */
  constructor(model: Module, decay: number) {
    this.model = model;
    this.decay = decay;
    this.averages = tidy(
      () => new Map(Array.from(model.stateDict(), ([name, tensor]) => [name, keep(tensor.detach().clone())])),
    );
  }

  /** Takes the weights in. @param step optimizer steps so far, from 1 */
  update(step: number): void {
    const decay = Math.min(this.decay, (1 + step) / (10 + step));
    tidy(() =>
      noGrad(() => {
        const averaged: [Tensor[], Tensor[]] = [[], []];
        for (const [name, tensor] of this.model.stateDict()) {
          const average = this.averages.get(name)!;
          if (!tensor.is_floating_point()) average.copy_(tensor);
          else {
            averaged[0].push(average);
            averaged[1].push(tensor.detach());
          }
        }
        aten._foreach_lerp_(averaged[0], averaged[1], 1 - decay);
      }),
    );
  }

  /** Starts anew from the network's weights as they are. */
  reset(): void {
    copyAll(this.model.stateDict(), this.averages);
  }

  /** Runs `body` while the network has the averaged weights. */
  async during<T>(body: () => Promise<T>): Promise<T> {
    const own = this.model.stateDict();
    const trained: StateDict = tidy(
      () => new Map(Array.from(own, ([name, tensor]) => [name, keep(tensor.detach().clone())])),
    );
    copyAll(this.averages, own);
    try {
      return await body();
    } finally {
      copyAll(trained, own);
      for (const tensor of trained.values()) tensor.dispose();
    }
  }

  /** The tensors themselves, not copies, by the network's names. */
  stateDict(): StateDict {
    return this.averages;
  }

  loadStateDict(state: StateDict): void {
    copyAll(state, this.averages);
  }

  dispose(): void {
    for (const tensor of this.averages.values()) tensor.dispose();
  }
}

function copyAll(from: StateDict, to: StateDict): void {
  noGrad(() => {
    for (const [name, tensor] of to) tensor.copy_(from.get(name)!);
  });
}
