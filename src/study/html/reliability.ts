import type { ReliabilityBin } from '../../metrics/index.ts';
import { formatNumber, plural } from '../figures.ts';
import { linear, type Markup, picture, tag, ticks } from './svg.ts';

export interface ReliabilityOptions {
  /** What the picture is of, for a screen reader. */
  readonly title: string;
  /** How many runs the bins pool: an image counts once in each, so that an interval may count it only once. */
  readonly runs: number;
  /** The greatest share of predictions in a bin of any panel: the histograms share their scale. */
  readonly greatestShare: number;
  /** What stands on the vertical axis; default `accuracy (%)`. */
  readonly outcome?: string;
  /** Whether the outcome is right or wrong, so that a binomial interval makes sense. Default true. */
  readonly binomial?: boolean;
}

/** Bins with fewer images than this are drawn faint: their height is mostly chance. */
export const FEW = 10;

const WIDTH = 280;
const LEFT = 42;
const RIGHT = 270;
const TOP = 8;
const BOTTOM = 236;
const HISTOGRAM_TOP = 250;
const HISTOGRAM_BOTTOM = 304;
const HEIGHT = 340;

/**
 * A reliability diagram over a histogram of the confidence, on one horizontal axis. In each bin that holds something:
 * a bar to its accuracy, the gap to its mean confidence, a point at (mean confidence, accuracy) and its Wilson interval.
 * An empty bin has no bar, no point and no count.
 */
export function reliabilityPanel(bins: readonly ReliabilityBin[], options: ReliabilityOptions): Markup {
  const { title, runs, greatestShare, outcome = 'accuracy (%)', binomial = true } = options;
  const x = linear([0, 1], [LEFT, RIGHT]);
  const y = linear([0, 1], [BOTTOM, TOP]);
  const shareTop = Math.min(1, greatestShare * 1.08);
  const share = linear([0, shareTop], [HISTOGRAM_BOTTOM, HISTOGRAM_TOP]);
  const total = bins.reduce((sum, b) => sum + b.count, 0);
  const drawn: Markup[] = [];
  const points: Markup[] = [];
  const histogram: Markup[] = [];
  let confidenceSum = 0;
  let outcomeSum = 0;
  for (const bin of bins) {
    const { count, confidence, accuracy } = bin;
    if (count === 0 || confidence === null || accuracy === null) continue;
    confidenceSum += count * confidence;
    outcomeSum += count * accuracy;
    const { left, width } = span(x(bin.lower), x(bin.upper));
    const few = count / runs < FEW ? 'bin few' : 'bin';
    const over = confidence > accuracy;
    const [low, high] = binomial ? wilson(accuracy, count / runs) : [accuracy, accuracy];
    const tip = [
      `confidence ${percent(bin.lower)} to ${percent(bin.upper)} %: ${plural(count, 'prediction')}`,
      `mean confidence ${percent(confidence)} %, ${outcome.replace(' (%)', '')} ${percent(accuracy)} %`,
      binomial ? `95 % ${percent(low)} to ${percent(high)} %` : undefined,
    ];
    drawn.push(
      tag(
        'g',
        { class: few },
        tag('title', {}, tip.filter((t) => t !== undefined).join('\n')),
        tag('rect', { class: 'bar', x: left, y: y(accuracy), width, height: y(0) - y(accuracy) }),
        tag('rect', {
          class: over ? 'gap over' : 'gap under',
          x: left,
          y: Math.min(y(accuracy), y(confidence)),
          width,
          height: Math.abs(y(accuracy) - y(confidence)),
        }),
      ),
    );
    if (binomial) {
      points.push(
        tag('line', {
          class: `whisker ${few}`,
          x1: x(confidence),
          x2: x(confidence),
          y1: y(low),
          y2: y(high),
        }),
      );
    }
    points.push(tag('circle', { class: `point ${few}`, cx: x(confidence), cy: y(accuracy), r: 2.4 }));
    histogram.push(
      tag(
        'rect',
        { class: 'count', x: left, y: share(count / total), width, height: share(0) - share(count / total) },
        tag('title', {}, tip[0]),
      ),
    );
  }
  const axes = [
    ...[0, 0.2, 0.4, 0.6, 0.8, 1].flatMap((v) => [
      tag('line', { class: 'grid', x1: LEFT, x2: RIGHT, y1: y(v), y2: y(v) }),
      tag(
        'text',
        { class: 'tick', x: LEFT - 6, y: y(v) + 3.5, 'text-anchor': 'end' },
        String(Math.round(100 * v)),
      ),
      tag(
        'text',
        { class: 'tick', x: x(v), y: HISTOGRAM_BOTTOM + 14, 'text-anchor': 'middle' },
        String(Math.round(100 * v)),
      ),
    ]),
    tag(
      'text',
      { class: 'axis', x: (LEFT + RIGHT) / 2, y: HEIGHT - 7, 'text-anchor': 'middle' },
      'confidence (%)',
    ),
    vertical(outcome, (TOP + BOTTOM) / 2),
    vertical('share (%)', (HISTOGRAM_TOP + HISTOGRAM_BOTTOM) / 2),
    ...ticks(0, shareTop, 2).values.flatMap((v) => [
      tag('line', { class: 'grid', x1: LEFT, x2: RIGHT, y1: share(v), y2: share(v) }),
      tag(
        'text',
        { class: 'tick', x: LEFT - 6, y: share(v) + 3.5, 'text-anchor': 'end' },
        formatNumber(100 * v, shareTop < 0.02 ? 1 : 0),
      ),
    ]),
  ];
  const means =
    total === 0
      ? []
      : [
          upright('mean accuracy', x(outcomeSum / total)),
          upright('mean confidence', x(confidenceSum / total)),
        ];
  return picture(
    WIDTH,
    HEIGHT,
    title,
    axes,
    drawn,
    tag('line', { class: 'diagonal', x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
    points,
    histogram,
    means,
    tag('line', { class: 'frame', x1: LEFT, x2: RIGHT, y1: y(0), y2: y(0) }),
    tag('line', { class: 'frame', x1: LEFT, x2: RIGHT, y1: HISTOGRAM_BOTTOM, y2: HISTOGRAM_BOTTOM }),
  );
}

/** The greatest share of predictions that any bin of any panel holds. */
export function greatestShare(panels: readonly (readonly ReliabilityBin[])[]): number {
  const shares = panels.flatMap((bins) => {
    const total = bins.reduce((sum, b) => sum + b.count, 0);
    return total === 0 ? [] : bins.map((b) => b.count / total);
  });
  return shares.length === 0 ? 1 : Math.max(...shares);
}

/** Wilson's 95 % score interval of a share seen in n trials (Wilson, JASA 1927). n may be a fraction. */
export function wilson(share: number, n: number): [number, number] {
  const z = 1.959963984540054;
  const centre = (share + (z * z) / (2 * n)) / (1 + (z * z) / n);
  const half = (z / (1 + (z * z) / n)) * Math.sqrt((share * (1 - share)) / n + (z * z) / (4 * n * n));
  return [Math.max(0, centre - half), Math.min(1, centre + half)];
}

/** A bar of its bin's width less a hair; a bin of no width (exactly 1) keeps a visible bar, inside the frame. */
function span(from: number, to: number): { left: number; width: number } {
  const width = Math.max(to - from - 1, 3);
  return { left: Math.min(from + 0.5, RIGHT - width), width };
}

function upright(kind: 'mean accuracy' | 'mean confidence', at: number): Markup {
  return tag('line', { class: kind, x1: at, x2: at, y1: HISTOGRAM_TOP, y2: HISTOGRAM_BOTTOM });
}

function vertical(text: string, at: number): Markup {
  return tag(
    'text',
    { class: 'axis', transform: `translate(11 ${at}) rotate(-90)`, 'text-anchor': 'middle' },
    text,
  );
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}
