import { type Drawing, drawing, tag } from '../../page/svg.ts';
import type { Sign } from '../shown.ts';
import { fitted, labelWidth, shorten, signClass } from './forest.ts';

export interface HeatCell {
  /** What decides the shade; null is not shaded. */
  readonly value: number | null;
  /** The number as it is written. */
  readonly text: string;
  readonly sign?: Sign;
  readonly tip: string;
}

export interface HeatBlock {
  readonly head: string;
  /** [row][column]. */
  readonly cells: readonly (readonly HeatCell[])[];
  /** The value that is not shaded; default the least of the block. */
  readonly from?: number;
  /** The value that is shaded darkest, and all above it; default the greatest of the block. */
  readonly to?: number;
}

const WIDTH = 920;
const GAP = 24;
const TOP = 44;
const ROW = 26;
/** Opacity of the greatest value: ink stays readable on it in light and dark. */
const DARKEST = 0.55;

/** Blocks of shaded numbers side by side, with one row for each method and one column for each calibrator. */
export function heatBlocks(
  rows: readonly string[],
  columns: readonly string[],
  blocks: readonly HeatBlock[],
  label: string,
): Drawing {
  const labels = labelWidth(rows);
  const block = (WIDTH - labels - GAP * (blocks.length - 1)) / blocks.length;
  const cell = block / columns.length;
  const names = rows.map((name, r) =>
    tag(
      'text',
      { class: 'name', x: labels - 16, y: TOP + (r + 0.5) * ROW + 4, 'text-anchor': 'end' },
      tag('title', {}, name),
      fitted(name, labels),
    ),
  );
  const drawn = blocks.map(({ head, cells, from, to }, b) => {
    const left = labels + b * (block + GAP);
    const known = cells.flat().flatMap(({ value }) => (value === null ? [] : [value]));
    const least = from ?? Math.min(...known);
    const most = to ?? Math.max(...known);
    const shade = (value: number) =>
      most > least ? DARKEST * Math.min(1, Math.max(0, (value - least) / (most - least))) : 0;
    return [
      tag('text', { class: 'head', x: left, y: 14 }, head),
      columns.map((name, c) =>
        tag(
          'text',
          { class: 'column', x: left + (c + 0.5) * cell, y: TOP - 8, 'text-anchor': 'middle' },
          tag('title', {}, name),
          shorten(name, Math.max(4, Math.floor(cell / 5.4))),
        ),
      ),
      cells.map((row, r) =>
        row.map(({ value, text, sign = '', tip }, c) =>
          tag(
            'g',
            {},
            tag('title', {}, tip),
            value === null
              ? undefined
              : tag('rect', {
                  class: 'heat',
                  x: left + c * cell + 1,
                  y: TOP + r * ROW + 1,
                  width: cell - 2,
                  height: ROW - 2,
                  'fill-opacity': shade(value).toFixed(3),
                }),
            tag('rect', {
              class: 'box',
              x: left + c * cell + 1,
              y: TOP + r * ROW + 1,
              width: cell - 2,
              height: ROW - 2,
            }),
            tag(
              'text',
              {
                x: left + (c + 0.5) * cell - (sign === '' ? 0 : 6),
                y: TOP + (r + 0.5) * ROW + 4,
                'text-anchor': 'middle',
              },
              text,
            ),
            sign === ''
              ? undefined
              : tag(
                  'text',
                  {
                    class: signClass(sign),
                    x: left + (c + 1) * cell - 6,
                    y: TOP + (r + 0.5) * ROW + 4,
                    'text-anchor': 'end',
                  },
                  sign,
                ),
          ),
        ),
      ),
    ];
  });
  return drawing(WIDTH, TOP + rows.length * ROW + 6, label, names, drawn);
}
