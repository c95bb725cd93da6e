import { type Attributes, drawing, inline, Markup, tag } from '../../page/svg.ts';

/** How many colours there are; methods beyond them differ from the first in shape and dash. */
const COLOURS = 7;
const DASHES = ['', '7 3', '2 2.5', '9 3 2 3', '4 2', '1 3', '12 3'];

/** The class that gives what is inside a method's colour. Colour and shape together repeat after 28 methods. */
export function seriesClass(series: number): string {
  return `method m${series % COLOURS}`;
}

/** What a group of a method's marks carries: its colour, and the place by which a page turns it on and off. */
export function ofMethod(series: number, muted = false): Attributes {
  return { class: muted ? 'method muted' : seriesClass(series), 'data-m': series };
}

/** A method's mark: its shape tells it apart where its colour does not. */
export function marker(series: number, x: number, y: number, hollow = false): Markup {
  const kind = hollow ? 'dot hollow' : 'dot';
  const r = 4.6;
  switch (series % 4) {
    case 0:
      return tag('circle', { class: kind, cx: x, cy: y, r });
    case 1:
      return tag('rect', {
        class: kind,
        x: x - r + 0.5,
        y: y - r + 0.5,
        width: 2 * r - 1,
        height: 2 * r - 1,
      });
    case 2:
      return polygon(kind, [x, y - r - 1, x + r + 1, y, x, y + r + 1, x - r - 1, y]);
    default:
      return polygon(kind, [x, y - r - 0.5, x + r + 0.5, y + r - 0.5, x - r - 0.5, y + r - 0.5]);
  }
}

/** How a method's lines are dashed. Colour and dash together repeat after 49 methods. */
export function dashOf(series: number): string | undefined {
  const at = (series + 3 * Math.floor(series / COLOURS)) % DASHES.length;
  return DASHES[at] === '' ? undefined : DASHES[at];
}

/** A method's mark in front of its name. */
export function swatch(series: number): Markup {
  const mark = tag('g', { class: seriesClass(series) }, marker(series, 7, 6));
  // A picture beside text that says the same.
  return new Markup(
    inline(drawing(14, 12, '', mark)).html.replace('role="img" aria-label=""', 'aria-hidden="true"'),
  );
}

/** A method's line for a legend, in a box of 30 × 12. */
export function lineMark(series: number): Markup {
  const line = tag('path', { class: 'mean', d: 'M0 6H30', 'stroke-dasharray': dashOf(series) });
  return tag('g', ofMethod(series), line);
}

function polygon(kind: string, points: readonly number[]): Markup {
  return tag('polygon', { class: kind, points: points.map((v) => v.toFixed(2)).join(' ') });
}
