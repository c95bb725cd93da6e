/** Findings made of phantoms, and networks that train in milliseconds: for tests of what training does with them. */
import { type Dataset, type Findings, makeSubset, openDataset, type Subset } from '../../src/data/index.ts';
import { defineModel } from '../../src/models/index.ts';
import type { Generator, Tensor } from '../../src/torch/index.ts';
import { Dropout, Linear, Module } from '../../src/torch/nn/index.ts';

export const FINDINGS = ['mild', 'severe', 'rare'];

/** Phantoms of 32×32 pixels with one label of five. */
export function phantoms(images = 120): Dataset {
  return openDataset('phantom', { phantom: { images, size: 32 }, fractions: { val: 0.2, test: 0.2 } });
}

/**
 * The same with three findings that follow from the grade; some are unknown, and some rates are not 0.
 * @param known the share of known values
 */
export function findingsOf(dataset: Dataset, known = 0.8): Dataset {
  const splits = Object.fromEntries(
    Object.entries(dataset.splits).map(([name, subset]) => [name, withFindings(subset, known)]),
  );
  return { ...dataset, kind: 'findings', classes: FINDINGS, splits };
}

function withFindings(subset: Subset, share: number): Subset {
  const { labels, length, posterior: _, ...rest } = subset;
  const k = FINDINGS.length;
  const values = new Float32Array(length * k);
  const mask = new Uint8Array(length * k);
  const rates = new Float32Array(length * k);
  for (let i = 0; i < length; i++) {
    const grade = labels[i]!;
    values.set([Number(grade >= 1), grade === 2 ? 0.7 : Number(grade >= 3), Number(grade === 4)], i * k);
    for (let c = 0; c < k; c++) {
      mask[i * k + c] = Number(((i * 7 + c * 3) % 10) / 10 < share);
      rates[i * k + c] = ((i + c) % 3) / 5 - 0.1;
      if (mask[i * k + c] === 0) values[i * k + c] = 0;
    }
  }
  const targets: Findings = { kind: 'findings', names: FINDINGS, values, mask, rates };
  return makeSubset({ ...rest, posterior: undefined, targets });
}

class Flat extends Module {
  readonly head = 'fc';
  readonly featureSize = 8;
  private readonly first: Linear;
  private readonly dropout: Dropout | undefined;
  private readonly fc: Linear;

  constructor(inputs: number, classes: number, generator: Generator, drop?: Generator) {
    super();
    this.first = this.child('first', new Linear(inputs, 8, generator));
    if (drop !== undefined) this.dropout = this.child('dropout', new Dropout(0.3, drop));
    this.fc = this.child('fc', new Linear(8, classes, generator));
  }

  features(images: Tensor): Tensor {
    const hidden = this.first.forward(images.flatten(1)).tanh();
    return this.dropout?.forward(hidden) ?? hidden;
  }

  override forward(images: Tensor): Tensor {
    return this.fc.forward(this.features(images));
  }
}

const inputs = ({ channels, size = 224 }: { channels: number; size?: number }) => channels * size * size;

/** No layer of it looks at a whole batch, and nothing is drawn. */
export const flat = defineModel({
  name: 'flat',
  make: (options) => new Flat(inputs(options), options.classes, options.generator),
});

export const flatWithDropout = defineModel({
  name: 'flat-dropout',
  make: (options) =>
    new Flat(
      inputs(options),
      options.classes,
      options.generator,
      options.dropoutGenerator ?? options.generator,
    ),
});
