import { wilson } from '../../calibration/wilson.ts';
import type { LabelErrors } from '../../data/targets.ts';
import { PenumbraError } from '../../errors.ts';
import { readRegular } from '../../files/index.ts';

/** A share of cases with its 95 % score interval (Wilson 1927); nulls of no case. */
export interface Share {
  readonly count: number;
  readonly n: number;
  readonly value: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

export function shareOf(count: number, n: number): Share {
  return { count, n, ...wilson(count, n, 0.95) };
}

/** What was read of one finding in one report, and what is known of it. */
export interface LabelCase {
  readonly finding: string;
  /** P(finding) of the wording, in [0, 1]: 0 and 1 are definite statements, what is between is a hedge. */
  readonly probability: number;
  /** Whether the finding is there. */
  readonly truth: boolean;
}

/** How often the labels of one finding are wrong. The label of a probability is 1 from 0.5 on. */
export interface LabelErrorFigures {
  readonly finding: string;
  /** Of definite statements that say present, and that say absent: the wrong ones. What a reader of labels sees. */
  readonly present: Share;
  readonly absent: Share;
  /**
   * The same cases the other way round: of absent findings those called present, of present findings those called absent.
   * What a correction needs. They hold where cases were marked as they come, not chosen by what the report says.
   */
  readonly falsePositive: Share;
  readonly miss: Share;
  /** Of hedged statements: those whose label is wrong. */
  readonly hedged: Share;
  /** How many of them would be wrong if every probability were right: the mean of min(p, 1 − p). */
  readonly expected: number | null;
  /**
   * The share of hedged statements that were taken for their opposite, as far as they are wrong more often than expected:
   * e = (wrong − expected)/(1 − 2·expected), not below 0; the ends are those of `hedged`. Nulls where all say about 1/2.
   * Against the truth it cannot be told from hedges that mean less than the table has them.
   */
  readonly flip: { readonly value: number | null; readonly low: number | null; readonly high: number | null };
}

/** By finding, in the order in which they first appear. */
export function labelErrors(cases: Iterable<LabelCase>): LabelErrorFigures[] {
  const tallies = new Map<string, Tally>();
  for (const { finding, probability, truth } of cases) {
    const tally = tallies.get(finding) ?? new Tally();
    tallies.set(finding, tally);
    tally.add(probability, truth);
  }
  return [...tallies].map(([finding, tally]) => tally.figures(finding));
}

class Tally {
  private readonly definite = { right: [0, 0], wrong: [0, 0] }; // by truth
  private hedged = 0;
  private wrong = 0;
  private expected = 0;

  add(p: number, truth: boolean): void {
    const right = p >= 0.5 === truth;
    if (p === 0 || p === 1) {
      this.definite[right ? 'right' : 'wrong'][Number(truth)]!++;
      return;
    }
    this.hedged++;
    this.expected += Math.min(p, 1 - p);
    if (!right) this.wrong++;
  }

  figures(finding: string): LabelErrorFigures {
    const [[trueNegative, truePositive], [falsePositive, falseNegative]] = [
      this.definite.right,
      this.definite.wrong,
    ] as [[number, number], [number, number]];
    const hedged = shareOf(this.wrong, this.hedged);
    const expected = this.hedged === 0 ? null : this.expected / this.hedged;
    return {
      finding,
      present: shareOf(falsePositive, falsePositive + truePositive),
      absent: shareOf(falseNegative, falseNegative + trueNegative),
      falsePositive: shareOf(falsePositive, falsePositive + trueNegative),
      miss: shareOf(falseNegative, falseNegative + truePositive),
      hedged,
      expected,
      flip: flipOf(hedged, expected),
    };
  }
}

function flipOf({ value, low, high }: Share, expected: number | null): LabelErrorFigures['flip'] {
  const room = expected === null ? 0 : 1 - 2 * expected;
  if (room < 0.1) return { value: null, low: null, high: null };
  const beyond = (wrong: number | null) =>
    wrong === null ? null : Math.min(1, Math.max(0, (wrong - expected!) / room));
  return { value: beyond(value), low: beyond(low), high: beyond(high) };
}

/**
 * The errors to correct for: the lower ends of the intervals, since too high ones ruin what too low ones leave. Of hedges
 * none, for `flip` may be of hedges that mean little.
 */
function lowerEnds({ falsePositive, miss }: LabelErrorFigures): LabelErrors {
  return { falsePositive: falsePositive.low ?? 0, miss: miss.low ?? 0, hedged: 0 };
}

const KINDS = ['falsePositive', 'miss', 'hedged'] as const;

/**
 * Errors of labels by finding, from what a person gives: figures of `reports score --json` (the lower ends of their
 * intervals) or of `reports audit --json` (what it recommends), a JSON object of `{finding: {falsePositive, miss, hedged}}`,
 * or `falsePositive=0.02,miss=0.05,hedged=0` for all findings.
 * @param findings what the data have; one that the file leaves out has no error. Default: all that the file names
 * @throws PenumbraError `reports/errors`
 */
export function readLabelErrors(given: string, findings?: readonly string[]): Record<string, LabelErrors> {
  const all = /^\s*\w+\s*=/.test(given) ? listed(given) : undefined;
  const byFinding = all === undefined ? fromFile(given) : new Map(findings?.map((finding) => [finding, all]));
  const known = (findings ?? [...byFinding.keys()]).filter((finding) => byFinding.has(finding));
  if (known.length === 0) {
    throw failure(
      findings === undefined ? `${given} is for no finding` : `${given} names none of the findings`,
      findings === undefined
        ? 'Name a file of figures.'
        : `The findings are ${findings.slice(0, 5).join(', ')} ….`,
    );
  }
  return Object.fromEntries(known.map((finding) => [finding, checked(finding, byFinding.get(finding)!)]));
}

function listed(text: string): LabelErrors {
  const errors = { falsePositive: 0, miss: 0, hedged: 0 };
  for (const part of text.split(',')) {
    const [kind, e] = part.split('=').map((x) => x.trim());
    if (!(KINDS as readonly (string | undefined)[]).includes(kind) || !/^0?\.?\d+$/.test(e ?? '')) {
      throw failure(
        `"${part}" is no error rate`,
        'Write falsePositive=0.02,miss=0.05,hedged=0, or name a file of figures.',
      );
    }
    errors[kind as keyof LabelErrors] = Number(e);
  }
  return errors;
}

function fromFile(path: string): Map<string, LabelErrors> {
  let content: unknown;
  const hint = 'Give the --json of penumbra reports score or audit.';
  try {
    content = JSON.parse(readRegular(path).toString('utf8'));
  } catch (cause) {
    if (cause instanceof PenumbraError) throw cause;
    throw failure(`${path} is not JSON`, hint);
  }
  if (typeof content !== 'object' || content === null) throw failure(`${path} holds no error rates`, hint);
  const { errors, findings } = content as Record<'errors' | 'findings', unknown>;
  const entries = entriesOf(content as Record<string, unknown>, errors, findings);
  if (entries.length === 0) throw failure(`${path} holds no error rates`, hint);
  return new Map(entries);
}

function entriesOf(
  content: Record<string, unknown>,
  errors: unknown,
  findings: unknown,
): (readonly [string, LabelErrors])[] {
  const audited = Array.isArray(findings)
    ? (findings as Partial<{ finding: string; recommendation: { errors: LabelErrors } }>[]).filter(
        (one) => one.recommendation !== undefined,
      )
    : [];
  if (audited.length > 0) return audited.map((one) => [one.finding!, one.recommendation!.errors] as const);
  if (Array.isArray(errors)) {
    return (errors as LabelErrorFigures[]).map((one) => [one.finding, lowerEnds(one)] as const);
  }
  return Object.entries(content).filter(
    (entry): entry is [string, LabelErrors] =>
      typeof entry[1] === 'object' && entry[1] !== null && KINDS.some((kind) => kind in (entry[1] as object)),
  );
}

function checked(finding: string, given: Partial<LabelErrors>): LabelErrors {
  const errors = { falsePositive: 0, miss: 0, hedged: 0, ...given };
  for (const kind of KINDS) {
    const e = errors[kind];
    if (typeof e === 'number' && e >= 0 && e < 0.5) continue;
    throw failure(
      `the error '${kind}' of ${finding} is ${String(e)}`,
      'It must be in [0, 0.5): from 0.5 on a label says nothing, or the opposite. Leave that finding out.',
    );
  }
  return { falsePositive: errors.falsePositive, miss: errors.miss, hedged: errors.hedged };
}

function failure(what: string, hint: string): PenumbraError {
  return new PenumbraError('reports/errors', `Errors of labels: ${what}.`, { hint });
}
