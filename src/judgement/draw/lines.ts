import { formatNumber } from '../../figures/index.ts';
import { type Drawing, drawing, linear, type Markup, type Scale, tag, ticks } from '../../page/svg.ts';
import { ofMethod } from './marker.ts';

/** (x, y) in the panel's units; `null` where there is no value. */
export type Point = readonly [x: number, y: number | null];

/** One line of a panel. */
export interface Line {
  readonly points: readonly Point[];
  /** `mean` bold, `run` thin, both in the method's colour; `reference` grey dashes, `other` faint grey. */
  readonly kind: 'mean' | 'run' | 'reference' | 'other';
  /** Which method, for the colour of `mean` and `run`. */
  readonly series?: number;
  /** Drawn in grey, where so many methods share a panel that only some can be told apart. */
  readonly muted?: boolean;
  /** Where several methods share a panel: their colours alone would not tell them apart. */
  readonly dash?: string | undefined;
  /** Intervals drawn at some of the points. */
  readonly intervals?: readonly (readonly [x: number, low: number, high: number])[];
}

export interface LinePanel {
  /** What the picture is of, for a screen reader. */
  readonly label: string;
  readonly lines: readonly Line[];
  readonly x: { readonly name: string; readonly domain: readonly [number, number]; readonly whole?: boolean };
  readonly y: { readonly name?: string; readonly domain: readonly [number, number] };
  /** In px. Default 280. */
  readonly width?: number;
}

const HEIGHT = 214;
const TOP = 10;
const BOTTOM = 172;

/** Lines over one pair of axes. A line breaks where a value is missing; a value alone is a dot. */
export function linePanel({ label, lines, x: horizontal, y: vertical, width = 280 }: LinePanel): Drawing {
  const left = vertical.name === undefined ? 36 : 50;
  const right = width - 10;
  const x = linear(horizontal.domain, [left + 4, right - 4]);
  const y = linear(vertical.domain, [BOTTOM, TOP]);
  const steps = ticks(...vertical.domain, 6);
  const across = ticks(...horizontal.domain, width < 250 ? 4 : 5);
  const digits = horizontal.whole ? 0 : across.digits;
  return drawing(
    width,
    HEIGHT,
    label,
    steps.values.map((v) => [
      tag('line', { class: 'grid', x1: left, x2: right, y1: y(v), y2: y(v) }),
      tag(
        'text',
        { class: 'tick', x: left - 6, y: y(v) + 3.5, 'text-anchor': 'end' },
        formatNumber(v, steps.digits),
      ),
    ]),
    across.values
      .filter((v) => !horizontal.whole || Number.isInteger(v))
      .map((v) =>
        tag(
          'text',
          { class: 'tick', x: x(v), y: BOTTOM + 14, 'text-anchor': 'middle' },
          formatNumber(v, digits),
        ),
      ),
    tag('line', { class: 'frame', x1: left, x2: right, y1: BOTTOM, y2: BOTTOM }),
    tag(
      'text',
      { class: 'axis', x: (left + right) / 2, y: BOTTOM + 32, 'text-anchor': 'middle' },
      horizontal.name,
    ),
    vertical.name === undefined ? undefined : sideways(vertical.name, (TOP + BOTTOM) / 2),
    lines.map((line) =>
      tag(
        'g',
        line.series === undefined ? { class: 'plain' } : ofMethod(line.series, line.muted),
        path(line, x, y),
        line.intervals?.map(([at, low, high]) =>
          tag('line', { class: 'interval thin', x1: x(at), x2: x(at), y1: y(low), y2: y(high) }),
        ),
      ),
    ),
  );
}

/** An axis' name along the left edge. */
export function sideways(text: string, at: number): Markup {
  return tag(
    'text',
    { class: 'axis', transform: `translate(11 ${at}) rotate(-90)`, 'text-anchor': 'middle' },
    text,
  );
}

function path({ points, kind, dash }: Line, x: Scale, y: Scale): Markup[] {
  const pieces: [number, number][][] = [[]];
  for (const [at, value] of points) {
    if (isNumber(value)) pieces.at(-1)!.push([x(at), y(value)]);
    else if (pieces.at(-1)!.length > 0) pieces.push([]);
  }
  return pieces.flatMap((piece) => {
    if (piece.length === 0) return [];
    if (piece.length === 1)
      return [
        tag('circle', { class: 'dot', cx: piece[0]![0], cy: piece[0]![1], r: kind === 'mean' ? 3 : 1.8 }),
      ];
    const d = piece.map(([px, py], i) => `${i === 0 ? 'M' : 'L'}${px.toFixed(1)} ${py.toFixed(1)}`).join('');
    return [tag('path', { class: kind, d, 'stroke-dasharray': dash })];
  });
}

/** A diverged run's NaN is `null` after JSON. */
export function isNumber(value: number | null | undefined): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}
