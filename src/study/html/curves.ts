import { formatNumber } from '../figures.ts';
import { extent, linear, type Markup, picture, type Scale, tag, ticks } from './svg.ts';

export interface Curve {
  /** Which method: its colour and dash. */
  readonly method: number;
  /** Each run's (epoch, value); `null` where there is none. */
  readonly runs: readonly (readonly (readonly [epoch: number, value: number | null])[])[];
}

const WIDTH = 280;
const HEIGHT = 214;
const LEFT = 36;
const RIGHT = 270;
const TOP = 10;
const BOTTOM = 172;
const DASHES = ['', '7 3', '2 2.5', '9 3 2 3', '4 2', '1 3', '12 3'];

/** Curves over epochs, from the first to `lastEpoch`: each run thin, the mean over runs bold where all runs have a value. */
export function curvePanel(title: string, curves: readonly Curve[], lastEpoch: number): Markup {
  const known = curves.flatMap((c) =>
    c.runs.flatMap((run) => run.flatMap(([, v]) => (isNumber(v) ? [v] : []))),
  );
  const domain = extent(known);
  // Shares and losses are never negative: an axis that says so would mislead.
  if (known.every((v) => v >= 0)) domain[0] = Math.max(0, domain[0]);
  const first = Math.min(1, lastEpoch);
  const x = linear([first, lastEpoch], [LEFT + 4, RIGHT - 4]);
  const y = linear(domain, [BOTTOM, TOP]);
  const steps = ticks(domain[0], domain[1], 6);
  const epochs = ticks(first, lastEpoch, 5).values.filter((e) => Number.isInteger(e));
  return picture(
    WIDTH,
    HEIGHT,
    `${title} over epochs`,
    steps.values.map((v) => [
      tag('line', { class: 'grid', x1: LEFT, x2: RIGHT, y1: y(v), y2: y(v) }),
      tag(
        'text',
        { class: 'tick', x: LEFT - 6, y: y(v) + 3.5, 'text-anchor': 'end' },
        formatNumber(v, steps.digits),
      ),
    ]),
    epochs.map((e) =>
      tag('text', { class: 'tick', x: x(e), y: BOTTOM + 14, 'text-anchor': 'middle' }, String(e)),
    ),
    tag('line', { class: 'frame', x1: LEFT, x2: RIGHT, y1: BOTTOM, y2: BOTTOM }),
    tag('text', { class: 'axis', x: (LEFT + RIGHT) / 2, y: BOTTOM + 32, 'text-anchor': 'middle' }, 'epoch'),
    curves.map((curve) =>
      tag(
        'g',
        { class: `method m${curve.method % 7}` },
        curve.runs.length > 1 ? curve.runs.map((run) => line(run, x, y, 'run', '')) : undefined,
        line(meanCurve(curve.runs), x, y, 'mean', dashOf(curve.method)),
      ),
    ),
  );
}

/** How a method's lines are dashed, so that they can be told apart without colour. */
export function dashOf(method: number): string {
  return DASHES[method % DASHES.length]!;
}

/** The mean over runs at each epoch that all of them have a value for. */
export function meanCurve(runs: Curve['runs']): [number, number | null][] {
  const sums = new Map<number, { sum: number; count: number }>();
  for (const run of runs) {
    for (const [epoch, value] of run) {
      const entry = sums.get(epoch) ?? { sum: 0, count: 0 };
      if (isNumber(value)) {
        entry.sum += value;
        entry.count++;
      }
      sums.set(epoch, entry);
    }
  }
  return [...sums]
    .sort(([a], [b]) => a - b)
    .map(([epoch, { sum, count }]) => [epoch, count === runs.length ? sum / count : null]);
}

/** A line that breaks where a value is missing; a value alone is a dot. */
function line(
  points: readonly (readonly [number, number | null])[],
  x: Scale,
  y: Scale,
  kind: string,
  dash: string,
): Markup[] {
  const pieces: [number, number][][] = [[]];
  for (const [epoch, value] of points) {
    if (isNumber(value)) pieces.at(-1)!.push([x(epoch), y(value)]);
    else if (pieces.at(-1)!.length > 0) pieces.push([]);
  }
  return pieces.flatMap((piece) => {
    if (piece.length === 0) return [];
    if (piece.length === 1)
      return [
        tag('circle', { class: 'dot', cx: piece[0]![0], cy: piece[0]![1], r: kind === 'mean' ? 3 : 1.8 }),
      ];
    const path = piece
      .map(([px, py], i) => `${i === 0 ? 'M' : 'L'}${px.toFixed(1)} ${py.toFixed(1)}`)
      .join('');
    return [tag('path', { class: kind, d: path, 'stroke-dasharray': dash === '' ? undefined : dash })];
  });
}

/** A diverged run's NaN is `null` after JSON. */
function isNumber(value: number | null | undefined): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}
