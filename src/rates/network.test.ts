/** The network against PyTorch's, by the fixture of test/oracle/rates_network.py. */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { distance, type Summary, summary, weights } from '../../test/oracle/fill.ts';
import { unreleased } from '../../test/unreleased.ts';
import {
  fromTypedArray,
  Generator,
  grad,
  noGrad,
  Scope,
  setThreads,
  type Tensor,
  tidy,
} from '../torch/index.ts';
import { type Pieces, tensorsOf, tokenBatch } from './batch.ts';
import { RateNetwork } from './network.ts';
import { CompactEncoder } from './sentence-encoder.ts';

const reports: readonly (readonly Pieces[])[] = [
  [
    [4, 12, 13, 14],
    [5, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 11],
    [4, 12, 13, 14],
  ],
  [
    [4, 12, 13, 14],
    [3, 15],
  ],
  [],
  [[5, ...Array.from({ length: 40 }, (_, i) => 10 + (i % 20))]],
];
const recorded = JSON.parse(
  readFileSync(new URL('../../test/fixtures/rates/network.json', import.meta.url), 'utf8'),
) as {
  reports: { numbers: number[][]; attention: number[][] }[];
  gradients: Record<string, Summary>;
};

beforeAll(() => setThreads(1));

function network(): RateNetwork {
  const generator = new Generator(0);
  const drawn = { heads: 2, dropout: 0, generator, dropoutGenerator: generator };
  const encoder = new CompactEncoder({ vocabulary: 30, width: 8, depth: 2, ...drawn });
  const made = new RateNetwork({ encoder, findings: 3, ...drawn });
  const state = Array.from(made.stateDict(), ([name, { shape }]): [string, Tensor] => {
    const values = weights(name, shape);
    if (name === 'encoder.tokens.weight') (values as Float32Array).fill(0, 0, shape[1]!);
    return [name, fromTypedArray(values, { shape })];
  });
  made.loadStateDict(new Map(state));
  return made;
}

const read = (net: RateNetwork, some: readonly (readonly Pieces[])[]) =>
  net.read(tensorsOf(tokenBatch(some), 'cpu'));
const values = (tensor: Tensor) => Array.from(tensor.contiguous().toTypedArray() as Float32Array);

describe('a rate network', () => {
  test('says what PyTorch’s says of each report alone, attends where it does, and learns the same', () => {
    using _scope = new Scope();
    const net = network();
    const output = read(net, reports);
    const length = output.attention.shape[2]!;
    recorded.reports.forEach(({ numbers, attention }, report) => {
      for (const [i, name] of (['mentioned', 'certainty', 'doubt'] as const).entries()) {
        const mine = values(output[name].select(0, report));
        for (const [k, x] of mine.entries()) expect(x).toBeCloseTo(numbers[i]![k]!, 4);
      }
      const mine = values(output.attention.select(0, report));
      attention.forEach((row, k) => {
        const own = mine.slice(k * length, (k + 1) * length);
        for (const [r, share] of row.entries()) expect(own[r]).toBeCloseTo(share, 5);
        expect(Math.max(0, ...own.slice(row.length))).toBe(0);
      });
    });
    const sum = output.mentioned.sum().add(output.certainty.sum().mul(2)).sub(output.doubt.sum());
    const names = [...net.namedParameters()];
    const found = grad(
      [sum],
      names.map(([, tensor]) => tensor),
    );
    expect(names.map(([name]) => name).sort()).toEqual(Object.keys(recorded.gradients).sort());
    names.forEach(([name], i) => {
      const mine = summary(name, found[i]!.contiguous().toTypedArray() as Float32Array);
      expect(distance(mine, recorded.gradients[name]!), name).toBeLessThan(1e-4);
    });
  });

  test('says the same of a report whatever is beside it, and in whatever order its sentences stand', () => {
    using _scope = new Scope();
    const net = network();
    const alone = values(read(net, [reports[0]!]).certainty);
    const among = values(read(net, reports.toReversed()).certainty.select(0, 3));
    const turned = values(read(net, [reports[0]!.toReversed()]).certainty);
    alone.forEach((x, k) => {
      expect(among[k]).toBeCloseTo(x, 5);
      expect(turned[k]).toBeCloseTo(x, 5);
    });
  });

  test('of reports without a word says something, and attends to nothing', () => {
    using _scope = new Scope();
    const output = read(network(), [[], []]);
    expect(values(output.certainty).every(Number.isFinite)).toBe(true);
    expect(output.attention.sum().item()).toBe(0);
  });

  test('keeps nothing but what it returns', () => {
    using _scope = new Scope();
    const net = network();
    const inputs = tensorsOf(tokenBatch(reports), 'cpu');
    const before = unreleased();
    const output = noGrad(() => net.read(inputs));
    // The numbers, which three of the four are views of, and the attention.
    expect(unreleased() - before).toBeLessThanOrEqual(5);
    tidy(() => output.doubt.item);
  });

  test('reads batches only', () => {
    expect(() => network().forward()).toThrow(/read/);
  });
});

describe('a batch', () => {
  test('computes a sentence once, however often it stands', () => {
    const { groups, places, length } = tokenBatch(reports);
    expect(groups.map(({ sentences, length: longest }) => [sentences, longest])).toEqual([
      [2, 4],
      [1, 12],
      [1, 41],
    ]);
    expect(length).toBe(41);
    const first = Array.from(places.subarray(0, length));
    expect(first.slice(0, 4)).toEqual(first.slice(16, 20));
    expect(first.slice(20)).toEqual(new Array(21).fill(0));
  });

  test('puts every piece where its place says', () => {
    const { groups, places, length, reports: n } = tokenBatch(reports);
    const all: number[] = [0, ...groups.flatMap(({ ids }) => [...ids])];
    for (let report = 0; report < n; report++) {
      const wanted = reports[report]!.flatMap((sentence) => Array.from(sentence));
      const found = Array.from(
        places.subarray(report * length, report * length + wanted.length),
        (at) => all[at],
      );
      expect(found).toEqual(wanted);
    }
  });
});
