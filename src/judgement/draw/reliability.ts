import { wilson } from '../../calibration/index.ts';
import { formatNumber } from '../../figures/index.ts';
import type { ReliabilityBin } from '../../metrics/index.ts';
import {
  type Child,
  type Drawing,
  drawing,
  linear,
  type Markup,
  type Scale,
  tag,
  ticks,
} from '../../page/svg.ts';
import { plural } from '../format.ts';
import { sideways } from './lines.ts';

export interface ReliabilityOptions {
  /** What the picture is of, for a screen reader. */
  readonly title: string;
  /** How many runs the bins pool: an image is in each of them, and an interval may count it only once. */
  readonly runs: number;
  /**
   * Draws the histogram of the confidence under the diagram, up to this share: the greatest of all panels, so that they
   * have one scale. Left out: no histogram.
   */
  readonly greatestShare?: number;
  /** What the bars are: `accuracy` (default) is right or wrong and has a binomial interval, a true probability is not. */
  readonly outcome?: 'accuracy' | 'true probability' | 'share of the class';
  /** In px. Default 280. */
  readonly width?: number;
}

/** Bins with fewer images than this are drawn faint: their height is mostly chance. */
export const FEW = 10;

const LEFT = 42;
const TOP = 8;
/** From the lowest frame to the lower edge: tick labels and the axis' name. */
const FOOT = 36;

/** Where things are in a panel: the diagram is square, the histogram under it shares its horizontal axis. */
interface Frame {
  readonly right: number;
  readonly bottom: number;
  readonly histogramTop: number;
  readonly histogramBottom: number;
  readonly x: Scale;
  readonly y: Scale;
}

function frameOf(width: number): Frame {
  const right = width - 10;
  const bottom = TOP + right - LEFT;
  return {
    right,
    bottom,
    histogramTop: bottom + 14,
    histogramBottom: bottom + 68,
    x: linear([0, 1], [LEFT, right]),
    y: linear([0, 1], [bottom, TOP]),
  };
}

/** A bin that holds something. */
interface Filled extends ReliabilityBin {
  readonly confidence: number;
  readonly accuracy: number;
}

/**
 * A reliability diagram, over a histogram of the confidence on the same horizontal axis. In each bin that holds
 * something: a bar to its accuracy, the gap to its mean confidence, a point at (mean confidence, accuracy) and its
 * Wilson interval. An empty bin has no bar, no point and no count.
 */
export function reliabilityPanel(bins: readonly ReliabilityBin[], options: ReliabilityOptions): Drawing {
  const { title, greatestShare, width = 280 } = options;
  const frame = frameOf(width);
  const { x, y, right } = frame;
  const filled = bins.filter((b): b is Filled => b.count > 0 && b.confidence !== null && b.accuracy !== null);
  const floor = greatestShare === undefined ? frame.bottom : frame.histogramBottom;
  return drawing(
    width,
    floor + FOOT,
    title,
    [0, 0.2, 0.4, 0.6, 0.8, 1].map((v) => [
      rule('grid', y(v), right),
      level(y(v), String(Math.round(100 * v))),
      tag(
        'text',
        { class: 'tick', x: x(v), y: floor + 14, 'text-anchor': 'middle' },
        String(Math.round(100 * v)),
      ),
    ]),
    tag(
      'text',
      { class: 'axis', x: (LEFT + right) / 2, y: floor + 29, 'text-anchor': 'middle' },
      'confidence (%)',
    ),
    diagram(filled, options, frame),
    greatestShare === undefined ? undefined : histogram(filled, greatestShare, frame),
  );
}

function diagram(bins: readonly Filled[], options: ReliabilityOptions, frame: Frame): Child[] {
  const { x, y, right, bottom } = frame;
  const { runs, outcome = 'accuracy' } = options;
  const bars: Markup[] = [];
  const points: Markup[] = [];
  for (const bin of bins) {
    const { count, confidence, accuracy } = bin;
    const { left, width } = span(bin, frame);
    const kind = count / runs < FEW ? 'bin few' : 'bin';
    const images = count / runs;
    const ends = outcome !== 'true probability' ? wilson(accuracy * images, images, 0.95) : undefined;
    const interval = ends && ([ends.low!, ends.high!] as const);
    const tip = [
      countText(bin),
      `mean confidence ${percent(confidence)} %, ${outcome} ${percent(accuracy)} %`,
      ...(interval === undefined ? [] : [`95 % ${percent(interval[0])} to ${percent(interval[1])} %`]),
    ];
    bars.push(
      tag(
        'g',
        { class: kind },
        tag('title', {}, tip.join('\n')),
        tag('rect', { class: 'bar', x: left, y: y(accuracy), width, height: y(0) - y(accuracy) }),
        tag('rect', {
          class: confidence > accuracy ? 'gap over' : 'gap under',
          x: left,
          y: Math.min(y(accuracy), y(confidence)),
          width,
          height: Math.abs(y(accuracy) - y(confidence)),
        }),
      ),
    );
    const at = x(confidence);
    if (interval !== undefined) {
      points.push(
        tag('line', { class: `whisker ${kind}`, x1: at, x2: at, y1: y(interval[0]), y2: y(interval[1]) }),
      );
    }
    points.push(tag('circle', { class: `point ${kind}`, cx: at, cy: y(accuracy), r: 2.4 }));
  }
  return [
    sideways(`${outcome} (%)`, (TOP + bottom) / 2),
    bars,
    tag('line', { class: 'diagonal', x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
    points,
    rule('frame', bottom, right),
  ];
}

/** The share of predictions in each bin, with the mean confidence and the accuracy over all as upright lines. */
function histogram(bins: readonly Filled[], greatestShare: number, frame: Frame): Child[] {
  const { x, right, histogramTop, histogramBottom } = frame;
  const top = Math.min(1, greatestShare * 1.08);
  const share = linear([0, top], [histogramBottom, histogramTop]);
  const total = bins.reduce((sum, b) => sum + b.count, 0);
  const meanOf = (key: 'confidence' | 'accuracy') =>
    bins.reduce((sum, b) => sum + b.count * b[key], 0) / total;
  const steps = ticks(0, top, 2);
  return [
    sideways('share (%)', (histogramTop + histogramBottom) / 2),
    steps.values.map((v) => [
      rule('grid', share(v), right),
      level(share(v), formatNumber(100 * v, Math.max(0, steps.digits - 2))),
    ]),
    bins.map((bin) => {
      const { left, width } = span(bin, frame);
      const edge = share(bin.count / total);
      return tag(
        'rect',
        { class: 'count', x: left, y: edge, width, height: histogramBottom - edge },
        tag('title', {}, countText(bin)),
      );
    }),
    total === 0
      ? undefined
      : (['accuracy', 'confidence'] as const).map((key) => {
          const at = x(meanOf(key));
          return tag('line', {
            class: `mean ${key}`,
            x1: at,
            x2: at,
            y1: histogramTop,
            y2: histogramBottom,
          });
        }),
    rule('frame', histogramBottom, right),
  ];
}

/** The greatest share of predictions that any bin of any panel holds. */
export function greatestShare(panels: readonly (readonly ReliabilityBin[])[]): number {
  const shares = panels.flatMap((bins) => {
    const total = bins.reduce((sum, b) => sum + b.count, 0);
    return total === 0 ? [] : bins.map((b) => b.count / total);
  });
  return shares.length === 0 ? 1 : Math.max(...shares);
}

/** A bar of its bin's width less a hair; a bin of no width (exactly 1) keeps a visible bar, inside the frame. */
function span(bin: ReliabilityBin, { x, right }: Frame): { left: number; width: number } {
  const width = Math.max(x(bin.upper) - x(bin.lower) - 1, 3);
  return { left: Math.min(x(bin.lower) + 0.5, right - width), width };
}

function countText(bin: ReliabilityBin): string {
  return `confidence ${percent(bin.lower)} to ${percent(bin.upper)} %: ${plural(bin.count, 'prediction')}`;
}

function rule(kind: 'grid' | 'frame', at: number, right: number): Markup {
  return tag('line', { class: kind, x1: LEFT, x2: right, y1: at, y2: at });
}

function level(at: number, text: string): Markup {
  return tag('text', { class: 'tick', x: LEFT - 6, y: at + 3.5, 'text-anchor': 'end' }, text);
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}
