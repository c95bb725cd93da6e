import { PenumbraError } from '../errors.ts';
import { Random } from '../random.ts';
import { allRows } from './rows.ts';
import { countClasses, countFindings, type Findings } from './targets.ts';
import type { SplitName, Subset } from './types.ts';

/** Shares of the samples in [0, 1); the rest is `train`. */
export interface Fractions {
  readonly val?: number;
  readonly test?: number;
}

/** The part of the data, by the name that the data give it, that serves as a split. */
export type SplitParts = Readonly<Partial<Record<SplitName, string>>>;

export const SPLIT_STREAM = 3;

/** The split that a file's or folder's name speaks of: its last word, `train`, `val`, `test` or what is used for them. */
export function splitOfName(name: string): SplitName | undefined {
  const word = name.toLowerCase().match(/[a-z0-9]+$/)?.[0];
  if (word === 'train' || word === 'training') return 'train';
  if (word === 'val' || word === 'valid' || word === 'validate' || word === 'validation' || word === 'dev')
    return 'val';
  // The MNIST files call their test set t10k.
  if (word === 'test' || word === 'testing' || word === 't10k') return 'test';
  return undefined;
}

/**
 * Divides samples by fraction: seeded, stratified by class, and whole groups only.
 *
 * Groups in a random order, the largest first (so that small ones can even out), each go to the split that lacks most
 * of the group's classes: the largest Σ_c g_c · (T_sc − n_sc) / T_sc, with g_c the group's samples of class c, T_sc the
 * number that split s should have of it and n_sc what it has. Where every sample is a group of its own this is exact
 * stratification, up to rounding.
 *
 * @returns for each split with a share, its samples in stored order.
 */
export function splitByFraction(
  labels: Int32Array,
  groups: Int32Array | undefined,
  fractions: Fractions,
  seed: number,
): Partial<Record<SplitName, Uint32Array>> {
  const shares = checkedShares(fractions);
  const { starts, members } = membersByGroup(groups, labels.length);
  const sizeOf = (group: number) => starts[group + 1] - starts[group];
  const order = new Random(seed, SPLIT_STREAM).shuffle(allRows(starts.length - 1));
  // Stable, so that equal sizes stay shuffled.
  if (groups !== undefined) order.sort((a, b) => sizeOf(b) - sizeOf(a));

  const classes = labels.reduce((most, label) => Math.max(most, label + 1), 0);
  const wanted = new Float64Array(classes);
  for (const label of labels) wanted[label]++;
  const counts = shares.map(() => new Float64Array(classes));
  const assigned = new Uint8Array(labels.length);
  for (const group of order) {
    const [from, to] = [starts[group], starts[group + 1]];
    let best = 0;
    let bestNeed = -Infinity;
    for (let s = 0; s < shares.length; s++) {
      let need = 0;
      for (let m = from; m < to; m++) {
        const label = labels[members[m]];
        need += 1 - counts[s][label] / (wanted[label] * shares[s][1]);
      }
      if (need > bestNeed + 1e-9) {
        best = s;
        bestNeed = need;
      }
    }
    for (let m = from; m < to; m++) {
      counts[best][labels[members[m]]]++;
      assigned[members[m]] = best;
    }
  }
  const indices = allRows(labels.length);
  return Object.fromEntries(shares.map(([split], s) => [split, indices.filter((i) => assigned[i] === s)]));
}

/**
 * @throws {PenumbraError} for an empty split, a class that a split has none of, or a group in more than one split; of
 * findings, where no finding has a positive for training. What else splits lack of findings, `lackingFindings` says.
 */
export function checkSplits(name: string, subsets: readonly Subset[]): void {
  const splitOfGroup = new Map<number, SplitName>();
  for (const { split, classes, length, targets, groups } of subsets) {
    if (length === 0) {
      throw new PenumbraError('data/empty-split', `${name}: split ${split} has no samples`, {
        where: { data: name, split },
        hint: 'add samples to it, take it away, or choose other fractions',
      });
    }
    if (targets.kind === 'findings' && split === 'train') checkLearnable(name, targets);
    const counts = targets.kind === 'one-of-k' ? countClasses(targets) : undefined;
    const missing = counts === undefined ? [] : classes.filter((_, k) => counts[k] === 0);
    if (missing.length > 0) {
      throw new PenumbraError(
        'data/missing-class',
        `${name}: split ${split} has no sample of ${missing.length === 1 ? 'class' : `${missing.length} classes:`} ` +
          missing.slice(0, 5).join(', ') +
          (missing.length > 5 ? ', …' : ''),
        {
          where: { data: name, split, class: missing[0] },
          hint: 'add samples of it, take the class out of every split, or choose other fractions or another seed',
        },
      );
    }
    for (const group of groups ?? []) {
      const other = splitOfGroup.get(group) ?? split;
      splitOfGroup.set(group, split);
      if (other === split) continue;
      throw new PenumbraError(
        'data/group-straddles',
        `${name}: a group is in split ${other} and in ${split}`,
        {
          where: { data: name, split, group },
          hint: 'samples of one patient belong in one split; correct the lists, or the expression that names the group',
        },
      );
    }
  }
}

/** @throws {PenumbraError} `data/missing-class` where no finding has a positive to learn. */
export function checkLearnable(name: string, findings: Findings): void {
  if (countFindings(findings).some(({ positive }) => positive > 0)) return;
  throw new PenumbraError('data/missing-class', `${name}: no finding has a positive in split train`, {
    where: { data: name, split: 'train' },
    hint: 'check what marks a finding as present (1), and which values are ignored',
  });
}

/** The splits with a share, train first. */
export function checkedShares(fractions: Fractions): [SplitName, number][] {
  const { val = 0, test = 0 } = fractions;
  if (!(val >= 0 && test >= 0 && val + test < 1)) {
    throw new PenumbraError(
      'data/fractions',
      `fractions val ${val} and test ${test} leave nothing for train`,
      {
        where: { argument: 'fractions' },
        hint: 'give shares of 0 or more with a sum under 1, for example val 0.1 and test 0.2',
      },
    );
  }
  const shares: [SplitName, number][] = [
    ['train', 1 - val - test],
    ['val', val],
    ['test', test],
  ];
  return shares.filter(([, share]) => share > 0);
}

/** Group g's samples are `members[starts[g]…starts[g + 1]]`. Without groups every sample is one of its own. */
export function membersByGroup(
  groups: Int32Array | undefined,
  length: number,
): { starts: Uint32Array; members: Uint32Array } {
  const members = allRows(length);
  if (groups === undefined) return { starts: allRows(length + 1), members };
  const numbers = new Map<number, number>();
  for (const group of groups) if (!numbers.has(group)) numbers.set(group, numbers.size);
  const starts = new Uint32Array(numbers.size + 1);
  for (const group of groups) starts[numbers.get(group)! + 1]++;
  for (let g = 0; g < numbers.size; g++) starts[g + 1] += starts[g];
  const next = starts.slice();
  for (let i = 0; i < length; i++) members[next[numbers.get(groups[i])!]++] = i;
  return { starts, members };
}
