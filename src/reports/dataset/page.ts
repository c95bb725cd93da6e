import { type Child, HEAD, type Markup, page, ROW, ROW_HEAD, tableFrame, tag } from '../../page/index.ts';
import type { DatasetSummary, FindingSummary } from './summary.ts';

/** Statuses from sure to silent, what each means, and a made-up sentence that has it. */
const STATUSES = [
  ['present', 'present', 'It is said to be there.', 'Small effusion on the left.'],
  [
    'uncertain',
    'uncertain',
    'It may be there: the words express doubt.',
    'Possible consolidation at the right base.',
  ],
  ['absent', 'absent', 'It is said not to be there.', 'No pneumothorax.'],
  ['historical', 'historical', 'It was there once.', 'Pneumonia last year, since resolved.'],
  [
    'conditional',
    'conditional',
    'It is spoken of for a case that need not come.',
    'Should fever occur, consider pneumonia.',
  ],
  ['other', 'someone else', 'It is another person’s.', 'The mother had tuberculosis.'],
] as const;

/** A finding with fewer positive reports than this can hardly be trained or judged. */
const FEW = 50;

/**
 * One HTML page with the data set's charts, in the design of all reports: what it is in one sentence first, light and
 * dark, on a phone and on paper. Every bar has its count beside it. Styles and pictures are inside, nothing is fetched.
 */
export function datasetPage(s: DatasetSummary): string {
  return page(
    `${s.name}: findings with certainty`,
    tag('header', {}, tag('h1', {}, s.name)),
    tag(
      'section',
      { id: 'verdict' },
      tag('p', { class: 'answer' }, sentenceOf(s)),
      tag(
        'dl',
        { class: 'reasons' },
        tag('dt', {}, 'Made of'),
        tag(
          'dd',
          {},
          `${n(s.images)} images of ${n(s.reports)} reports and ${n(s.patients)} patients, read by ${s.extractors.map((one) => `${one.extractor} ${one.version}`).join(', ')}; version ${s.version}.`,
        ),
        tag('dt', {}, 'More'),
        tag(
          'dd',
          {},
          'How it was made, what was left out and what it must not be taken for stands in the ',
          tag('a', { href: 'README.md' }, 'data card'),
          '.',
        ),
      ),
      s.notes.map((note) => tag('div', { class: 'banner', role: 'note' }, tag('p', {}, `${note}.`))),
    ),
    splitTable(s),
    nav(),
    section(
      'statuses',
      'What the reports say of each finding',
      `Reports by what they say, of ${n(s.reports)}; where a bar ends, the others do not mention the finding.`,
      statusKey(),
      statusTable(s),
    ),
    section(
      'certainty',
      'How sure the wording is',
      'Reports by the probability that they express, from 0 (absent) to 1 (present). The bars are the bins between 0.1 and 0.9, all findings on one scale: statements without doubt outnumber them, and stand as numbers.',
      certaintyTable(s.findings),
    ),
    section(
      'balance',
      'Class imbalance',
      'Reports labelled y = 1 (p ≥ 0.5) and y = 0, on a logarithmic scale.',
      balanceTable(s.findings),
    ),
    section(
      'hedges',
      'Words of doubt',
      'How often each hedge decides an uncertain finding, and the probability that it stands for.',
      hedgeTable(s.hedges.slice(0, 30)),
    ),
  );
}

function sentenceOf(s: DatasetSummary): string {
  const positive = [...s.findings].sort((a, b) => b.positives - a.positives);
  const doubted = [...s.findings].sort((a, b) => doubt(b) - doubt(a))[0];
  const rare = s.findings.filter(({ positives }) => positives < FEW);
  const first = positive[0];
  if (first === undefined) return `${n(s.images)} images, and no findings.`;
  return [
    `${n(s.images)} images with ${n(s.findings.length)} ${s.findings.length === 1 ? 'finding' : 'findings'}: ${first.finding} is there most often (${n(first.positives)} reports)`,
    ...(doubted !== undefined && doubt(doubted) > 0
      ? [`, ${doubted.finding} is doubted most (${n(doubt(doubted))})`]
      : []),
    '.',
    ...(rare.length > 0
      ? [
          ` ${rare.length === 1 ? `${rare[0]!.finding} has` : `${n(rare.length)} findings have`} fewer than ${FEW} positive reports: too few to train on or to judge.`,
        ]
      : []),
  ].join('');
}

function doubt({ statuses }: FindingSummary): number {
  return statuses.uncertain ?? 0;
}

function splitTable(s: DatasetSummary): Markup {
  return table(
    ['Split', 'Images', 'Reports', 'Patients'],
    s.splits.map((one) => [one.split, count(one.images), count(one.reports), count(one.patients)]),
  );
}

function nav(): Markup {
  const parts = [
    ['statuses', 'What the reports say'],
    ['certainty', 'How sure the wording is'],
    ['balance', 'Class imbalance'],
    ['hedges', 'Words of doubt'],
  ] as const;
  return tag(
    'nav',
    { id: 'contents', 'aria-label': 'Contents' },
    tag(
      'ul',
      {},
      tag(
        'li',
        {},
        parts.map(([id, text], i) => [i === 0 ? '' : ' · ', tag('a', { href: `#${id}` }, text)]),
      ),
    ),
  );
}

function section(id: string, title: string, note: string, ...children: Child[]): Markup {
  return tag('section', { id }, tag('h2', {}, title), tag('p', { class: 'note' }, note), ...children);
}

/** The colour of each status with what it means and an example in words of our own. */
function statusKey(): Markup {
  return tag(
    'dl',
    { class: 'small key' },
    STATUSES.map(([, name, meaning, example], k) => [
      tag('dt', {}, tag('span', { class: `chip f${k}`, 'aria-hidden': 'true' }), name),
      tag('dd', {}, `${meaning} `, tag('i', {}, `“${example}”`)),
    ]),
    tag('dt', {}),
    tag(
      'dd',
      {},
      tag('span', { class: 'soft' }, 'The sentences are made up: no report is quoted on this page.'),
    ),
  );
}

function statusTable(s: DatasetSummary): Markup {
  const all = Math.max(1, s.reports);
  return table(
    ['Finding', axis(['0', n(s.reports)]), ...STATUSES.map(([, name]) => name), 'mentioned'],
    s.findings.map((one) => {
      const counts = STATUSES.map(([status]) => one.statuses[status] ?? 0);
      const mentioned = s.reports - (one.statuses.not_mentioned ?? 0);
      return [
        one.finding,
        bars(
          counts.map((value, k) => ({
            share: value / all,
            fill: k,
            title: `${one.finding}, ${STATUSES[k]![1]}: ${n(value)}`,
          })),
        ),
        ...counts.map(count),
        { text: `${((100 * mentioned) / all).toFixed(1)} %`, value: mentioned },
      ];
    }),
  );
}

function certaintyTable(findings: readonly FindingSummary[]): Markup {
  const most = Math.max(1, ...findings.flatMap(({ histogram }) => histogram.slice(1, 9)));
  return table(
    [
      'Finding',
      'p < 0.1',
      tag('span', {}, 'p from 0.1 to 0.9 ', tag('span', { class: 'soft' }, `(a full bar: ${n(most)})`)),
      'in between',
      'p ≥ 0.9',
    ],
    findings.map((one) => {
      const between = one.histogram.slice(1, 9);
      return [
        one.finding,
        count(one.histogram[0]!),
        tag(
          'div',
          { class: 'bins' },
          between.map((value, b) =>
            tag('span', {
              class: 'f1',
              style: `height:${value === 0 ? 0 : Math.max(2, (100 * value) / most).toFixed(1)}%`,
              title: `${one.finding}, p from ${((b + 1) / 10).toFixed(1)} to ${((b + 2) / 10).toFixed(1)}: ${n(value)}`,
            }),
          ),
        ),
        count(between.reduce((sum, value) => sum + value, 0)),
        count(one.histogram[9]!),
      ];
    }),
  );
}

function balanceTable(findings: readonly FindingSummary[]): Markup {
  const top = Math.max(10, ...findings.flatMap((one) => [one.positives, one.negatives]));
  const decades = Math.ceil(Math.log10(top));
  const share = (value: number) =>
    value === 0 ? 0 : Math.max(0.004, Math.log10(Math.max(1.2, value)) / decades);
  return table(
    [
      'Finding',
      axis(Array.from({ length: decades + 1 }, (_, d) => n(10 ** d))),
      'y = 1',
      'y = 0',
      'positive',
    ],
    findings.map((one) => {
      const known = one.positives + one.negatives;
      return [
        one.finding,
        tag(
          'div',
          {},
          bars(
            [{ share: share(one.positives), fill: 0, title: `${one.finding}, y = 1: ${n(one.positives)}` }],
            true,
          ),
          bars(
            [{ share: share(one.negatives), fill: 2, title: `${one.finding}, y = 0: ${n(one.negatives)}` }],
            true,
          ),
        ),
        count(one.positives),
        count(one.negatives),
        known === 0
          ? { text: '–', value: Number.NaN }
          : { text: `${((100 * one.positives) / known).toFixed(1)} %`, value: one.positives / known },
      ];
    }),
  );
}

function hedgeTable(hedges: DatasetSummary['hedges']): Markup {
  if (hedges.length === 0) return tag('p', {}, 'No hedge of the lexicon is among the evidence.');
  const top = Math.max(1, ...hedges.map((hedge) => hedge.count));
  return table(
    ['Hedge', axis(['0', n(top)]), 'decides', 'probability'],
    hedges.map((hedge) => [
      hedge.phrase,
      bars([{ share: hedge.count / top, fill: 1, title: `${hedge.phrase}: ${n(hedge.count)}` }]),
      count(hedge.count),
      hedge.probability === null
        ? { text: '–', value: Number.NaN }
        : { text: String(hedge.probability), value: hedge.probability },
    ]),
  );
}

/** A cell: text, markup, or a number as it is written with what it sorts by. */
type Cell = string | Markup | { readonly text: string; readonly value: number };

function count(value: number): Cell {
  return { text: n(value), value };
}

/** A table that sorts by its heads and becomes cards on a phone. */
function table(heads: readonly (string | Markup)[], rows: readonly (readonly Cell[])[]): Markup {
  const plain = heads.map((head) => (typeof head === 'string' ? head : ''));
  return tableFrame(
    tag(
      'tr',
      ROW,
      heads.map((head, h) =>
        tag(
          'th',
          { ...HEAD, class: h === 0 ? 'left' : typeof head === 'string' ? undefined : 'chart' },
          head,
        ),
      ),
    ),
    rows.map(([name, ...cells]) =>
      tag(
        'tr',
        ROW,
        tag('th', { ...ROW_HEAD, class: 'left' }, textOf(name!)),
        cells.map((cell, c) => {
          const number = typeof cell === 'object' && 'value' in cell ? cell : undefined;
          return tag(
            'td',
            {
              role: 'cell',
              class: number === undefined ? 'left chart' : undefined,
              'data-head': plain[c + 1],
              'data-v':
                number === undefined ? undefined : Number.isNaN(number.value) ? '' : String(number.value),
            },
            number === undefined ? (cell as Child) : tag('div', {}, number.text),
          );
        }),
      ),
    ),
    { sortable: true },
  );
}

function textOf(cell: Cell): Child {
  return typeof cell === 'object' && 'value' in cell ? cell.text : cell;
}

/** Bars one after the other. */
function bars(
  parts: readonly { readonly share: number; readonly fill: number; readonly title: string }[],
  thin = false,
): Markup {
  return tag(
    'div',
    { class: thin ? 'bars thin' : 'bars' },
    parts.map(({ share, fill, title }) =>
      share === 0
        ? undefined
        : tag('span', { class: `f${fill}`, style: `width:${(100 * share).toFixed(2)}%`, title }),
    ),
  );
}

/** Numbers along a bar's length, evenly apart. */
function axis(labels: readonly string[]): Markup {
  return tag(
    'span',
    { class: 'ticks' },
    labels.map((label) => tag('span', {}, label)),
  );
}

function n(value: number): string {
  return value.toLocaleString('en');
}
