import { formatFigure, formatInterval, plural, pText, type ShownFigure, verdictOf } from '../figures.ts';
import {
  CONFORMAL,
  calibratorName,
  EMBEDDING,
  figureOf,
  knowsTruth,
  methodUnder,
  plainResults,
  resultsOf,
  SELECTIVE,
  type StudyView,
  shown,
  signOf,
  versusOf,
  withCalibrator,
} from '../figures-study.ts';
import { list } from '../reading.ts';
import type { CalibratedMethod, CentreResults, StudyCell, TestedDifference } from '../study-result.ts';

/** One thing that the numbers say: `good` and `bad` only where a corrected test does. */
export interface Remark {
  readonly kind: 'good' | 'bad' | 'plain';
  readonly text: string;
}

/** A question and what the numbers answer. */
export interface Answer {
  readonly question: string;
  readonly remarks: readonly Remark[];
}

export interface CellReading {
  readonly cell: StudyCell;
  readonly answers: readonly Answer[];
}

/** A study in plain sentences, made of its numbers alone. */
export interface StudyReading {
  /** Over all cells. */
  readonly overall: readonly Remark[];
  readonly cells: readonly CellReading[];
}

/** What a study says, also where a method hurts and where nothing is significant. */
export function readStudy(view: StudyView): StudyReading {
  return {
    overall: overallRemarks(view),
    cells: view.report.cells.map((cell) => ({ cell, answers: answersOf(view, cell) })),
  };
}

/** Figures whose being worse is called harm, wherever it is found. */
const HARM = ['top1', 'balancedAccuracy', 'auroc', 'nll', 'brier', 'ece'] as const;

function answersOf(view: StudyView, cell: StudyCell): Answer[] {
  const after = cell.calibration.length > 1 ? view.after : undefined;
  const answers = [
    confidenceAnswer(view, cell),
    figureAnswer(view, cell, 'Which methods change the calibration error (ECE)?', [shown('ece')]),
    afterAnswer(view, cell, after),
    figureAnswer(view, cell, 'What do they cost or bring in accuracy?', [
      shown('top1'),
      shown('balancedAccuracy'),
    ]),
    figureAnswer(view, cell, 'Are their probabilities better as a whole (NLL and Brier score)?', [
      shown('nll'),
      shown('brier'),
    ]),
    knowsTruth(cell)
      ? figureAnswer(view, cell, 'And against the phantom’s true posterior?', [
          shown('ece', true),
          shown('totalVariation', true),
        ])
      : undefined,
    knowsTruth(cell) && after !== undefined
      ? figureAnswer(
          view,
          cell,
          `And against the true posterior, all ${withCalibrator(after)}?`,
          [shown('ece', true), shown('totalVariation', true)],
          after,
        )
      : undefined,
    ...cell.centres.map((centre) => centreAnswer(view, centre)),
    rankingAnswer(view, cell),
    conformalAnswer(view, cell),
    featureAnswer(view, cell),
    harmAnswer(view, cell),
  ];
  return answers.filter((answer) => answer !== undefined && answer.remarks.length > 0) as Answer[];
}

/** How sure the baseline is, and how often it is right. */
function confidenceAnswer(view: StudyView, cell: StudyCell): Answer {
  const found = methodUnder(cell, 'none', view.report.baseline);
  const top1 = figureOf(found, shown('top1')).value;
  const gap = figureOf(found, shown('confidenceGap'));
  const question = `The baseline: ${view.baseline}`;
  if (top1 === null || gap.value === null)
    return { question, remarks: [plain(`${view.baseline}: confidence and accuracy are not defined.`)] };
  const percent = (v: number) => formatFigure(shown('top1'), v);
  const words =
    gap.low === null || gap.high === null
      ? 'a gap of unknown certainty'
      : gap.low > 0
        ? 'over-confident'
        : gap.high < 0
          ? 'under-confident'
          : 'neither over- nor under-confident beyond chance';
  const interval = formatInterval(shown('confidenceGap'), gap, true)?.replace(', ', ' to ');
  return {
    question,
    remarks: [
      plain(
        `Mean confidence ${percent(top1 + gap.value)} %, right in ${percent(top1)} %: ${words} on average (${formatFigure(shown('confidenceGap'), gap.value, true)} points${interval === undefined ? '' : `, ${view.level} ${interval}`}).`,
      ),
    ],
  };
}

interface Groups {
  readonly better: readonly Judged[];
  readonly worse: readonly Judged[];
  readonly undecided: readonly Judged[];
  readonly untested: readonly Judged[];
}

interface Judged {
  readonly method: string;
  readonly found: CalibratedMethod | undefined;
  readonly difference: TestedDifference | undefined;
}

/** The cell's methods by what the corrected test says of them, without the baseline. */
function groupsOf(view: StudyView, cell: StudyCell, figure: ShownFigure, calibrator: string): Groups {
  const groups = { better: [], worse: [], undecided: [], untested: [] } as Record<keyof Groups, Judged[]>;
  for (const { method } of plainResults(cell)) {
    if (method === view.report.baseline) continue;
    const found = methodUnder(cell, calibrator, method);
    const difference = versusOf(found, figure);
    const verdict = verdictOf(figure, difference, view.alpha);
    groups[verdict === 'differs' ? 'undecided' : verdict].push({ method, found, difference });
  }
  return groups;
}

function figureAnswer(
  view: StudyView,
  cell: StudyCell,
  question: string,
  figures: readonly ShownFigure[],
  calibrator = 'none',
): Answer | undefined {
  const methods = plainResults(cell);
  if (methods.length < 2 || resultsOf(cell, calibrator) === undefined) return undefined;
  return { question, remarks: figures.flatMap((figure) => figureRemarks(view, cell, figure, calibrator)) };
}

/** One remark for each thing that can be said of a figure: lower, higher, undecided, not tested. */
function figureRemarks(view: StudyView, cell: StudyCell, figure: ShownFigure, calibrator: string): Remark[] {
  const groups = groupsOf(view, cell, figure, calibrator);
  const base = figureOf(methodUnder(cell, calibrator, view.report.baseline), figure).value;
  const against = `${view.baseline} (${valueText(figure, base)})`;
  const way = (good: boolean) => (good === (figure.better === 'higher') ? 'higher' : 'lower');
  const remarks: Remark[] = [];
  if (groups.better.length > 0)
    remarks.push({
      kind: 'good',
      text: `${figure.label} significantly ${way(true)} than ${against}: ${proven(view, figure, groups.better)}.`,
    });
  if (groups.worse.length > 0)
    remarks.push({
      kind: 'bad',
      text: `${figure.label} significantly ${way(false)} than ${against}: ${proven(view, figure, groups.worse)}.`,
    });
  if (groups.undecided.length > 0)
    remarks.push(
      plain(
        groups.better.length + groups.worse.length + groups.untested.length === 0
          ? `No method differs significantly from ${against} in ${figure.label}.`
          : `No significant difference in ${figure.label}: ${listed(view, groups.undecided)}.`,
      ),
    );
  if (groups.untested.length > 0)
    remarks.push(plain(`Not tested in ${figure.label}: ${listed(view, groups.untested)}.`));
  return remarks;
}

function listed(view: StudyView, judged: readonly Judged[]): string {
  return enumerated(judged.map((j) => view.nameOf(j.method)));
}

/** `A (4.1 %) and B (5.0 %), each p ≤ 0.012`: methods whose difference the test has shown. */
function proven(view: StudyView, figure: ShownFigure, judged: readonly Judged[]): string {
  const names = judged.map((j) => {
    const { value } = figureOf(j.found, figure);
    return `${view.nameOf(j.method)} (${formatFigure(figure, value)}${figure.unit === '%' ? ' %' : ''})`;
  });
  const p = pText(Math.max(...judged.map((j) => j.difference!.corrected!)), view.alpha);
  return `${enumerated(names)}, ${judged.length === 1 ? p : `each ${p.replace('=', '≤')}`}`;
}

function valueText(figure: ShownFigure, value: number | null): string {
  if (value === null) return 'not defined';
  return `${formatFigure(figure, value)}${figure.unit === '' ? '' : ` ${figure.unit}`}`;
}

/** Whether what a method does is still there once all of them, the baseline too, have been calibrated. */
function afterAnswer(view: StudyView, cell: StudyCell, after: string | undefined): Answer | undefined {
  const methods = plainResults(cell);
  if (after === undefined || resultsOf(cell, after) === undefined) {
    const why = cell.absent.calibration;
    return why === undefined
      ? undefined
      : { question: 'Do they still help, once calibrated?', remarks: [plain(`Not known: ${sentence(why)}`)] };
  }
  const ece = shown('ece');
  const fitted = after === 'temperature' ? 'a temperature' : calibratorName(after);
  const question = `Do they still help, once ${fitted} is fitted?`;
  const baseline = [
    methodUnder(cell, 'none', view.report.baseline),
    methodUnder(cell, after, view.report.baseline),
  ];
  const values = baseline.map((m) => valueText(ece, figureOf(m, ece).value));
  const remarks: Remark[] = [
    plain(
      `${view.baseline}: ECE ${values[0]} without, ${values[1]} with ${fitted} (this change was not tested).`,
    ),
  ];
  if (methods.length < 2) return { question, remarks };
  const before = groupsOf(view, cell, ece, 'none');
  const now = groupsOf(view, cell, ece, after);
  const was = new Set(before.better.map((j) => j.method));
  const pick = (judged: readonly Judged[], helped: boolean) =>
    judged.filter((j) => was.has(j.method) === helped);
  const add = (
    kind: Remark['kind'],
    judged: readonly Judged[],
    say: (names: string) => string,
    tested = true,
  ) => {
    if (judged.length > 0)
      remarks.push({ kind, text: say(tested ? proven(view, ece, judged) : listed(view, judged)) });
  };
  const fittedBase = `${view.baseline} with ${fitted}`;
  add('good', pick(now.better, true), (n) => `Still significantly lower ECE than ${fittedBase}: ${n}.`);
  add('good', pick(now.better, false), (n) => `Only now significantly lower ECE than ${fittedBase}: ${n}.`);
  add(
    'bad',
    pick(now.worse, true),
    (n) => `The gain turns into harm, ECE significantly higher than ${fittedBase}: ${n}.`,
  );
  add('bad', pick(now.worse, false), (n) => `Significantly higher ECE than ${fittedBase}: ${n}.`);
  add('plain', pick(now.undecided, true), (n) => `The gain is no longer significant: ${n}.`, false);
  if (now.undecided.length > 0 && now.undecided.length === methods.length - 1 && was.size === 0) {
    remarks.push(plain(`No method differs significantly from ${fittedBase}.`));
    return { question, remarks };
  }
  add(
    'plain',
    pick(now.undecided, false),
    (n) => `No significant difference from ${fittedBase}: ${n}.`,
    false,
  );
  add('plain', now.untested, (n) => `Not tested: ${n}.`, false);
  return { question, remarks };
}

/** What the same networks lose in another centre. The drops are not corrected for their number. */
function centreAnswer(view: StudyView, centre: CentreResults): Answer {
  const question = `What is left in ${centre.centre}, ${withCalibrator(centre.calibrator)}?`;
  const remarks = (['top1', 'ece'] as const).map((name) => {
    const figure = shown(name);
    const sides = { worse: 0, better: 0 };
    const values: number[] = [];
    for (const { drop } of centre.methods) {
      const { value, low, high } = drop[name];
      if (value === null) continue;
      values.push(value);
      if (low === null || high === null || (low <= 0 && high >= 0)) continue;
      sides[value > 0 === (name === 'top1') ? 'worse' : 'better']++;
    }
    if (values.length === 0) return plain(`${figure.label}: not defined there.`);
    const changes = values.map((v) => -v);
    const range = [Math.min(...changes), Math.max(...changes)].map((v) => formatFigure(figure, v, true));
    const span = range[0] === range[1] ? range[0]! : `between ${range[0]} and ${range[1]}`;
    const clear = sides.worse + sides.better;
    const said =
      clear === 0
        ? 'for none of them beyond chance'
        : enumerated([
            ...(sides.worse > 0 ? [`worse beyond chance for ${sides.worse} of ${values.length}`] : []),
            ...(sides.better > 0 ? [`better beyond chance for ${sides.better} of ${values.length}`] : []),
          ]);
    return plain(
      `${figure.label} out of centre against in centre: ${span} points over the methods, ${said} (${view.level} interval without 0, not corrected for the number of methods).`,
    );
  });
  const missing = centre.absentClasses.length;
  if (missing > 0)
    remarks.push(
      plain(
        `${plural(missing, 'class has', 'classes have')} no image there: balanced figures leave them out.`,
      ),
    );
  return { question, remarks };
}

function rankingAnswer(view: StudyView, cell: StudyCell): Answer | undefined {
  if (cell.selective === null || cell.selective.length < 2) return undefined;
  return {
    question: 'Does confidence rank the errors better?',
    remarks: measureRemarks(
      view,
      SELECTIVE.aurc,
      cell.selective.map((m) => ({ method: m.method, versus: m.versus?.aurc })),
    ),
  };
}

function featureAnswer(view: StudyView, cell: StudyCell): Answer | undefined {
  const found = cell.embeddings;
  if (found === null || found.methods.length < 2) return undefined;
  return {
    question: 'Are the features more compact and better separated?',
    remarks: (['distanceRatio', 'silhouette'] as const).flatMap((name) =>
      measureRemarks(
        view,
        EMBEDDING[name],
        found.methods.map((m) => ({ method: m.method, versus: m.versus?.[name] })),
      ),
    ),
  };
}

/** The same sentences for figures that only some parts of a study have. */
function measureRemarks(
  view: StudyView,
  figure: ShownFigure,
  methods: readonly { readonly method: string; readonly versus: TestedDifference | undefined }[],
): Remark[] {
  const others = methods.filter((m) => m.method !== view.report.baseline);
  const of = (sign: '✓' | '✗') =>
    others
      .filter((m) => signOf(figure, m.versus, view.alpha) === sign)
      .map((m) => `${view.nameOf(m.method)} (${formatFigure(figure, m.versus!.value, true)})`);
  const [better, worse] = [of('✓'), of('✗')];
  const untested = others.filter((m) => verdictOf(figure, m.versus, view.alpha) === 'untested');
  const name = figure.label;
  const remarks: Remark[] = [];
  if (better.length > 0)
    remarks.push({
      kind: 'good',
      text: `${name} significantly better than ${view.baseline}: ${enumerated(better)}.`,
    });
  if (worse.length > 0)
    remarks.push({
      kind: 'bad',
      text: `${name} significantly worse than ${view.baseline}: ${enumerated(worse)}.`,
    });
  if (better.length + worse.length === 0 && untested.length < others.length)
    remarks.push(plain(`${name}: no significant difference from ${view.baseline}.`));
  if (untested.length > 0)
    remarks.push(plain(`${name} not tested: ${enumerated(untested.map((m) => view.nameOf(m.method)))}.`));
  return remarks;
}

function conformalAnswer(view: StudyView, cell: StudyCell): Answer | undefined {
  if (cell.conformal.length === 0) return undefined;
  const remarks = cell.conformal.map((kind) => {
    const aim = 1 - kind.alpha;
    const below = kind.methods.filter((m) => {
      const { high } = m.figures.coverage;
      return high !== null && high < aim;
    });
    const known = kind.methods.filter((m) => m.figures.coverage.high !== null).length;
    const name = kind.kind.toUpperCase();
    const wanted = `${formatFigure(CONFORMAL.coverage, aim)} %`;
    if (known === 0) return plain(`${name}: the measured coverage has no interval.`);
    if (below.length === 0)
      return plain(`${name}: no method’s measured coverage lies below ${wanted} beyond chance.`);
    return {
      kind: 'plain' as const,
      text: `${name}: measured coverage below ${wanted} beyond chance (${view.level} interval, not corrected) for ${enumerated(below.map((m) => `${view.nameOf(m.method)} (${formatFigure(CONFORMAL.coverage, m.figures.coverage.value)} %)`))}.`,
    };
  });
  return { question: 'Do conformal sets cover what they promise?', remarks };
}

/** Everything that is significantly worse, at one place. */
function harmAnswer(view: StudyView, cell: StudyCell): Answer | undefined {
  const others = plainResults(cell).filter((m) => m.method !== view.report.baseline);
  if (others.length === 0) return undefined;
  const remarks = others.flatMap((method): Remark[] => {
    const worse = HARM.filter(
      (name) => signOf(shown(name), versusOf(method, shown(name)), view.alpha) === '✗',
    );
    return worse.length === 0
      ? []
      : [
          {
            kind: 'bad',
            text: `${view.nameOf(method.method)}: ${enumerated(worse.map((name) => shown(name).label))}.`,
          },
        ];
  });
  const labels = HARM.map((name) => shown(name).label);
  if (remarks.length === 0)
    remarks.push(
      plain(
        `No method is significantly worse than ${view.baseline} in ${`${labels.slice(0, -1).join(', ')} or ${labels.at(-1)}`}. That is no proof that none is.`,
      ),
    );
  return { question: 'Where do they hurt, without a calibrator?', remarks };
}

/** What holds over cells, counted: how often each method is significantly better and worse. */
function overallRemarks(view: StudyView): Remark[] {
  const { report } = view;
  const remarks: Remark[] = [];
  const least = 2 / (report.replicates + 1);
  const family = Math.max(0, ...report.cells.map((cell) => plainResults(cell).length - 1));
  if (report.replicates === 0) remarks.push(plain('No resamples were asked for: nothing was tested.'));
  else if (family > 0 && least * family >= view.alpha)
    remarks.push(
      plain(
        `${plural(report.replicates, 'resample')} cannot show a p below ${Number(Math.min(1, least * family).toPrecision(2))} after correction over ${plural(family, 'comparison')}: too few for any difference to be called significant where so many methods are compared. Use more.`,
      ),
    );
  remarks.push(...countRemarks(view, shown('ece'), 'none'));
  if (view.after !== undefined && report.cells.some((cell) => resultsOf(cell, view.after) !== undefined))
    remarks.push(...countRemarks(view, shown('ece'), view.after));
  remarks.push(...countRemarks(view, shown('top1'), 'none'));
  return remarks;
}

function countRemarks(view: StudyView, figure: ShownFigure, calibrator: string): Remark[] {
  const counts = view.report.methods
    .filter((method) => method.id !== view.report.baseline)
    .map(({ id }) => {
      const verdicts = view.report.cells.map((cell) =>
        verdictOf(figure, versusOf(methodUnder(cell, calibrator, id), figure), view.alpha),
      );
      const count = (verdict: string) => verdicts.filter((v) => v === verdict).length;
      return {
        name: view.nameOf(id),
        better: count('better'),
        worse: count('worse'),
        tested: verdicts.length - count('untested'),
      };
    });
  const tested = counts.filter((c) => c.tested > 0);
  if (tested.length === 0) return [];
  const [lower, higher] = figure.better === 'higher' ? ['higher', 'lower'] : ['lower', 'higher'];
  const where = calibrator === 'none' ? '' : `, all ${withCalibrator(calibrator)}`;
  const against = `than ${view.baseline}${where}`;
  const of = (n: number, c: { tested: number }) =>
    view.report.cells.length === 1
      ? ''
      : `\u00a0(${n === c.tested ? 'all' : `${n}\u00a0of`}\u00a0${c.tested})`;
  const better = tested.filter((c) => c.better > 0);
  const worse = tested.filter((c) => c.worse > 0);
  const neither = tested.filter((c) => c.better === 0 && c.worse === 0);
  const remarks: Remark[] = [];
  if (better.length > 0)
    remarks.push({
      kind: 'good',
      text: `${figure.label} significantly ${lower} ${against}: ${enumerated(better.map((c) => c.name + of(c.better, c)))}.`,
    });
  if (worse.length > 0)
    remarks.push({
      kind: 'bad',
      text: `${figure.label} significantly ${higher} ${against}: ${enumerated(worse.map((c) => c.name + of(c.worse, c)))}.`,
    });
  if (neither.length === tested.length)
    remarks.push(
      plain(`No method’s ${figure.label} differs significantly from that of ${view.baseline}${where}.`),
    );
  else if (neither.length > 0)
    remarks.push(
      plain(
        `${figure.label}${where}: no significant difference anywhere for ${enumerated(neither.map((c) => c.name))}.`,
      ),
    );
  return remarks;
}

/** `a, b and c`; with semicolons where a name holds a comma. */
function enumerated(names: readonly string[]): string {
  if (!names.some((name) => name.includes(','))) return list(names);
  return names.length < 2 ? (names[0] ?? '') : `${names.slice(0, -1).join('; ')}; and ${names.at(-1)}`;
}

function plain(text: string): Remark {
  return { kind: 'plain', text };
}

/** With a full stop at its end. */
export function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
