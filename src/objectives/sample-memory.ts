import { aten, fromTypedArray, keep, type Tensor, tensor } from '../torch/index.ts';

/** A row of K numbers for every sample of the training split: state of a method. */
export class SampleMemory {
  /** [samples, K], float32. */
  readonly rows: Tensor;

  /** @param start row-major; zeros where left out */
  constructor(samples: number, classes: number, device: Tensor['device'], start?: Float32Array) {
    this.rows = keep(
      start === undefined
        ? aten.zeros([samples, classes], { device })
        : tensor(start).view([samples, classes]).to({ device }),
    );
  }

  /** The rows of some samples, [N, K]. */
  of(indices: Int32Array): Tensor {
    return this.rows.index_select(0, this.numbers(indices));
  }

  /** @param rows [N, K] */
  set(indices: Int32Array, rows: Tensor): void {
    this.rows.index_copy_(0, this.numbers(indices), rows);
  }

  private numbers(indices: Int32Array): Tensor {
    return fromTypedArray(indices).to({ device: this.rows.device, dtype: 'int64' });
  }
}
