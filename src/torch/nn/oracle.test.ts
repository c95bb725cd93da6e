/** Layers against PyTorch's, by the fixture of test/oracle/nn.py. */
import { readFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { distance, type Summary, summary, uniform, weights } from '../../../test/oracle/fill.ts';
import {
  aten,
  fromTypedArray,
  Generator,
  grad,
  noGrad,
  Scope,
  setThreads,
  type Tensor,
  tensor,
  tidy,
} from '../index.ts';
import {
  AdaptiveAvgPool2d,
  AvgPool2d,
  Dropout,
  Embedding,
  GroupNorm,
  MaxPool2d,
  type Module,
  TransformerEncoder,
} from './index.ts';

interface Recorded {
  readonly shape: readonly number[];
  readonly output: Summary;
  readonly gradients: Readonly<Record<string, Summary>>;
}

const TOLERANCE = 1e-5;
const recorded = JSON.parse(
  readFileSync(new URL('../../../test/fixtures/nn/layers.json', import.meta.url), 'utf8'),
) as Record<string, Recorded>;

const generator = new Generator(0);
const images = () => fromTypedArray(uniform('images', 2 * 6 * 7 * 7), { shape: [2, 6, 7, 7] });
const tokens = () => fromTypedArray(uniform('tokens', 3 * 5 * 8), { shape: [3, 5, 8] });
const mask = () =>
  tensor(
    [
      [1, 1, 1, 1, 1],
      [1, 1, 1, 0, 0],
      [1, 0, 0, 0, 0],
    ],
    { dtype: 'bool' },
  );

function filled<M extends Module>(layer: M): M {
  const state = Array.from(layer.stateDict(), ([name, { shape }]): [string, Tensor] => [
    name,
    fromTypedArray(weights(name, shape), { shape }),
  ]);
  layer.loadStateDict(new Map(state));
  return layer;
}

const encoder = (normFirst: boolean) =>
  filled(new TransformerEncoder(2, 8, 2, { generator, hidden: 12, normFirst }));
const masked = (layer: TransformerEncoder, x: Tensor) => layer.forward(x, { mask: mask() }).index([mask()]);

const cases: Record<string, () => [layer: Module, input: Tensor, forward?: (x: Tensor) => Tensor]> = {
  'max pool': () => [new MaxPool2d(3, { stride: 2, padding: 1 }), images()],
  'max pool, default stride': () => [new MaxPool2d(2), images()],
  'average pool': () => [new AvgPool2d(3, { stride: 2, padding: 1 }), images()],
  'adaptive average pool': () => [new AdaptiveAvgPool2d(3), images()],
  'group norm': () => [filled(new GroupNorm(3, 6)), images()],
  embedding: () => [
    filled(new Embedding(7, 4, { generator, padding: 2 })),
    tensor(
      [
        [0, 2, 6],
        [2, 5, 5],
      ],
      { dtype: 'int64' },
    ),
  ],
  'encoder, norm first': () => {
    const layer = encoder(true);
    return [layer, tokens(), (x) => masked(layer, x)];
  },
  'encoder, norm last': () => {
    const layer = encoder(false);
    return [layer, tokens(), (x) => masked(layer, x)];
  },
  'encoder, no mask': () => [encoder(true), tokens()],
};

beforeAll(() => setThreads(1));

test('every case here is in the fixture, and the other way round', () => {
  expect(Object.keys(cases)).toEqual(Object.keys(recorded));
});

test.each(Object.entries(recorded))('%s: output and gradients are PyTorch’s', (name, expected) => {
  using _scope = new Scope();
  const [layer, input, forward = (x: Tensor) => layer.forward(x)] = cases[name]!();
  const leaves = new Map(layer.namedParameters());
  if (input.is_floating_point()) leaves.set('input', input.requires_grad_());
  const output = forward(input);
  expect(output.shape).toEqual(expected.shape);
  expect(distance(summary('output', output.toTypedArray() as Float32Array), expected.output)).toBeLessThan(
    TOLERANCE,
  );
  const upstream = fromTypedArray(uniform('upstream', output.size), { shape: output.shape });
  const found = grad([output.mul(upstream).sum()], [...leaves.values()]);
  expect([...leaves.keys()].sort()).toEqual(Object.keys(expected.gradients).sort());
  for (const [i, key] of [...leaves.keys()].entries()) {
    const gradient = summary(key, found[i]!.toTypedArray() as Float32Array);
    expect(distance(gradient, expected.gradients[key]!), key).toBeLessThan(TOLERANCE);
  }
});

test('a fresh embedding’s padding row is zero', () => {
  const { weight } = new Embedding(5, 3, { generator, padding: 1 });
  tidy(() => {
    expect(weight.select(0, 1).toArray()).toEqual([0, 0, 0]);
    expect(weight.select(0, 0).abs().sum().item()).toBeGreaterThan(0);
  });
});

test('what is masked changes nothing, and dropout drops in training only', () => {
  using _scope = new Scope();
  const layer = new TransformerEncoder(1, 8, 2, { generator, dropout: 0.5 });
  const some = tokens();
  const other = some.clone();
  noGrad(() => other.narrow(1, 3, 2).fill_(9));
  const seen = tensor(
    Array.from({ length: 3 }, () => [1, 1, 1, 0, 0]),
    { dtype: 'bool' },
  );
  const shown = (x: Tensor) => layer.forward(x, { mask: seen }).narrow(1, 0, 3);
  layer.eval();
  expect(aten.allclose(shown(some), shown(other))).toBe(true);
  layer.train();
  expect(shown(some).equal(shown(some))).toBe(false);
  expect([...layer.modules()].some((module) => module instanceof Dropout)).toBe(true);
});
