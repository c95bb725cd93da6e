import { verdictOf } from '../figures/index.ts';
import { formatCount, list, plural } from './format.ts';
import { append } from './measure.ts';
import { withCalibrator } from './parts/calibrators.ts';
import { cellName, overviewColumns, type Report, type ShownCell } from './report.ts';
import { type Difference, differencesOf, SIDES, type Sided } from './summary.ts';
import { type OverallVerdict, overall } from './verdict/index.ts';
import { type Remark, said, seedNotes } from './view.ts';

/** What a report says first: of one cell its verdict, of several who is to be believed where. */
export function verdictOfReport(cells: readonly ShownCell[]): OverallVerdict {
  const name = placeNames(cells);
  return overall(cells.map((shown) => ({ name: name(shown), verdict: shown.verdict })));
}

/** Names of cells without what all of them share: `knee` where there is one network. */
function placeNames(cells: readonly ShownCell[]): (shown: ShownCell) => string {
  const sets = new Set(cells.map(({ cell }) => cell.set));
  const networks = new Set(cells.map(({ cell }) => cell.network));
  return ({ cell }) =>
    cellName({
      ...cell,
      set: sets.size === 1 && networks.size > 1 ? '' : cell.set,
      network: networks.size === 1 && sets.size > 1 ? '' : cell.network,
    });
}

/** Every significant difference of every table of every cell; of several cells with the names of those where it is so. */
export function allDifferences(cells: readonly ShownCell[]): Difference[] {
  if (cells.length === 1) return differencesOf(cells[0]!);
  const name = placeNames(cells);
  type Places = Record<(typeof SIDES)[number], Map<string, Map<string, string[]>>>;
  const merged = new Map<string, { first: Difference; places: Places }>();
  for (const shown of cells)
    for (const one of differencesOf(shown)) {
      const key = JSON.stringify([one.where, one.against]);
      const empty: Places = { better: new Map(), worse: new Map(), differs: new Map() };
      const entry = merged.get(key) ?? { first: one, places: empty };
      merged.set(key, entry);
      for (const side of SIDES)
        for (const [method, figures] of one[side])
          for (const figure of figures) {
            const own = entry.places[side].get(method) ?? new Map<string, string[]>();
            entry.places[side].set(method, own);
            append(own, figure, name(shown));
          }
    }
  // `ols (knee, brain): AUROC, NLL`: figures that differ in the same places together.
  const named = (places: ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>): Sided => {
    const grouped = new Map<string, string[]>();
    for (const [method, figures] of places)
      for (const [figure, some] of figures)
        append(grouped, `${method} (${some.length === cells.length ? 'everywhere' : list(some)})`, figure);
    return grouped;
  };
  return [...merged.values()].map(({ first, places }) => ({
    ...first,
    better: named(places.better),
    worse: named(places.worse),
    differs: named(places.differs),
  }));
}

/** What holds over cells, counted: how often each method is significantly better and worse. */
export function overallRemarks(report: Report, cells: readonly ShownCell[]): Remark[] {
  const { view } = cells[0]!;
  const { replicates } = view.judgement.settings;
  const remarks: Remark[] = [];
  if (replicates === 0) remarks.push(said('No intervals were asked for: nothing was tested.'));
  if (cells.length === 1) return remarks;
  const columns = overviewColumns(view).map(({ figure, calibrator }) => ({ figure, calibrator }));
  return [...remarks, ...columns.flatMap((column) => countRemarks(report, cells, column))];
}

type Column = Pick<ReturnType<typeof overviewColumns>[number], 'figure' | 'calibrator'>;

function countRemarks(report: Report, cells: readonly ShownCell[], { figure, calibrator }: Column): Remark[] {
  const { view } = cells[0]!;
  const counts = report.methods
    .filter(({ id }) => id !== view.judgement.baseline)
    .map(({ id }) => {
      const verdicts = cells.map((cell) => {
        const own = overviewColumns(cell.view).find(
          (column) => column.figure.name === figure.name && column.calibrator === calibrator,
        );
        const versus = own?.methods.find(({ method }) => method === id)?.versus?.[figure.name];
        return verdictOf(figure, versus, view.alpha);
      });
      const count = (verdict: string) => verdicts.filter((v) => v === verdict).length;
      return {
        name: view.name(id),
        better: count('better'),
        worse: count('worse'),
        tested: verdicts.length - count('untested'),
      };
    });
  const tested = counts.filter((one) => one.tested > 0);
  if (tested.length === 0) return [];
  const [good, bad] = figure.better === 'higher' ? ['higher', 'lower'] : ['lower', 'higher'];
  const where = calibrator === 'none' ? '' : `, all ${withCalibrator(calibrator)}`;
  const of = (n: number, one: { readonly tested: number }) =>
    `\u00a0(${n === one.tested ? 'all' : `${formatCount(n)}\u00a0of`}\u00a0${one.tested})`;
  const better = tested.filter((one) => one.better > 0);
  const worse = tested.filter((one) => one.worse > 0);
  const neither = tested.filter((one) => one.better + one.worse === 0);
  const remarks: Remark[] = [];
  if (better.length > 0)
    remarks.push({
      kind: 'good',
      text: `${figure.label} significantly ${good} than ${view.baseline}${where}: ${list(better.map((one) => one.name + of(one.better, one)))}.`,
    });
  if (worse.length > 0)
    remarks.push({
      kind: 'bad',
      text: `${figure.label} significantly ${bad} than ${view.baseline}${where}: ${list(worse.map((one) => one.name + of(one.worse, one)))}.`,
    });
  if (neither.length === tested.length)
    remarks.push(
      said(`No method’s ${figure.label} differs significantly from that of ${view.baseline}${where}.`),
    );
  else if (neither.length > 0)
    remarks.push(
      said(
        `${figure.label}${where}: no significant difference anywhere for ${list(neither.map(({ name }) => name))}.`,
      ),
    );
  return remarks;
}

/** How the numbers were made and what they cannot show: sentences for the foot of every rendering. */
export function howNotes(report: Report, cells: readonly ShownCell[]): string[] {
  const { view } = cells[0]!;
  const { replicates, bins } = view.judgement.settings;
  const units = new Set(cells.map((cell) => (cell.view.judgement.groups ? 'groups (patients)' : 'images')));
  const runs = cells.flatMap((cell) => cell.view.judgement.methods.map((method) => method.runs.length));
  const [few, many] = [Math.min(...runs), Math.max(...runs)];
  return [
    ...(replicates === 0
      ? ['No intervals were asked for, and no tests.']
      : [
          `Intervals: ${view.level}. Of most figures from their influence functions over ${[...units].join(' or ')}${many > 1 ? ' and seeds; a figure is the mean over seeds' : ''}, with what few cases or errors leave uncertain; of measures of features by the bootstrap with ${formatCount(replicates)} resamples.`,
          'Calibration errors are sums of absolute values, which chance pushes up. Their debiased form leads; intervals and tests of all of them are those of the true calibration error and hold whatever the binning, and the published form (plug-in, equal bins) is printed because papers need it. What has no interval has none that holds.',
        ]),
    ...(view.judgement.comparisons > 0 && replicates > 0
      ? [
          `Tests: ${view.judgement.comparisons >= view.ids.length ? 'every pair of methods' : `each method against ${view.baseline}`} on the same images under the same calibrator. p-values are Holm-corrected over ${plural(view.judgement.comparisons, 'comparison')}: a family is one figure of one network under one calibrator; nothing is corrected over figures, calibrators or networks. No significant difference does not mean that there is none.`,
        ]
      : []),
    'Calibrators, conformal thresholds and operating points are fitted on the validation split of each run, never on the judged one.',
    `Diagrams and the published calibration error: ${bins} bins of equal width.`,
    'A low calibration error alone is no merit: whoever answers every image with how frequent each class is has one near 0 and tells nothing.',
    ...seedNotes(few),
    ...cells.flatMap(({ view: { judgement } }) => {
      const absent = judgement.support.filter((n) => n === 0).length;
      return absent === 0
        ? []
        : [
            `${plural(absent, 'class has', 'classes have')} no image in the judged split: what is not defined there is left out of means.`,
          ];
    }),
    ...report.notes,
  ];
}
