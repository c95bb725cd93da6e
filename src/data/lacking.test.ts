import { expect, test } from 'vitest';
import { lackingFindings, lackText } from './lacking.ts';
import type { Findings } from './targets.ts';
import type { Dataset } from './types.ts';

const names = ['A', 'B', 'C'];

/** Values of three findings; −1 is not known. */
function split(...rows: readonly number[][]): { targets: Findings } {
  const all = rows.flat();
  return {
    targets: {
      kind: 'findings',
      names,
      values: Float32Array.from(all, (y) => Math.max(0, y)),
      mask: Uint8Array.from(all, (y) => (y < 0 ? 0 : 1)),
    },
  };
}

const of = (splits: object) => lackingFindings({ splits: splits as Dataset['splits'] });

test('says which split has nothing known, no positive and no negative of which findings', () => {
  const train = split([1, 0, 0], [0, 0, -1]);
  const val = split([1, 1, -1], [1, 0, -1]);
  const test_ = split([1, 0.5, 1], [0, 1, 0]);
  expect(of({ train, val, test: test_ })).toEqual([
    { split: 'train', what: 'positive', findings: ['B', 'C'] },
    { split: 'val', what: 'known value', findings: ['C'] },
    { split: 'val', what: 'negative', findings: ['A'] },
    { split: 'test', what: 'negative', findings: ['B'] },
  ]);
});

test('nothing, of splits that have both kinds and of one label of K', () => {
  expect(of({ train: split([1, 0, 0.2], [0, 1, 0.9]) })).toEqual([]);
  const targets = { kind: 'one-of-k', names: ['a', 'b'], values: Int32Array.of(0, 0) };
  expect(of({ train: { targets } })).toEqual([]);
});

test('what a lack means is another thing in every split', () => {
  const text = (where: 'train' | 'val' | 'test', ...findings: string[]) =>
    lackText({ split: where, what: 'positive', findings });
  expect(text('train', 'Mass')).toBe('split train has no positive of Mass: it cannot be learnt');
  expect(text('train', 'Mass', 'Hernia')).toBe(
    'split train has no positive of Mass, Hernia: they cannot be learnt',
  );
  expect(text('val', 'Mass')).toContain('no threshold and no calibrator can be fitted for it');
  expect(text('test', 'Mass')).toContain(
    'its AUROC and what else needs both kinds cannot be measured, and means leave it out',
  );
});
