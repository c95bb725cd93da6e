import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { distance, type Summary, summary, uniform, weights } from '../../test/oracle/fill.ts';
import {
  aten,
  autocast,
  fromTypedArray,
  Generator,
  noGrad,
  Scope,
  setThreads,
  type Tensor,
  tensor,
  tidy,
} from '../torch/index.ts';
import { Dropout } from '../torch/nn/index.ts';
import { type Classifier, createModel, modelNames } from './index.ts';

/** From torchvision: test/oracle/models.py. */
interface Case {
  readonly model: string;
  readonly channels: number;
  readonly stem: 'standard' | 'small';
  readonly size: number;
  readonly training: boolean;
  readonly logits: readonly number[];
  readonly features: Summary;
  readonly loss: number;
  readonly gradients: Readonly<Record<string, Summary>>;
  readonly statistics: Readonly<Record<string, Summary>>;
}

const BATCH = 4;
const CLASSES = 7;
/** Of larger tensors (the two widest layers of VGG) the fixture has no gradient, only those of their biases. */
const LARGE = 5_000_000;

beforeAll(() => setThreads(1));

describe.each(modelNames())('%s', (name) => {
  const cases = fixture(name);
  let model: Classifier;
  let filledFor = '';

  /** The network of a case with the oracle's weights; one is kept from case to case, as VGG takes seconds to fill. */
  function filled({ channels, stem, size, training }: Case): Classifier {
    const key = JSON.stringify([channels, stem, size]);
    if (key !== filledFor) {
      if (filledFor !== '') model.dispose();
      const generator = new Generator(0);
      model = createModel(name, { classes: CLASSES, channels, stem, size, generator }) as Classifier;
      filledFor = key;
      fill(model.stateDict());
      for (const module of model.modules()) if (module instanceof Dropout) module.p = 0;
    } else {
      model.zeroGrad();
      fill(new Map(model.namedBuffers()));
    }
    return model.train(training);
  }

  afterAll(() => model.dispose());

  describe.each(cases)('with $channels channels, $stem stem, $size pixels, training: $training', (oracle) => {
    // In double precision nothing but the same computation gives the same gradients. In single precision rounding is
    // amplified by the batch norms of small batches, in PyTorch as here. Channels-last is the layout of training.
    test.each([
      ['float64', 'contiguous_format', 1e-8, 1e-8],
      ['float32', 'contiguous_format', 1e-4, 5e-3],
      ['float32', 'channels_last', 1e-4, 5e-3],
    ] as const)('equals torchvision in %s and %s', (dtype, format, tolerance, gradientTolerance) => {
      const model = filled(oracle).to({ dtype, memoryFormat: format });
      using _scope = new Scope();
      const pixels = images(oracle).to({ dtype, memory_format: format });
      const logits = model.forward(pixels);
      expect(furthest(logits, oracle)).toBeLessThan(tolerance);

      const labels = tensor([0, 1, 2, 3], { dtype: 'int64' });
      const loss = aten.cross_entropy_loss(logits, labels);
      expect(Math.abs(loss.item() / oracle.loss - 1)).toBeLessThan(tolerance);

      loss.backward();
      const gradients = [...model.namedParameters()].filter(([, { size }]) => size < LARGE);
      expect(gradients.map(([key]) => key)).toEqual(Object.keys(oracle.gradients));
      // A gradient that vanishes in exact arithmetic (a shift before a batch norm) is compared with the others.
      const least = 1e-3 * Math.max(...Object.values(oracle.gradients).map(({ norm }) => norm));
      for (const [key, parameter] of gradients) {
        const found = summary(key, floats(parameter.grad!));
        expect(distance(found, oracle.gradients[key]!, least), key).toBeLessThan(gradientTolerance);
      }

      for (const [key, buffer] of model.namedBuffers()) {
        if (key.endsWith('num_batches_tracked')) expect(buffer.item()).toBe(oracle.training ? 1 : 0);
        else if (oracle.training) {
          const found = summary(key, floats(buffer));
          expect(distance(found, oracle.statistics[key]!), key).toBeLessThan(tolerance);
        } else expect(Float32Array.from(floats(buffer)), key).toEqual(weights(key, buffer.shape));
      }
    });

    test('gives the features that its last layer sees', () => {
      const model = filled(oracle).to({ dtype: 'float64' });
      using _scope = new Scope();
      const features = noGrad(() => model.features(images(oracle).to({ dtype: 'float64' })));
      const tokens = name.startsWith('lu_') ? [CLASSES] : [];
      expect(features.shape).toEqual([BATCH, ...tokens, model.featureSize]);
      expect(distance(summary('features', floats(features)), oracle.features)).toBeLessThan(1e-8);
      const logits = model.submodule(model.head).forward(features);
      expect(furthest(logits, oracle)).toBeLessThan(1e-8);
    });

    // Rounding to 8 bits is too coarse for the batch statistics of four images.
    if (!oracle.training || name.includes('vit'))
      test('is near it in bfloat16', () => {
        const model = filled(oracle).to({ dtype: 'float32', memoryFormat: 'channels_last' });
        using _scope = new Scope();
        const pixels = images(oracle).contiguous({ memory_format: 'channels_last' });
        const logits = noGrad(() => autocast(() => model.forward(pixels)));
        // A product by tokens is none of autocast's list, and stays in single precision as the head should.
        expect(logits.dtype).toBe(name.startsWith('lu_') ? 'float32' : 'bfloat16');
        expect(furthest(logits, oracle)).toBeLessThan(0.05);
      });
  });
});

function fixture(name: string): Case[] {
  const path = new URL(`../../test/fixtures/models/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(path, 'utf8')) as Case[];
}

function fill(state: ReadonlyMap<string, Tensor>): void {
  for (const [name, own] of state)
    tidy(() => noGrad(() => own.copy_(fromTypedArray(weights(name, own.shape), { shape: own.shape }))));
}

function images({ channels, size }: Case): Tensor {
  const shape = [BATCH, channels, size, size];
  return fromTypedArray(uniform('images', BATCH * channels * size * size), { shape });
}

/** The largest difference of the logits, as a share of the root mean square of the oracle's. */
function furthest(logits: Tensor, oracle: Case): number {
  const values = floats(logits);
  expect(logits.shape).toEqual([BATCH, CLASSES]);
  const rms = Math.hypot(...oracle.logits) / Math.sqrt(oracle.logits.length);
  return Math.max(...oracle.logits.map((value, i) => Math.abs(value - values[i]!))) / rms;
}

function floats(values: Tensor): Float32Array | Float64Array {
  return values.toTypedArray() as Float32Array | Float64Array;
}
