import {
  type BinOptions,
  type BootstrapOptions,
  difference,
  type Estimate,
  estimate,
  type Measure,
  type Predictions,
  replicate,
} from '../metrics/index.ts';
import { plainMeasures, record } from './jointly.ts';
import { CENTRE_FIGURES, type CentreResults } from './study-result.ts';

/** Judged images of one centre: what the networks say of them, and the patients where these are known. */
export interface CentreOutputs {
  /** A method's runs, by its id; the same runs in and out of centre, in the same order. */
  readonly methods: ReadonlyMap<string, readonly Predictions[]>;
  readonly groups: Int32Array | undefined;
}

/**
 * Each method's figures in and out of centre, and the drop between them. Both centres' images are resampled, and with
 * them the runs: one resample draws the same runs for both, since it is the same networks that are tested.
 */
export function centreDrops(
  inside: CentreOutputs,
  outside: CentreOutputs,
  options: BinOptions & BootstrapOptions,
): CentreResults['methods'] {
  return [...inside.methods].map(([method, runs]) => {
    const away = outside.methods.get(method)!;
    const n = runs[0]!.labels.length;
    const m = away[0]!.labels.length;
    const measures = runs.map((run, s): Measure[] => {
      const at = [plainMeasures(run, options), plainMeasures(away[s]!, options)] as const;
      return CENTRE_FIGURES.flatMap((figure) => [
        (counts) => at[0][figure](counts.subarray(0, n)),
        (counts) => at[1][figure](counts.subarray(n)),
      ]);
    });
    const groups = groupsOfBoth(inside.groups, n, outside.groups, m);
    const own: BootstrapOptions = { ...options, groups };
    const replicates = replicate([measures], n + m, own)[0]!;
    const once = new Int32Array(n + m).fill(1);
    const value = (k: number) => measures.reduce((sum, run) => sum + run[k]!(once), 0) / measures.length;
    const side = (offset: 0 | 1) =>
      record<(typeof CENTRE_FIGURES)[number], Estimate>(CENTRE_FIGURES, (_, f) =>
        estimate(value(2 * f + offset), replicates[2 * f + offset]!, own),
      );
    return {
      method,
      inCentre: side(0),
      outOfCentre: side(1),
      drop: record(CENTRE_FIGURES, (_, f) =>
        difference(value(2 * f), value(2 * f + 1), replicates[2 * f]!, replicates[2 * f + 1]!, own),
      ),
    };
  });
}

/** Groups of n and then m samples, none of them in both; a sample without a group is one of its own. */
function groupsOfBoth(
  inside: Int32Array | undefined,
  n: number,
  outside: Int32Array | undefined,
  m: number,
): Int32Array {
  const numbers = new Map<string, number>();
  const numberOf = (side: string, groups: Int32Array | undefined, i: number) => {
    const name = `${side} ${groups === undefined ? `sample ${i}` : groups[i]}`;
    const known = numbers.get(name) ?? numbers.size;
    numbers.set(name, known);
    return known;
  };
  return Int32Array.from({ length: n + m }, (_, i) =>
    i < n ? numberOf('in', inside, i) : numberOf('out', outside, i - n),
  );
}
