import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { uniform, weights } from '../../test/oracle/fill.ts';
import { unreleased } from '../../test/unreleased.ts';
import { createModel, type Network } from '../models/index.ts';
import { aten, fromTypedArray, Generator, noGrad, Scope, setThreads, tidy } from '../torch/index.ts';
import { attentionRollout, gradCam } from './index.ts';

/** From PyTorch: test/oracle/explain.py. */
interface Case {
  readonly model: string;
  readonly layer: string;
  readonly channels: number;
  readonly stem: 'standard' | 'small';
  readonly size: number;
  readonly shape: readonly [number, number, number, number];
  readonly maps: readonly number[];
  /** [images, tokens, h·w] */
  readonly rollout?: readonly number[];
}

const BATCH = 4;
const CLASSES = 7;
const cases = JSON.parse(
  readFileSync(new URL('../../test/fixtures/explain/maps.json', import.meta.url), 'utf8'),
) as Case[];

beforeAll(() => setThreads(1));

function network({ model: name, channels, stem, size }: Case): Network {
  const model = createModel(name, { classes: CLASSES, channels, stem, size, generator: new Generator(0) });
  for (const [key, own] of model.stateDict())
    tidy(() => noGrad(() => own.copy_(fromTypedArray(weights(key, own.shape), { shape: own.shape }))));
  return model.eval();
}

function images({ channels, size }: Case) {
  const shape = [BATCH, channels, size, size];
  return fromTypedArray(uniform('images', BATCH * channels * size * size), { shape });
}

/** The largest difference, as a share of the largest value. */
function furthest(found: ArrayLike<number>, expected: readonly number[]): number {
  expect(found.length).toBe(expected.length);
  const largest = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((value, i) => Math.abs(value - found[i]!))) / largest;
}

const all = Array.from({ length: BATCH }, () => Array.from({ length: CLASSES }, (_, k) => k));

describe.each(cases)('$model with $stem stem and $size pixels', (oracle) => {
  test('Grad-CAM is that of a whole backward pass in PyTorch', () => {
    const model = network(oracle).to({ dtype: 'float64' });
    using _scope = new Scope();
    const pixels = images(oracle).to({ dtype: 'float64' });
    const { maps, logits } = gradCam(model, pixels, all, { layer: oracle.layer });
    expect(maps.shape).toEqual(oracle.shape);
    expect(furthest(maps.toTypedArray() as Float64Array, oracle.maps)).toBeLessThan(1e-6);
    expect(
      aten.allclose(
        logits,
        noGrad(() => model.forward(pixels)),
      ),
    ).toBe(true);
    // Some outputs of each image, in an order of its own.
    const some = gradCam(
      model,
      pixels,
      [
        [3, 1],
        [0, 6],
        [2, 2],
        [5, 4],
      ],
      { layer: oracle.layer },
    ).maps;
    for (const [i, m, k] of [
      [0, 0, 3],
      [1, 1, 6],
      [3, 1, 4],
    ] as const)
      expect(aten.allclose(some.select(0, i).select(0, m), maps.select(0, i).select(0, k))).toBe(true);
    model.dispose();
  });

  if (oracle.rollout !== undefined)
    test('attention rollout is the product of PyTorch’s attentions', () => {
      const model = network(oracle).to({ dtype: 'float64' });
      using _scope = new Scope();
      const { maps } = attentionRollout(model, images(oracle).to({ dtype: 'float64' }), all);
      expect(maps.shape).toEqual(oracle.shape);
      const [, , h, w] = oracle.shape;
      const tokens = oracle.rollout!.length / (BATCH * h * w);
      expect(tokens).toBe(oracle.model.startsWith('lu_') ? CLASSES : 1);
      const expected = tokens === 1 ? maps.select(1, 0) : maps;
      // Weights of attention are computed in single precision.
      expect(furthest(expected.contiguous().toTypedArray() as Float64Array, oracle.rollout!)).toBeLessThan(
        1e-5,
      );
      if (tokens === 1) expect(maps.select(1, 0).equal(maps.select(1, 5))).toBe(true);
      model.dispose();
    });
});

test('the default layer is the one of the oracle, and explaining leaves the network as it was', () => {
  const oracle = cases.find(({ model }) => model === 'resnet18')!;
  const model = network(oracle);
  tidy(() => {
    const pixels = images(oracle);
    const before = unreleased();
    const { maps, logits } = gradCam(model, pixels, all);
    expect(unreleased()).toBe(before + 3);
    expect(furthest(maps.toTypedArray() as Float32Array, oracle.maps)).toBeLessThan(1e-3);
    expect(logits.requiresGrad).toBe(false);
    for (const parameter of model.parameters()) {
      expect(parameter.requiresGrad).toBe(true);
      expect(parameter.grad).toBe(null);
    }
    expect(Object.hasOwn(model.submodule('layer4'), 'forward')).toBe(false);
  });
  model.dispose();
});

test('what cannot be explained is an error that says what can', () => {
  const model = createModel('resnet10', {
    classes: 2,
    channels: 1,
    stem: 'small',
    size: 16,
    generator: new Generator(0),
  }).eval();
  tidy(() => {
    const pixels = aten.zeros([1, 1, 16, 16]);
    expect(() => attentionRollout(model, pixels, [[0]])).toThrow(
      expect.objectContaining({ code: 'explain/method' }),
    );
    expect(() => gradCam(model, pixels, [[0]], { layer: 'fc' })).toThrow(
      expect.objectContaining({ code: 'explain/layer' }),
    );
    expect(() => gradCam(model, pixels, [[0]], { layer: 'layer9' })).toThrow(/'layer9' is not known/);
  });
  model.dispose();
});
