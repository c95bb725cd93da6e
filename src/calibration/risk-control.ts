import { PenumbraError } from '../errors.ts';
import type { Floats } from '../metrics/index.ts';
import type { FindingValues } from './findings/index.ts';
import { Registered } from './registered.ts';

/** The known findings of one image, and which of them are flagged. */
export interface FlaggedImage {
  /** Known findings that are present (y > 0.5), and how many of them are flagged. */
  readonly present: number;
  readonly found: number;
  /** Known findings that are absent (y < 0.5), and how many of them are flagged. */
  readonly absent: number;
  readonly alarms: number;
}

/** A loss of one image in [0, 1] that only falls, or only rises, as more is flagged. */
export interface Risk {
  /** For people: what is promised to be at most α. */
  readonly label: string;
  /** What flagging more does to the loss. */
  readonly flaggingMore: 'lowers' | 'raises';
  /** `undefined` for an image that the risk says nothing about; the promise is over the others. */
  loss(image: FlaggedImage): number | undefined;
}

const risks = new Registered<Risk>('risk');

/** Every risk there is, those registered from outside included. */
export const riskNames: readonly string[] = risks.names;

/** @throws PenumbraError `calibration/registered` where the name is taken */
export function registerRisk(name: string, risk: Risk): void {
  risks.add(name, risk);
}

registerRisk('missed', {
  label: 'share of present findings that are missed (1 − recall)',
  flaggingMore: 'lowers',
  loss: ({ present, found }) => (present === 0 ? undefined : 1 - found / present),
});
registerRisk('false-positives', {
  label: 'share of absent findings that are flagged',
  flaggingMore: 'raises',
  loss: ({ absent, alarms }) => (absent === 0 ? undefined : alarms / absent),
});

export interface RiskOptions {
  /** The greatest mean loss, in (0, 1). Default 0.1: a recall of 90 %, or 10 % of the absent flagged. */
  readonly alpha?: number;
  /**
   * `image` (default): one threshold for all findings, and the mean over an image's findings. `finding`: a threshold of its
   * own for each finding, and the promise for each by itself.
   */
  readonly per?: 'image' | 'finding';
}

/** Thresholds under which a risk is controlled. Plain data, and a function. */
export interface RiskControl {
  readonly risk: string;
  readonly alpha: number;
  readonly per: 'image' | 'finding';
  /**
   * K: a finding is flagged where its probability is at least this. 0 flags always and `Infinity` never (JSON: null); both
   * stand where nothing else keeps the promise.
   */
  readonly thresholds: readonly number[];
  /** K: calibration images that each threshold was chosen on. */
  readonly samples: readonly number[];
  readonly warnings: readonly string[];
  /**
   * @param probabilities N×K, row-major
   * @returns N×K, 1 where flagged
   * @throws PenumbraError `calibration/shape`, `calibration/probability`
   */
  flag(probabilities: Floats): Uint8Array;
}

/**
 * Chooses thresholds so that the expected loss of a new image is at most α (conformal risk control: Angelopoulos, Bates,
 * Fisch, Lei and Schuster, ICLR 2024, arXiv 2208.02814, theorem 1): of the thresholds under which
 *
 *     (Σ_i loss_i + 1)/(n + 1) ≤ α
 *
 * over the n calibration images that the risk says something about, the one that flags least (`missed`) or most
 * (`false-positives`). The promise is over images exchangeable with them and the draw of the calibration set; it holds
 * whatever the probabilities are, and says nothing of another centre. Unknown findings count neither way: the promise is over
 * known ones. The share of flags that are wrong is no such risk, as it does not move one way.
 *
 * @param probabilities N×K of samples that trained nothing and fitted no calibrator
 * @param known N×K values and their mask
 * @param findings K
 * @throws PenumbraError `calibration/unknown`, `calibration/option`, `calibration/shape`, `calibration/probability`
 */
export function controlRisk(
  risk: string,
  probabilities: Floats,
  known: FindingValues,
  findings: number,
  options: RiskOptions = {},
): RiskControl {
  const rule = risks.get(risk);
  const { alpha = 0.1, per = 'image' } = options;
  if (!(alpha > 0 && alpha < 1)) {
    throw new PenumbraError('calibration/option', `alpha must be between 0 and 1, got ${alpha}.`, {
      where: { option: 'alpha' },
    });
  }
  if (per !== 'image' && per !== 'finding') {
    throw new PenumbraError('calibration/option', `per must be image or finding, got "${String(per)}".`, {
      where: { option: 'per' },
    });
  }
  checkProbabilities(probabilities, findings);
  const { values, mask } = known;
  if (values.length !== probabilities.length || (mask !== undefined && mask.length !== values.length)) {
    throw new PenumbraError(
      'calibration/shape',
      `Got ${probabilities.length} probabilities, ${values.length} values and ${mask?.length ?? 'no'} marks of what is known.`,
      { hint: 'All are N×K, row-major.' },
    );
  }
  const all = Array.from({ length: findings }, (_, k) => k);
  const groups = per === 'image' ? [all] : all.map((k) => [k]);
  const chosen = groups.map((columns) =>
    choose(rule, entriesOf(probabilities, known, findings, columns), alpha),
  );
  const own = all.map((k) => chosen[per === 'image' ? 0 : k]!);
  const least = Math.ceil(1 / alpha - 1e-9) - 1;
  const few = chosen.flatMap(({ samples }, g) => (samples < least ? [g] : []));
  const so = rule.flaggingMore === 'lowers' ? 'everything is flagged' : 'nothing is flagged';
  const warnings =
    few.length === 0
      ? []
      : [
          per === 'image'
            ? `${chosen[0]!.samples} calibration images are too few for alpha ${alpha}, which takes ${least}: ${so}.`
            : `${few.length} of ${findings} findings (${few.slice(0, 10).join(', ')}${few.length > 10 ? ', …' : ''}) have fewer than the ${least} calibration images that alpha ${alpha} takes: ${so} there.`,
        ];
  const thresholds = own.map(({ threshold }) => threshold);
  return {
    risk,
    alpha,
    per,
    thresholds,
    samples: own.map(({ samples }) => samples),
    warnings,
    flag(others) {
      checkProbabilities(others, findings);
      return Uint8Array.from(others, (p, at) => (p >= thresholds[at % findings]! ? 1 : 0));
    },
  };
}

/** The known entries of some columns, from the greatest probability down. */
interface Entries {
  readonly probability: Float64Array;
  readonly image: Int32Array;
  readonly present: Uint8Array;
  /** Of each of N images: its known present and absent findings. */
  readonly presentOf: Int32Array;
  readonly absentOf: Int32Array;
}

function entriesOf(
  probabilities: Floats,
  { values, mask }: FindingValues,
  findings: number,
  columns: readonly number[],
): Entries {
  const n = probabilities.length / findings;
  const presentOf = new Int32Array(n);
  const absentOf = new Int32Array(n);
  const places: number[] = [];
  for (let i = 0; i < n; i++) {
    for (const k of columns) {
      const at = i * findings + k;
      const y = values[at]!;
      // A known y of exactly 0.5 is neither.
      if ((mask !== undefined && mask[at] === 0) || !(y > 0.5 || y < 0.5)) continue;
      places.push(at);
      if (y > 0.5) presentOf[i]!++;
      else absentOf[i]!++;
    }
  }
  const order = Float64Array.from(places).sort((a, b) => probabilities[b]! - probabilities[a]! || a - b);
  return {
    probability: Float64Array.from(order, (at) => probabilities[at]!),
    image: Int32Array.from(order, (at) => Math.floor(at / findings)),
    present: Uint8Array.from(order, (at) => (values[at]! > 0.5 ? 1 : 0)),
    presentOf,
    absentOf,
  };
}

/** Goes down the entries, flagging them, and keeps the sum of losses up to date. */
function choose(
  { flaggingMore, loss }: Risk,
  { probability, image, present, presentOf, absentOf }: Entries,
  alpha: number,
): { threshold: number; samples: number } {
  const n = presentOf.length;
  const found = new Int32Array(n);
  const alarms = new Int32Array(n);
  const lossOf = (i: number) =>
    loss({ present: presentOf[i]!, found: found[i]!, absent: absentOf[i]!, alarms: alarms[i]! });
  const losses = new Float64Array(n);
  let samples = 0;
  for (let i = 0; i < n; i++) {
    const own = lossOf(i);
    if (own === undefined) continue;
    losses[i] = own;
    samples++;
  }
  // Summed anew where it decides: thousands of differences would leave rounding in it.
  const keeps = () => (losses.reduce((sum, own) => sum + own, 0) + 1) / (samples + 1) <= alpha + 1e-12;
  let running = losses.reduce((sum, own) => sum + own, 0);
  const nearly = () => (running + 1) / (samples + 1) <= alpha + 1e-6;
  let threshold = Number.POSITIVE_INFINITY;
  if (flaggingMore === 'lowers' && keeps()) return { threshold, samples };
  if (flaggingMore === 'raises' && !keeps()) return { threshold, samples };
  for (let start = 0; start < probability.length; ) {
    const p = probability[start]!;
    let end = start;
    for (; end < probability.length && probability[end] === p; end++) {
      const i = image[end]!;
      if (present[end] === 1) found[i]!++;
      else alarms[i]!++;
      const own = lossOf(i) ?? 0;
      running += own - losses[i]!;
      losses[i] = own;
    }
    start = end;
    if (flaggingMore === 'lowers') {
      if (nearly() && keeps()) return { threshold: p, samples };
    } else {
      if (!nearly() || ((running + 1) / (samples + 1) > alpha - 1e-6 && !keeps()))
        return { threshold, samples };
      threshold = p;
    }
  }
  return { threshold: 0, samples };
}

function checkProbabilities(probabilities: Floats, findings: number): void {
  if (!Number.isInteger(findings) || findings < 1 || probabilities.length % findings !== 0) {
    throw new PenumbraError(
      'calibration/shape',
      `${probabilities.length} probabilities are not rows of ${findings} findings.`,
      { hint: 'Probabilities are N×K, row-major.' },
    );
  }
  for (let i = 0; i < probabilities.length; i++) {
    const p = probabilities[i]!;
    if (p >= 0 && p <= 1) continue;
    const where = { row: Math.floor(i / findings), finding: i % findings };
    throw new PenumbraError(
      'calibration/probability',
      `Row ${where.row}, finding ${where.finding}: ${p} is not a probability.`,
      { hint: 'Give probabilities, not logits.', where },
    );
  }
}
