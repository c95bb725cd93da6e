import { type ColourName, LIGHT, pictureStyle } from '../../page/colours.ts';
import { type Child, type Drawing, HATCH, inline, Markup, tag } from '../../page/svg.ts';
import { wrap } from '../format.ts';
import { marker, seriesClass, swatch } from './marker.ts';

/** A figure: panels of one scale, side by side, with what they have in common said once. */
export interface Figure {
  /** Name of its file, without `.svg`. */
  readonly file: string;
  readonly title: string;
  /** How it is read. */
  readonly note: string;
  readonly panels: readonly Panel[];
  /** Panels in a row. */
  readonly columns: number;
  readonly legend?: readonly LegendItem[];
}

export interface Panel {
  readonly drawing: Drawing;
  readonly head?: string;
  /** The method whose mark stands before the head. */
  readonly series?: number;
  /** Small lines under the head: its numbers. */
  readonly lines?: readonly string[];
}

export interface LegendItem {
  /** Drawn around (15, 6) in a box of 30 × 12. */
  readonly mark: Markup;
  readonly text: string;
}

/** A figure in a page: its panels flow with the column. */
export function figureHtml(figure: Figure): Markup {
  const panels = figurePanels(figure);
  return tag(
    'div',
    { class: 'figure', role: 'group', 'aria-label': figure.title },
    figure.note === '' ? undefined : tag('p', { class: 'note' }, figure.note),
    figure.legend === undefined
      ? undefined
      : tag(
          'div',
          { class: 'legend' },
          figure.legend.map((item) => tag('span', {}, legendMark(item.mark), item.text)),
        ),
    tag('div', { class: figure.columns === 1 ? 'wide' : 'panels many' }, panels),
  );
}

/** The panels alone. */
export function figurePanels({ panels }: Pick<Figure, 'panels'>): Markup[] {
  return panels.map(({ drawing, head, series, lines = [] }) =>
    tag(
      'figure',
      { 'data-m': series },
      head === undefined ? undefined : tag('h5', {}, series === undefined ? undefined : swatch(series), head),
      lines.length === 0
        ? undefined
        : tag(
            'figcaption',
            {},
            lines.map((line, i) => [i === 0 ? '' : tag('br'), line]),
          ),
      inline(drawing),
    ),
  );
}

/** The width of a page's text, and no more mm than this for a px. */
const TEXT_MM = 178;
const MOST_MM = 0.25;
/** No letter of a file is smaller than 7 pt at the declared width. */
const LEAST_MM = (7 * 25.4) / 72;
const GAP = 18;
const MARGIN = 10;
const LINE = 15;
/** Wider than what the letters of the generic fonts need on average, in em. */
const LETTER = 0.56;

/** A figure as a file of its own: white, in millimetres, for a page's width; nothing in it needs another file. */
export function figureSvg({ title, note, panels, columns, legend = [] }: Figure): string {
  const across = Math.min(columns, panels.length);
  const panelWidth = Math.max(...panels.map((p) => p.drawing.width));
  const inner = across * panelWidth + (across - 1) * GAP;
  const width = inner + 2 * MARGIN;
  const mm = Math.min(MOST_MM, TEXT_MM / width);
  const parts: Child[] = [];
  let y = MARGIN;
  for (const line of wrap(title, inner / (15 * LETTER))) {
    y += 18;
    parts.push(tag('text', { class: 'title', x: MARGIN, y }, line));
  }
  y += 8;
  let x = MARGIN;
  for (const { mark, text } of legend) {
    const size = 36 + text.length * 12 * LETTER + 16;
    if (x > MARGIN && x + size > width) {
      x = MARGIN;
      y += 18;
    }
    parts.push(
      tag('g', { transform: `translate(${x} ${y + 3})` }, mark),
      tag('text', { class: 'name', x: x + 34, y: y + 13 }, text),
    );
    x += size;
  }
  if (legend.length > 0) y += 24;
  for (let first = 0; first < panels.length; first += across) {
    const row = panels.slice(first, first + across).map((panel) => ({
      ...panel,
      head: panel.head === undefined ? [] : wrap(panel.head, (panelWidth - 20) / (12.5 * LETTER)).slice(0, 2),
    }));
    const heads = Math.max(...row.map((p) => p.head.length));
    const lines = Math.max(...row.map((p) => p.lines?.length ?? 0));
    const top = y + heads * 16 + lines * LINE + (heads + lines > 0 ? 6 : 0);
    row.forEach(({ drawing: { body }, head, series, lines: small = [] }, i) => {
      const left = MARGIN + i * (panelWidth + GAP);
      const indent = series === undefined ? 0 : 16;
      if (series !== undefined)
        parts.push(tag('g', { class: seriesClass(series) }, marker(series, left + 6, y + 9)));
      head.forEach((text, j) => {
        parts.push(tag('text', { class: 'head', x: left + indent, y: y + 13 + 16 * j }, text));
      });
      small.forEach((text, j) => {
        parts.push(tag('text', { class: 'tick', x: left, y: y + head.length * 16 + 12 + LINE * j }, text));
      });
      parts.push(tag('g', { transform: `translate(${left} ${top})` }, body));
    });
    y = top + Math.max(...row.map((p) => p.drawing.height)) + GAP;
  }
  const height = y - GAP + MARGIN;
  const said = [note, ...legend.map((l) => l.text), ...panels.map(spoken)].filter((text) => text !== '');
  const svg = tag(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      width: `${(width * mm).toFixed(1)}mm`,
      height: `${(height * mm).toFixed(1)}mm`,
      viewBox: `0 0 ${width} ${height}`,
      role: 'img',
    },
    tag('title', {}, title),
    tag('desc', {}, said.join('\n')),
    tag('style', {}, new Markup(fileStyle(LEAST_MM / mm))),
    HATCH,
    tag('rect', { class: 'paper', x: 0, y: 0, width, height }),
    parts,
  );
  return `<?xml version="1.0" encoding="UTF-8"?>\n${svg.html}\n`;
}

const fileStyle = (least: number) => `
${pictureStyle((name: ColourName) => LIGHT[name], least)}
svg { font-family: Helvetica, Arial, "Liberation Sans", sans-serif; }
svg .title { font-size: ${Math.max(15, least).toFixed(2)}px; font-weight: 600; }
`;

/** A method's mark for a legend. */
export function mark(series: number, hollow = false): Markup {
  return tag('g', { class: seriesClass(series) }, marker(series, 15, 6, hollow));
}

function legendMark(body: Markup): Markup {
  return tag('svg', { viewBox: '0 0 30 12', 'aria-hidden': 'true' }, body);
}

function spoken({ head, lines = [], drawing }: Panel): string {
  return [head ?? drawing.label, ...lines].join('; ');
}
