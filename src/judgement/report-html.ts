import { HEAD, page, prose, ROW, ROW_HEAD, tableFrame } from '../page/index.ts';
import { type Child, type Markup, tag } from '../page/svg.ts';
import { type Figure, figureHtml, figurePanels } from './draw/figure.ts';
import { swatch } from './draw/marker.ts';
import { capital, list, sentence } from './format.ts';
import { differencesHtml, tableHtml } from './html/table.ts';
import type { Block } from './part.ts';
import { thumbnails } from './parts/reliability.ts';
import { cellName, overviewTable, type Report, type ShownCell, type ShownPart, showCell } from './report.ts';
import { allDifferences, howNotes, overallRemarks, verdictOfReport } from './report-reading.ts';
import { type Difference, numbersTable, sidedLines, summaryNote, summaryTable } from './summary.ts';
import type { Table } from './tables/table.ts';
import { cautions } from './verdict/index.ts';
import type { Answer, Remark, View } from './view.ts';

/**
 * A report as one self-contained HTML document that asks for nothing: the verdict first, with the figures that it rests on,
 * then everything that differs, then every part. Light and dark, on a phone and on paper.
 */
export function reportHtml(report: Report): string {
  const cells = report.cells.map((cell) => showCell(report, cell, 'page'));
  const several = cells.length > 1;
  const remarks = overallRemarks(report, cells);
  return page(
    report.title,
    header(report),
    missing(report),
    verdictSection(cells),
    several ? cellsTable(cells) : opening(cells[0]!, 'cell-1'),
    switches(cells[0]!.view),
    contents(cells),
    block('differences', 'What differs', differencesTable(cells)),
    several
      ? block(
          'overview',
          'Overview',
          tag('p', { class: 'note' }, legend(cells[0]!.view)),
          tableHtml(overviewTable(report, cells), cells[0]!.view),
        )
      : undefined,
    remarks.length > 0 || !several
      ? block(
          'reading',
          'In words',
          remarkList(remarks),
          several
            ? undefined
            : details('Questions and what the numbers answer', answerList(cells[0]!.answers, 'h3')),
        )
      : undefined,
    cells.map((cell, i) => cellHtml(cell, `cell-${i + 1}`, several)),
    how(report, cells),
  );
}

function header(report: Report): Markup {
  return tag('header', {}, tag('h1', {}, report.title));
}

/** The answer, why, and what to do. */
function verdictSection(cells: readonly ShownCell[]): Markup {
  const verdict = verdictOfReport(cells);
  return tag(
    'section',
    { id: 'verdict' },
    answerHtml(verdict),
    cells.length > 1 ? undefined : banners(cells[0]!),
  );
}

function answerHtml({
  sentence: said,
  because,
  advice,
}: {
  sentence: string;
  because: string;
  advice: string;
}) {
  return [
    tag('p', { class: 'answer' }, prose(said)),
    tag(
      'dl',
      { class: 'reasons' },
      tag('dt', {}, 'Why'),
      tag('dd', {}, prose(because)),
      tag('dt', {}, 'What to do'),
      tag('dd', {}, prose(advice)),
    ),
  ];
}

/** What must be seen before any figure is believed. */
function banners({ facts, verdict }: ShownCell): Child {
  const told = cautions(facts);
  const lost =
    verdict.kind === 'nothing-learned'
      ? ['Not better than looking at no image. Nothing below speaks for or against a method.']
      : [];
  return [...lost, ...told].map((text) =>
    tag('div', { class: 'banner', role: 'note' }, tag('p', {}, prose(text))),
  );
}

/** A cell's small table and its reliability at a glance. */
function opening({ view, facts }: ShownCell, id: string): Child {
  const small = thumbnails(view);
  return [
    summaryHtml(view, facts),
    tag('p', { class: 'note' }, prose(summaryNote(facts))),
    small === undefined
      ? undefined
      : [
          tag(
            'div',
            { class: 'thumbs', role: 'group', 'aria-label': 'Reliability of every method' },
            figurePanels(small),
          ),
          tag(
            'p',
            { class: 'note' },
            prose(small.note),
            ' ',
            tag('a', { href: `#${id}-reliability` }, 'Large diagrams'),
          ),
        ],
  ];
}

function summaryHtml(view: View, facts: ShownCell['facts']): Markup {
  const { heads, rows } = summaryTable(view, facts);
  return tableFrame(
    tag(
      'tr',
      ROW,
      heads.map((head, h) =>
        tag('th', { ...HEAD, class: h === 0 || h === heads.length - 1 ? 'left' : undefined }, head),
      ),
    ),
    rows.map(({ name, series, cells, small, word, kind }) =>
      tag(
        'tr',
        { ...ROW, 'data-m': series, class: series === undefined ? 'apart' : undefined },
        tag(
          'th',
          { ...ROW_HEAD, class: 'left method-name' },
          series === undefined ? undefined : swatch(series),
          name,
        ),
        cells.map((text, c) =>
          tag(
            'td',
            { role: 'cell', 'data-head': heads[c + 1], class: text === '' ? 'empty' : undefined },
            tag(
              'div',
              {},
              marked(text),
              small[c] === '' ? undefined : tag('span', { class: 'ci' }, small[c]),
            ),
          ),
        ),
        tag(
          'td',
          { role: 'cell', class: 'left', 'data-head': heads.at(-1) },
          tag('div', {}, tag('span', { class: `tag ${kind}` }, word)),
        ),
      ),
    ),
  );
}

/** A value with its mark in the colour of marks. */
function marked(text: string): Child {
  const sign = /[✓✗]$/.exec(text)?.[0];
  if (sign === undefined) return text;
  return [text.slice(0, -1), tag('span', { class: sign === '✓' ? 'good' : 'bad' }, sign)];
}

/** Of several sets or networks: the verdict on each. */
function cellsTable(cells: readonly ShownCell[]): Markup {
  return tableFrame(
    tag(
      'tr',
      ROW,
      ['Judged', 'Verdict', 'Images'].map((head, h) =>
        tag('th', { ...HEAD, class: h < 2 ? 'left' : undefined }, head),
      ),
    ),
    cells.map(({ cell, verdict, facts }, i) =>
      tag(
        'tr',
        ROW,
        tag('th', { ...ROW_HEAD, class: 'left' }, tag('a', { href: `#cell-${i + 1}` }, cellName(cell))),
        tag(
          'td',
          { role: 'cell', class: 'left', 'data-head': 'Verdict' },
          tag(
            'div',
            {},
            prose(verdict.sentence),
            cautions(facts).map((text) => [' ', tag('b', {}, prose(text))]),
          ),
        ),
        tag('td', { role: 'cell', 'data-head': 'Images' }, tag('div', {}, String(facts.samples))),
      ),
    ),
  );
}

/** Filled by the script: without it nothing is promised that does not work. */
function switches(view: View): Child {
  if (view.ids.length < 2) return undefined;
  return tag(
    'div',
    { id: 'methods', hidden: '', role: 'group', 'aria-label': 'Methods that are shown' },
    tag('b', {}, 'Show'),
    view.ids.map((id) => tag('span', { 'data-m': view.series(id) }, swatch(view.series(id)), view.name(id))),
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
    parts
      .filter(({ absent }) => absent === undefined)
      .map(({ part }, i) => [i === 0 ? '' : ' · ', link(`${id}-${part.name}`, part.title)]);
  return tag(
    'nav',
    { id: 'contents', 'aria-label': 'Contents' },
    tag(
      'ul',
      {},
      tag('li', {}, link('differences', 'What differs')),
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
        : [tag('li', {}, link('reading', 'In words')), tag('li', {}, parts(cells[0]!, 'cell-1'))],
      tag('li', {}, link('how', 'What was judged, and how')),
    ),
    absentLine(cells),
  );
}

/** What is not there, and why, in one line. */
function absentLine(cells: readonly ShownCell[]): Child {
  const reasons = new Map<string, Set<string>>();
  for (const { parts } of cells)
    for (const { part, absent } of parts) {
      if (absent === undefined) continue;
      const own = reasons.get(absent) ?? new Set();
      reasons.set(absent, own.add(part.title));
    }
  if (reasons.size === 0) return undefined;
  const text = [...reasons].map(([why, titles]) => `${list([...titles])} (${why})`).join('; ');
  return tag('p', { class: 'note' }, `Not there: ${sentence(text)}`);
}

function differencesTable(cells: readonly ShownCell[]): Child {
  const rows = allDifferences(cells);
  const { view, facts } = cells[0]!;
  if (!facts.tested) return tag('p', {}, 'Nothing was tested: no intervals were asked for.');
  if (rows.length === 0)
    return tag(
      'p',
      {},
      view.ids.length < 2
        ? 'There is one method, and nothing to compare it with.'
        : 'Nothing differs significantly, in any figure of any part below.',
    );
  const some = rows.length > MOST_ROWS ? rows.slice(0, FIRST) : rows;
  const others = rows.slice(some.length);
  return [
    tag(
      'p',
      { class: 'note' },
      prose(
        `Everything that a test has shown, in any table below: p < ${view.alpha}, Holm-corrected over the methods of one figure. What is not here is not shown to differ.`,
      ),
    ),
    differenceRows(some),
    others.length === 0
      ? undefined
      : details(`${others.length} more tables with differences: ${whereOf(others)}`, differenceRows(others)),
  ];
}

/** Places by name, each once. */
function whereOf(rows: readonly Difference[]): string {
  const places = [...new Set(rows.map(({ where }) => where.split(' · ')[0]!))];
  return places.length > 6 ? `${places.slice(0, 6).join(', ')} …` : places.join(', ');
}

function differenceRows(rows: readonly Difference[]): Markup {
  const heads = ['Where', '✓ better', '✗ worse', '≠ different'];
  return tableFrame(
    tag(
      'tr',
      ROW,
      heads.map((head) => tag('th', { ...HEAD, class: 'left' }, head)),
    ),
    rows.map(({ where, against, better, worse, differs }) =>
      tag(
        'tr',
        ROW,
        tag(
          'th',
          { ...ROW_HEAD, class: 'left' },
          where,
          tag('span', { class: 'meaning' }, `against ${against}`),
        ),
        [better, worse, differs].map((sided, n) =>
          tag(
            'td',
            {
              role: 'cell',
              class: sided.size === 0 ? 'left empty' : 'left',
              'data-head': heads[n + 1],
            },
            tag(
              'div',
              {},
              sidedLines(sided).map((line, i) => [i === 0 ? undefined : tag('br'), line]),
            ),
          ),
        ),
      ),
    ),
  );
}

function cellHtml(shown: ShownCell, id: string, several: boolean): Markup {
  const { view, cell, parts, answers, verdict } = shown;
  const heading = several ? 'h3' : 'h2';
  const numbers = numbersTable(view);
  const sections = [
    tag(
      'section',
      { id: `${id}-summary` },
      tag(heading, {}, 'Confidence and losses'),
      tag('p', { class: 'note' }, prose(`${numbers.caption} ${legend(view, numbers)}`)),
      tableHtml(numbers, view),
    ),
    ...parts
      .filter(({ absent }) => absent === undefined)
      .map((part) =>
        tag(
          'section',
          { id: `${id}-${part.part.name}` },
          tag(heading, {}, part.part.title),
          part.blocks.map((one) => blockHtml(one, part, view)),
        ),
      ),
  ];
  if (!several) return tag('article', { id, class: 'only' }, sections);
  return tag(
    'article',
    { id },
    tag('h2', {}, cellName(cell), ' ', tag('a', { class: 'up', href: '#contents' }, '↑ contents')),
    answerHtml(verdict),
    banners(shown),
    opening(shown, id),
    tag('p', { class: 'note' }, cell.about),
    details('In words', answerList(answers, 'h5')),
    sections,
  );
}

function blockHtml(one: Block, { blocks }: ShownPart, view: View): Child {
  if ('html' in one) return one.html;
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
  if ('table' in one && one.table.rows.length > LONG)
    return details(`${capital(one.table.title.split(':')[0]!)}: ${one.table.rows.length} rows`, body);
  return 'table' in one && one.table.id === 'main'
    ? [body, details(`All differences from ${view.baseline}`, differencesHtml(one.table, view))]
    : body;
}

/** Longer tables are folded: they are looked up, not read. */
const LONG = 12;
/** More rows of differences than these are folded behind the first. */
const MOST_ROWS = 5;
const FIRST = 3;

function how(report: Report, cells: readonly ShownCell[]): Markup {
  const { view } = cells[0]!;
  const facts = [
    ...report.facts,
    ['Finished', `${report.finished.replace('T', ' ').replace(/(\.\d+)?Z$/, '')} UTC`],
  ];
  return tag(
    'section',
    { id: 'how' },
    tag('h2', {}, 'What was judged, and how'),
    tag(
      'dl',
      { class: 'small' },
      facts.map(([key, value]) => [tag('dt', {}, key), tag('dd', {}, value)]),
    ),
    tag('pre', {}, tag('code', {}, report.command)),
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
  const cells = table?.rows.flatMap((row) => row.cells) ?? [];
  const marked = table === undefined || cells.some(({ difference }) => difference);
  const said = table?.caption.includes('✓') ?? false;
  const best =
    table === undefined || cells.some((cell) => cell.best)
      ? 'Shaded: the best, where a test supports it. '
      : '';
  return `${best}[ ]: ${view.level} interval.${marked && !said ? ` ${view.signNote.replace(view.baseline, table?.against ?? view.baseline)}` : ''}`;
}
