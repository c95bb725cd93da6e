import { PenumbraError } from '../errors.ts';
import type { Findings, LabelErrors } from './targets.ts';

/** What values of findings become that are neither 0 nor 1. */
export interface FindingsOptions {
  /**
   * What −1, uncertain, becomes: `ignore` masks it (Irvin et al. 2019 call this U-Ignore), `zeros` and `ones` take it
   * for absent or present (U-Zeros, U-Ones), a number from 0 to 1 is its y, and `{ rate }` makes it y = 1 with this
   * smoothing rate, a target of 1 − rate/2. In every split alike. Default: `ignore`, since no figure can be held
   * against a label that nobody gave; train on 0.5 or on a rate to learn from the doubt.
   */
  readonly uncertain?: 'ignore' | 'zeros' | 'ones' | number | { readonly rate: number };
  /**
   * What a blank becomes: `ignore` masks it, `zeros` takes it for absent, as most work on CheXpert and MIMIC-CXR does.
   * Default: `ignore`: a report that does not speak of a finding does not deny it.
   */
  readonly blank?: 'ignore' | 'zeros';
  /**
   * Where a table has both a label and a probability (`<finding> y`, `<finding> p`), which of them is y. The rates go
   * with labels only: a probability is smoothed already. Default: `labels`.
   */
  readonly values?: 'labels' | 'probabilities';
  /**
   * How often the labels of a finding are wrong, by its name, for objectives that correct for it; a finding that is left
   * out has no error. Default: what the data set's card says, else nothing is known. Probabilities (`values`) have none.
   */
  readonly errors?: Readonly<Record<string, LabelErrors>>;
}

const NO_ERROR: LabelErrors = { falsePositive: 0, miss: 0, hedged: 0 };

/** The largest float32 below 1: what a rate of 1 is read as, since rates are in (−1, 1). */
const MOST = 1 - 2 ** -24;

/** A value that was not given. Uncertain is −1; every other raw value is in [0, 1]. */
export const BLANK = NaN;
export const UNCERTAIN = -1;

/**
 * Findings of raw values: N×K of 1, 0, fractions, `UNCERTAIN` and `BLANK`.
 *
 * @param rates N×K in [−1, 1], `BLANK` where none is given; ±1 become the float32 next to them.
 * @throws {PenumbraError} `data/findings-option` for an option outside its range.
 */
export function findingsOf(
  names: readonly string[],
  raw: Float32Array,
  rates: Float32Array | undefined,
  options: FindingsOptions = {},
): Findings {
  const { uncertain = 'ignore', blank = 'ignore', errors } = options;
  const doubt = valueOfDoubt(uncertain);
  if (blank !== 'ignore' && blank !== 'zeros') {
    throw optionError('blank', `must be ignore or zeros, not ${String(blank)}`);
  }
  const needsRates = rates !== undefined || (doubt !== undefined && doubt.rate !== 0);
  const values = new Float32Array(raw.length);
  const mask = new Uint8Array(raw.length);
  const smooth = needsRates ? new Float32Array(raw.length) : undefined;
  let unknown = 0;
  for (let at = 0; at < raw.length; at++) {
    const value = raw[at];
    let known = true;
    if (value === UNCERTAIN) {
      known = doubt !== undefined;
      if (doubt !== undefined) {
        values[at] = doubt.y;
        if (smooth) smooth[at] = doubt.rate;
      }
    } else if (value >= 0) {
      values[at] = value;
      const rate = rates === undefined ? 0 : rates[at];
      if (smooth && rate >= -1) smooth[at] = Math.max(-MOST, Math.min(MOST, rate));
    } else known = blank === 'zeros';
    if (known) mask[at] = 1;
    else unknown++;
  }
  return {
    kind: 'findings',
    names,
    values,
    ...(unknown > 0 && { mask }),
    ...(smooth && { rates: smooth }),
    ...(errors && options.values !== 'probabilities' && { errors: errorsOf(names, errors) }),
  };
}

/** The errors in the order of the findings. Findings that were not asked for may have some, too. */
function errorsOf(names: readonly string[], errors: NonNullable<FindingsOptions['errors']>): LabelErrors[] {
  for (const [name, one] of Object.entries(errors)) {
    for (const kind of ['falsePositive', 'miss', 'hedged'] as const) {
      if (!(one[kind] >= 0 && one[kind] < 0.5))
        throw optionError('errors', `has ${one[kind]} as ${kind} of ${name}, which must be in [0, 0.5)`);
    }
  }
  return names.map((name) => (Object.hasOwn(errors, name) ? errors[name] : NO_ERROR));
}

function valueOfDoubt(
  uncertain: NonNullable<FindingsOptions['uncertain']>,
): { y: number; rate: number } | undefined {
  if (uncertain === 'ignore') return undefined;
  if (uncertain === 'zeros') return { y: 0, rate: 0 };
  if (uncertain === 'ones') return { y: 1, rate: 0 };
  if (typeof uncertain === 'number') {
    if (uncertain >= 0 && uncertain <= 1) return { y: uncertain, rate: 0 };
  } else if (typeof uncertain === 'object' && uncertain.rate > -1 && uncertain.rate < 1) {
    return { y: 1, rate: uncertain.rate };
  }
  throw optionError(
    'uncertain',
    'must be ignore, zeros, ones, a number from 0 to 1 or a rate inside (−1, 1)',
  );
}

function optionError(option: string, what: string): PenumbraError {
  return new PenumbraError('data/findings-option', `findings.${option} ${what}`, {
    where: { argument: `findings.${option}` },
  });
}
