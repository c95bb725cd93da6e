import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { distance, type Summary, summary, uniform, weights } from '../../test/oracle/fill.ts';
import {
  aten,
  fromTypedArray,
  Generator,
  memoryStatistics,
  Scope,
  setThreads,
  type Tensor,
  tensor,
  tidy,
} from '../torch/index.ts';
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
const TOLERANCE = 1e-4;

function fixture<T>(name: string): T {
  const path = new URL(`../../test/fixtures/models/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}

function filled(of: Pick<Case, 'model' | 'channels' | 'stem'>): Classifier {
  const { channels, stem } = of;
  const model = createModel(of.model, { classes: CLASSES, channels, stem, generator: new Generator(0) });
  tidy(() => {
    const state = Array.from(model.stateDict(), ([name, { shape }]): [string, Tensor] => [
      name,
      fromTypedArray(weights(name, shape), { shape }),
    ]);
    model.loadStateDict(new Map(state));
  });
  return model;
}

function floats(values: Tensor): Float32Array {
  return values.toTypedArray() as Float32Array;
}

beforeAll(() => setThreads(1));

/** The root mean square of some numbers. */
function size(values: readonly number[]): number {
  return Math.hypot(...values) / Math.sqrt(values.length);
}

describe.each(['resnet10', 'resnet18', 'resnet50'])('%s', (name) => {
  test('has the names and shapes of torchvision, in its order', () => {
    const model = createModel(name, { classes: 1000, channels: 3, generator: new Generator(0) });
    const state = Array.from(model.stateDict(), ([key, { shape }]) => [key, shape]);
    expect(state).toEqual(Object.entries(fixture<Record<string, number[]>>(`${name}-state`)));
    model.dispose();
  });

  describe.each(fixture<Case[]>(name))(
    'with $channels channels, $stem stem, $size pixels, training: $training',
    (oracle) => {
      // Both layouts: the second is the one that training uses, and takes other kernels.
      test.each(['contiguous_format', 'channels_last'] as const)('equals torchvision in %s', (format) => {
        const model = filled(oracle).to({ memoryFormat: format }).train(oracle.training);
        const shape = [BATCH, oracle.channels, oracle.size, oracle.size];
        using _scope = new Scope();
        const pixels = fromTypedArray(
          uniform(
            'images',
            shape.reduce((a, b) => a * b),
          ),
          { shape },
        );
        const logits = model.forward(pixels.contiguous({ memory_format: format }));
        for (const [i, value] of floats(logits).entries())
          expect(Math.abs(value - oracle.logits[i]!) / size(oracle.logits), `logit ${i}`).toBeLessThan(
            TOLERANCE,
          );

        const labels = tensor([0, 1, 2, 3], { dtype: 'int64' });
        const loss = aten.cross_entropy_loss(logits, labels);
        expect(Math.abs(loss.item() / oracle.loss - 1)).toBeLessThan(TOLERANCE);

        loss.backward();
        const gradients = new Map(model.namedParameters());
        expect([...gradients.keys()]).toEqual(Object.keys(oracle.gradients));
        // A gradient that vanishes in exact arithmetic (a shift before a batch norm) is compared with the others.
        const least = 1e-3 * Math.max(...Object.values(oracle.gradients).map(({ norm }) => norm));
        for (const [key, parameter] of gradients) {
          const found = summary(key, floats(parameter.grad!));
          expect(distance(found, oracle.gradients[key]!, least), key).toBeLessThan(TOLERANCE);
        }

        for (const [key, buffer] of model.namedBuffers()) {
          if (key.endsWith('num_batches_tracked')) expect(buffer.item()).toBe(oracle.training ? 1 : 0);
          else if (oracle.training)
            expect(distance(summary(key, floats(buffer)), oracle.statistics[key]!), key).toBeLessThan(
              TOLERANCE,
            );
          else expect(floats(buffer), key).toEqual(weights(key, buffer.shape));
        }
        model.dispose();
      });
    },
  );

  test('gives the features that its last layer sees', () => {
    const oracle = fixture<Case[]>(name).find(({ training, channels }) => !training && channels === 1)!;
    const model = filled(oracle).eval();
    using _scope = new Scope();
    const shape = [BATCH, 1, oracle.size, oracle.size];
    const features = model.features(
      fromTypedArray(
        uniform(
          'images',
          shape.reduce((a, b) => a * b),
        ),
        { shape },
      ),
    );
    expect(features.shape).toEqual([BATCH, model.featureSize]);
    expect(distance(summary('features', floats(features)), oracle.features)).toBeLessThan(TOLERANCE);
    model.dispose();
  });

  test('draws its weights as torchvision does', () => {
    const model = createModel(name, { classes: 1000, channels: 3, generator: new Generator(7) });
    for (const [key, parameter] of model.namedParameters()) {
      const values = floats(parameter);
      const [outputs, inputs = 0, height = 1, width = 1] = parameter.shape;
      if (parameter.ndim === 4) {
        // N(0, 2 / fan_out). Bounds are six deviations of the estimates.
        const deviation = Math.sqrt(2 / (outputs! * height * width));
        const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
        const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
        expect(Math.abs(mean) / deviation, key).toBeLessThan(6 / Math.sqrt(values.length));
        expect(Math.abs(variance / deviation ** 2 - 1), key).toBeLessThan(6 * Math.sqrt(2 / values.length));
        const beyond =
          values.filter((value) => Math.abs(value) > 1.959964 * deviation).length / values.length;
        expect(Math.abs(beyond - 0.05), key).toBeLessThan(6 * Math.sqrt((0.05 * 0.95) / values.length));
      } else if (key.startsWith('fc.')) {
        // U(−b, b), b = 1/√fan_in, for the weight and for the bias.
        const bound = 1 / Math.sqrt(parameter.ndim === 2 ? inputs : model.featureSize);
        const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        expect(largest, key).toBeLessThanOrEqual(bound);
        expect(largest, key).toBeGreaterThan(bound * (1 - 10 / values.length));
        const square = values.reduce((sum, value) => sum + (value / bound) ** 2, 0) / values.length;
        expect(Math.abs(square - 1 / 3), key).toBeLessThan(6 * Math.sqrt(4 / 45 / values.length));
      } else {
        expect(new Set(values), key).toEqual(new Set([key.endsWith('weight') ? 1 : 0]));
      }
    }
    model.dispose();
  });
});

test('equal seeds draw equal weights, and other seeds others', () => {
  const drawn = (seed: number) => {
    const model = createModel('resnet18', { classes: 3, channels: 1, generator: new Generator(seed) });
    const hash = createHash('sha256');
    for (const parameter of model.parameters()) hash.update(floats(parameter));
    model.dispose();
    return hash.digest('hex');
  };
  expect(drawn(1)).toBe(drawn(1));
  expect(drawn(2)).not.toBe(drawn(1));
});

test.each(modelNames)('%s frees every intermediate result and its own weights', (name) => {
  const before = memoryStatistics().tensors;
  const model = createModel(name, { classes: 3, channels: 1, stem: 'small', generator: new Generator(0) });
  const own = model.stateDict().size;
  expect(memoryStatistics().tensors).toBe(before + own);
  tidy(() => {
    const images = aten.zeros([2, 1, 32, 32]);
    const within = memoryStatistics().tensors;
    const logits = model.forward(images);
    // Only the logits: what autograd needs it holds itself.
    expect(memoryStatistics().tensors).toBe(within + 1);
    expect(images.released).toBe(false);
    expect(logits.shape).toEqual([2, 3]);
  });
  model.dispose();
  expect(memoryStatistics().tensors).toBe(before);
});

test('the small stem keeps the resolution of small images, and loads no other weights silently', () => {
  const options = { classes: 3, channels: 1, generator: new Generator(0) };
  const small = createModel('resnet18', { ...options, stem: 'small' });
  const standard = createModel('resnet18', options);
  expect(() => small.loadStateDict(standard.stateDict())).toThrow(
    /do not fit the network: of another shape: conv1\.weight \(64×1×7×7, expected 64×1×3×3\)/,
  );
  small.dispose();
  standard.dispose();
});

test('an unknown model is an error that names those there are', () => {
  const make = () => createModel('resnet19', { classes: 2, channels: 1, generator: new Generator(0) });
  expect(make).toThrowError(
    expect.objectContaining({ code: 'models/unknown', hint: `one of: ${modelNames.join(', ')}` }),
  );
  expect(() => createModel('toString', { classes: 2, channels: 1, generator: new Generator(0) })).toThrow();
});
