/**
 * 10,000 steps of a small network, and more where memory still grows; prints what it leaks. Needs --expose-gc.
 * Arguments: precision, objective, mixup's α, and the bytes a step that are no leak.
 */

import { BatchLoader, openDataset } from '../../src/data/index.ts';
import { createObjective, parseObjective } from '../../src/objectives/index.ts';
import { oneOfK } from '../../src/tasks/index.ts';
import { Generator, memoryStatistics, setThreads, type Tensor, tidy } from '../../src/torch/index.ts';
import { BatchNorm2d, Conv2d, chain, Linear, Module } from '../../src/torch/nn/index.ts';
import { SGD } from '../../src/torch/optim/index.ts';
import { trainStep } from '../../src/training/train-step.ts';
import { bytesInUse, growth } from '../growth.ts';
import { unreleased } from '../unreleased.ts';

class Small extends Module {
  private readonly conv: Conv2d;
  private readonly norm: BatchNorm2d;
  private readonly fc: Linear;

  constructor(generator: Generator) {
    super();
    this.conv = this.child('conv', new Conv2d(1, 8, 5, { generator, stride: 4 }));
    this.norm = this.child('norm', new BatchNorm2d(8));
    this.fc = this.child('fc', new Linear(8, 5, { generator }));
  }

  override forward(images: Tensor): Tensor {
    return chain(
      images,
      this.conv,
      this.norm,
      (x) => x.relu_(),
      (x) => x.mean([2, 3]),
      this.fc,
    );
  }
}

const [, , precisionName, method = 'ols', alpha = '0', limit = '200'] = process.argv;
setThreads(1);
const train = openDataset('phantom', { phantom: { images: 200, size: 32 } }).splits.train!;
const generator = new Generator(0);
const model = tidy(() => new Small(generator)).to({ memoryFormat: 'channels_last' });
const { length: samples, targets } = train;
const context = { task: oneOfK, classes: 5, samples, targets, epochs: 1, device: 'cpu', generator };
const objective = tidy(() => createObjective(parseObjective(method), context));
const optimizer = new SGD(model.namedParameters(), { learningRate: 0.01, momentum: 0.9, nesterov: true });
const precision = precisionName === 'bfloat16' ? 'bfloat16' : 'float32';
const mode = { device: 'cpu', precision, threads: 1, fused: true, reason: '' } as const;
const loader = new BatchLoader(train, {
  batchSize: 4,
  shuffle: true,
  layout: 'NHWC',
  augment: { pad: 4, flip: true },
});

const teacher = tidy(() => new Small(generator)).eval();
const mixup = Number(alpha) > 0 ? { alpha: Number(alpha), generator } : undefined;

const tensors = new Set<number>();
let step = 0;
let epoch = 0;
/** Runs until so many steps are done in all; epochs are short, and the last one is finished. */
async function advance(steps: number): Promise<void> {
  for (; step < steps; epoch++) {
    for await (const batch of loader.epoch(epoch)) {
      trainStep({ model, optimizer, objective, mode, teacher, mixup }, batch, epoch);
      batch.release();
      step++;
      if (step > 1) tensors.add(unreleased());
    }
    tidy(() => objective.endEpoch());
  }
  globalThis.gc!();
}
const perStep = await growth(advance, bytesInUse, Number(limit));
await loader.close();
process.stdout.write(
  JSON.stringify({ step, tensors: [...tensors], perStep, collected: memoryStatistics().collected }),
);
