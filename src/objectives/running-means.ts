import { aten, keep, type Tensor } from '../torch/index.ts';

/** Sums over an epoch and how many were added to each, from which means are made at its end: state of a method. */
export class RunningMeans {
  readonly sums: Tensor;
  readonly counts: Tensor;

  /** @param counts a shape that divides the sums' by broadcasting */
  constructor(sums: readonly number[], counts: readonly number[], device: Tensor['device']) {
    this.sums = keep(aten.zeros([...sums], { device }));
    this.counts = keep(aten.zeros([...counts], { device }));
  }

  /**
   * The means of the epoch, and how many they are of (0 where nothing was added: the mean is 0 there). Starts anew.
   * @param reduce adds up over processes
   */
  take(reduce: (sums: Tensor) => Tensor): { means: Tensor; total: Tensor } {
    const total = reduce(this.counts).clone();
    const means = reduce(this.sums).div(total.clamp_min(1));
    this.sums.zero_();
    this.counts.zero_();
    return { means, total };
  }

  state(): [string, Tensor][] {
    return [
      ['sums', this.sums],
      ['counts', this.counts],
    ];
  }
}
