import { type Drawing, drawing, tag } from '../../page/svg.ts';
import { shorten } from './forest.ts';

/** Up to so many classes the numbers are written into the squares, and the names beside them. */
const NUMBERED = 12;
/** Longer names are cut; one that does not fit under its column is tilted, and all with it. */
const LONGEST = 12;
/** In px, wider than most letters. */
const LETTER = 6.8;
const TILT = 40;
/** Opacity of a row that is all in one square: ink stays readable on it. */
const DARKEST = 0.55;

/** A square for each pair of classes: rows are true, columns what was said; shades and numbers are shares of the row. */
export function confusionPanel(
  counts: readonly (readonly number[])[],
  names: readonly string[],
  label: string,
  width = 280,
): Drawing {
  const k = names.length;
  const named = k <= NUMBERED;
  const left = named
    ? Math.min(92, 14 + 6.2 * Math.max(...names.map((name) => Math.min(12, [...name].length))))
    : 16;
  const top = named ? 20 : 18;
  const side = (width - left - 4) / k;
  const row = Math.min(side, 34);
  const bottom = top + row * k;
  const longest = Math.max(...names.map((name) => [...name].length));
  const level = longest * LETTER <= side;
  return drawing(
    width,
    bottom +
      (level || !named ? 16 : 14 + Math.min(LONGEST, longest) * LETTER * Math.sin((TILT * Math.PI) / 180)),
    label,
    tag('text', { class: 'axis', x: left + (side * k) / 2, y: 11, 'text-anchor': 'middle' }, 'said'),
    names.map((name, r) => {
      const total = counts[r]!.reduce((sum, count) => sum + count, 0);
      const y = top + r * row;
      return [
        named
          ? tag(
              'text',
              { class: 'tick', x: left - 6, y: y + row / 2 + 4, 'text-anchor': 'end' },
              tag('title', {}, name),
              shorten(name, Math.max(3, Math.floor((left - 10) / 6))),
            )
          : undefined,
        counts[r]!.map((count, c) => {
          const share = total === 0 ? 0 : count / total;
          return tag(
            'g',
            {},
            tag(
              'title',
              {},
              `${name} called ${names[c]}: ${Number(count.toFixed(1))} of ${Number(total.toFixed(1))}${total === 0 ? '' : ` (${(100 * share).toFixed(1)} %)`}`,
            ),
            tag('rect', {
              class: 'heat',
              x: left + c * side + 0.5,
              y: y + 0.5,
              width: side - 1,
              height: row - 1,
              'fill-opacity': (DARKEST * share).toFixed(3),
            }),
            tag('rect', {
              class: r === c ? 'frame box' : 'box',
              x: left + c * side + 0.5,
              y: y + 0.5,
              width: side - 1,
              height: row - 1,
            }),
            named && total > 0
              ? tag(
                  'text',
                  { x: left + (c + 0.5) * side, y: y + row / 2 + 4, 'text-anchor': 'middle' },
                  (100 * share).toFixed(0),
                )
              : undefined,
          );
        }),
      ];
    }),
    named
      ? names.map((name, c) =>
          tag(
            'text',
            level
              ? { class: 'column', x: left + (c + 0.5) * side, y: bottom + 12, 'text-anchor': 'middle' }
              : {
                  class: 'column',
                  transform: `translate(${(left + (c + 0.5) * side + 4).toFixed(1)} ${bottom + 11}) rotate(-${TILT})`,
                  'text-anchor': 'end',
                },
            tag('title', {}, name),
            shorten(name, LONGEST),
          ),
        )
      : undefined,
  );
}
