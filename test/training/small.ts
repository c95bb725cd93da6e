/** Findings made of phantoms, and networks that train in milliseconds: for tests of what training does with them. */
import {
  type Dataset,
  type Findings,
  makeSubset,
  openDataset,
  type Subset,
  type TokenSource,
} from '../../src/data/index.ts';
import { defineModel } from '../../src/models/index.ts';
import type { InputBatch } from '../../src/tasks/index.ts';
import { aten, type Generator, type Tensor } from '../../src/torch/index.ts';
import { BatchNorm2d, Conv2d, Dropout, Linear, Module, relu_ } from '../../src/torch/nn/index.ts';

export const FINDINGS = ['mild', 'severe', 'rare'];

/** Phantoms of 32×32 pixels with one label of five. */
export function phantoms(images = 120): Dataset {
  return openDataset('phantom', { phantom: { images, size: 32 }, fractions: { val: 0.2, test: 0.2 } });
}

/**
 * The same with three findings that follow from the grade; some are unknown, some rates are not 0, and labels are said to be wrong at times.
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
  const errors = FINDINGS.map((_, c) => ({ falsePositive: 0.02 * c, miss: 0.1, hedged: 0.05 }));
  const targets: Findings = { kind: 'findings', names: FINDINGS, values, mask, rates, errors };
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
    this.first = this.child('first', new Linear(inputs, 8, { generator }));
    if (drop !== undefined) this.dropout = this.child('dropout', new Dropout(0.3, { generator: drop }));
    this.fc = this.child('fc', new Linear(8, classes, { generator }));
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

class Normed extends Module {
  readonly head = 'fc';
  readonly featureSize = 8;
  private readonly convolution: Conv2d;
  private readonly norm: BatchNorm2d;
  private readonly fc: Linear;

  constructor(channels: number, classes: number, generator: Generator) {
    super();
    this.convolution = this.child('convolution', new Conv2d(channels, 8, 3, { generator, stride: 2 }));
    this.norm = this.child('norm', new BatchNorm2d(8));
    this.fc = this.child('fc', new Linear(8, classes, { generator }));
  }

  features(images: Tensor): Tensor {
    return relu_(this.norm.forward(this.convolution.forward(images))).mean([2, 3]);
  }

  override forward(images: Tensor): Tensor {
    return this.fc.forward(this.features(images));
  }
}

/** Looks at a whole batch. */
export const normed = defineModel({
  name: 'normed',
  make: ({ channels, classes, generator }) => new Normed(channels, classes, generator),
});

/** The same with a text of up to six words for each sample, one of which is its grade. */
export function withTexts(dataset: Dataset, images: boolean): Dataset {
  const splits = Object.fromEntries(
    Object.entries(dataset.splits).map(([name, subset]) => {
      const { labels, length, source, ...rest } = subset;
      const ids = new Int32Array(length * 6);
      const mask = new Uint8Array(length * 6);
      for (let i = 0; i < length; i++) {
        const text = [6, ...(i % 2 ? [7] : []), 1 + labels[i]!, ...(i % 3 ? [8] : [])];
        ids.set(text, i * 6);
        mask.fill(1, i * 6, i * 6 + text.length);
      }
      const tokens = byRow({ ids, mask, length: 6 }, subset);
      return [name, makeSubset({ ...rest, source: images ? source : undefined, tokens })];
    }),
  );
  return { ...dataset, splits };
}

/** Tokens of the samples at the rows that their images have. */
function byRow(tokens: TokenSource, { rows, length }: Subset): TokenSource {
  const most = rows.reduce((max, row) => Math.max(max, row), 0) + 1;
  const [ids, mask] = [new Int32Array(most * tokens.length), new Uint8Array(most * tokens.length)];
  for (let i = 0; i < length; i++) {
    const from = i * tokens.length;
    ids.set(tokens.ids.subarray(from, from + tokens.length), rows[i]! * tokens.length);
    mask.set(tokens.mask.subarray(from, from + tokens.length), rows[i]! * tokens.length);
  }
  return { ids, mask, length: tokens.length };
}

/** The mean of the words' vectors, and where there are images their mean too. */
class Words extends Module {
  private readonly words: Tensor;
  private readonly fc: Linear;

  constructor(classes: number, generator: Generator) {
    super();
    this.words = this.parameter('words', aten.randn([9, 8], { generator }));
    this.fc = this.child('fc', new Linear(8, classes, { generator }));
  }

  override forward(): Tensor {
    throw new Error('this network takes texts');
  }

  forwardInputs({ images, tokens, tokenMask }: InputBatch): Tensor {
    const weights = tokenMask!.to({ dtype: 'float32' }).unsqueeze(2);
    const mean = aten
      .embedding(this.words, tokens!)
      .mul(weights)
      .sum([1])
      .div(weights.sum([1]));
    return this.fc.forward(images === undefined ? mean : mean.add(images.mean([1, 2, 3]).unsqueeze(1)));
  }
}

export const words = defineModel({
  name: 'words',
  make: ({ classes, generator }) => new Words(classes, generator),
});
