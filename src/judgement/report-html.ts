import { type Figure, figureHtml } from './draw/figure.ts';
import { type Child, type Markup, tag } from './draw/svg.ts';
import { sentence } from './format.ts';
import { page, prose } from './html/page.ts';
import { differencesHtml, tableHtml } from './html/table.ts';
import type { Block } from './part.ts';
import { cellName, overviewTable, type Report, type ShownCell, type ShownPart, showCell } from './report.ts';
import { howNotes, overallRemarks } from './report-reading.ts';
import type { Table } from './tables/table.ts';
import type { Answer, Remark, View } from './view.ts';

/**
 * A report as one self-contained HTML document: no scripts, no requests, light and dark, good on paper. What is missing
 * stands first, then a reading in sentences, then every cell with its parts; of several cells an overview before them.
 */
export function reportHtml(report: Report): string {
  const cells = report.cells.map((cell) => showCell(report, cell, 'page'));
  const several = cells.length > 1;
  const remarks = overallRemarks(report, cells);
  return page(
    report.title,
    header(report),
    missing(report),
    contents(cells),
    block(
      'reading',
      'What it shows',
      remarkList(remarks),
      several ? undefined : answerList(cells[0]!.answers, 'h3'),
    ),
    several
      ? block(
          'overview',
          'Overview',
          tag('p', { class: 'note' }, legend(cells[0]!.view)),
          tableHtml(overviewTable(report, cells), cells[0]!.view),
        )
      : undefined,
    cells.map((cell, i) => cellHtml(cell, `cell-${i + 1}`, several)),
    how(report, cells),
  );
}

function header(report: Report): Markup {
  const facts = [
    ...report.facts,
    ['Finished', `${report.finished.replace('T', ' ').replace(/(\.\d+)?Z$/, '')} UTC`],
  ];
  return tag(
    'header',
    {},
    tag('h1', {}, report.title),
    tag(
      'p',
      { class: 'lead' },
      report.methods.length > 1
        ? 'The same network, data and settings under different methods. Which probabilities can be believed?'
        : 'Can its probabilities be believed?',
    ),
    tag(
      'dl',
      { class: 'small' },
      facts.map(([key, value]) => [tag('dt', {}, key), tag('dd', {}, value)]),
    ),
    tag('pre', {}, tag('code', {}, report.command)),
  );
}

function missing(report: Report): Markup | undefined {
  if (report.missing.length === 0) return undefined;
  return tag(
    'section',
    { class: 'warning', id: 'missing' },
    tag('h2', {}, 'This study is not whole'),
    tag(
      'ul',
      {},
      report.missing.map((text) => tag('li', {}, sentence(text))),
    ),
  );
}

function contents(cells: readonly ShownCell[]): Markup {
  const link = (id: string, text: string) => tag('a', { href: `#${id}` }, text);
  const parts = ({ parts }: ShownCell, id: string) =>
    parts.map(({ part }, i) => [i === 0 ? '' : ' · ', link(`${id}-${part.name}`, part.title)]);
  return tag(
    'nav',
    { id: 'contents', 'aria-label': 'Contents' },
    tag(
      'ul',
      {},
      tag('li', {}, link('reading', 'What it shows')),
      cells.length > 1
        ? [
            tag('li', {}, link('overview', 'Overview')),
            cells.map((cell, i) =>
              tag(
                'li',
                {},
                link(`cell-${i + 1}`, cellName(cell.cell)),
                tag('span', { class: 'parts' }, parts(cell, `cell-${i + 1}`)),
              ),
            ),
          ]
        : tag('li', {}, parts(cells[0]!, 'cell-1')),
      tag('li', {}, link('how', 'How the figures were made')),
    ),
  );
}

function cellHtml({ view, cell, parts, answers }: ShownCell, id: string, several: boolean): Markup {
  const heading = several ? 'h3' : 'h2';
  const sections = parts.map((part) =>
    tag(
      'section',
      { id: `${id}-${part.part.name}` },
      tag(heading, {}, part.part.title),
      part.absent === undefined
        ? part.blocks.map((one) => blockHtml(one, part, view))
        : tag('p', { class: 'absent' }, `Not there: ${sentence(part.absent)}`),
    ),
  );
  if (!several) return tag('article', { id, class: 'only' }, sections);
  return tag(
    'article',
    { id },
    tag('h2', {}, cellName(cell), ' ', tag('a', { class: 'up', href: '#contents' }, '↑ contents')),
    tag('p', { class: 'note' }, cell.about),
    answerList(answers, 'h5'),
    sections,
  );
}

function blockHtml(one: Block, { blocks }: ShownPart, view: View): Child {
  if ('notes' in one) return notes(one.notes);
  const alone = blocks.filter((other) => 'figure' in other).length === 1;
  const body =
    'figure' in one
      ? [
          alone || one.fold !== undefined ? undefined : tag('h5', {}, one.figure.title),
          figureHtml(one.figure as Figure),
        ]
      : [
          tag('p', { class: 'note' }, prose(`${one.table.caption} ${legend(view, one.table)}`)),
          tableHtml(one.table, view),
          one.fold === undefined ? undefined : differencesHtml(one.table, view),
        ];
  if (one.fold !== undefined) return details(one.fold, body);
  return 'table' in one && one.table.id === 'main'
    ? [body, details(`All differences from ${view.baseline}`, differencesHtml(one.table, view))]
    : body;
}

function how(report: Report, cells: readonly ShownCell[]): Markup {
  const { view } = cells[0]!;
  return tag(
    'section',
    { id: 'how' },
    tag('h2', {}, 'How the figures were made'),
    notes(howNotes(report, cells)),
    tag(
      'dl',
      { class: 'small' },
      report.methods.map(({ id, about }) => [tag('dt', {}, view.name(id)), tag('dd', {}, about)]),
    ),
    tag(
      'footer',
      {},
      Object.entries(report.software)
        .map(([name, version]) => `${name} ${version}`)
        .join(' · '),
    ),
  );
}

function block(id: string, title: string, ...children: Child[]): Markup {
  return tag('section', { id }, tag('h2', {}, title), ...children);
}

function details(title: string, ...children: Child[]): Markup {
  return tag('details', {}, tag('summary', {}, title), ...children);
}

function notes(lines: readonly string[]): Markup {
  return tag(
    'ul',
    { class: 'small' },
    lines.map((line) => tag('li', {}, prose(line))),
  );
}

function answerList(answers: readonly Answer[], heading: 'h3' | 'h5'): Child {
  return answers.map(({ question, remarks }) => [tag(heading, {}, question), remarkList(remarks)]);
}

function remarkList(remarks: readonly Remark[]): Child {
  if (remarks.length === 0) return undefined;
  const marks = { good: ['good', '✓'], bad: ['bad', '✗'], plain: ['none', '·'] } as const;
  return tag(
    'ul',
    { class: 'remarks' },
    remarks.map(({ kind, text }) =>
      tag(
        'li',
        {},
        tag('span', { class: marks[kind][0], 'aria-hidden': 'true' }, marks[kind][1]),
        prose(text),
      ),
    ),
  );
}

/** What the marks of a table mean, where it has them and does not say it itself. */
function legend(view: View, table?: Table): string {
  const marked =
    table === undefined || table.rows.some(({ cells }) => cells.some(({ difference }) => difference));
  const said = table?.caption.includes('✓') ?? false;
  return `Shaded: best. [ ]: ${view.level} interval.${marked && !said ? ` ${view.signNote}` : ''}`;
}
