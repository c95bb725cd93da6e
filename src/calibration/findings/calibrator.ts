import { PenumbraError } from '../../errors.ts';
import type { Floats } from '../../metrics/index.ts';
import { checkNames, Registered } from '../registered.ts';
import { sigmoid } from './sigmoid.ts';

/** The known samples of one finding. */
export interface FindingSamples {
  /** n logits, finite. */
  readonly logits: Float64Array;
  /** n values y in [0, 1]: 1 present, 0 absent. */
  readonly values: Float64Array;
}

/** One way to map a finding's logit to a probability. */
export interface FindingMethod<P, O extends object> {
  /** For people. */
  readonly label: string;
  /** Names of the options of `fit`. */
  readonly options: readonly (keyof O & string)[];
  /** Called only where there are samples with and without the finding. */
  fit(set: FindingSamples, options: O): P;
  /** Whether parsed JSON is parameters of one finding. */
  valid(parameters: unknown): parameters is P;
  /** The probability at a logit, once for each finding. */
  curve(parameters: P): (logit: number) => number;
}

/** How the fit went, a finding each. Plain data. */
export interface FindingReport {
  /** Known samples, and those of them with y > 0.5. */
  readonly samples: number;
  readonly positives: number;
  /** Mean negative log-likelihood of the known samples in nats, of sigmoid(z) and of the calibrated probability. */
  readonly nllBefore: number | null;
  readonly nllAfter: number | null;
}

/** K fitted maps from logits to calibrated probabilities. `JSON.stringify` writes it. */
export interface FindingCalibrator {
  readonly name: string;
  /** K. */
  readonly findings: number;
  /** K; `null` for a finding that could not be fitted and keeps sigmoid(z). */
  readonly parameters: readonly unknown[];
  /** K. */
  readonly report: readonly FindingReport[];
  readonly warnings: readonly string[];
  /**
   * @param logits N×K, row-major, finite.
   * @param out N×K, written to and returned; may be `logits` itself. Default: a new array.
   * @throws PenumbraError `calibration/shape`, `calibration/logits`
   */
  apply(logits: Floats, out?: Float32Array): Float32Array;
  toJSON(): SavedFindingCalibrator;
}

/** What its file holds. */
export interface SavedFindingCalibrator {
  readonly version: 1;
  readonly kind: 'findings';
  readonly name: string;
  readonly findings: number;
  readonly parameters: readonly unknown[];
  readonly report: readonly FindingReport[];
  readonly warnings: readonly string[];
}

/** What is known of N samples and K findings: both N×K, row-major. {@link Findings} of the data room is one. */
export interface FindingValues {
  /** y in [0, 1]. */
  readonly values: Floats;
  /** 1 where y is known. Absent: all are. */
  readonly mask?: Uint8Array | undefined;
}

const methods = new Registered<FindingMethod<unknown, object>>('calibrator of findings');

/** Every calibrator of findings there is, those registered from outside included. */
export const findingCalibratorNames: readonly string[] = methods.names;

/** @throws PenumbraError `calibration/registered` where the name is taken */
export function registerFindingCalibrator<P, O extends object>(
  name: string,
  method: FindingMethod<P, O>,
): void {
  methods.add(name, method as unknown as FindingMethod<unknown, object>);
}

/** `platt` → Platt scaling. */
export function findingCalibratorLabel(name: string): string {
  return methods.get(name).label;
}

/**
 * Fits one calibrator for each finding on its known samples of the validation split. Findings do not share anything: each
 * is a binary problem with a prevalence of its own.
 *
 * @param logits N×K, row-major, finite.
 * @param known N×K values and their mask.
 * @param findings K.
 *
 * @example
 * const calibrator = fitFindingCalibrator('platt', Float32Array.of(2, 1, -1, -2), { values: Float32Array.of(1, 0, 1, 0) }, 1);
 * calibrator.apply(Float32Array.of(2))[0].toFixed(2); // '0.60': the logit alone says 0.88
 *
 * @throws PenumbraError `calibration/unknown`, `calibration/option`, `calibration/shape`, `calibration/logits`,
 *   `calibration/label` for a known value outside [0, 1]
 */
export function fitFindingCalibrator(
  name: string,
  logits: Floats,
  known: FindingValues,
  findings: number,
  options: Readonly<Record<string, unknown>> = {},
): FindingCalibrator {
  const method = methods.get(name);
  checkNames(name, options, method.options);
  checkFindings(logits, known, findings);
  const parameters: unknown[] = [];
  const report: FindingReport[] = [];
  const unfitted: number[] = [];
  for (let k = 0; k < findings; k++) {
    const set = column(logits, known, findings, k);
    let positives = 0;
    let negatives = 0;
    for (const y of set.values) {
      if (y > 0.5) positives++;
      else if (y < 0.5) negatives++;
    }
    const fitted = positives > 0 && negatives > 0 ? method.fit(set, options) : null;
    if (fitted === null) unfitted.push(k);
    parameters.push(fitted);
    report.push({
      samples: set.values.length,
      positives,
      nllBefore: meanNll(set, sigmoid),
      nllAfter: meanNll(set, fitted === null ? sigmoid : method.curve(fitted)),
    });
  }
  const warnings =
    unfitted.length === 0
      ? []
      : [
          `${unfitted.length} of ${findings} findings have no sample with, or none without (${unfitted.slice(0, 10).join(', ')}${unfitted.length > 10 ? ', …' : ''}): they keep sigmoid(z).`,
        ];
  return calibrator({ version: 1, kind: 'findings', name, findings, parameters, report, warnings });
}

/**
 * A calibrator of findings from its parsed JSON.
 * @throws PenumbraError `calibration/file` where it is not one.
 */
export function loadFindingCalibrator(json: unknown): FindingCalibrator {
  const saved = json as Partial<SavedFindingCalibrator> | null;
  const fail = (what: string): never => {
    throw new PenumbraError('calibration/file', `This is not a fitted calibrator of findings: ${what}.`, {
      hint: 'Give what JSON.stringify made of one.',
    });
  };
  if (typeof saved !== 'object' || saved === null) return fail('it is not an object');
  const { version, kind, name, findings, parameters, report, warnings } = saved;
  if (version !== 1 || kind !== 'findings') return fail(`its version is ${version}, its kind ${kind}`);
  const method = methods.find(name);
  if (method === undefined)
    return fail(`its name is ${JSON.stringify(name)}, not one of ${methods.names.join(', ')}`);
  if (!Number.isInteger(findings) || findings! < 1) return fail(`findings is ${JSON.stringify(findings)}`);
  if (!Array.isArray(parameters) || parameters.length !== findings) return fail('it lacks parameters');
  if (!parameters.every((p) => p === null || method.valid(p))) return fail(`wrong parameters for ${name}`);
  if (!Array.isArray(report) || !Array.isArray(warnings)) return fail('its report is missing');
  return calibrator({ version, kind, name: name!, findings: findings!, parameters, report, warnings });
}

function calibrator(saved: SavedFindingCalibrator): FindingCalibrator {
  const { name, findings, parameters, report, warnings } = saved;
  const curves = parameters.map((p) => (p === null ? sigmoid : methods.get(name).curve(p)));
  return {
    name,
    findings,
    parameters,
    report,
    warnings,
    apply(logits, out = new Float32Array(logits.length)) {
      checkRows(logits, findings);
      if (out.length !== logits.length) {
        throw new PenumbraError('calibration/shape', `out has ${out.length} numbers, not ${logits.length}.`);
      }
      for (let k = 0; k < findings; k++) {
        const curve = curves[k]!;
        for (let at = k; at < logits.length; at += findings) out[at] = curve(logits[at]!);
      }
      return out;
    },
    toJSON: () => saved,
  };
}

/** The known samples of finding k. */
function column(
  logits: Floats,
  { values, mask }: FindingValues,
  findings: number,
  k: number,
): FindingSamples {
  const z: number[] = [];
  const y: number[] = [];
  for (let at = k; at < values.length; at += findings) {
    if (mask !== undefined && mask[at] === 0) continue;
    z.push(logits[at]!);
    y.push(values[at]!);
  }
  return { logits: Float64Array.from(z), values: Float64Array.from(y) };
}

/** The mean of −y·ln p − (1 − y)·ln(1 − p), with p in [2⁻¹²⁶, 1 − 2⁻⁵³]; `null` without samples. */
function meanNll({ logits, values }: FindingSamples, curve: (logit: number) => number): number | null {
  if (values.length === 0) return null;
  const floor = 2 ** -126;
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    const p = curve(logits[i]!);
    sum -= values[i]! * Math.log(Math.max(p, floor)) + (1 - values[i]!) * Math.log(Math.max(1 - p, floor));
  }
  return sum / values.length;
}

/** @throws PenumbraError `calibration/shape`, `calibration/logits`, `calibration/label` */
export function checkFindings(logits: Floats, { values, mask }: FindingValues, findings: number): void {
  checkRows(logits, findings);
  if (values.length !== logits.length || (mask !== undefined && mask.length !== values.length)) {
    throw new PenumbraError(
      'calibration/shape',
      `Got ${logits.length} logits, ${values.length} values and ${mask?.length ?? 'no'} marks of what is known.`,
      { hint: 'All are N×K, row-major.' },
    );
  }
  for (let at = 0; at < values.length; at++) {
    if (mask !== undefined && mask[at] === 0) continue;
    const y = values[at]!;
    if (y >= 0 && y <= 1) continue;
    const where = { row: Math.floor(at / findings), finding: at % findings };
    throw new PenumbraError(
      'calibration/label',
      `Row ${where.row}, finding ${where.finding}: ${y} is not in [0, 1].`,
      { hint: 'What is not known has 0 in the mask.', where },
    );
  }
}

function checkRows(logits: Floats, findings: number): void {
  if (!Number.isInteger(findings) || findings < 1 || logits.length % findings !== 0) {
    throw new PenumbraError(
      'calibration/shape',
      `${logits.length} logits are not rows of ${findings} findings.`,
      {
        hint: 'Logits are N×K row-major, with the K that the calibrator was fitted for.',
      },
    );
  }
  // 0·x is NaN for NaN and ±∞, and so is every sum with it.
  let zeros = 0;
  for (let i = 0; i < logits.length; i++) zeros += 0 * logits[i]!;
  if (zeros === 0) return;
  const first = logits.findIndex((v: number) => !Number.isFinite(v));
  const where = { row: Math.floor(first / findings), finding: first % findings };
  throw new PenumbraError(
    'calibration/logits',
    `Row ${where.row}, finding ${where.finding}: logit ${logits[first]} is not finite.`,
    { hint: 'Training diverged, or these are logarithms of zero probabilities.', where },
  );
}
