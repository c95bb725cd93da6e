import type { Estimate } from '../../metrics/index.ts';
import { type Figure, figureHtml } from '../draw/figure.ts';
import { swatch } from '../draw/marker.ts';
import { type CellDrawings, drawCell } from '../draw/study-figures.ts';
import { type Child, type Markup, tag } from '../draw/svg.ts';
import {
  bestAmong,
  figureHead,
  formatCount,
  formatFigure,
  formatInterval,
  formatNumber,
  formatParameters,
  plural,
  type ShownFigure,
  UNDEFINED,
} from '../figures.ts';
import {
  CONFORMAL,
  calibratorName,
  cellFigures,
  EMBEDDING,
  figureOf,
  headOf,
  knowsTruth,
  methodUnder,
  plainResults,
  resultsOf,
  SELECTIVE,
  type StudyView,
  shown,
  signOf,
  versusOf,
  versusText,
  viewOf,
  withCalibrator,
} from '../figures-study.ts';
import { capital } from '../reading.ts';
import {
  CENTRE_FIGURES,
  type CentreResults,
  CONFORMAL_FIGURES,
  SELECTIVE_FIGURES,
  STRATUM_FIGURES,
  type StratumFigureName,
  type StratumResults,
  type StudyCell,
  type StudyPart,
  type StudyReport,
  type TestedDifference,
} from '../study-result.ts';
import { page, prose, signSpan, table } from './page.ts';
import { type Remark, readStudy, sentence } from './study-reading.ts';

/**
 * A whole study as one self-contained HTML document: no scripts, no requests, light and dark, good on paper. What is
 * missing stands first, then a reading in sentences and an overview of all cells, then each cell with its tables and
 * figures. A part that was not measured says why.
 */
export function renderStudyHtml(report: StudyReport): string {
  const view = viewOf(report);
  const reading = readStudy(view);
  const cells = report.cells.map((cell, i) => ({
    cell,
    id: `cell-${i + 1}`,
    answers: reading.cells[i]!.answers,
  }));
  return page(
    report.title,
    'study',
    header(view),
    missing(report),
    contents(view, cells),
    block(
      'reading',
      'What it shows',
      remarkList(reading.overall),
      cells.length === 0
        ? tag('p', {}, 'No cell of this study is finished: there is nothing to read.')
        : tag('p', { class: 'note' }, prose(overallNote(view))),
    ),
    cells.length === 0 ? undefined : overview(view, cells),
    cells.map((entry) => cellArticle(view, entry)),
    how(view),
  );
}

interface CellEntry {
  readonly cell: StudyCell;
  readonly id: string;
  readonly answers: ReturnType<typeof readStudy>['cells'][number]['answers'];
}

function header(view: StudyView): Markup {
  const { report } = view;
  const facts: [string, Child][] = [
    [
      report.sets.length === 1 ? 'Data set' : 'Data sets',
      report.sets.map((set, i) => [
        i === 0 ? undefined : tag('br'),
        `${set.id === set.name ? set.id : `${set.id} (${set.name})`}: ${plural(set.classes.length, 'class', 'classes')}, ${Object.entries(
          set.samples,
        )
          .map(([split, n]) => `${split} ${formatCount(n)}`)
          .join(', ')}; judged on ${set.judged}, resampled by ${set.groups ? 'group (patient)' : 'image'}`,
      ]),
    ],
    [
      report.networks.length === 1 ? 'Network' : 'Networks',
      report.networks.map((n) => `${n.id} (${formatParameters(n.parameters)} parameters)`).join(', '),
    ],
    ['Methods', report.methods.map((m) => view.nameOf(m.id)).join('; ')],
    ['Seeds', report.seeds.join(', ')],
    ['Finished', `${report.finished.replace('T', ' ').replace(/(\.\d+)?Z$/, '')} UTC`],
  ];
  return tag(
    'header',
    {},
    tag('h1', {}, report.title),
    tag(
      'p',
      { class: 'lead' },
      'The same networks, data and settings under different methods. Which probabilities can be believed?',
    ),
    tag(
      'dl',
      { class: 'small' },
      facts.map(([key, value]) => [tag('dt', {}, key), tag('dd', {}, value)]),
    ),
    tag('pre', {}, tag('code', {}, report.command)),
  );
}

function missing(report: StudyReport): Markup | undefined {
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

/** The parts of a cell, in order, with the ends of their anchors. */
const PARTS = [
  ['reading', 'Reading'],
  ['figures', 'Figures'],
  ['reliability', 'Reliability'],
  ['calibration', 'Calibrators'],
  ['truth', 'Truth'],
  ['centres', 'Centres'],
  ['selective', 'Risk–coverage'],
  ['conformal', 'Conformal sets'],
  ['embeddings', 'Features'],
  ['certificates', 'Certificates'],
  ['curves', 'Learning curves'],
  ['strata', 'Strata'],
  ['classes', 'Classes'],
] as const;

function contents(view: StudyView, cells: readonly CellEntry[]): Markup {
  const link = (id: string, text: string) => tag('a', { href: `#${id}` }, text);
  return tag(
    'nav',
    { id: 'contents', 'aria-label': 'Contents' },
    tag(
      'ul',
      {},
      tag('li', {}, link('reading', 'What it shows')),
      cells.length === 0 ? undefined : tag('li', {}, link('overview', 'Overview')),
      cells.map(({ cell, id }) =>
        tag(
          'li',
          {},
          link(id, view.cellName(cell)),
          tag(
            'span',
            { class: 'parts' },
            PARTS.map(([part, name], i) => [i === 0 ? '' : ' · ', link(`${id}-${part}`, name)]),
          ),
        ),
      ),
      tag('li', {}, link('how', 'How the figures were made')),
    ),
  );
}

function overallNote(view: StudyView): string {
  const cells = view.report.cells.length;
  return `Significant: p < ${view.alpha} by the paired bootstrap against ${view.baseline}, Holm-corrected within each cell${cells > 1 ? `; counts over the ${cells} cells (data set × network) are no test of their own` : ''}. No significant difference does not mean that there is none. A low ECE alone is no merit: whoever answers every image with how frequent each class is has an ECE near 0 and tells nothing.`;
}

/** Cells side by side in one table, and strata: as many as fit a page on paper. */
const CELLS_ACROSS = 3;
const STRATA_ACROSS = 6;
/** Classes that are named in a sentence; of more it says how many. */
const NAMED = 20;

/** Method × cell: what everybody asks for first. */
function overview(view: StudyView, cells: readonly CellEntry[]): Markup {
  const after = cells.some(({ cell }) => resultsOf(cell, view.after) !== undefined) ? view.after : undefined;
  const columns: OverviewColumn[] = [
    { figure: shown('ece'), calibrator: 'none', head: 'ECE (%)' },
    ...(after === undefined
      ? []
      : [{ figure: shown('ece'), calibrator: after, head: `ECE, ${calibratorName(after)}` }]),
    { figure: shown('top1'), calibrator: 'none', head: 'Top-1 (%)' },
    { figure: shown('balancedAccuracy'), calibrator: 'none', head: 'Bal. acc. (%)' },
  ];
  return block(
    'overview',
    'Overview',
    tag('p', { class: 'note' }, `${legendText(view)} ${UNDEFINED}: not measured or not defined.`),
    chunks(cells, CELLS_ACROSS).map((some) => overviewTable(view, some, columns)),
  );
}

interface OverviewColumn {
  readonly figure: ShownFigure;
  readonly calibrator: string;
  readonly head: string;
}

function overviewTable(
  view: StudyView,
  cells: readonly CellEntry[],
  columns: readonly OverviewColumn[],
): Markup {
  const { methods } = view.report;
  const heads = [
    tag(
      'tr',
      {},
      tag('th', { class: 'left', rowspan: 2 }, 'Method'),
      cells.map(({ cell, id }) =>
        tag(
          'th',
          { class: 'group', colspan: columns.length },
          tag('a', { href: `#${id}` }, view.cellName(cell)),
        ),
      ),
    ),
    tag(
      'tr',
      {},
      cells.map(() =>
        columns.map(({ head }, i) => tag('th', { class: i === 0 ? 'first' : undefined }, head)),
      ),
    ),
  ];
  const best = cells.map(({ cell }) =>
    columns.map(({ figure, calibrator }) =>
      bestAmong(
        figure,
        methods.map(({ id }) => figureOf(methodUnder(cell, calibrator, id), figure).value),
      ),
    ),
  );
  const rows = methods.map(({ id }, m) =>
    tag(
      'tr',
      {},
      methodHead(view, id),
      cells.map(({ cell }, c) =>
        columns.map(({ figure, calibrator }, i) => {
          const found = methodUnder(cell, calibrator, id);
          return tag(
            'td',
            { class: cellClass(best[c]![i]!.has(m), i === 0) },
            tag('b', {}, formatFigure(figure, figureOf(found, figure).value)),
            signSpan(signOf(figure, versusOf(found, figure), view.alpha), view.baseline),
          );
        }),
      ),
    ),
  );
  return table(heads, tag('tbody', {}, rows), 'scroll tight');
}

function cellArticle(view: StudyView, { cell, id, answers }: CellEntry): Markup {
  const drawings = drawCell(view, cell, 'page');
  const set = view.setOf(cell);
  const parts: Record<(typeof PARTS)[number][0], Child> = {
    reading: answers.map(({ question, remarks }) => [tag('h5', {}, question), remarkList(remarks)]),
    figures: [figureHtml(drawings.ece), mainTable(view, cell), differenceTables(view, cell)],
    reliability: drawings.reliability.map((figure) => [captioned(figure), figureHtml(figure)]),
    calibration: [drawn(drawings.calibration), calibrationTable(view, cell)],
    truth: truthPart(view, cell, drawings),
    centres: centresPart(view, cell, drawings),
    selective: selectivePart(view, cell, drawings),
    conformal: conformalPart(view, cell, drawings),
    embeddings: embeddingsPart(view, cell, drawings),
    certificates: certificatesPart(view, cell, drawings),
    curves:
      drawings.curves.length === 0
        ? undefined
        : drawings.curves.map((figure) => [captioned(figure), figureHtml(figure)]),
    strata: strataPart(view, cell),
    classes: classesPart(view, cell),
  };
  return tag(
    'article',
    { id },
    tag('h2', {}, view.cellName(cell), ' ', tag('a', { class: 'up', href: '#contents' }, '↑ contents')),
    tag(
      'p',
      { class: 'note' },
      `${set.name}, judged on ${set.judged}: ${plural(cell.comparison.data.samples, 'image')} of ${plural(set.classes.length, 'class', 'classes')}. ${cell.comparison.settings.map(([key, value]) => `${key} ${value}`).join('; ')}`,
    ),
    PARTS.map(([part, name]) =>
      tag('section', { id: `${id}-${part}` }, tag('h3', {}, name), parts[part] ?? absent(cell, part)),
    ),
  );
}

/** Why a part is not there. */
function absent(cell: StudyCell, part: (typeof PARTS)[number][0]): Markup {
  const why = cell.absent[part as StudyPart];
  return tag(
    'p',
    { class: 'absent' },
    why === undefined ? 'Not part of this result.' : `Not there: ${sentence(why)}`,
  );
}

/** All figures against labels; those against a truth stand in a part of their own. */
function mainTable(view: StudyView, cell: StudyCell): Markup {
  return estimateTable(
    view,
    cellFigures(view, cell).filter((figure) => !figure.truth),
    plainResults(cell).map((m) => ({
      method: m.method,
      estimate: (figure) => figureOf(m, figure),
      versus: (figure) => versusOf(m, figure),
    })),
    'Without a calibrator.',
  );
}

interface EstimateRow {
  readonly method: string;
  readonly estimate: (figure: ShownFigure) => Estimate;
  readonly versus: (figure: ShownFigure) => TestedDifference | null | undefined;
  /** Further cells at the end. */
  readonly more?: readonly string[];
}

/** Method × figure: value, mark and interval; the best shaded. */
function estimateTable(
  view: StudyView,
  figures: readonly ShownFigure[],
  rows: readonly EstimateRow[],
  note: string,
  moreHeads: readonly string[] = [],
): Markup {
  const head = tag(
    'tr',
    {},
    tag('th', { class: 'left' }, 'Method'),
    figures.map((figure) => tag('th', { title: figure.meaning }, arrowed(figure))),
    moreHeads.map((text) => tag('th', {}, text)),
  );
  const best = figures.map((figure) =>
    bestAmong(
      figure,
      rows.map((row) => row.estimate(figure).value),
    ),
  );
  const body = rows.map(({ method, estimate, versus, more = [] }, r) =>
    tag(
      'tr',
      {},
      methodHead(view, method),
      figures.map((figure, f) =>
        estimateCell(view, figure, estimate(figure), versus(figure), best[f]!.has(r) && judged(figure)),
      ),
      more.map((text) => tag('td', {}, text)),
    ),
  );
  return tag(
    'div',
    {},
    tag('p', { class: 'note' }, prose(`${note} ${legendText(view)}`)),
    table(head, tag('tbody', {}, body), figures.length > 7 ? 'scroll tight' : 'scroll'),
  );
}

/** Coverage has an aim, not a best value. */
function judged(figure: ShownFigure): boolean {
  return figure !== CONFORMAL.coverage;
}

function arrowed(figure: ShownFigure): string {
  return judged(figure) ? headOf(figure) : figureHead(figure);
}

function estimateCell(
  view: StudyView,
  figure: ShownFigure,
  estimate: Estimate,
  versus: TestedDifference | null | undefined,
  best: boolean,
  first = false,
): Markup {
  const interval = formatInterval(figure, estimate);
  const difference = versusText(figure, versus ?? undefined, view.alpha);
  return tag(
    'td',
    {
      class: cellClass(best, first),
      title: difference === undefined ? undefined : `against ${view.baseline}: ${difference}`,
    },
    tag('b', {}, formatFigure(figure, estimate.value)),
    signSpan(signOf(figure, versus, view.alpha), view.baseline),
    interval === undefined ? undefined : tag('span', { class: 'ci' }, `[${interval}]`),
  );
}

/** Every difference from the baseline, before and after; closed, because they are many. */
function differenceTables(view: StudyView, cell: StudyCell): Child {
  return ['none', view.after].map((calibrator) => {
    const methods = resultsOf(cell, calibrator)?.methods.filter((m) => m.versus !== null) ?? [];
    if (calibrator === undefined || methods.length === 0) return undefined;
    const figures = cellFigures(view, cell);
    const head = tag(
      'tr',
      {},
      tag('th', { class: 'left' }, 'Method'),
      figures.map((figure) =>
        tag(
          'th',
          {},
          `${figure.label}${figure.unit === '' ? '' : figure.unit === '%' ? ' (points)' : ` (${figure.unit})`}`,
        ),
      ),
    );
    const rows = methods.map((method) =>
      tag(
        'tr',
        {},
        methodHead(view, method.method),
        figures.map((figure) => {
          const versus = versusOf(method, figure);
          const [value, p] = versusParts(figure, versus, view.alpha);
          return tag(
            'td',
            {},
            value,
            signSpan(signOf(figure, versus, view.alpha), view.baseline),
            p === '' ? undefined : tag('span', { class: 'ci' }, p),
          );
        }),
      ),
    );
    return details(
      `All differences from ${view.baseline}, ${withCalibrator(calibrator)}`,
      tag(
        'p',
        { class: 'note' },
        `Method − ${view.baseline}; below it the ${view.level} interval (not corrected) and the Holm-corrected p.`,
      ),
      table(head, tag('tbody', {}, rows)),
    );
  });
}

/** `−2.1` and `[−3.0, −1.1] p = 0.012`. */
function versusParts(
  figure: ShownFigure,
  versus: TestedDifference | undefined,
  alpha: number,
): [value: string, rest: string] {
  const text = versusText(figure, versus, alpha);
  if (text === undefined) return [UNDEFINED, ''];
  const value = formatFigure(figure, versus!.value, true);
  return [value, text.slice(value.length).replace(/^, /, '').trim()];
}

function calibrationTable(view: StudyView, cell: StudyCell): Child {
  if (cell.calibration.length < 2) return undefined;
  const figures = [shown('ece'), shown('nll'), shown('brier'), shown('top1')];
  return cell.calibration.slice(1).map(({ calibrator, methods }) => {
    const temperatures = calibrator === 'temperature';
    const warnings = methods.flatMap((m) =>
      m.seeds.flatMap((seed) =>
        seed.warnings.map((text) => `${view.nameOf(m.method)}, seed ${seed.seed}: ${text}`),
      ),
    );
    return details(
      `${capital(withCalibrator(calibrator))}: figures with intervals`,
      estimateTable(
        view,
        knowsTruth(cell) ? [...figures, shown('ece', true), shown('totalVariation', true)] : figures,
        methods.map((m) => ({
          method: m.method,
          estimate: (figure) => figureOf(m, figure),
          versus: (figure) => versusOf(m, figure),
          ...(temperatures && {
            more: [
              m.seeds
                .map((s) => (s.temperature === null ? UNDEFINED : formatNumber(s.temperature, 2)))
                .join(', ') || UNDEFINED,
            ],
          }),
        })),
        'Every method, the baseline too, under this calibrator.',
        temperatures ? ['Temperatures of the seeds'] : [],
      ),
      smallList(warnings),
    );
  });
}

function truthPart(view: StudyView, cell: StudyCell, drawings: CellDrawings): Child {
  if (!knowsTruth(cell)) return undefined;
  const figures = [
    shown('ece'),
    shown('ece', true),
    shown('totalVariation', true),
    shown('kl', true),
    shown('squaredError', true),
  ];
  return [
    drawn(drawings.truth),
    ['none', view.after].map((calibrator) => {
      const methods = resultsOf(cell, calibrator)?.methods;
      if (calibrator === undefined || methods === undefined) return undefined;
      const title = capital(withCalibrator(calibrator));
      const rows = estimateTable(
        view,
        figures,
        methods.map((m) => ({
          method: m.method,
          estimate: (figure) => figureOf(m, figure),
          versus: (figure) => versusOf(m, figure),
        })),
        `${title}.`,
      );
      return calibrator === 'none' ? rows : details(`${title}: figures with intervals`, rows);
    }),
  ];
}

function centresPart(view: StudyView, cell: StudyCell, drawings: CellDrawings): Child {
  if (cell.centres.length === 0) return undefined;
  return [drawn(drawings.centres), cell.centres.map((centre) => centreTable(view, centre))];
}

function centreTable(view: StudyView, centre: CentreResults): Child {
  const figures = CENTRE_FIGURES.map((name) => shown(name));
  const heads = [
    tag(
      'tr',
      {},
      tag('th', { class: 'left', rowspan: 2 }, 'Method'),
      figures.map((figure) => tag('th', { class: 'group', colspan: 3 }, headOf(figure))),
    ),
    tag(
      'tr',
      {},
      figures.map(() => [
        tag('th', { class: 'first' }, 'in'),
        tag('th', {}, 'out'),
        tag('th', {}, 'in − out'),
      ]),
    ),
  ];
  const rows = centre.methods.map((m) =>
    tag(
      'tr',
      {},
      methodHead(view, m.method),
      CENTRE_FIGURES.map((name, f) => {
        const figure = figures[f]!;
        const interval = formatInterval(figure, m.drop[name], true);
        return [
          tag('td', { class: 'first' }, formatFigure(figure, m.inCentre[name].value)),
          tag('td', {}, formatFigure(figure, m.outOfCentre[name].value)),
          tag(
            'td',
            {},
            formatFigure(figure, m.drop[name].value, true),
            interval === undefined ? undefined : tag('span', { class: 'ci' }, `[${interval}]`),
          ),
        ];
      }),
    ),
  );
  const gone = centre.absentClasses;
  return [
    tag('h5', {}, `${centre.centre}, ${calibratorName(centre.calibrator)}`),
    tag(
      'p',
      { class: 'note' },
      `${centre.kind === 'site' ? 'Other sites of the same data set' : 'A data set of its own'}, ${plural(centre.samples, 'image')}.${gone.length === 0 ? '' : ` No image there of: ${gone.slice(0, NAMED).join(', ')}${gone.length > NAMED ? ` and ${gone.length - NAMED} other classes` : ''}.`} in − out: above 0 is a loss of accuracy, below 0 a rise of an error; ${view.level} intervals, both centres’ images resampled, not corrected.`,
    ),
    table(heads, tag('tbody', {}, rows)),
  ];
}

function selectivePart(view: StudyView, cell: StudyCell, drawings: CellDrawings): Child {
  const methods = cell.selective;
  if (methods === null || methods.length === 0) return undefined;
  const nameOf = (figure: ShownFigure) => SELECTIVE_FIGURES.find((name) => SELECTIVE[name] === figure)!;
  return [
    drawn(drawings.riskCoverage),
    estimateTable(
      view,
      SELECTIVE_FIGURES.map((name) => SELECTIVE[name]),
      methods.map((m) => ({
        method: m.method,
        estimate: (figure) => m.figures[nameOf(figure)],
        versus: (figure) => m.versus?.[nameOf(figure)],
      })),
      'Accuracy at 80 %: among the 80 % of the images that the network is most confident of. Excess AURC: above the best ranking of the same errors.',
    ),
  ];
}

function conformalPart(view: StudyView, cell: StudyCell, drawings: CellDrawings): Child {
  if (cell.conformal.length === 0) return undefined;
  const heads = [
    tag(
      'tr',
      {},
      tag('th', { class: 'left', rowspan: 2 }, 'Method'),
      cell.conformal.map(({ kind, alpha }) =>
        tag(
          'th',
          { class: 'group', colspan: 4 },
          `${kind.toUpperCase()}, aim ${formatFigure(CONFORMAL.coverage, 1 - alpha)} %`,
        ),
      ),
    ),
    tag(
      'tr',
      {},
      cell.conformal.map(() => [
        CONFORMAL_FIGURES.map((name, i) =>
          tag('th', { class: i === 0 ? 'first' : undefined }, arrowed(CONFORMAL[name])),
        ),
        tag('th', {}, 'Worst class (%)'),
      ]),
    ),
  ];
  const rows = cell.conformal[0]!.methods.map(({ method }) =>
    tag(
      'tr',
      {},
      methodHead(view, method),
      cell.conformal.map((kind) => {
        const found = kind.methods.find((m) => m.method === method);
        return [
          CONFORMAL_FIGURES.map((name, i) =>
            found === undefined
              ? tag('td', {}, UNDEFINED)
              : estimateCell(
                  view,
                  CONFORMAL[name],
                  found.figures[name],
                  found.versus?.[name],
                  false,
                  i === 0,
                ),
          ),
          tag('td', {}, formatFigure(CONFORMAL.coverage, found?.worstClass ?? null)),
        ];
      }),
    ),
  );
  const warnings = cell.conformal.flatMap((kind) =>
    kind.methods.flatMap((m) =>
      m.warnings.map((text) => `${kind.kind.toUpperCase()}, ${view.nameOf(m.method)}: ${text}`),
    ),
  );
  return [
    drawn(drawings.conformal),
    table(heads, tag('tbody', {}, rows), 'scroll tight'),
    smallList(warnings),
  ];
}

function embeddingsPart(view: StudyView, cell: StudyCell, drawings: CellDrawings): Child {
  const found = cell.embeddings;
  if (found === null) return undefined;
  const names = ['distanceRatio', 'silhouette', 'neighbourAccuracy'] as const;
  const nameOf = (figure: ShownFigure) => names.find((name) => EMBEDDING[name] === figure)!;
  return [
    drawings.embeddings.map((figure) => [captioned(figure), figureHtml(figure)]),
    drawn(drawings.embeddingMeasures),
    found.methods.length === 0
      ? undefined
      : estimateTable(
          view,
          names.map((name) => EMBEDDING[name]),
          found.methods.map((m) => ({
            method: m.method,
            estimate: (figure) => m.figures[nameOf(figure)],
            versus: (figure) => m.versus?.[nameOf(figure)],
          })),
          `Measured on the features themselves, ${plural(found.samples, 'image')}, k = ${found.k}.`,
        ),
  ];
}

/** More of it is not better in itself, and its differences are not judged. */
const CERTIFIED: ShownFigure = { ...shown('top1'), label: 'Certified confidence', better: 'zero' };

function certificatesPart(view: StudyView, cell: StudyCell, drawings: CellDrawings): Child {
  const found = cell.certificates;
  if (found === null || found.methods.length === 0) return undefined;
  const head = tag(
    'tr',
    {},
    tag('th', { class: 'left' }, 'Method'),
    tag('th', {}, 'Unperturbed (%)'),
    found.radii.map((radius) => tag('th', {}, `ℓ2 ≤ ${radius} (%)`)),
    tag('th', {}, 'Sampling costs (points)'),
  );
  const rows = found.methods.map((m) =>
    tag(
      'tr',
      {},
      methodHead(view, m.method),
      estimateCell(view, CERTIFIED, m.confidence, undefined, false),
      m.certified.map((estimate, i) => estimateCell(view, CERTIFIED, estimate, m.versus?.[i], false)),
      tag('td', {}, m.samplingError.map((error) => formatFigure(CERTIFIED, error)).join(', ') || UNDEFINED),
    ),
  );
  return [
    drawn(drawings.certificates),
    tag(
      'p',
      { class: 'note' },
      'Mean certified lower bound of the confidence in the predicted class. Point at a cell for its difference from the baseline. Sampling costs: what the bound would gain at each radius if the draws were the whole distribution.',
    ),
    table(head, tag('tbody', {}, rows)),
  ];
}

function strataPart(view: StudyView, cell: StudyCell): Child {
  if (cell.strata.length === 0) return undefined;
  const attributes = [...new Set(cell.strata.map((s) => s.attribute))];
  return attributes.map((attribute) => {
    const strata = cell.strata.filter((s) => s.attribute === attribute);
    return STRATUM_FIGURES.map((name, i) => {
      const figure = shown(name);
      const body = [
        tag('p', { class: 'note' }, `${figure.meaning} ${signText(view)}`),
        chunks(strata, STRATA_ACROSS).map((some) => strataTable(view, cell, some, name)),
      ];
      const title = `${headOf(figure)} by ${attribute}`;
      return i === 0 || name === 'ece' ? [tag('h5', {}, title), body] : details(title, body);
    });
  });
}

function strataTable(
  view: StudyView,
  cell: StudyCell,
  strata: readonly StratumResults[],
  name: StratumFigureName,
): Markup {
  const head = tag(
    'tr',
    {},
    tag('th', { class: 'left' }, 'Method'),
    strata.map((s) =>
      tag(
        'th',
        {},
        s.value,
        tag(
          'span',
          { class: 'ci' },
          `${plural(s.samples, 'image')}, ${plural(s.classes, 'class', 'classes')}`,
        ),
      ),
    ),
  );
  const rows = plainResults(cell).map(({ method }) =>
    tag(
      'tr',
      {},
      methodHead(view, method),
      strata.map((s) => {
        const found = s.methods.find((m) => m.method === method);
        if (found === undefined) return tag('td', {}, UNDEFINED);
        return estimateCell(view, shown(name), found.figures[name], found.versus?.[name], false);
      }),
    ),
  );
  return table(head, tag('tbody', {}, rows));
}

function classesPart(view: StudyView, cell: StudyCell): Child {
  const { methods, data } = cell.comparison;
  const heads = tag(
    'tr',
    {},
    tag('th', { class: 'left' }, 'Class'),
    tag('th', {}, 'Images'),
    methods.map((m) => tag('th', {}, view.nameOf(m.objective))),
  );
  const rows = data.classes.map((name, k) =>
    tag(
      'tr',
      {},
      tag('th', { scope: 'row' }, name),
      tag('td', {}, formatCount(data.support[k] ?? 0)),
      methods.map((m) => tag('td', {}, formatFigure(shown('top1'), m.summary.perClass[k]?.recall ?? null))),
    ),
  );
  return details(
    `Recall (%) of ${plural(data.classes.length, 'class', 'classes')} under every method, without a calibrator`,
    tag(
      'p',
      { class: 'note' },
      `${UNDEFINED}: no image of the class is there. Figures of classes with few images are uncertain.`,
    ),
    table(heads, tag('tbody', {}, rows), data.classes.length > 30 ? 'scroll tall' : 'scroll'),
  );
}

function how(view: StudyView): Markup {
  const { report } = view;
  const resampled = new Set(report.sets.map((set) => (set.groups ? 'groups (patients)' : 'images')));
  const lines = [
    report.replicates === 0
      ? 'No resamples were asked for: there are no intervals and no tests.'
      : `Intervals: ${view.level}, hierarchical bootstrap with ${formatCount(report.replicates)} resamples of ${[...resampled].join(' or ')} and of seeds; a figure is the mean over seeds.`,
    `Tests: each method against ${view.baseline} on the same images under the same calibrator, by the paired bootstrap. p-values are Holm-corrected over the methods of one figure, one cell and one calibrator; nothing is corrected over figures, calibrators or cells.`,
    'Calibrators, conformal thresholds and temperatures are fitted on the validation split of each run, never on the judged one.',
    `ECE, MCE and the diagrams: ${report.bins} bins of equal width of the top-1 confidence.`,
    ...(report.seeds.length === 1
      ? [
          'One seed only: the intervals hold the chance of which images were judged, not that of the training. Another seed can differ by more.',
        ]
      : report.seeds.length < 5
        ? [
            `With ${plural(report.seeds.length, 'seed')} the spread between trainings is known roughly and is understated by the intervals.`,
          ]
        : []),
    'Calibration errors are sums of absolute values, which resampling pushes up: their intervals lean upwards and can even lie above the figure.',
  ];
  const head = tag(
    'tr',
    {},
    ['Method', 'Objective', 'Settings of its own', 'Training (s) by cell'].map((text) =>
      tag('th', { class: 'left' }, text),
    ),
  );
  const rows = report.methods.map((method) =>
    tag(
      'tr',
      {},
      methodHead(view, method.id),
      tag(
        'td',
        { class: 'left' },
        tag('code', {}, method.objective),
        method.mixup > 0 ? `, mixup α = ${method.mixup}` : '',
      ),
      tag('td', { class: 'left' }, method.settings.join('; ') || UNDEFINED),
      tag(
        'td',
        { class: 'left' },
        report.cells
          .map((cell) => {
            const found = cell.comparison.methods.find((m) => m.objective === method.id);
            return found === undefined
              ? UNDEFINED
              : formatCount(found.runs.reduce((sum, run) => sum + run.seconds, 0));
          })
          .join(', '),
      ),
    ),
  );
  return tag(
    'section',
    { id: 'how' },
    tag('h2', {}, 'How the figures were made'),
    tag(
      'ul',
      { class: 'small' },
      lines.map((line) => tag('li', {}, prose(line))),
    ),
    table(head, tag('tbody', {}, rows)),
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

/** In groups of `size`, the last smaller. */
function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  );
}

function smallList(lines: readonly string[]): Markup | undefined {
  if (lines.length === 0) return undefined;
  return tag(
    'ul',
    { class: 'small' },
    lines.map((line) => tag('li', {}, prose(line))),
  );
}

function captioned(figure: Figure): Markup {
  return tag('h5', {}, figure.title);
}

function drawn(figure: Figure | undefined): Child {
  return figure === undefined ? undefined : figureHtml(figure);
}

function methodHead(view: StudyView, method: string): Markup {
  return tag(
    'th',
    { scope: 'row', class: 'method-name' },
    swatch(view.seriesOf(method)),
    view.nameOf(method),
    method === view.report.baseline ? tag('span', { class: 'soft' }, ' (baseline)') : undefined,
  );
}

function cellClass(best: boolean, first: boolean): string | undefined {
  const names = [...(best ? ['best'] : []), ...(first ? ['first'] : [])];
  return names.length === 0 ? undefined : names.join(' ');
}

function remarkList(remarks: readonly Remark[]): Markup {
  const marks = { good: '✓', bad: '✗', plain: '·' } as const;
  const kinds = { good: 'good', bad: 'bad', plain: 'none' } as const;
  return tag(
    'ul',
    { class: 'remarks' },
    remarks.map(({ kind, text }) =>
      tag('li', {}, tag('span', { class: kinds[kind], 'aria-hidden': 'true' }, marks[kind]), prose(text)),
    ),
  );
}

function legendText(view: StudyView): string {
  return `Shaded: best. [ ]: ${view.level} interval. ${signText(view)}`;
}

function signText(view: StudyView): string {
  return `✓ and ✗: significantly better and worse than ${view.baseline} (p < ${view.alpha}, Holm-corrected).`;
}
