import { PenumbraError } from '../errors.ts';

/** One label of K for each of N samples. */
export interface OneOfK {
  readonly kind: 'one-of-k';
  /** K class names. */
  readonly names: readonly string[];
  /** N labels in [0, K). */
  readonly values: Int32Array;
}

/**
 * How often the labels of a finding are wrong, as a correction needs it: shares of what reports truly say, not of what
 * labels say, and of errors that do not depend on the image, such as an extractor's. Each in [0, 0.5).
 */
export interface LabelErrors {
  /** Of plain denials (r = 0): those that are taken for presence, P(y′ = 1 | y = 0). */
  readonly falsePositive: number;
  /** Of plain statements of presence: those that are taken for absence, P(y′ = 0 | y = 1). */
  readonly miss: number;
  /** Of hedged statements (r > 0): those that are taken for their opposite, whichever way they lean. */
  readonly hedged: number;
}

/** K findings for each of N samples, any number of which may be present at once. All arrays are N×K, row-major. */
export interface Findings {
  readonly kind: 'findings';
  /** K finding names. */
  readonly names: readonly string[];
  /** y in [0, 1]: 1 present, 0 absent, between them a probability. 0 where it is not known. */
  readonly values: Float32Array;
  /** 1 where y is known, 0 where it is not. Absent: all are known. */
  readonly mask?: Uint8Array | undefined;
  /** r in (−1, 1), for label smoothing with a rate of its own for each value; 0 smooths nothing. */
  readonly rates?: Float32Array | undefined;
  /** K: how often the labels of each finding are wrong, where that was measured. */
  readonly errors?: readonly LabelErrors[] | undefined;
}

/** What is to be predicted of N samples. */
export type Targets = OneOfK | Findings;

/** Values of one finding. A known y of exactly 0.5 is neither positive nor negative. */
export interface FindingCounts {
  readonly name: string;
  /** How many are known. */
  readonly known: number;
  /** How many are known with y > 0.5. */
  readonly positive: number;
  /** How many are known with y < 0.5. */
  readonly negative: number;
}

/** N. */
export function targetsLength(targets: Targets): number {
  return targets.kind === 'one-of-k' ? targets.values.length : targets.values.length / targets.names.length;
}

/** The targets of the samples `rows`, in that order. */
export function takeTargets<T extends Targets>(targets: T, rows: ArrayLike<number>): T;
export function takeTargets(targets: Targets, rows: ArrayLike<number>): Targets {
  if (targets.kind === 'one-of-k') return { ...targets, values: takeRows(targets.values, 1, rows) };
  const { names, values, mask, rates, errors } = targets;
  const k = names.length;
  return {
    kind: 'findings',
    names,
    values: takeRows(values, k, rows),
    ...(mask && { mask: takeRows(mask, k, rows) }),
    ...(rates && { rates: takeRows(rates, k, rows) }),
    ...(errors && { errors }),
  };
}

/** The findings numbered `columns`, in that order. */
export function takeFindings(findings: Findings, columns: readonly number[]): Findings {
  const { names, values, mask, rates, errors } = findings;
  const k = names.length;
  return {
    kind: 'findings',
    names: columns.map((column) => names[column]),
    values: takeColumns(values, k, columns),
    ...(mask && { mask: takeColumns(mask, k, columns) }),
    ...(rates && { rates: takeColumns(rates, k, columns) }),
    ...(errors && { errors: columns.map((column) => errors[column]) }),
  };
}

/** How many values of each finding are known, positive and negative; K entries, in the order of the names. */
export function countFindings(findings: Findings): FindingCounts[] {
  const { names, values, mask } = findings;
  const k = names.length;
  const [known, positive, negative] = [new Uint32Array(k), new Uint32Array(k), new Uint32Array(k)];
  for (let at = 0, column = 0; at < values.length; at++) {
    if (mask === undefined || mask[at] === 1) {
      known[column]++;
      if (values[at] > 0.5) positive[column]++;
      else if (values[at] < 0.5) negative[column]++;
    }
    if (++column === k) column = 0;
  }
  return names.map((name, c) => ({
    name,
    known: known[c],
    positive: positive[c],
    negative: negative[c],
  }));
}

/** Samples of each class: K counts. */
export function countClasses(targets: OneOfK): Uint32Array {
  const counts = new Uint32Array(targets.names.length);
  for (const label of targets.values) counts[label]++;
  return counts;
}

/**
 * Holds targets to what their types promise.
 *
 * @param data names them in errors.
 * @throws {PenumbraError} `data/targets` for names that are missing or used twice, a label outside [0, K), a y outside
 * [0, 1] (also where the mask is 0, since 0 · NaN is NaN), a mask of anything but 0 and 1, a rate outside (−1, 1), an
 * error outside [0, 0.5), and arrays of different lengths.
 */
export function checkTargets(targets: Targets, data = 'targets'): void {
  const { names, kind } = targets;
  const k = names.length;
  const fail = (what: string, hint: string, where: Record<string, string | number> = {}) =>
    new PenumbraError('data/targets', `${data}: ${what}`, { where: { data, ...where }, hint });
  if (new Set(names).size !== k || k < (kind === 'one-of-k' ? 2 : 1)) {
    const what = kind === 'one-of-k' ? 'two or more different classes' : 'one or more different findings';
    throw fail(`${k} names (${new Set(names).size} different); ${what} are needed`, 'name each of them once');
  }
  if (kind === 'one-of-k') {
    const bad = targets.values.findIndex((label) => label < 0 || label >= k);
    if (bad < 0) return;
    throw fail(
      `label ${targets.values[bad]} of sample ${bad} is outside 0 to ${k - 1}`,
      'correct it, or name more classes',
      { row: bad },
    );
  }
  const { values, mask, rates, errors } = targets;
  const holds = (
    what: string,
    array: ArrayLike<number>,
    good: (value: number) => boolean,
    range: string,
  ): void => {
    if (array.length !== values.length || array.length % k !== 0) {
      throw fail(
        `${array.length} ${what} for ${values.length} values of ${k} findings`,
        'values, mask and rates are N×K each, row by row',
      );
    }
    for (let at = 0; at < array.length; at++) {
      if (good(array[at])) continue;
      const [row, name] = [Math.floor(at / k), names[at % k]];
      throw fail(`${what} must be ${range}; sample ${row} has ${array[at]} for ${name}`, 'correct it', {
        row,
        finding: name,
      });
    }
  };
  holds('values', values, (y) => y >= 0 && y <= 1, 'in [0, 1]');
  if (mask) holds('mask values', mask, (m) => m === 0 || m === 1, '0 or 1');
  if (rates) holds('rates', rates, (r) => r > -1 && r < 1, 'in (−1, 1)');
  if (errors === undefined) return;
  if (errors.length !== k)
    throw fail(`errors of ${errors.length} findings for ${k}`, 'give one entry a finding');
  errors.forEach((one, c) => {
    const bad = (['falsePositive', 'miss', 'hedged'] as const).find(
      (kind) => !(one[kind] >= 0 && one[kind] < 0.5),
    );
    if (bad === undefined) return;
    throw fail(`the error '${bad}' of ${names[c]} is ${one[bad]}, and must be in [0, 0.5)`, 'correct it', {
      finding: names[c],
    });
  });
}

/**
 * The targets as one-of-K, for what has no meaning for findings.
 *
 * @param what names it in the error, as the beginning of a sentence: 'a confusion matrix'.
 * @throws {PenumbraError} `data/findings` for findings.
 */
export function needOneOfK(targets: Targets, what: string): OneOfK {
  if (targets.kind === 'one-of-k') return targets;
  throw new PenumbraError(
    'data/findings',
    `${what} needs one label a sample, and these samples have ${targets.names.length} findings each`,
    { hint: 'use what is made for findings, or data with one label of K' },
  );
}

type Values = Int32Array | Float32Array | Uint8Array;

function takeRows<A extends Values>(values: A, k: number, rows: ArrayLike<number>): A {
  const taken = new (values.constructor as new (length: number) => A)(rows.length * k);
  for (let i = 0; i < rows.length; i++) {
    const from = rows[i] * k;
    for (let c = 0; c < k; c++) taken[i * k + c] = values[from + c];
  }
  return taken;
}

function takeColumns<A extends Values>(values: A, k: number, columns: readonly number[]): A {
  const n = values.length / k;
  const taken = new (values.constructor as new (length: number) => A)(n * columns.length);
  for (let i = 0, at = 0; i < n; i++) for (const column of columns) taken[at++] = values[i * k + column];
  return taken;
}
