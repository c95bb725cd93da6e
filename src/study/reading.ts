import {
  alphaOf,
  baselineOf,
  type CorrectedDifference,
  differenceOf,
  estimateOf,
  formatCount,
  formatFigure,
  formatParameters,
  levelText,
  methodName,
  plural,
  pText,
  type ShownFigure,
  shownFigures,
  type Verdict,
  verdictOf,
} from './figures.ts';
import type { StudyMethod, StudyResult } from './result.ts';

/** What the numbers say of one method, in plain sentences. It claims a difference only where the corrected test does. */
export interface Reading {
  readonly method: StudyMethod;
  /** How sure the method is and how often it is right. */
  readonly confidence: string;
  /** One sentence against the baseline; `undefined` for the baseline itself and where nothing was compared. */
  readonly verdict: string | undefined;
  /** The figures behind it, grouped by what they say, each ready to stand in a list; no worse one is left out. */
  readonly better: readonly Clause[];
  readonly worse: readonly Clause[];
  readonly undecided: readonly Clause[];
}

/** The figures that are put in words, and in which order; the others stand in the tables unless they are worse. */
const TOLD = ['ece', 'top1', 'top5', 'balancedAccuracy', 'auroc', 'nll', 'brier', 'totalVariation'];

/** A figure in words. */
export interface Clause {
  readonly figure: ShownFigure;
  /** `ECE 4.1 % against 13.7 %: lower by 9.6 points (95 % 7.9 to 11.2, p = 0.006)`. */
  readonly text: string;
  /** One of the two that everybody asks for first: ECE and Top-1. */
  readonly main: boolean;
}

/** A reading of every method, in their order. */
export function readings(result: StudyResult): Reading[] {
  const baseline = baselineOf(result);
  return result.methods.map((method) => readingOf(result, method, baseline!));
}

function readingOf(result: StudyResult, method: StudyMethod, baseline: StudyMethod): Reading {
  const confidence = confidenceSentence(result, method);
  const groups: Record<Verdict, Clause[]> = {
    better: [],
    worse: [],
    differs: [],
    undecided: [],
    untested: [],
  };
  if (method !== baseline) {
    const alpha = alphaOf(result);
    for (const figure of inTellingOrder(shownFigures(result))) {
      const difference = differenceOf(result, figure, method.objective, baseline.objective);
      const verdict = verdictOf(figure, difference, alpha);
      if (difference === undefined || verdict === 'untested') continue;
      if (verdict !== 'worse' && !TOLD.includes(figure.name)) continue;
      const text = differenceText(result, figure, method, baseline, difference, verdict);
      groups[verdict].push({
        figure,
        text,
        main: !figure.truth && (figure.name === 'ece' || figure.name === 'top1'),
      });
    }
  }
  const { better, worse, undecided } = groups;
  const told = better.length + worse.length + undecided.length;
  const name = methodName(result, baseline);
  return {
    method,
    confidence,
    verdict: told === 0 ? undefined : verdictSentence(name, better, worse, undecided),
    better,
    worse,
    undecided,
  };
}

/** Those against labels first, then those against the truth; each as in {@link TOLD}, the others behind. */
function inTellingOrder(figures: readonly ShownFigure[]): ShownFigure[] {
  const rank = ({ name, truth }: ShownFigure) =>
    (truth ? 100 : 0) + (TOLD.includes(name) ? TOLD.indexOf(name) : TOLD.length);
  return [...figures].sort((a, b) => rank(a) - rank(b));
}

function verdictSentence(
  baseline: string,
  better: readonly Clause[],
  worse: readonly Clause[],
  undecided: readonly Clause[],
): string {
  const names = (clauses: readonly Clause[]) => list(clauses.map((c) => inSentence(c.figure.label)));
  const parts: string[] = [];
  if (better.length > 0) parts.push(`significantly better than ${baseline} in ${names(better)}`);
  if (worse.length > 0) {
    parts.push(`significantly worse ${better.length > 0 ? '' : `than ${baseline} `}in ${names(worse)}`);
  }
  if (parts.length === 0) return `No significant difference from ${baseline} in ${names(undecided)}.`;
  if (undecided.length > 0) parts.push(`no significant difference in ${names(undecided)}`);
  return `${capital(parts.join('; '))}.`;
}

function confidenceSentence(result: StudyResult, method: StudyMethod): string {
  const { top1, confidenceGap: gap } = method.summary;
  if (top1.value === null || gap.value === null) return 'Confidence and accuracy are not defined.';
  const figure = shownFigures(result).find((f) => f.name === 'confidenceGap')!;
  const said = `mean confidence ${formatFigure(figure, top1.value + gap.value)} %, right in ${formatFigure(figure, top1.value)} %`;
  const points = `${formatFigure(figure, Math.abs(gap.value))} points`;
  if (gap.low === null || gap.high === null) {
    return `${capital(said)}: a gap of ${formatFigure(figure, gap.value, true)} points (no interval was asked for).`;
  }
  if (gap.low > 0) {
    const range = `${formatFigure(figure, gap.low)} to ${formatFigure(figure, gap.high)}`;
    return `Over-confident on average by ${points} (${levelText(result)} ${range}): ${said}.`;
  }
  if (gap.high < 0) {
    const range = `${formatFigure(figure, -gap.high)} to ${formatFigure(figure, -gap.low)}`;
    return `Under-confident on average by ${points} (${levelText(result)} ${range}): ${said}.`;
  }
  const range = `${formatFigure(figure, gap.low, true)} to ${formatFigure(figure, gap.high, true)}`;
  return `Neither over- nor under-confident on average beyond chance (${formatFigure(figure, gap.value, true)} points, ${levelText(result)} ${range}): ${said}.`;
}

/** `ECE 4.1 % against 13.7 %: lower by 9.6 points (95 % 7.9 to 11.2, p = 0.002)`. */
function differenceText(
  result: StudyResult,
  figure: ShownFigure,
  method: StudyMethod,
  baseline: StudyMethod,
  difference: CorrectedDifference,
  verdict: Verdict,
): string {
  const unit = figure.unit === '' ? '' : ` ${figure.unit}`;
  const values = [method, baseline].map((m) => `${formatFigure(figure, estimateOf(m, figure).value)}${unit}`);
  const head = `${figure.label} ${values[0]} against ${values[1]}`;
  const points = figure.unit === '%' ? ' points' : unit;
  const p = pText(difference.corrected!, alphaOf(result));
  const level = levelText(result);
  const value = difference.value!;
  if (verdict === 'undecided') {
    const range = rangeText(figure, difference.low, difference.high, true);
    return `${head}: no significant difference (${formatFigure(figure, value, true)}${points}${range === '' ? '' : `, ${level} ${range}`}, ${p})`;
  }
  const way = value < 0 ? 'lower' : 'higher';
  // An interval of a significant difference has one sign unless it is a basic one; then the sign has to be seen.
  const oneSided =
    difference.low !== null && difference.high !== null && difference.low * difference.high >= 0;
  const range = !oneSided
    ? rangeText(figure, difference.low, difference.high, true)
    : value < 0
      ? rangeText(figure, -difference.high!, -difference.low!, false)
      : rangeText(figure, difference.low, difference.high, false);
  return `${head}: ${way} by ${formatFigure(figure, Math.abs(value))}${points} (${range === '' ? '' : `${level} ${range}, `}${p})`;
}

function rangeText(figure: ShownFigure, low: number | null, high: number | null, signed: boolean): string {
  if (low === null || high === null) return '';
  return `${formatFigure(figure, low, signed)} to ${formatFigure(figure, high, signed)}`;
}

/** What was compared, in one line: data, network and how often. */
export function subject(result: StudyResult): string {
  const { data, model } = result;
  const seeds = [...new Set(result.methods.map((m) => m.summary.runs))].sort((a, b) => a - b);
  const runs =
    seeds.length === 1
      ? plural(seeds[0]!, 'seed')
      : `${formatCount(seeds[0]!)} to ${plural(seeds.at(-1)!, 'seed')}`;
  return (
    `${data.name}, split “${data.split}”: ${plural(data.samples, 'image')}, ${plural(data.classes.length, 'class', 'classes')}; ` +
    `${model.name} at ${model.size} px (${formatParameters(model.parameters)} parameters), ` +
    `trained on ${plural(data.trainSamples, 'image')}, ${runs} a method`
  );
}

/** How the numbers were made and what they cannot show: sentences for the foot of every rendering. */
export function notes(result: StudyResult): string[] {
  const first = result.methods[0];
  if (first === undefined) return [];
  const { replicates, resampled, interval, bins, edges } = first.summary.settings;
  const alpha = alphaOf(result);
  const level = levelText(result);
  const many = Math.max(...result.methods.map((m) => m.summary.runs));
  const few = Math.min(...result.methods.map((m) => m.summary.runs));
  const lines: string[] = [];
  const unit = resampled === 'groups' ? 'groups (patients)' : 'images';
  if (replicates > 0) {
    lines.push(
      `Intervals: ${level}, ${interval} bootstrap with ${formatCount(replicates)} resamples of ${unit}${many > 1 ? ' and of seeds; a figure is the mean over seeds' : ''}.`,
    );
  } else {
    lines.push('No resamples were asked for: there are no intervals and no tests.');
  }
  if (replicates > 0 && interval === 'percentile') {
    lines.push(
      'Calibration errors are sums of absolute values, which resampling pushes up: their intervals lean upwards and can even lie above the figure.',
    );
  }
  if (few === 1) {
    lines.push(
      'A method trained from one seed only: its interval holds the chance of which images were judged, not that of the training. Another seed can differ by more.',
    );
  } else if (few < 5) {
    lines.push(
      `With ${plural(few, 'seed')} the spread between trainings is known roughly and is understated by the intervals.`,
    );
  }
  if (result.pairs.length > 0 && replicates > 0) {
    const pairs = result.pairs.length;
    const least = 2 / (replicates + 1);
    lines.push(
      `Significant: p < ${alpha} by the paired bootstrap on the same images, Holm-corrected over ${plural(pairs, 'pair')} of methods for each figure. No significant difference does not mean that there is none.`,
    );
    // Holm multiplies the least p by the number of pairs, and no other is less after the correction.
    lines.push(
      least * pairs < alpha
        ? `${formatCount(replicates)} resamples show no p below ${formatLeast(least)} before correction and ${formatLeast(least * pairs)} after it.`
        : `${formatCount(replicates)} resamples show no p below ${formatLeast(least)}, ${formatLeast(Math.min(1, least * pairs))} after correction: too few for any difference to be called significant. Use more.`,
    );
  }
  lines.push(
    `ECE, MCE and the diagrams: ${bins} bins of equal width of the top-1 confidence (${edges} edges).`,
  );
  if (result.data.broken > 0) {
    lines.push(
      `${plural(result.data.broken, 'file')} could not be read and ${result.data.broken === 1 ? 'was' : 'were'} left out.`,
    );
  }
  const absent = result.data.support.filter((n) => n === 0).length;
  if (absent > 0) {
    lines.push(
      `${plural(absent, 'class has', 'classes have')} no image in this split: recall and AUROC are not defined there and left out of the means.`,
    );
  }
  return lines;
}

function formatLeast(p: number): string {
  return p >= 0.001 ? p.toFixed(3) : p.toExponential(0);
}

/** `a`, `a and b`, `a, b and c`. */
export function list(words: readonly string[]): string {
  return words.length < 2 ? (words[0] ?? '') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** A figure's name in the middle of a sentence: a small letter unless it is a name or an abbreviation. */
function inSentence(label: string): string {
  return /^(Top|Brier|[A-Z]{2})/.test(label) ? label : label.charAt(0).toLowerCase() + label.slice(1);
}

/** Upper-cases the first letter. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
