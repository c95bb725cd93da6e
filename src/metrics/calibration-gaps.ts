import { concatenate } from '../concatenate.ts';
import { PenumbraError } from '../errors.ts';
import { Random } from '../random.ts';
import { isFraction, middleBin } from './calibration.ts';
import { noiseOf } from './gap-loops.ts';
import type { Floats } from './predictions.ts';
import { argsort } from './sort.ts';

/** Confidences and what happened: one run (seed), or one finding, or one class. */
export interface CalibrationRun {
  /** N numbers in [0, 1]. */
  readonly confidence: Floats;
  /** N numbers in [0, 1]: right or wrong, present or absent, or the true probability where a phantom knows it. */
  readonly outcome: ArrayLike<number>;
  /** N: 1 where the outcome is known. Absent: all are. Rows that are not known count for nothing. */
  readonly mask?: ArrayLike<number>;
}

/**
 * The gaps of a method's runs over bins of equal mass, and how they scatter: what intervals and tests of calibration errors
 * are made from. For run j of J with n_j known rows, D_jb = Σ_{i in bin b} (outcome_i − confidence_i)/(J·n_j), so that
 * Σ_jb |D_jb| is the mean of the runs' plug-in errors. All M = Σ_j K_j gaps stand in one array.
 */
export interface Gaps {
  /** M gaps. */
  readonly values: Float64Array;
  /** M standard errors. */
  readonly errors: Float64Array;
  /** Where each run's gaps start, and M at the end. */
  readonly starts: readonly number[];
}

/** Gaps of several methods on the same rows, which vary together. */
export interface JointGaps {
  /** One for each method. */
  readonly sides: readonly Gaps[];
  /** `count` draws from N(0, Cov D): count×M numbers for each method. Equal seeds give equal draws. */
  draw(seed: number, count: number): Float64Array[];
}

/** Above this many gaps the covariance is kept as rows (low rank) instead of as a factor: the factor costs M³/3. */
const MOST_FACTORED = 700;
/** How many bundles of patients give the rows. */
const BUNDLES = 256;

/**
 * A method's runs, ready for an interval and for tests against several others: checked, put into bins, and with what each
 * test would work out again. Nothing that it was made from may be changed any more.
 *
 * @param groups the independent unit (patient) of each row; absent: each is its own
 * @throws PenumbraError `metrics/shape`, `metrics/empty`, `metrics/probability`
 */
export class CalibrationSide {
  readonly runs: readonly CalibrationRun[];
  readonly units: Units;
  readonly values: Float64Array;
  readonly starts: readonly number[];
  readonly binned: readonly Binned[];
  private lowRank: LowRank | undefined;

  constructor(runs: readonly CalibrationRun[], groups?: ArrayLike<number> | undefined) {
    const n = checkRuns(runs, groups);
    this.runs = runs;
    this.units = unitsOf(n, groups);
    const starts = [0];
    this.binned = runs.map((run) => {
      const one = binRun(run, 1 / runs.length);
      starts.push(starts.at(-1)! + one.bins);
      return one;
    });
    this.starts = starts;
    this.values = new Float64Array(starts.at(-1)!);
    this.binned.forEach(({ bin, gap, scale }, j) => {
      const own = this.values.subarray(starts[j], starts[j + 1]);
      for (let i = 0; i < n; i++) {
        const b = bin[i]!;
        if (b !== UNKNOWN) own[b] = own[b]! + scale * gap[i]!;
      }
    });
  }

  /** M: see {@link leastVariances}. */
  get least(): Float64Array {
    return leastVariances(this.runs, this.binned, this.starts);
  }

  /** The gaps with few rows whose sum of squares is their covariance. */
  get rows(): LowRank {
    this.lowRank ??= new LowRank(this);
    return this.lowRank;
  }

  /**
   * Σ_j |Σ_b D_jb|, the gaps of each run added up with their signs, and its skewness Σ_g u_g³/Σ_g u_g² by the units' shares
   * u_g: above 0 where a few of them make most of it.
   */
  signed(): { total: number; skew: number } {
    const { starts, values, binned, units } = this;
    const sums = binned.map((_, j) => values.subarray(starts[j]!, starts[j + 1]!).reduce((a, b) => a + b, 0));
    const total = sums.reduce((sum, d) => sum + Math.abs(d), 0);
    // Scaled and signed gaps, added up over runs: one number for each row.
    const rows = new Float64Array(binned[0]!.bin.length);
    binned.forEach(({ bin, gap, known, scale }, j) => {
      const sign = sums[j]! < 0 ? -scale : scale;
      const mean = Math.abs(sums[j]!) / known;
      for (let i = 0; i < rows.length; i++)
        if (bin[i] !== UNKNOWN) rows[i] = rows[i]! + sign * gap[i]! - mean;
    });
    let squares = 0;
    let cubes = 0;
    for (let g = 0; g < units.count; g++) {
      let u = 0;
      if (units.order === undefined || units.starts === undefined) u = rows[g]!;
      else for (let t = units.starts[g]!; t < units.starts[g + 1]!; t++) u += rows[units.order[t]!]!;
      squares += u * u;
      cubes += u * u * u;
    }
    return { total, skew: squares > 0 ? cubes / squares : 0 };
  }
}

/**
 * Estimates the joint covariance of all gaps from independent units: S = G/(G−1)·Σ_g U_g U_gᵀ with
 * U_gb = (Σ r of unit g in bin b − m_g·D_b)/n, m_g the unit's known rows. All methods are of the same rows, so that their gaps
 * vary together.
 */
export function gapsOf(sides: readonly CalibrationSide[]): JointGaps {
  const size = sides.reduce((sum, { values }) => sum + values.length, 0);
  return size <= MOST_FACTORED ? factored(sides, size) : lowRank(sides);
}

/** How many bins n rows get. */
export function gapBins(n: number): number {
  return Math.min(30, Math.max(5, Math.round(1.5 * Math.cbrt(n))));
}

const UNKNOWN = 65535;

interface Binned {
  /** N: the bin of each row; {@link UNKNOWN} where it does not count. */
  readonly bin: Uint16Array;
  /** N: outcome − confidence. */
  readonly gap: Float64Array;
  readonly bins: number;
  readonly known: number;
  /** What a row's gap is multiplied with: the run's weight, divided by its known rows. */
  readonly scale: number;
}

function binRun({ confidence, outcome, mask }: CalibrationRun, weight: number): Binned {
  const n = confidence.length;
  const order = argsort(confidence);
  const gap = new Float64Array(n);
  let known = n;
  if (mask !== undefined) {
    known = 0;
    for (let t = 0; t < n; t++) if (mask[order[t]!]) order[known++] = order[t]!;
  }
  const bin = new Uint16Array(n).fill(known === n ? 0 : UNKNOWN);
  const wanted = gapBins(known);
  let bins = 0;
  let last = -1;
  for (let start = 0, end = 0; start < known; start = end) {
    const value = confidence[order[start]!]!;
    while (end < known && confidence[order[end]!]! === value) end++;
    const b = middleBin(start, end - start, known, wanted);
    if (b > last) {
      last = b;
      bins++; // Bins that ties leave empty are not kept.
    }
    for (let t = start; t < end; t++) {
      const i = order[t]!;
      bin[i] = bins - 1;
      gap[i] = outcome[i]! - value;
    }
  }
  return { bin, gap, bins, known, scale: weight / known };
}

/** With this many surprises (Σ r²) or fewer, a calibrated forecast's own variance is the least that is believed. */
const FEW_SURPRISES = 8;

/**
 * The least variance of each gap. Where nearly everything went as forecast (a test set with two errors, a finding with
 * three cases), the scatter that was seen is near 0 by luck, while outcomes that follow the confidences would scatter by
 * Σ c(1 − c). That is the floor of a run of 0/1 outcomes with at most {@link FEW_SURPRISES} surprises; it falls off as
 * their inverse beyond.
 */
function leastVariances(
  runs: readonly CalibrationRun[],
  binned: readonly Binned[],
  starts: readonly number[],
): Float64Array {
  const result = new Float64Array(starts.at(-1)!);
  runs.forEach(({ confidence, outcome }, j) => {
    const { bin, gap } = binned[j]!;
    const scale = binned[j]!.scale ** 2;
    const own = result.subarray(starts[j]!, starts[j + 1]!);
    let surprises = 0;
    for (let i = 0; i < bin.length; i++) {
      const b = bin[i]!;
      if (b === UNKNOWN) continue;
      const y = outcome[i]!;
      if (y !== 0 && y !== 1) {
        own.fill(0); // A probability scatters less than a label.
        return;
      }
      const c = Math.min(1, confidence[i]!);
      surprises += gap[i]! * gap[i]!;
      own[b] = own[b]! + scale * c * (1 - c);
    }
    const believed = Math.min(1, FEW_SURPRISES / surprises);
    for (let b = 0; b < own.length; b++) own[b] = own[b]! * believed;
  });
  return result;
}

interface Units {
  readonly count: number;
  /** Rows, unit after unit; absent where each row is its own unit. */
  readonly order?: Int32Array;
  /** Where each unit starts in `order`, and N at the end. */
  readonly starts?: Int32Array;
}

function unitsOf(n: number, groups: ArrayLike<number> | undefined): Units {
  if (groups === undefined) return { count: n };
  const index = new Map<number, number>();
  const unit = new Int32Array(n);
  for (let i = 0; i < n; i++) {
    const known = index.get(groups[i]!);
    if (known === undefined) index.set(groups[i]!, index.size);
    unit[i] = known ?? index.size - 1;
  }
  const starts = new Int32Array(index.size + 1);
  for (let i = 0; i < n; i++) starts[unit[i]! + 1]!++;
  for (let g = 0; g < index.size; g++) starts[g + 1] = starts[g + 1]! + starts[g]!;
  const next = starts.slice();
  const order = new Int32Array(n);
  for (let i = 0; i < n; i++) order[next[unit[i]!]!++] = i;
  return { count: index.size, order, starts };
}

/** The sums of each unit over the gaps of all methods, added up to a covariance or to rows. */
class Scatter {
  private readonly binned: readonly Binned[];
  private readonly starts: readonly number[];
  private readonly values: Float64Array;
  private readonly units: Units;
  /** One unit's sums: which gaps, and how much. */
  private readonly sums: Float64Array;
  private readonly touched: Int32Array;
  private readonly isTouched: Uint8Array;
  private readonly counts: Float64Array;

  constructor(sides: readonly CalibrationSide[]) {
    this.binned = sides.flatMap(({ binned }) => binned);
    const starts = [0];
    for (const { bins } of this.binned) starts.push(starts.at(-1)! + bins);
    this.starts = starts;
    this.values = concatenate(
      sides.map(({ values }) => values),
      Float64Array,
    );
    this.units = sides[0]!.units;
    this.sums = new Float64Array(this.values.length);
    this.touched = new Int32Array(this.values.length);
    this.isTouched = new Uint8Array(this.values.length);
    this.counts = new Float64Array(this.binned.length);
  }

  /** Sums of unit g into `sums`; how many gaps it touches. `counts` gets its share of each run's rows. */
  private add(g: number): number {
    const { order, starts } = this.units;
    const from = starts === undefined ? g : starts[g]!;
    const to = starts === undefined ? g + 1 : starts[g + 1]!;
    let many = 0;
    for (let j = 0; j < this.binned.length; j++) {
      const { bin, gap, known, scale } = this.binned[j]!;
      const at = this.starts[j]!;
      let count = 0;
      for (let t = from; t < to; t++) {
        const i = order === undefined ? t : order[t]!;
        const b = bin[i]!;
        if (b === UNKNOWN) continue;
        count++;
        const m = at + b;
        if (this.isTouched[m] === 0) {
          this.isTouched[m] = 1;
          this.touched[many++] = m;
        }
        this.sums[m] = this.sums[m]! + scale * gap[i]!;
      }
      this.counts[j] = count / known;
    }
    return many;
  }

  private clear(many: number): void {
    for (let a = 0; a < many; a++) {
      this.sums[this.touched[a]!] = 0;
      this.isTouched[this.touched[a]!] = 0;
    }
  }

  /** M×M. With U_g = a_g − c_g·D, Σ UUᵀ = Σ aaᵀ − Σ a(c·D)ᵀ − Σ (c·D)aᵀ + Σ (c·D)(c·D)ᵀ, each sum sparse in a. */
  covariance(): Float64Array {
    const { values, binned, units, sums, touched, counts, starts } = this;
    const size = values.length;
    const runs = binned.length;
    const result = new Float64Array(size * size);
    const cross = new Float64Array(size * runs); // Σ_g a_gm·c_gj
    const square = new Float64Array(runs * runs); // Σ_g c_gj·c_gl
    for (let g = 0; g < units.count; g++) {
      const many = this.add(g);
      for (let a = 0; a < many; a++) {
        const m = touched[a]!;
        const value = sums[m]!;
        for (let b = 0; b < many; b++) {
          const at = m * size + touched[b]!;
          result[at] = result[at]! + value * sums[touched[b]!]!;
        }
        for (let j = 0; j < runs; j++) cross[m * runs + j] = cross[m * runs + j]! + value * counts[j]!;
      }
      for (let j = 0; j < runs; j++)
        for (let l = 0; l < runs; l++) square[j * runs + l] = square[j * runs + l]! + counts[j]! * counts[l]!;
      this.clear(many);
    }
    const scale = units.count > 1 ? units.count / (units.count - 1) : 1;
    const run = runOfGap(starts);
    for (let m = 0; m < size; m++) {
      for (let l = 0; l < size; l++) {
        const at = m * size + l;
        result[at] =
          scale *
          (result[at]! -
            cross[m * runs + run[l]!]! * values[l]! -
            cross[l * runs + run[m]!]! * values[m]! +
            square[run[m]! * runs + run[l]!]! * values[m]! * values[l]!);
      }
    }
    return result;
  }

  /** At most {@link BUNDLES} rows V with Σ VVᵀ = S in expectation: units are dealt to bundles, whose sums are as independent. */
  rows(): Float64Array[] {
    const { values, units, sums, touched, counts, starts } = this;
    const many = Math.min(BUNDLES, units.count);
    const scale = many > 1 ? Math.sqrt(many / (many - 1)) : 1;
    const run = runOfGap(starts);
    const rows = Array.from({ length: many }, () => new Float64Array(values.length));
    const shares = rows.map(() => new Float64Array(counts.length));
    for (let g = 0; g < units.count; g++) {
      const touchedNow = this.add(g);
      const row = rows[g % many]!;
      const share = shares[g % many]!;
      for (let a = 0; a < touchedNow; a++) row[touched[a]!] = row[touched[a]!]! + sums[touched[a]!]!;
      for (let j = 0; j < counts.length; j++) share[j] = share[j]! + counts[j]!;
      this.clear(touchedNow);
    }
    rows.forEach((row, h) => {
      for (let m = 0; m < row.length; m++) row[m] = scale * (row[m]! - shares[h]![run[m]!]! * values[m]!);
    });
    return rows;
  }
}

function runOfGap(starts: readonly number[]): Int32Array {
  const result = new Int32Array(starts.at(-1)!);
  for (let j = 0; j + 1 < starts.length; j++) result.fill(j, starts[j]!, starts[j + 1]!);
  return result;
}

function factored(sides: readonly CalibrationSide[], size: number): JointGaps {
  const covariance = new Scatter(sides).covariance();
  const least = concatenate(
    sides.map((side) => side.least),
    Float64Array,
  );
  const errors = new Float64Array(size);
  // Scaled up to its floor, a gap keeps its correlations.
  const scales = least.map((floor, m) => scaleTo(floor, covariance[m * size + m]!));
  for (let m = 0, at = 0; m < size; m++)
    for (let l = 0; l < size; l++, at++) covariance[at] = covariance[at]! * scales[m]! * scales[l]!;
  for (let m = 0; m < size; m++) covariance[m * size + m] = Math.max(covariance[m * size + m]!, least[m]!);
  for (let m = 0; m < size; m++) errors[m] = Math.sqrt(Math.max(0, covariance[m * size + m]!));
  const upper = cholesky(covariance, size);
  const offsets = sides.map((_, s) => sides.slice(0, s).reduce((sum, { values }) => sum + values.length, 0));
  return {
    sides: sides.map(({ values, starts }, s) => {
      const from = offsets[s]!;
      return { values, starts, errors: errors.subarray(from, from + values.length) };
    }),
    draw(seed, count) {
      const z = standardNormals(seed, count * size);
      return sides.map(({ values }, s) => {
        const from = offsets[s]!;
        const rows = upper.map((row) => row.subarray(from, from + values.length));
        return noiseOf(rows, values.length, from, z, size, count);
      });
    },
  };
}

function scaleTo(floor: number, variance: number): number {
  return variance > 0 && variance < floor ? Math.sqrt(floor / variance) : 1;
}

/**
 * One method's gaps and rows of a covariance of low rank. They do not depend on the methods beside it, and neither does its
 * noise, which is drawn once for the tests against all of them.
 */
class LowRank implements Gaps {
  readonly values: Float64Array;
  readonly errors: Float64Array;
  readonly starts: readonly number[];
  readonly rows: readonly Float64Array[];
  /** M: the standard errors of gaps that no row moves. */
  readonly extra: Float64Array;
  /** How many such there are. */
  readonly extras: number;
  private drawn: { readonly seed: number; readonly noise: Float64Array } | undefined;

  constructor(side: CalibrationSide) {
    const { least } = side;
    const size = side.values.length;
    this.values = side.values;
    this.starts = side.starts;
    this.rows = new Scatter([side]).rows();
    this.errors = new Float64Array(size);
    const { errors, rows } = this;
    for (const row of rows) for (let m = 0; m < size; m++) errors[m] = errors[m]! + row[m]! * row[m]!;
    const scales = least.map((floor, m) => scaleTo(floor, errors[m]!));
    for (const row of rows) for (let m = 0; m < size; m++) row[m] = row[m]! * scales[m]!;
    this.extra = least.map((floor, m) => (errors[m]! > 0 ? 0 : Math.sqrt(floor)));
    this.extras = this.extra.reduce((many, error) => many + (error > 0 ? 1 : 0), 0);
    for (let m = 0; m < size; m++) errors[m] = Math.sqrt(Math.max(errors[m]!, least[m]!));
  }

  /** @param stride how many numbers a draw takes of all methods @param from which of them are for this one's extras */
  draw(seed: number, count: number, stride: number, from: number): Float64Array {
    const size = this.values.length;
    const usual = stride === this.rows.length;
    const known = usual && this.drawn?.seed === seed ? this.drawn.noise : undefined;
    if (known !== undefined && known.length >= count * size) return known.subarray(0, count * size);
    const z = standardNormals(seed, count * stride);
    const noise = noiseOf(this.rows, size, this.rows.length, z, stride, count);
    if (usual) this.drawn = { seed, noise };
    if (this.extras === 0) return noise;
    for (let r = 0, at = 0; r < count; r++) {
      let next = r * stride + from;
      for (let m = 0; m < size; m++, at++)
        if (this.extra[m]! > 0) noise[at] = noise[at]! + this.extra[m]! * z[next++]!;
    }
    return noise;
  }
}

function lowRank(sides: readonly CalibrationSide[]): JointGaps {
  const all = sides.map(({ rows }) => rows);
  const froms = [all[0]!.rows.length];
  for (const { extras } of all) froms.push(froms.at(-1)! + extras);
  return {
    sides: all,
    draw: (seed, count) => all.map((one, s) => one.draw(seed, count, froms.at(-1)!, froms[s]!)),
  };
}

/** Names the stream of the draws. */
const STREAM = 0xca1;
/** Normal numbers of the last seed, kept for the next figure of the same report (at most 11 MB). */
let kept = { seed: Number.NaN, values: new Float64Array(0) };
const MOST_KEPT = 2000 * MOST_FACTORED;

function standardNormals(seed: number, count: number): Float64Array {
  if (kept.seed === seed && kept.values.length >= count) return kept.values;
  const random = new Random(seed, STREAM);
  const values = new Float64Array(count);
  for (let i = 0; i < count; i++) values[i] = random.normal();
  if (count <= MOST_KEPT) kept = { seed, values };
  return values;
}

/**
 * The rows of U in UᵀU, the upper triangle, of a symmetric, positive semi-definite matrix; a pivot that is 0 but for rounding
 * gives a row of 0.
 */
function cholesky(matrix: Float64Array, size: number): Float64Array[] {
  const lower = new Float64Array(size * size);
  const upper = Array.from({ length: size }, () => new Float64Array(size));
  let most = 0;
  for (let m = 0; m < size; m++) most = Math.max(most, matrix[m * size + m]!);
  const least = most * 1e-13;
  for (let l = 0; l < size; l++) {
    const from = l * size;
    const row = upper[l]!;
    const take = (m: number, sum: number): void => {
      const one =
        m === l ? (sum > least ? Math.sqrt(sum) : 0) : lower[from + l] === 0 ? 0 : sum / lower[from + l]!;
      lower[m * size + l] = row[m] = one;
    };
    // Four numbers of a column at a time, so that none waits for its last subtraction.
    let m = l;
    for (; m + 3 < size; m += 4) {
      const at0 = m * size;
      const at1 = at0 + size;
      const at2 = at1 + size;
      const at3 = at2 + size;
      let sum0 = matrix[at0 + l]!;
      let sum1 = matrix[at1 + l]!;
      let sum2 = matrix[at2 + l]!;
      let sum3 = matrix[at3 + l]!;
      for (let k = 0; k < l; k++) {
        const own = lower[from + k]!;
        sum0 -= lower[at0 + k]! * own;
        sum1 -= lower[at1 + k]! * own;
        sum2 -= lower[at2 + k]! * own;
        sum3 -= lower[at3 + k]! * own;
      }
      take(m, sum0);
      take(m + 1, sum1);
      take(m + 2, sum2);
      take(m + 3, sum3);
    }
    for (; m < size; m++) {
      let sum = matrix[m * size + l]!;
      for (let k = 0; k < l; k++) sum -= lower[m * size + k]! * lower[from + k]!;
      take(m, sum);
    }
  }
  return upper;
}

/** Checks that all runs are of the same rows; gives N. */
function checkRuns(runs: readonly CalibrationRun[], groups: ArrayLike<number> | undefined): number {
  const n = runs[0]?.confidence.length ?? 0;
  if (n === 0) {
    throw new PenumbraError('metrics/empty', 'There are no samples to measure.', {
      hint: 'Check that the split is not empty.',
    });
  }
  runs.forEach(({ confidence, outcome, mask }, run) => {
    const wrong = (what: string, got: number): never => {
      throw new PenumbraError('metrics/shape', `Run ${run} has ${got} ${what}, expected ${n}.`, {
        hint: 'Give the same samples in the same order for every run.',
        where: { run },
      });
    };
    if (confidence.length !== n) wrong('confidences', confidence.length);
    if (outcome.length !== n) wrong('outcomes', outcome.length);
    if (mask !== undefined && mask.length !== n) wrong('mask entries', mask.length);
    let known = 0;
    for (let i = 0; i < n; i++) {
      if (mask !== undefined && !mask[i]) continue;
      known++;
      if (!isFraction(confidence[i]!) || !isFraction(outcome[i]!)) {
        throw new PenumbraError(
          'metrics/probability',
          `Run ${run}, row ${i}: confidence ${confidence[i]} or outcome ${outcome[i]} is not in [0, 1].`,
          { hint: 'Give probabilities, not logits.', where: { run, row: i } },
        );
      }
    }
    if (known === 0) {
      throw new PenumbraError('metrics/empty', `Run ${run} has no sample whose outcome is known.`, {
        hint: 'Leave out findings that are unknown for every sample.',
        where: { run },
      });
    }
  });
  if (groups !== undefined && groups.length !== n) {
    throw new PenumbraError('metrics/shape', `Got ${groups.length} groups for ${n} samples.`, {
      hint: 'Give the group of every sample.',
    });
  }
  return n;
}
