import { formatFigure, formatInterval, formatP } from '../figures/index.ts';
import {
  type Child,
  drawing,
  HEAD,
  inline,
  linear,
  type Markup,
  page,
  prose,
  ROW,
  ROW_HEAD,
  tableFrame,
  tag,
} from '../page/index.ts';
import { heatColour } from './colour-map.ts';
import type { Scores } from './score.ts';

/** What a page of maps shows. */
export interface ExplainPage {
  /** The name of the data. */
  readonly data: string;
  /** A line each: what made the maps. */
  readonly columns: readonly { readonly name: string; readonly layer: string }[];
  /** How many images were explained. */
  readonly images: number;
  readonly cases: readonly PageCase[];
  /** Where maps were scored: of all of them, and by finding. */
  readonly scores?: { readonly all: Scores; readonly byOutput: ReadonlyMap<string, Scores> } | undefined;
  /** What a reader must know besides. */
  readonly notes: readonly string[];
}

export interface PageCase {
  /** The image's name. */
  readonly image: string;
  /** The finding, or class. */
  readonly output: string;
  /** What is true of it, where that is known. */
  readonly truth?: string | undefined;
  /** Data URIs of the picture and of each column's panel. */
  readonly picture: string;
  readonly panels: readonly { readonly source: string; readonly lines: readonly string[] }[];
}

/** The page: what agrees with what is there, then the pictures, columns side by side. */
export function explainHtml(shown: ExplainPage): string {
  const { data, columns, images, cases, scores, notes } = shown;
  const title = `Where the evidence is: ${data}`;
  return page(
    title,
    tag('h1', {}, title),
    tag('p', { class: 'answer' }, answerOf(shown)),
    tag('p', {}, prose(READING)),
    notes.map((note) => tag('p', { class: 'note' }, prose(note))),
    scores && [
      tag('h2', {}, 'Agreement with what is there'),
      tag('p', { class: 'note' }, prose(SCORING)),
      scoreTable(columns, new Map([['All', scores.all]])),
    ],
    tag('h2', {}, 'Maps'),
    tag(
      'p',
      { class: 'note' },
      prose(
        `${cases.length} of them, of ${images} explained images.${scores ? ' The line around what is there is not known to the networks.' : ''}`,
      ),
    ),
    tag('div', { class: 'panels many' }, tag('figure', {}, inline(scale()))),
    cases.map(caseHtml),
    scores && [tag('h2', {}, 'Agreement by finding'), scoreTable(columns, scores.byOutput)],
    tag(
      'footer',
      {},
      columns.map(({ name, layer }) => tag('div', {}, `${name}: ${layer}`)),
    ),
  );
}

const READING =
  'Each map shows where in the image the evidence for the finding lies, as a share of the map’s own greatest value: a weak map and a strong one look alike, so read the probability beside it. A map says where a network looked, not that it was right to.';
const SCORING =
  'Hits: the map’s greatest value lies in the mask (pointing game). Energy: the share of the map that lies in it. By chance both are the masks’ mean share of the image. 95 % intervals over patients; differences from the first row, Holm-corrected.';

function answerOf({ columns, scores }: ExplainPage): string {
  if (scores === undefined)
    return `${columns.length === 1 ? 'One map' : `${columns.length} maps`} for each finding, side by side.`;
  const { all } = scores;
  const best = all.columns.reduce(
    (most, one, c) => (one.hits.value! > all.columns[most]!.hits.value! ? c : most),
    0,
  );
  const share = (value: number | null) => `${formatFigure(PERCENT, value)} %`;
  const { hits } = all.columns[best]!;
  const said = `${columns[best]!.name} points into the mask in ${share(hits.value)} of ${all.maps} maps [${formatInterval(PERCENT, hits) ?? '–'}]; by chance ${share(all.area)}.`;
  return (hits.low ?? 0) > all.area ? said : `None points better than chance: ${said}`;
}

const PERCENT = { unit: '%', digits: 1 } as const;

function scoreTable(columns: ExplainPage['columns'], scored: ReadonlyMap<string, Scores>): Markup {
  const heads = ['', 'maps', 'patients', 'hits (%)', 'p', 'energy (%)', 'p', 'mask (%)'];
  const row = (name: string, scores: Scores, c: number, block: boolean) => {
    const { hits, energy, versus } = scores.columns[c]!;
    const figure = (estimate: typeof hits) => [
      formatFigure(PERCENT, estimate.value),
      tag('span', { class: 'ci' }, `[${formatInterval(PERCENT, estimate) ?? '–'}]`),
    ];
    const p = (adjusted: number | null | undefined) =>
      adjusted === undefined || adjusted === null ? '' : formatP(adjusted);
    const cells: Child[] = [
      String(scores.maps),
      String(scores.units),
      figure(hits),
      p(versus?.hits.adjusted),
      figure(energy),
      p(versus?.energy.adjusted),
      formatFigure(PERCENT, scores.area),
    ];
    return tag(
      'tr',
      { ...ROW, class: block ? 'block' : undefined },
      tag('th', ROW_HEAD, name),
      cells.map((cell, i) =>
        tag(
          'td',
          { role: 'cell', 'data-head': heads[i + 1], class: cell === '' ? 'empty' : undefined },
          tag('div', {}, cell),
        ),
      ),
    );
  };
  const rows = [...scored].flatMap(([output, scores]) =>
    columns.map(({ name }, c) =>
      row(columns.length === 1 ? output : `${output}: ${name}`, scores, c, c === 0),
    ),
  );
  return tableFrame(
    tag(
      'tr',
      ROW,
      heads.map((head, i) => tag('th', { ...HEAD, class: i === 0 ? 'left' : undefined }, head)),
    ),
    rows,
    {
      kind: 'scroll tight',
    },
  );
}

function caseHtml({ image, output, truth, picture, panels }: PageCase): Markup {
  const figure = (source: string, lines: readonly string[], alt: string) =>
    tag(
      'figure',
      {},
      tag('img', { src: source, alt }),
      tag(
        'figcaption',
        {},
        lines.map((line, i) => [i === 0 ? undefined : tag('br'), i === 0 ? tag('b', {}, line) : prose(line)]),
      ),
    );
  return tag(
    'section',
    {},
    tag('h4', {}, `${output} · ${image}`),
    tag(
      'div',
      { class: 'images' },
      figure(picture, ['image', ...(truth === undefined ? [] : [truth])], `${image} as the network sees it`),
      panels.map(({ source, lines }) => figure(source, lines, `${output} in ${image}: ${lines[0]}`)),
    ),
  );
}

/** The colours from 0 to 1. */
function scale() {
  const x = linear([0, 1], [6, 206]);
  const steps = Array.from({ length: 65 }, (_, i) => {
    const [r, g, b] = heatColour(i / 64);
    return tag('rect', { x: x(i / 65), y: 4, width: 3.6, height: 12, fill: `rgb(${r},${g},${b})` });
  });
  return drawing(
    420,
    36,
    'Colours of the maps, from black for 0 to yellow for the map’s greatest value',
    steps,
    [0, 0.5, 1].map((value) =>
      tag('text', { class: 'tick', x: x(value), y: 30, 'text-anchor': 'middle' }, String(value)),
    ),
    tag('text', { class: 'tick', x: 216, y: 14 }, 'share of the map’s greatest value'),
  );
}
