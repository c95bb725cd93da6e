import { Random } from '../random.ts';
import { allRows } from './rows.ts';
import { checkedShares, type Fractions, membersByGroup, SPLIT_STREAM } from './split.ts';
import type { Findings } from './targets.ts';
import type { SplitName } from './types.ts';

/**
 * Divides samples with findings by fraction: seeded, whole groups only, and with the rarest findings first, so that each
 * split gets its share of them: iterative stratification (Sechidis, Tsoumakas, Vlahavas, ECML 2011, algorithm 1) of
 * groups in the place of samples. What is stratified are the known positives of each finding, and its known negatives,
 * which may be the rarer ones where most values are unknown.
 *
 * Again and again the kind of value of which the fewest are left is taken, and each group that has any, the richest
 * first, goes to the split that lacks most of it (where several do: that lacks most samples). Beyond the paper: where no
 * more groups are left with it than splits that have none, it goes to one of those, so that a finding of as many groups
 * as there are splits is in every one (but a split that has twice its share of samples takes no more for that); and no
 * split stays empty while there are groups.
 *
 * @returns for each split with a share, its samples in stored order.
 */
export function splitFindings(
  findings: Findings,
  groups: Int32Array | undefined,
  fractions: Fractions,
  seed: number,
): Partial<Record<SplitName, Uint32Array>> {
  const shares = checkedShares(fractions);
  const length = findings.values.length / findings.names.length;
  const { starts, members } = membersByGroup(groups, length);
  const count = starts.length - 1;
  const { counts, kinds } = countByGroup(findings, starts, members);
  const totals = new Float64Array(kinds);
  const holders = new Uint32Array(kinds);
  for (let g = 0, at = 0; g < count; g++) {
    for (let kind = 0; kind < kinds; kind++, at++) {
      totals[kind] += counts[at];
      if (counts[at] > 0) holders[kind]++;
    }
  }
  // What each split still lacks, of each kind and of all samples, and how much of each kind it has.
  const lacks = shares.map(([, share]) => totals.map((total) => total * share));
  const lacksSamples = shares.map(([, share]) => length * share);
  const has = shares.map(() => new Float64Array(kinds));
  const filled = shares.map(() => false);
  const order = new Random(seed, SPLIT_STREAM).shuffle(allRows(count));
  const splitOf = new Int8Array(count).fill(-1);
  let left = count;

  const assign = (group: number, kind: number) => {
    const all = shares.map((_, s) => s);
    const without =
      kind < 0 ? [] : all.filter((s) => has[s][kind] === 0 && lacksSamples[s] > -length * shares[s][1]);
    const empty = all.filter((s) => !filled[s]);
    const within =
      kind >= 0 && without.length > 0 && holders[kind] <= without.length
        ? without
        : left <= empty.length
          ? empty
          : all;
    const lack = (s: number) => (kind < 0 ? 0 : lacks[s][kind]);
    let best = within[0];
    for (const s of within) {
      const more = lack(s) - lack(best);
      if (more > 1e-9 || (more > -1e-9 && lacksSamples[s] > lacksSamples[best] + 1e-9)) best = s;
    }
    splitOf[group] = best;
    filled[best] = true;
    left--;
    lacksSamples[best] -= starts[group + 1] - starts[group];
    for (let k = 0, at = group * kinds; k < kinds; k++, at++) {
      if (counts[at] === 0) continue;
      lacks[best][k] -= counts[at];
      has[best][k] += counts[at];
      totals[k] -= counts[at];
      holders[k]--;
    }
  };

  for (let kind = rarest(totals); kind >= 0; kind = rarest(totals)) {
    const having = order.filter((g) => splitOf[g] < 0 && counts[g * kinds + kind] > 0);
    having.sort((a, b) => counts[b * kinds + kind] - counts[a * kinds + kind]);
    for (const group of having) assign(group, kind);
  }
  for (const group of order) if (splitOf[group] < 0) assign(group, -1);

  const sides = new Int8Array(length);
  for (let g = 0; g < count; g++) {
    for (let m = starts[g]; m < starts[g + 1]; m++) sides[members[m]] = splitOf[g];
  }
  const indices = allRows(length);
  return Object.fromEntries(shares.map(([split], s) => [split, indices.filter((i) => sides[i] === s)]));
}

/** Per group the samples with each finding known as present (kind 2k) and as absent (kind 2k + 1): G×2K. */
function countByGroup(
  { names, values, mask }: Findings,
  starts: Uint32Array,
  members: Uint32Array,
): { counts: Uint32Array; kinds: number } {
  const k = names.length;
  const kinds = 2 * k;
  const counts = new Uint32Array((starts.length - 1) * kinds);
  for (let g = 0; g + 1 < starts.length; g++) {
    for (let m = starts[g]; m < starts[g + 1]; m++) {
      const row = members[m] * k;
      for (let c = 0; c < k; c++) {
        if (mask !== undefined && mask[row + c] === 0) continue;
        if (values[row + c] > 0.5) counts[g * kinds + 2 * c]++;
        else if (values[row + c] < 0.5) counts[g * kinds + 2 * c + 1]++;
      }
    }
  }
  return { counts, kinds };
}

/** The kind of which the fewest are left, but some; −1 where nothing is left. */
function rarest(totals: Float64Array): number {
  let best = -1;
  for (let kind = 0; kind < totals.length; kind++) {
    if (totals[kind] > 0 && (best < 0 || totals[kind] < totals[best])) best = kind;
  }
  return best;
}
