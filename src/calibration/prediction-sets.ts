import { PenumbraError } from '../errors.ts';
import {
  type BootstrapOptions,
  bootstrap,
  type Estimate,
  estimate,
  type Measure,
  meanMeasure,
  replicate,
} from '../metrics/index.ts';
import { wilson } from './wilson.ts';

/** Sets of classes, one for each of N samples: compressed rows. */
export interface PredictionSets {
  /** N + 1: sample i has `members[offsets[i]]` up to `members[offsets[i + 1] - 1]`. */
  readonly offsets: Uint32Array;
  /** Classes, the likeliest of each sample first. */
  readonly members: Int32Array;
}

export interface SetOptions extends Pick<BootstrapOptions, 'groups' | 'level' | 'replicates' | 'seed'> {
  /**
   * The greatest set size of each stratum but the last, ascending. Default 1, 3, 10, 100: the strata of Angelopoulos et
   * al., 0–1, 2–3, 4–10, 11–100, more.
   */
  readonly strata?: readonly number[];
}

/** The sets of one size stratum. */
export interface SizeStratum {
  /** Least and greatest size. */
  readonly from: number;
  readonly to: number;
  readonly count: number;
  readonly coverage: Estimate;
}

export interface ClassSets {
  readonly label: number;
  readonly support: number;
  /** How often the set holds the class, over the samples of the class. `null`s without any. */
  readonly coverage: Estimate;
  readonly meanSize: number | null;
}

/** What prediction sets are worth. Plain data. */
export interface SetSummary {
  readonly samples: number;
  /** The share of sets that hold the label. To be compared with 1 − α. */
  readonly coverage: Estimate;
  /** Mean number of classes in a set. */
  readonly meanSize: Estimate;
  /** The share of sets without any class. */
  readonly emptyShare: Estimate;
  /** Strata with at least one set. Sets that adapt to difficulty cover alike in all of them. */
  readonly bySize: readonly SizeStratum[];
  /** max over strata of |coverage − (1 − α)| (SSCV; Angelopoulos et al., ICLR 2021, §4). */
  readonly sizeStratifiedViolation: number;
  /** All K classes. Split conformal promises nothing for each class by itself. */
  readonly byClass: readonly ClassSets[];
}

/**
 * Measures prediction sets against labels. Shares get Wilson's interval for independent samples; where `groups` are
 * given they get the bootstrap over groups, as the mean size always does (over samples without groups).
 *
 * @param labels N classes in [0, K).
 * @param alpha what the sets were calibrated for.
 *
 * @throws PenumbraError `calibration/shape`, `calibration/option`, `calibration/empty`
 */
export function summarizeSets(
  { offsets, members }: PredictionSets,
  labels: ArrayLike<number>,
  classes: number,
  alpha: number,
  options: SetOptions = {},
): SetSummary {
  const n = labels.length;
  if (n === 0) throw new PenumbraError('calibration/empty', 'There are no prediction sets to measure.');
  if (offsets.length !== n + 1) {
    throw new PenumbraError(
      'calibration/shape',
      `Got ${offsets.length - 1} prediction sets and ${n} labels.`,
    );
  }
  const limits = [...(options.strata ?? [1, 3, 10, 100]), Number.POSITIVE_INFINITY];
  if (limits.some((limit, s) => !(limit >= 0) || (s > 0 && limit <= limits[s - 1]!))) {
    throw new PenumbraError(
      'calibration/option',
      `The strata must ascend from 0 up, got ${options.strata}.`,
      {
        where: { option: 'strata' },
      },
    );
  }
  const hit = new Uint8Array(n);
  const size = new Int32Array(n);
  const empty = new Uint8Array(n);
  const byStratum: number[][] = limits.map(() => []);
  const ofClass: number[][] = Array.from({ length: classes }, () => []);
  for (let i = 0; i < n; i++) {
    const [from, to] = [offsets[i]!, offsets[i + 1]!];
    size[i] = to - from;
    empty[i] = to === from ? 1 : 0;
    for (let j = from; j < to; j++) if (members[j] === labels[i]) hit[i] = 1;
    byStratum[limits.findIndex((limit) => to - from <= limit)]!.push(i);
    const own = ofClass[labels[i]!];
    if (own === undefined) {
      throw new PenumbraError(
        'calibration/label',
        `Row ${i}: label ${labels[i]} is not in [0, ${classes}).`,
        {
          where: { row: i },
        },
      );
    }
    own.push(i);
  }
  const filled = byStratum.flatMap((rows, s) => (rows.length === 0 ? [] : [{ rows, s }]));
  const [coverage, emptyShare, ...parts] = shares(
    [
      { values: hit },
      { values: empty },
      ...filled.map(({ rows }) => ({ values: hit, rows })),
      ...ofClass.map((rows) => ({ values: hit, rows })),
    ],
    n,
    options,
  );
  const bySize = filled.map(({ rows, s }, j) => ({
    from: s === 0 ? 0 : limits[s - 1]! + 1,
    to: Math.min(limits[s]!, classes),
    count: rows.length,
    coverage: parts[j]!,
  }));
  return {
    samples: n,
    coverage: coverage!,
    meanSize: bootstrap(meanMeasure(size), n, options),
    emptyShare: emptyShare!,
    bySize,
    sizeStratifiedViolation: Math.max(...bySize.map((b) => Math.abs(b.coverage.value! - (1 - alpha)))),
    byClass: ofClass.map((rows, label) => ({
      label,
      support: rows.length,
      coverage: parts[filled.length + label]!,
      meanSize: rows.length === 0 ? null : rows.reduce((sum, i) => sum + size[i]!, 0) / rows.length,
    })),
  };
}

/** 0 or 1 of each sample; only those in `rows` count. */
interface Share {
  readonly values: Uint8Array;
  readonly rows?: readonly number[];
}

function shares(wanted: readonly Share[], n: number, options: SetOptions): Estimate[] {
  const { level = 0.95 } = options;
  const plain = wanted.map(({ values, rows }) => {
    let sum = 0;
    if (rows === undefined) for (const v of values) sum += v;
    else for (const i of rows) sum += values[i]!;
    return wilson(sum, rows?.length ?? n, level);
  });
  if (options.groups === undefined) return plain;
  const replicates = replicate([[wanted.map(shareMeasure)]], n, options)[0]!;
  return plain.map(({ value }, k) => estimate(value ?? Number.NaN, replicates[k]!, options));
}

function shareMeasure({ values, rows }: Share): Measure {
  if (rows === undefined) return meanMeasure(values);
  const own = Int32Array.from(rows);
  return (counts) => {
    let sum = 0;
    let total = 0;
    for (let j = 0; j < own.length; j++) {
      const c = counts[own[j]!]!;
      sum += c * values[own[j]!]!;
      total += c;
    }
    return sum / total;
  };
}
