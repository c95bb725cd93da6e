import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { unreleased } from '../../test/unreleased.ts';
import {
  aten,
  autocast,
  Generator,
  noGrad,
  Scope,
  setThreads,
  type Tensor,
  tensor,
  tidy,
} from '../torch/index.ts';
import { Dropout } from '../torch/nn/index.ts';
import { createModel, type ModelOptions, modelNames } from './index.ts';

/** What torchvision's network has under a name (test/oracle/models.py). */
interface Expected {
  readonly shape: readonly number[];
  /** Mean, standard deviation and largest magnitude of its initial values; of parameters only. */
  readonly drawn?: readonly [number, number, number];
}

beforeAll(() => setThreads(1));

describe.each(modelNames())('%s', (name) => {
  test('has the names and shapes of torchvision, in its order, and draws its weights alike', () => {
    const path = new URL(`../../test/fixtures/models/${name}-state.json`, import.meta.url);
    const expected = JSON.parse(readFileSync(path, 'utf8')) as Record<string, Expected>;
    const model = createModel(name, { classes: 1000, channels: 3, generator: new Generator(7) });
    expect(Array.from(model.stateDict(), ([key, { shape }]) => [key, shape])).toEqual(
      Object.entries(expected).map(([key, { shape }]) => [key, shape]),
    );
    const parameters = [...model.namedParameters()];
    expect(parameters.map(([key]) => key)).toEqual(
      Object.keys(expected).filter((key) => expected[key]!.drawn !== undefined),
    );
    for (const [key, parameter] of parameters) expectDrawnAlike(parameter, expected[key]!.drawn!, key);
    const head = parameters.filter(([key]) => key.startsWith(`${model.head}.`));
    expect(head.map(([, { shape }]) => shape)).toEqual([[1000, model.featureSize], [1000]]);
    model.dispose();
  });

  test('trains in bfloat16 and channels-last memory from finite gradients, and loads its own state', () => {
    const options = { classes: 3, channels: 1, size: 32 } as const;
    const model = createModel(name, { ...options, generator: new Generator(1) });
    model.to({ memoryFormat: 'channels_last' });
    using _scope = new Scope();
    const images = aten
      .randn([4, 1, 32, 32], { generator: new Generator(2) })
      .contiguous({ memory_format: 'channels_last' });
    const labels = tensor([0, 1, 2, 0], { dtype: 'int64' });
    const loss = autocast(() => aten.cross_entropy_loss(model.forward(images), labels));
    loss.backward();
    expect(loss.item()).toBeGreaterThan(0);
    expect(loss.item()).toBeLessThan(20);
    for (const [key, { grad }] of model.namedParameters()) expect(grad!.isfinite().all().item(), key).toBe(1);
    noGrad(() => {
      for (const parameter of model.parameters()) parameter.sub_(parameter.grad!, { alpha: 1e-3 });
    });

    const other = createModel(name, { ...options, generator: new Generator(3) });
    other.loadStateDict(model.stateDict());
    const logits = [model, other].map((one) => noGrad(() => one.eval().forward(images)));
    expect(logits[0]!.isfinite().all().item()).toBe(1);
    expect(aten.allclose(logits[0]!, logits[1]!, 1e-4, 1e-5)).toBe(true);
    model.dispose();
    other.dispose();
  });

  test('frees every intermediate result and its own weights', () => {
    const before = unreleased();
    const options = { classes: 3, channels: 1, stem: 'small', size: 32 } as const;
    const model = createModel(name, { ...options, generator: new Generator(0) });
    const own = model.stateDict().size;
    expect(unreleased()).toBe(before + own);
    tidy(() => {
      const images = aten.zeros([2, 1, 32, 32]);
      for (const training of [true, false]) {
        const within = unreleased();
        const logits = model.train(training).forward(images);
        // Only the logits: what autograd needs it holds itself.
        expect(unreleased()).toBe(within + 1);
        expect(images.released).toBe(false);
        expect(logits.shape).toEqual([2, 3]);
      }
    });
    model.dispose();
    expect(unreleased()).toBe(before);
  });
});

/** Bounds are six deviations of the estimates. */
function expectDrawnAlike(parameter: Tensor, drawn: readonly [number, number, number], key: string): void {
  const [mean, deviation, largest] = drawn;
  using _scope = new Scope();
  const values = parameter.detach();
  if (deviation === 0) {
    expect([values.min().item(), values.max().item()], key).toEqual([mean, mean]);
    return;
  }
  const root = Math.sqrt(values.size);
  const own = values.std(false).item();
  expect(Math.abs(own / deviation - 1), key).toBeLessThan(6 / root);
  expect(Math.abs(values.mean().item()) / own, key).toBeLessThan(6 / root);
  // A uniform distribution ends at √3 deviations, and no sample of a normal one that is large.
  if (values.size < 1000) return;
  const uniform = largest / deviation < 1.8;
  expect(values.abs().max().item() / own < 1.8, key).toBe(uniform);
}

test('equal seeds draw equal weights, and other seeds others', () => {
  const drawn = (seed: number) => {
    const model = createModel('vit_ti_16', { classes: 3, channels: 1, generator: new Generator(seed) });
    const hash = createHash('sha256');
    for (const parameter of model.parameters()) hash.update(parameter.toTypedArray());
    model.dispose();
    return hash.digest('hex');
  };
  expect(drawn(1)).toBe(drawn(1));
  expect(drawn(2)).not.toBe(drawn(1));
});

test('dropout draws from its own generator, in training only', () => {
  const dropoutGenerator = new Generator(5);
  const options = { classes: 3, channels: 1, stem: 'small', size: 32, dropoutGenerator } as const;
  const model = createModel('mobilenet_v2', { ...options, generator: new Generator(0) });
  using _scope = new Scope();
  const images = aten.randn([2, 1, 32, 32], { generator: new Generator(1) });
  const features = () => noGrad(() => model.features(images));
  const dropout = [...model.modules()].find((module) => module instanceof Dropout)!;
  dropout.p = 0;
  const whole = features();
  dropout.p = 0.2;
  const start = dropoutGenerator.state;
  const first = features();
  expect(features().equal(first)).toBe(false);
  dropoutGenerator.state = start;
  expect(features().equal(first)).toBe(true);
  const kept = first.ne(0).to({ dtype: 'float32' });
  expect(aten.allclose(first, whole.mul(kept).div(0.8), 1e-5, 1e-6)).toBe(true);
  const alive = whole.ne(0).to({ dtype: 'float32' }).sum().item();
  expect(alive).toBeGreaterThan(1000);
  expect(Math.abs(kept.sum().item() / alive - 0.8)).toBeLessThan(6 * Math.sqrt((0.2 * 0.8) / alive));

  model.eval();
  const state = dropoutGenerator.state;
  expect(features().equal(features())).toBe(true);
  expect(dropoutGenerator.state.equal(state)).toBe(true);
  model.dispose();
});

const make = (name: string, options: Partial<ModelOptions>) =>
  createModel(name, { classes: 2, channels: 1, generator: new Generator(0), ...options });

test.each([
  ['vgg19', { size: 31 }, /VGG takes images of at least 32×32 pixels, not 31×31/],
  ['densenet121', { size: 28 }, /DenseNet takes images of at least 29×29/],
  ['densenet121', { size: 7, stem: 'small' }, /DenseNet takes images of at least 8×8/],
  ['vit_ti_16', { size: 8 }, /at least 16×16/],
  ['vit_ti_16', { size: 100 }, /patches of 16×16 pixels, which 100×100 is no multiple of/],
  ['vit_ti_16', { size: 30, stem: 'small' }, /patches of 4×4 pixels, which 30×30 is no multiple of/],
] as const)('%s with %o says which images it takes', (name, options, message) => {
  expect(() => make(name, options)).toThrowError(
    expect.objectContaining({ code: 'models/image-size', message: expect.stringMatching(message) }),
  );
});

test.each([
  ['densenet121', { size: 29 }],
  ['densenet121', { size: 8, stem: 'small' }],
  ['mobilenet_v2', { size: 1 }],
  ['resnet10', { size: 1 }],
] as const)('%s takes images with %o, the smallest', (name, options) => {
  const model = make(name, options).eval();
  tidy(() => {
    const logits = noGrad(() => model.forward(aten.ones([1, 1, options.size, options.size])));
    expect(logits.isfinite().all().item()).toBe(1);
  });
  model.dispose();
});

test('a vision transformer says that it was made for another size', () => {
  const model = make('vit_ti_16', { size: 32 });
  expect(() => tidy(() => model.forward(aten.zeros([1, 1, 48, 32])))).toThrow(
    /made for images of 32×32 pixels, and was given 48×32/,
  );
  model.dispose();
});

test('an unknown model is an error that names those there are', () => {
  expect(() => make('resnet19', {})).toThrowError(
    expect.objectContaining({ code: 'models/unknown', hint: `one of: ${modelNames().join(', ')}` }),
  );
  expect(() => make('toString', {})).toThrowError(expect.objectContaining({ code: 'models/unknown' }));
});
