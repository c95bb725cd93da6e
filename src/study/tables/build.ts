import type { Difference, FigureName, TruthFigureName } from '../../metrics/index.ts';
import { figuresFor, formatCount, plural, type ShownFigure } from '../figures.ts';
import type {
  CalibratedMethod,
  CalibratedResults,
  CentreFigureName,
  ReportSet,
  StudyCell,
  StudyPart,
  StudyReport,
} from '../study-result.ts';
import { type CellSpec, type ColumnSpec, plain, type ReportTable, type RowSpec, tableOf } from './table.ts';

/**
 * All tables of a study, those of one data set after those of another: the main table (accuracy and calibration of each
 * method on each network), calibration after training, the truth of phantoms, strata, centres, selection and conformal
 * sets, embeddings, certificates. Parts that the study does not have make no table; the main table's notes say why.
 */
export function studyTables(report: StudyReport): ReportTable[] {
  return report.sets.flatMap((set) => {
    const cells = report.cells.filter((cell) => cell.set === set.id);
    if (cells.length === 0) return [];
    const view: View = { report, set, cells, alpha: Number((1 - report.level).toFixed(10)) };
    return [
      mainTable(view),
      ...calibrationTable(view),
      ...truthTable(view),
      ...strataTables(view),
      ...centreTable(view),
      ...selectiveTable(view),
      ...conformalTable(view),
      ...embeddingTable(view),
      ...certificateTable(view),
    ];
  });
}

interface View {
  readonly report: StudyReport;
  readonly set: ReportSet;
  readonly cells: readonly StudyCell[];
  readonly alpha: number;
}

const MAIN: readonly FigureName[] = ['top1', 'top5', 'ece', 'balancedAccuracy', 'nll', 'brier'];

function mainTable(view: View): ReportTable {
  const { set, report } = view;
  const figures = MAIN.flatMap((name) => labelFigures(set).filter((figure) => figure.name === name));
  const top5 = set.classes.length <= 5 ? [`Top-5 is left out: there are ${set.classes.length} classes.`] : [];
  return tableOf(
    {
      id: `main-${set.id}`,
      title: `${titleOf(view)}: accuracy and calibration`,
      caption: `${judgedSentence(set)} No calibration after training. ${seedSentence(view)}`,
      stubs: ['Network', 'Method'],
      notes: [...testNotes(view), ...top5, ...absences(view), ...report.missing],
    },
    figures.map((figure) => columnOf(figure)),
    methodRows(view, (cell) => {
      const { methods } = cell.calibration[0]!;
      return (id) => {
        const result = methods.find(({ method }) => method === id);
        return result && figures.map((figure) => cellOf(result, figure));
      };
    }),
    view.alpha,
  );
}

function calibrationTable(view: View): ReportTable[] {
  const { set, cells } = view;
  const names = ['none', ...view.report.calibrators];
  if (cells.every((cell) => cell.calibration.length < 2)) return [];
  const figures = (['ece', 'nll'] as const).map(
    (name) => labelFigures(set).find((one) => one.name === name)!,
  );
  const columns = figures.flatMap((figure) =>
    names.map(
      (calibrator): ColumnSpec => ({
        ...columnOf(figure),
        id: `${figure.name}_${calibrator}`,
        label: calibrator,
        group: figure.label,
      }),
    ),
  );
  return [
    tableOf(
      {
        id: `calibration-${set.id}`,
        title: `${titleOf(view)}: calibration after training`,
        caption:
          `Every calibrator is fitted on the validation split (${formatCount(set.samples.val ?? 0)} images) of each run. ` +
          `${judgedSentence(set)} Methods are compared under the same calibrator: whether one still helps once another ` +
          `is fitted is read down a column. ${seedSentence(view)}`,
        stubs: ['Network', 'Method'],
        notes: [...testNotes(view), ...zeroNotes(names), ...calibratorWarnings(view)],
      },
      columns,
      methodRows(view, (cell) => (id) => {
        if (!cell.calibration[0]!.methods.some(({ method }) => method === id)) return undefined;
        return figures.flatMap((figure) =>
          names.map((calibrator) => {
            const result = resultOf(cell.calibration, calibrator, id);
            return result === undefined ? plain(null) : cellOf(result, figure);
          }),
        );
      }),
      view.alpha,
    ),
  ];
}

/** What makes the NLL of some calibrators look broken. */
function zeroNotes(calibrators: readonly string[]): string[] {
  const binned = calibrators.filter((name) => name === 'isotonic' || name === 'histogram');
  if (binned.length === 0) return [];
  return [
    `NLL of ${binned.join(' and ')}: they give a class the probability 0 where no validation image of its kind had it, ` +
      'and each image that has it after all costs 87 nats. ECE is not touched by that.',
  ];
}

const TRUTH: readonly TruthFigureName[] = ['ece', 'totalVariation', 'kl'];

function truthTable(view: View): ReportTable[] {
  const { set, cells } = view;
  if (cells.every((cell) => cell.calibration[0]!.methods.every(({ truth }) => truth === null))) return [];
  const names = ['none', ...view.report.calibrators.filter((name) => name === 'temperature')];
  const figures = figuresFor(set.classes.length, true).filter(
    (figure) =>
      (!figure.truth && figure.name === 'ece') || (figure.truth && TRUTH.includes(figure.name as never)),
  );
  const columns = names.flatMap((calibrator) =>
    figures.map(
      (figure): ColumnSpec => ({
        ...columnOf(figure),
        id: `${figure.truth ? 'truth_' : ''}${figure.name}_${calibrator}`,
        label: !figure.truth ? 'ECE to labels' : figure.label,
        group: calibrator === 'none' ? 'As trained' : 'After temperature',
      }),
    ),
  );
  return [
    tableOf(
      {
        id: `truth-${set.id}`,
        title: `${titleOf(view)}: against the true posterior`,
        caption: `The posterior of every image is known. ${judgedSentence(set)} ${seedSentence(view)}`,
        stubs: ['Network', 'Method'],
        notes: testNotes(view),
      },
      columns,
      methodRows(view, (cell) => (id) => {
        if (!cell.calibration[0]!.methods.some(({ method }) => method === id)) return undefined;
        return names.flatMap((calibrator) =>
          figures.map((figure) => {
            const result = resultOf(cell.calibration, calibrator, id);
            return result === undefined ? plain(null) : cellOf(result, figure);
          }),
        );
      }),
      view.alpha,
    ),
  ];
}

function strataTables(view: View): ReportTable[] {
  const { set, cells } = view;
  const attributes = [...new Set(cells.flatMap((cell) => cell.strata.map(({ attribute }) => attribute)))];
  const figures = labelFigures(set).filter(({ name }) =>
    ['top1', 'balancedAccuracy', 'ece', 'nll'].includes(name),
  );
  return attributes.map((attribute) => {
    const rows = cells.flatMap((cell) =>
      cell.strata
        .filter((stratum) => stratum.attribute === attribute)
        .flatMap((stratum) =>
          stratum.methods.map(
            (result, m): RowSpec => ({
              stubs: [stratum.value, cell.network, nameOf(view, result.method)],
              block: m === 0,
              cells: [
                plain(stratum.samples),
                ...figures.map(({ name }) => figureCell(result, name as keyof typeof result.figures)),
              ],
            }),
          ),
        ),
    );
    return tableOf(
      {
        id: `${attribute}-${set.id}`,
        title: `${titleOf(view)}: by ${attribute}`,
        caption: `Images whose class belongs to each ${attribute}. ${judgedSentence(set)} No calibration after training. ${seedSentence(view)}`,
        stubs: [attribute[0]!.toUpperCase() + attribute.slice(1), 'Network', 'Method'],
        notes: testNotes(view),
      },
      [
        { id: 'images', label: 'Images', unit: 'count', better: 'none' },
        ...figures.map((figure) => columnOf(figure)),
      ],
      sorted(rows),
      view.alpha,
    );
  });
}

const DROPS: readonly CentreFigureName[] = ['top1', 'balancedAccuracy', 'ece'];

function centreTable(view: View): ReportTable[] {
  const { set, cells } = view;
  const figures = labelFigures(set).filter(({ name }) => DROPS.includes(name as CentreFigureName));
  const sides = ['in', 'out', 'drop'] as const;
  const columns = figures.flatMap((figure) =>
    sides.map(
      (side): ColumnSpec => ({
        ...columnOf(figure),
        id: `${figure.name}_${side}`,
        label: side,
        group: figure.label,
        // A drop of accuracy is a loss, and one of the calibration error a gain.
        better: side !== 'drop' ? columnOf(figure).better : figure.better === 'higher' ? 'lower' : 'higher',
      }),
    ),
  );
  const rows = cells.flatMap((cell) =>
    cell.centres.flatMap((centre) =>
      centre.methods.map(
        (result, m): RowSpec => ({
          stubs: [
            centre.centre,
            cell.network,
            centre.calibrator === 'none' ? 'as trained' : centre.calibrator,
            nameOf(view, result.method),
          ],
          block: m === 0,
          cells: figures.flatMap(({ name }) => {
            const figure = name as CentreFigureName;
            return [result.inCentre[figure], result.outOfCentre[figure], result.drop[figure]].map(
              (estimate) => ({
                estimate,
              }),
            );
          }),
        }),
      ),
    ),
  );
  if (rows.length === 0) return [];
  const centres = [
    ...new Map(cells.flatMap((cell) => cell.centres.map((centre) => [centre.centre, centre]))).values(),
  ];
  return [
    tableOf(
      {
        id: `centres-${set.id}`,
        title: `${titleOf(view)}: in and out of centre`,
        caption:
          `The same networks on images of the training centre and of others. Drop: in-centre minus out-of-centre, ` +
          `with images of both centres resampled. Temperatures are fitted in-centre. ${seedSentence(view)}`,
        stubs: ['Centre', 'Network', 'Calibration', 'Method'],
        notes: [
          ...intervalNotes(view),
          ...centres.map(
            (centre) =>
              `${centre.centre}: ${plural(centre.samples, 'image')} of ${centre.kind === 'site' ? 'other sites of the data set' : 'another data set'}` +
              (centre.absentClasses.length === 0
                ? '.'
                : `; none of ${centre.absentClasses.slice(0, 5).join(', ')}${centre.absentClasses.length > 5 ? ', …' : ''}.`),
          ),
        ],
      },
      columns,
      rows,
      view.alpha,
    ),
  ];
}

function selectiveTable(view: View): ReportTable[] {
  const { set, cells } = view;
  if (cells.every(({ selective }) => selective === null)) return [];
  const columns: ColumnSpec[] = [
    { id: 'aurc', label: 'AURC', unit: '%', better: 'lower' },
    { id: 'excessAurc', label: 'Excess AURC', unit: '%', better: 'lower' },
    ...[80, 90, 95].map(
      (share): ColumnSpec => ({
        id: `accuracy${share}`,
        label: `Accuracy of the surest ${share} %`,
        unit: '%',
        better: 'higher',
      }),
    ),
  ];
  return [
    tableOf(
      {
        id: `selective-${set.id}`,
        title: `${titleOf(view)}: risk and coverage`,
        caption: `AURC: area under the error rate of the most confident share, over all shares; excess: above the best order of the same answers. ${judgedSentence(set)} ${seedSentence(view)}`,
        stubs: ['Network', 'Method'],
        notes: testNotes(view),
      },
      columns,
      methodRows(view, (cell) => (id) => {
        const result = cell.selective?.find(({ method }) => method === id);
        return (
          result && columns.map((column) => figureCell(result, column.id as keyof typeof result.figures))
        );
      }),
      view.alpha,
    ),
  ];
}

function conformalTable(view: View): ReportTable[] {
  const { set, cells } = view;
  const first = cells.find((cell) => cell.conformal.length > 0)?.conformal;
  if (first === undefined) return [];
  const columns = first.flatMap(({ kind, alpha }): ColumnSpec[] => {
    const group = `${kind.toUpperCase()}, ${Number((100 * (1 - alpha)).toFixed(2))} %`;
    return [
      { id: `${kind}_coverage`, label: 'coverage', group, unit: '%', better: 'none' },
      { id: `${kind}_size`, label: 'size', group, unit: '', better: 'lower' },
      { id: `${kind}_worst`, label: 'least covered class', group, unit: '%', better: 'none' },
    ];
  });
  const warnings = new Set(
    cells.flatMap((cell) => cell.conformal.flatMap(({ methods }) => methods.flatMap((m) => m.warnings))),
  );
  return [
    tableOf(
      {
        id: `conformal-${set.id}`,
        title: `${titleOf(view)}: conformal prediction sets`,
        caption:
          `Calibrated on ${plural(first[0]!.calibrationSamples, 'validation image')} of each run, measured on the judged ` +
          `ones. Coverage should be what was asked for; then the smaller the sets the better. ${seedSentence(view)}`,
        stubs: ['Network', 'Method'],
        notes: [
          ...testNotes(view),
          ...(set.groups
            ? [
                'The guarantee is for exchangeable images; several images of a patient count as fewer than they are.',
              ]
            : []),
          ...warnings,
        ],
      },
      columns,
      methodRows(view, (cell) => (id) => {
        if (!cell.conformal.some(({ methods }) => methods.some(({ method }) => method === id)))
          return undefined;
        return first.flatMap(({ kind }) => {
          const result = cell.conformal
            .find((one) => one.kind === kind)
            ?.methods.find(({ method }) => method === id);
          if (result === undefined) return [plain(null), plain(null), plain(null)];
          return [figureCell(result, 'coverage'), figureCell(result, 'size'), plain(result.worstClass)];
        });
      }),
      view.alpha,
    ),
  ];
}

function embeddingTable(view: View): ReportTable[] {
  const { set, cells } = view;
  const first = cells.find(({ embeddings }) => embeddings !== null)?.embeddings;
  if (first === undefined || first === null) return [];
  const columns: ColumnSpec[] = [
    { id: 'distanceRatio', label: 'Within to between distance', unit: '', better: 'lower' },
    { id: 'silhouette', label: 'Silhouette', unit: '', better: 'higher' },
    { id: 'neighbourAccuracy', label: `${first.k}-NN accuracy`, unit: '%', better: 'higher' },
  ];
  return [
    tableOf(
      {
        id: `embeddings-${set.id}`,
        title: `${titleOf(view)}: penultimate features`,
        caption: `${plural(first.samples, 'image')} of the judged split, each judged by the others. ${seedSentence(view)}`,
        stubs: ['Network', 'Method'],
        notes: testNotes(view),
      },
      columns,
      methodRows(view, (cell) => (id) => {
        const result = cell.embeddings?.methods.find(({ method }) => method === id);
        return (
          result && columns.map((column) => figureCell(result, column.id as keyof typeof result.figures))
        );
      }),
      view.alpha,
    ),
  ];
}

function certificateTable(view: View): ReportTable[] {
  const { set, cells } = view;
  const first = cells.find(({ certificates }) => certificates !== null)?.certificates;
  if (first === undefined || first === null) return [];
  const { radii, samples, sigma, delta, images } = first;
  return [
    tableOf(
      {
        id: `certificates-${set.id}`,
        title: `${titleOf(view)}: certified confidence`,
        caption:
          `Randomized smoothing with noise of σ = ${sigma} on ${plural(images, 'image')}, ${plural(samples, 'noisy copy', 'noisy copies')} of each: ` +
          `mean confidence that is certified within each ℓ2 radius, false for an image with probability ${delta} at most. ${seedSentence(view)}`,
        stubs: ['Network', 'Method'],
        notes: [
          ...testNotes(view),
          `Finite sampling costs at most ${Math.max(...cells.flatMap((cell) => cell.certificates?.methods.flatMap((m) => m.samplingError) ?? [0])).toFixed(3)} of the certified confidence.`,
        ],
      },
      [
        { id: 'confidence', label: 'Confidence under noise', unit: '%', better: 'none' },
        ...radii.map(
          (radius): ColumnSpec => ({
            id: `radius_${radius}`,
            label: `radius ${radius}`,
            group: 'Certified',
            unit: '%',
            better: 'none',
          }),
        ),
      ],
      methodRows(view, (cell) => (id) => {
        const result = cell.certificates?.methods.find(({ method }) => method === id);
        return (
          result && [
            { estimate: result.confidence },
            ...result.certified.map((estimate, r) => ({ estimate, versus: result.versus?.[r] ?? null })),
          ]
        );
      }),
      view.alpha,
    ),
  ];
}

/** A row for each network and method that has figures; a network is a block. */
function methodRows(
  view: View,
  cellsOf: (cell: StudyCell) => (method: string) => readonly CellSpec[] | undefined,
): RowSpec[] {
  return view.cells.flatMap((cell) => {
    const of = cellsOf(cell);
    return view.report.methods
      .flatMap(({ id }) => {
        const cells = of(id);
        return cells === undefined ? [] : [{ stubs: [cell.network, nameOf(view, id)], cells }];
      })
      .map((row, r) => ({ ...row, block: r === 0 }));
  });
}

/** Rows of one value together, in the order of first mention. */
function sorted(rows: readonly RowSpec[]): RowSpec[] {
  const values = [...new Set(rows.map((row) => row.stubs[0]!))];
  return values.flatMap((value) => rows.filter((row) => row.stubs[0] === value));
}

function resultOf(
  calibration: readonly CalibratedResults[],
  calibrator: string,
  id: string,
): CalibratedMethod | undefined {
  return calibration
    .find((one) => one.calibrator === calibrator)
    ?.methods.find(({ method }) => method === id);
}

function cellOf(result: CalibratedMethod, { name, truth }: ShownFigure): CellSpec {
  return truth
    ? {
        estimate: result.truth?.[name as TruthFigureName] ?? { value: null, low: null, high: null },
        versus: result.versusTruth?.[name as TruthFigureName] ?? null,
      }
    : {
        estimate: result.figures[name as FigureName],
        versus: result.versus?.[name as FigureName] ?? null,
      };
}

function figureCell<N extends string>(
  result: {
    readonly figures: Readonly<Record<N, CellSpec['estimate']>>;
    readonly versus: Readonly<Record<N, Difference & { readonly corrected: number | null }>> | null;
  },
  name: N,
): CellSpec {
  return { estimate: result.figures[name], versus: result.versus?.[name] ?? null };
}

function labelFigures(set: ReportSet): ShownFigure[] {
  return figuresFor(set.classes.length, false);
}

function columnOf({ name, label, unit, better }: ShownFigure): ColumnSpec {
  return { id: name, label, unit, better: better === 'zero' ? 'none' : better };
}

function nameOf({ report }: View, id: string): string {
  const label = report.methods.find((method) => method.id === id)?.label ?? id;
  return report.methods.filter((method) => method.label === label).length > 1 ? `${label} (${id})` : label;
}

function titleOf({ set }: View): string {
  return set.id;
}

function judgedSentence(set: ReportSet): string {
  const images = set.support.reduce((a, b) => a + b, 0);
  return `Judged on ${plural(images, 'image')} (${set.judged}) of ${plural(set.classes.length, 'class', 'classes')}.`;
}

function seedSentence({ report }: View): string {
  return report.seeds.length === 1 ? 'One seed.' : `Means over ${plural(report.seeds.length, 'seed')}.`;
}

function intervalNotes({ report, set }: View): string[] {
  if (report.replicates === 0) return ['No resamples were asked for: there are no intervals and no tests.'];
  const unit = set.groups ? 'groups (patients)' : 'images';
  const seeds = report.seeds.length > 1 ? ' and of seeds' : '';
  return [
    `[ ] ${levelText(report)} interval, percentile bootstrap with ${formatCount(report.replicates)} resamples of ${unit}${seeds}.`,
  ];
}

/** How intervals and tests were made, and what the marks mean. */
function testNotes(view: View): string[] {
  const { report, cells } = view;
  const others = Math.max(...cells.map(({ comparison }) => comparison.methods.length)) - 1;
  if (report.replicates === 0 || others < 1) return intervalNotes(view);
  const few =
    (2 * others) / (report.replicates + 1) < view.alpha
      ? []
      : ['So few resamples can show no difference to be significant.'];
  return [
    ...intervalNotes(view),
    `Bold: the best of a network as shown. ✓ better, ✗ worse than ${nameOf(view, report.baseline)}: p < ${view.alpha}, ` +
      `paired bootstrap over images${report.seeds.length > 1 ? ' and seeds' : ''}, Holm-corrected; a family is one column ` +
      `of one network (${plural(others, 'comparison')}).`,
    ...few,
    ...(report.seeds.length > 1 && report.seeds.length < 5
      ? [
          `With ${plural(report.seeds.length, 'seed')} the spread between trainings is known roughly, and intervals understate it.`,
        ]
      : []),
    ...(report.seeds.length === 1
      ? ['One seed: the interval holds the chance of which images were judged, not that of the training.']
      : []),
  ];
}

function levelText({ level }: StudyReport): string {
  return `${Number((100 * level).toFixed(2))} %`;
}

/** Why parts are missing, one sentence each; what was not asked for needs none. */
function absences({ cells }: View): string[] {
  const told = new Set<string>();
  for (const { absent } of cells)
    for (const [part, reason] of Object.entries(absent) as [StudyPart, string][])
      if (reason !== 'not asked for' && part !== 'truth' && part !== 'strata')
        told.add(`No ${PART_NAMES[part]}: ${reason}.`);
  return [...told];
}

const PART_NAMES: Readonly<Record<StudyPart, string>> = {
  calibration: 'calibration after training',
  strata: 'strata',
  centres: 'other centres',
  selective: 'risk and coverage',
  conformal: 'conformal sets',
  embeddings: 'embeddings',
  certificates: 'certificates',
  truth: 'truth',
};

/** What the fits complained of, each once with how many runs it concerns. */
function calibratorWarnings({ cells }: View): string[] {
  const counts = new Map<string, number>();
  for (const { calibration } of cells)
    for (const { calibrator, methods } of calibration)
      for (const { seeds } of methods)
        for (const { warnings } of seeds)
          for (const warning of warnings) {
            const text = `${calibrator}: ${warning}`;
            counts.set(text, (counts.get(text) ?? 0) + 1);
          }
  return [...counts].map(([text, runs]) => `${text} (${plural(runs, 'run')})`);
}
