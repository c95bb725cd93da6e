import { formatNumber, UNDEFINED } from '../../figures/index.ts';
import type { Estimate } from '../../metrics/index.ts';
import {
  type Child,
  type Drawing,
  drawing,
  extent,
  linear,
  type Markup,
  type Scale,
  tag,
  ticks,
} from '../../page/svg.ts';
import type { Sign } from '../shown.ts';
import { marker, ofMethod } from './marker.ts';

/** One method's row: its name and which method it is. */
export interface ForestRow {
  readonly name: string;
  readonly series: number;
  /** Drawn in grey: one of many, and not one to look at. */
  readonly muted?: boolean;
}

/** One value of a row. */
export interface ForestMark extends Estimate {
  /** What the pointer is told: name, figure, value, interval. */
  readonly tip: string;
  /** What a test says of it, at the panel's right edge. */
  readonly sign?: Sign;
  /** An empty mark: a second state of the same method. */
  readonly hollow?: boolean;
}

export interface ForestPanel {
  readonly head: string;
  /** What values are multiplied by to be shown. */
  readonly scale: number;
  /** Decimals of the figure: the axis is not blown up to show less than six of the last. */
  readonly digits: number;
  /** Whether the axis starts at 0. */
  readonly fromZero?: boolean;
  /** Values that the axis has to hold beside the panel's own: panels given the same ones have one scale. */
  readonly reach?: readonly (number | null)[];
  /** Where the dashed line stands; null for none. */
  readonly reference: number | null;
  /** The marks of each row, in the rows' order. */
  readonly marks: readonly (readonly ForestMark[])[];
}

const WIDTH = 920;
/** The column of names is as wide as these need, within limits. */
const LABELS = [190, 290] as const;
/** px of a letter of a name, on average, and between name and panel. */
const LETTER = 6.7;
const NAME_GAP = 16;
const GAP = 34;
const TOP = 30;
const ROW = 26;
/** Further height of a row for each mark after the first. */
const MORE = 10;

/** A row of panels, one for each figure: every method's values with their intervals, and a line at the reference. */
export function forest(rows: readonly ForestRow[], panels: readonly ForestPanel[], label: string): Drawing {
  const most = Math.max(1, ...panels.flatMap((p) => p.marks.map((m) => m.length)));
  const row = ROW + MORE * (most - 1);
  const bottom = TOP + rows.length * row + 4;
  const labels = labelWidth(rows.map((r) => r.name));
  const width = (WIDTH - labels - panels.length * GAP) / panels.length;
  const rowOf = (r: number) => TOP + (r + 0.5) * row;
  const names = rows.map(({ name }, r) =>
    tag(
      'text',
      { class: 'name', x: labels - NAME_GAP, y: rowOf(r) + 4, 'text-anchor': 'end' },
      tag('title', {}, name),
      fitted(name, labels),
    ),
  );
  const drawn = panels.map((panel, i) => {
    const left = labels + i * (width + GAP);
    const right = left + width;
    const x = linear(domainOf(panel), [left, right]);
    return [
      tag('text', { class: 'head', x: left, y: 14 }, panel.head),
      axis(panel, x, 4, { left, right, top: TOP, bottom }),
      rows.map(({ series, muted }, r) => {
        const marks = panel.marks[r]!;
        return tag(
          'g',
          ofMethod(series, muted),
          marks.map((mark, j) => {
            const y = rowOf(r) + (j - (marks.length - 1) / 2) * (ROW / 2);
            return markOf(mark, panel.scale, series, x, y, left, right);
          }),
        );
      }),
    ];
  });
  return drawing(WIDTH, bottom + 22, label, names, drawn);
}

const CARD = { width: 300, left: 6, right: 276, top: 4, row: 32 } as const;

/** One panel by itself, for a column of a page: a method's name stands above its marks, so that no name is cut. */
export function forestCard(rows: readonly ForestRow[], panel: ForestPanel, label: string): Drawing {
  const { width, left, right, top } = CARD;
  const most = Math.max(1, ...panel.marks.map((marks) => marks.length));
  const row = CARD.row + MORE * (most - 1);
  const bottom = top + rows.length * row + 4;
  const x = linear(domainOf(panel), [left + 4, right]);
  return drawing(
    width,
    bottom + 22,
    label,
    axis(panel, x, 5, { left, right, top, bottom }),
    rows.map(({ name, series, muted }, r) => {
      const marks = panel.marks[r]!;
      const y = top + r * row;
      return tag(
        'g',
        ofMethod(series, muted),
        tag('text', { class: 'column', x: left, y: y + 11 }, shorten(name, 46)),
        marks.map((mark, j) => markOf(mark, panel.scale, series, x, y + 22 + j * MORE, left, right)),
      );
    }),
  );
}

/** Grid and numbers, the line below them, and the dashed line at the reference. */
function axis(
  panel: ForestPanel,
  x: Scale,
  count: number,
  { left, right, top, bottom }: { left: number; right: number; top: number; bottom: number },
): Child {
  const steps = ticks(...domainOf(panel), count);
  const reference = panel.reference === null ? undefined : x(panel.reference * panel.scale);
  return [
    steps.values.map((v) => [
      tag('line', { class: 'grid', x1: x(v), x2: x(v), y1: top, y2: bottom }),
      tag(
        'text',
        { class: 'tick', x: x(v), y: bottom + 14, 'text-anchor': 'middle' },
        formatNumber(v, steps.digits),
      ),
    ]),
    tag('line', { class: 'frame', x1: left, x2: right, y1: bottom, y2: bottom }),
    reference === undefined
      ? undefined
      : tag('line', { class: 'reference', x1: reference, x2: reference, y1: top, y2: bottom }),
  ];
}

function markOf(
  mark: ForestMark,
  scale: number,
  series: number,
  x: Scale,
  y: number,
  left: number,
  right: number,
): Markup {
  const { value, low, high, sign = '', hollow = false, tip } = mark;
  if (value === null) {
    return tag(
      'text',
      { class: 'tick', x: (left + right) / 2, y: y + 4, 'text-anchor': 'middle' },
      tag('title', {}, tip),
      `${UNDEFINED} not defined`,
    );
  }
  return tag(
    'g',
    {},
    tag('title', {}, tip),
    low === null || high === null
      ? undefined
      : tag('line', {
          class: hollow ? 'interval thin' : 'interval',
          x1: x(low * scale),
          x2: x(high * scale),
          y1: y,
          y2: y,
        }),
    marker(series, x(value * scale), y, hollow),
    sign === '' ? undefined : tag('text', { class: signClass(sign), x: right + 6, y: y + 4 }, sign),
  );
}

function domainOf(panel: ForestPanel): [number, number] {
  const own = panel.marks.flat().flatMap((m) => [m.value, m.low, m.high]);
  const values = [...own, ...(panel.reach ?? []), panel.reference].flatMap((v) =>
    v === null ? [] : [v * panel.scale],
  );
  const least = 6 * 10 ** -panel.digits;
  if (!panel.fromZero) return extent(values, 0.08, least);
  // A mirrored interval can end below 0.
  const [low, high] = [Math.min(0, ...values), Math.max(least, ...values)];
  return [low, high + 0.08 * (high - low)];
}

/** The class of what a test says. */
export function signClass(sign: Sign): string {
  return sign === '✓' ? 'mark good' : sign === '✗' ? 'mark bad' : 'mark';
}

/** The width of a column that these names stand in, in px. */
export function labelWidth(names: readonly string[]): number {
  const longest = Math.max(0, ...names.map((name) => [...name].length));
  return Math.min(LABELS[1], Math.max(LABELS[0], Math.ceil(longest * LETTER + NAME_GAP)));
}

/** A name as it fits into the column of names. */
export function fitted(name: string, width: number): string {
  return shorten(name, Math.floor((width - NAME_GAP) / LETTER) + 2);
}

/** At most `most` characters, an ellipsis where some are missing: the end stays, it is what tells long names apart. */
export function shorten(text: string, most: number): string {
  const letters = [...text];
  if (letters.length <= most) return text;
  const end = Math.floor((most - 1) / 3);
  const head = letters.slice(0, most - 1 - end).join('');
  return `${head.trimEnd()}…${letters
    .slice(letters.length - end)
    .join('')
    .trimStart()}`;
}
