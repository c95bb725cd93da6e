import type { Estimate } from '../../metrics/index.ts';
import {
  formatCount,
  formatFigure,
  formatInterval,
  formatNumber,
  plural,
  type ShownFigure,
  UNDEFINED,
} from '../figures.ts';
import {
  CONFORMAL,
  calibratorName,
  EMBEDDING,
  estimateText,
  figureOf,
  headOf,
  isCalibrationError,
  knowsTruth,
  methodUnder,
  plainResults,
  resultsOf,
  SELECTIVE,
  type StudyView,
  scaleOf,
  shown,
  signOf,
  versusOf,
  versusText,
  withCalibrator,
} from '../figures-study.ts';
import { capital } from '../reading.ts';
import type { EpochMetrics } from '../result.ts';
import type { CalibratedMethod, CentreFigureName, StudyCell, TestedDifference } from '../study-result.ts';
import { type Curve, curveDomain, curvePanel } from './curves.ts';
import { type Figure, type LegendItem, mark, type Panel } from './figure.ts';
import { type ForestMark, type ForestPanel, type ForestRow, forest } from './forest.ts';
import { type HeatCell, heatBlocks } from './heat.ts';
import { type Line, linePanel } from './lines.ts';
import { FEW, greatestShare, reliabilityPanel } from './reliability.ts';
import { groupMark, groupsOf, scatterPanel } from './scatter.ts';

/** Where a figure is read: small panels of many methods have to fit the width of a printed page. */
export type Medium = 'page' | 'file';

/** The figures of one cell; a part that was not measured has none. */
export interface CellDrawings {
  readonly ece: Figure;
  readonly reliability: readonly Figure[];
  readonly calibration: Figure | undefined;
  readonly truth: Figure | undefined;
  readonly riskCoverage: Figure | undefined;
  readonly conformal: Figure | undefined;
  readonly centres: Figure | undefined;
  readonly embeddings: readonly Figure[];
  readonly embeddingMeasures: Figure | undefined;
  readonly certificates: Figure | undefined;
  readonly curves: readonly Figure[];
}

/** All figures of a cell. Every panel of a figure has the same scale, and a method looks the same in all of them. */
export function drawCell(view: StudyView, cell: StudyCell, medium: Medium): CellDrawings {
  const sheet: Sheet = { view, cell, medium };
  return {
    ece: eceFigure(sheet),
    reliability: ['none', view.after].flatMap((calibrator) => reliabilityFigure(sheet, calibrator) ?? []),
    calibration: calibrationFigure(sheet),
    truth: truthFigure(sheet),
    riskCoverage: riskCoverageFigure(sheet),
    conformal: conformalFigure(sheet),
    centres: centreFigure(sheet),
    embeddings: embeddingFigures(sheet),
    embeddingMeasures: embeddingMeasuresFigure(sheet),
    certificates: certificateFigure(sheet),
    curves: curveFigures(sheet),
  };
}

/** A cell's figures in the order in which they are read. */
export function drawingList(drawings: CellDrawings): Figure[] {
  const { ece, reliability, calibration, truth, riskCoverage, conformal, centres } = drawings;
  const { embeddings, embeddingMeasures, certificates, curves } = drawings;
  return [
    ece,
    ...reliability,
    calibration,
    truth,
    centres,
    riskCoverage,
    conformal,
    ...embeddings,
    embeddingMeasures,
    certificates,
    ...curves,
  ].filter((figure) => figure !== undefined);
}

/** What every figure of a cell is drawn from. */
interface Sheet {
  readonly view: StudyView;
  readonly cell: StudyCell;
  readonly medium: Medium;
}

const ECE = shown('ece');
const UNPERTURBED: ShownFigure = { ...ECE, label: 'Unperturbed', better: 'zero' };

function eceFigure(sheet: Sheet): Figure {
  const { view, cell } = sheet;
  const after = cell.calibration.length > 1 ? view.after : undefined;
  const label = (figure: ShownFigure, calibrators: readonly (string | undefined)[]) =>
    methodPanel(sheet, figure, calibrators);
  const panels = [
    label(ECE, ['none', after]),
    label(shown('nll'), ['none', after]),
    label(shown('top1'), ['none']),
  ];
  return {
    file: fileOf(sheet, 'ece'),
    title: `Calibration and accuracy: ${view.cellName(cell)}`,
    note: `${intervalNote(view)} The dashed line is at ${view.baseline} without a calibrator; ${signNote(view)} The axis of the ECE starts at 0, the other two do not.`,
    columns: 1,
    ...(after !== undefined && { legend: stateLegend('no calibrator', calibratorName(after)) }),
    panels: [{ drawing: forest(rowsOf(sheet), panels, `ECE, NLL and Top-1 of ${view.cellName(cell)}`) }],
  };
}

/** A panel of all methods' values of a figure, one mark for each calibrator; the first is full, the second empty. */
function methodPanel(
  { view, cell }: Sheet,
  figure: ShownFigure,
  calibrators: readonly (string | undefined)[],
  reach?: readonly (number | null)[],
): ForestPanel {
  const used = calibrators.filter((c): c is string => resultsOf(cell, c) !== undefined);
  const marks = plainResults(cell).map(({ method }) =>
    used.map((calibrator, i): ForestMark => {
      const found = methodUnder(cell, calibrator, method);
      const versus = versusOf(found, figure);
      const difference = versusText(figure, versus, view.alpha);
      return {
        ...figureOf(found, figure),
        hollow: i > 0,
        sign: signOf(figure, versus, view.alpha),
        tip: [
          `${view.nameOf(method)}, ${calibratorName(calibrator)}: ${estimateText(figure, figureOf(found, figure), view.level)}`,
          ...(difference === undefined ? [] : [`against ${view.baseline}: ${difference}`]),
        ].join('\n'),
      };
    }),
  );
  const baseline = methodUnder(cell, 'none', view.report.baseline);
  return {
    head: headOf(figure),
    scale: scaleOf(figure),
    digits: figure.digits,
    fromZero: isCalibrationError(figure),
    ...(reach !== undefined && { reach }),
    reference: figureOf(baseline, figure).value,
    marks,
  };
}

function reliabilityFigure(sheet: Sheet, calibrator: string | undefined): Figure | undefined {
  const { view, cell, medium } = sheet;
  const methods = resultsOf(cell, calibrator)?.methods;
  if (calibrator === undefined || methods === undefined || methods.length === 0) return undefined;
  // One scale for the histograms before and after: the two figures are held side by side.
  const share = greatestShare(
    ['none', view.after].flatMap((c) => resultsOf(cell, c)?.methods.map((m) => m.reliability) ?? []),
  );
  const size = sizeOf(medium, methods.length);
  const panels = methods.map((method): Panel => {
    const name = view.nameOf(method.method);
    const runs = Math.max(1, method.seeds.length);
    return {
      head: name,
      series: view.seriesOf(method.method),
      lines: [
        valueLine(ECE, figureOf(method, ECE), versusOf(method, ECE), view.alpha),
        confidenceLine(method),
      ],
      drawing: reliabilityPanel(method.reliability, {
        title: `Reliability diagram of ${name}, ${calibratorName(calibrator)}: accuracy against confidence`,
        runs,
        greatestShare: share,
        width: size.width,
      }),
    };
  });
  return {
    file: fileOf(sheet, calibrator === 'none' ? 'reliability' : `reliability-${calibrator}`),
    title: `Reliability ${withCalibrator(calibrator)}: ${view.cellName(cell)}`,
    note: `A bar is the share that was right, a point stands at the bin’s mean confidence with a 95 % Wilson interval. A filled gap is over-confidence, a hatched one under-confidence; a bin without predictions stays empty, one with fewer than ${FEW} images is faint. Below: how many predictions each bin holds, mean confidence dashed, accuracy solid. All seeds are pooled; an image counts once for an interval.`,
    columns: size.columns,
    panels,
  };
}

function confidenceLine(method: CalibratedMethod): string {
  const top1 = figureOf(method, shown('top1')).value;
  const gap = figureOf(method, shown('confidenceGap')).value;
  if (top1 === null || gap === null) return 'confidence and accuracy not defined';
  return `confidence ${formatFigure(ECE, top1 + gap)} %, right ${formatFigure(ECE, top1)} %`;
}

function calibrationFigure(sheet: Sheet): Figure | undefined {
  const { view, cell } = sheet;
  if (cell.calibration.length < 2) return undefined;
  const methods = plainResults(cell);
  const block = (figure: ShownFigure, least?: number) => ({
    head: headOf(figure),
    ...shades(
      cell.calibration.flatMap((c) => c.methods.map((m) => figureOf(m, figure).value)),
      least,
    ),
    cells: methods.map(({ method }) =>
      cell.calibration.map(({ calibrator }): HeatCell => {
        const found = methodUnder(cell, calibrator, method);
        const estimate = figureOf(found, figure);
        const versus = versusOf(found, figure);
        const difference = versusText(figure, versus, view.alpha);
        return {
          value: estimate.value,
          text: compact(figure, estimate.value),
          sign: signOf(figure, versus, view.alpha),
          tip: [
            `${view.nameOf(method)}, ${calibratorName(calibrator)}: ${estimateText(figure, estimate, view.level)}`,
            ...(difference === undefined
              ? []
              : [`against ${view.baseline} under the same calibrator: ${difference}`]),
          ].join('\n'),
        };
      }),
    ),
  });
  return {
    file: fileOf(sheet, 'calibration'),
    title: `Every method under every calibrator: ${view.cellName(cell)}`,
    note: `Calibrators are fitted on the validation split alone. Darker is worse; white is 0 for the ECE and the least value for the NLL, and what lies far beyond the others is as dark as can be, so that these keep their shades. ${capital(signNote(view))} Every comparison is made under the same calibrator. ${UNDEFINED}: not measured or not defined.`,
    columns: 1,
    panels: [
      {
        drawing: heatBlocks(
          methods.map((m) => view.nameOf(m.method)),
          cell.calibration.map((c) => (c.calibrator === 'none' ? 'none' : c.calibrator)),
          [block(ECE, 0), block(shown('nll'))],
          `ECE and NLL of every method under every calibrator, ${view.cellName(cell)}`,
        ),
      },
    ],
  };
}

/** From the least value to the greatest, or to where values lie far beyond the others. */
function shades(values: readonly (number | null)[], least?: number): { from: number; to: number } {
  const known = values.filter((v) => v !== null).sort((a, b) => a - b);
  if (known.length === 0) return { from: 0, to: 1 };
  const from = least ?? known[0]!;
  const upper = known[Math.floor(0.9 * (known.length - 1))]!;
  return { from, to: Math.min(known.at(-1)!, Math.max(from + 3 * (upper - from), upper)) };
}

/** A number that fits into a small cell, whatever it is. */
function compact(figure: ShownFigure, value: number | null): string {
  if (value === null) return UNDEFINED;
  const seen = value * scaleOf(figure);
  if (Math.abs(seen) >= 1e6) return seen.toExponential(0).replace('e+', '·10^');
  return Math.abs(seen) >= 1000 ? formatNumber(seen, 0) : formatFigure(figure, value);
}

function truthFigure(sheet: Sheet): Figure | undefined {
  const { view, cell } = sheet;
  if (!knowsTruth(cell)) return undefined;
  const after = cell.calibration.length > 1 ? view.after : undefined;
  const toTruth = shown('ece', true);
  const reach = ['none', after].flatMap((calibrator) =>
    (resultsOf(cell, calibrator)?.methods ?? []).flatMap((m) =>
      [ECE, toTruth].flatMap((figure) => {
        const { value, low, high } = figureOf(m, figure);
        return [value, low, high];
      }),
    ),
  );
  const panels = [
    { ...methodPanel(sheet, ECE, ['none', after], reach), head: 'ECE against labels (%) ↓' },
    { ...methodPanel(sheet, toTruth, ['none', after], reach), head: 'ECE against the truth (%) ↓' },
    methodPanel(sheet, shown('totalVariation', true), ['none', after]),
  ];
  return {
    file: fileOf(sheet, 'truth'),
    title: `Against the truth: ${view.cellName(cell)}`,
    note: `The phantom knows how probable each class truly is: against it an ECE holds no chance of the labels. The two ECE panels have one scale, from 0. ${intervalNote(view)} The dashed line is at ${view.baseline} without a calibrator; ${signNote(view)}`,
    columns: 1,
    ...(after !== undefined && { legend: stateLegend('no calibrator', calibratorName(after)) }),
    panels: [
      {
        drawing: forest(
          rowsOf(sheet),
          panels,
          `Calibration error against labels and against the true posterior, ${view.cellName(cell)}`,
        ),
      },
    ],
  };
}

function riskCoverageFigure(sheet: Sheet): Figure | undefined {
  const { view, cell, medium } = sheet;
  const methods = cell.selective;
  if (methods === null || methods.length === 0) return undefined;
  const size = sizeOf(medium, methods.length);
  const points = (method: (typeof methods)[number]) =>
    method.curve.map(({ coverage, risk }) => [100 * coverage, 100 * risk] as const);
  const most = Math.max(1, ...methods.flatMap((m) => points(m).map(([, risk]) => risk)));
  const baseline = methods.find((m) => m.method === view.report.baseline);
  return {
    file: fileOf(sheet, 'risk-coverage'),
    title: `Error rate among the most confident images: ${view.cellName(cell)}`,
    note: `The network answers for the share of images it is most confident of (coverage) and leaves the others to a reader: how often is it wrong (risk)? Lower is better. Each panel shows one method in its colour, ${view.baseline} dashed and the others faint, on one scale. At small coverages few images decide. ${capital(signNote(view))}`,
    columns: size.columns,
    panels: methods.map((method): Panel => {
      const others = methods.filter((m) => m !== method && m !== baseline);
      const lines: Line[] = [
        ...others.map((m): Line => ({ points: points(m), kind: 'other' })),
        ...(baseline === undefined || baseline === method
          ? []
          : [{ points: points(baseline), kind: 'reference' as const }]),
        { points: points(method), kind: 'mean', series: view.seriesOf(method.method) },
      ];
      const name = view.nameOf(method.method);
      return {
        head: name,
        series: view.seriesOf(method.method),
        lines: [valueLine(SELECTIVE.aurc, method.figures.aurc, method.versus?.aurc, view.alpha)],
        drawing: linePanel({
          label: `Risk–coverage curve of ${name}`,
          lines,
          x: { name: 'coverage (%)', domain: [0, 100] },
          y: { name: 'error rate (%)', domain: [0, most * 1.04] },
          width: size.width,
        }),
      };
    }),
  };
}

function conformalFigure(sheet: Sheet): Figure | undefined {
  const { view, cell } = sheet;
  if (cell.conformal.length === 0) return undefined;
  const panelsOf = (name: 'coverage' | 'size') => {
    const figure = CONFORMAL[name];
    const reach = cell.conformal.flatMap((kind) =>
      kind.methods.flatMap(({ figures }) => [figures[name].value, figures[name].low, figures[name].high]),
    );
    return cell.conformal.map(
      (kind): ForestPanel => ({
        head: `${kind.kind.toUpperCase()}: ${figure.label.toLowerCase()}${figure.unit === '%' ? ' (%)' : ' (classes) ↓'}`,
        scale: scaleOf(figure),
        digits: figure.digits,
        reach: name === 'coverage' ? [...reach, 1 - kind.alpha] : reach,
        reference: name === 'coverage' ? 1 - kind.alpha : null,
        marks: kind.methods.map((m) => [
          {
            ...m.figures[name],
            tip: `${view.nameOf(m.method)}: ${estimateText(figure, m.figures[name], view.level)}`,
            sign: name === 'size' ? signOf(figure, m.versus?.[name], view.alpha) : '',
          },
        ]),
      }),
    );
  };
  const rows = rowsFor(
    view,
    cell.conformal[0]!.methods.map((m) => m.method),
  );
  const wanted = formatFigure(CONFORMAL.coverage, 1 - cell.conformal[0]!.alpha);
  return {
    file: fileOf(sheet, 'conformal'),
    title: `Conformal prediction sets: ${view.cellName(cell)}`,
    note: `Sets calibrated on ${plural(cell.conformal[0]!.calibrationSamples, 'validation image')} to hold the label in ${wanted} % (dashed). Coverage is measured on the judged split: it should reach the dashed line, and only then does a smaller set count as better. Panels of one kind of figure have one scale. ${intervalNote(view)} ${capital(signNote(view))}`,
    columns: 1,
    panels: (['coverage', 'size'] as const).map((name) => ({
      drawing: forest(
        rows,
        panelsOf(name),
        `${CONFORMAL[name].label} of conformal sets, ${view.cellName(cell)}`,
      ),
    })),
  };
}

function centreFigure(sheet: Sheet): Figure | undefined {
  const { view, cell } = sheet;
  if (cell.centres.length === 0) return undefined;
  const names: readonly CentreFigureName[] = ['top1', 'ece', 'nll'];
  const reachOf = (name: CentreFigureName) =>
    cell.centres.flatMap((c) =>
      c.methods.flatMap((m) =>
        [m.inCentre[name], m.outOfCentre[name]].flatMap(({ value, low, high }) => [value, low, high]),
      ),
    );
  const panels = cell.centres.map((centre): Panel => {
    const forests = names.map((name): ForestPanel => {
      const figure = shown(name);
      return {
        head: headOf(figure),
        scale: scaleOf(figure),
        digits: figure.digits,
        fromZero: isCalibrationError(figure),
        reach: reachOf(name),
        reference: null,
        marks: centre.methods.map((m) => [
          {
            ...m.inCentre[name],
            tip: `${view.nameOf(m.method)} in centre: ${estimateText(figure, m.inCentre[name], view.level)}`,
          },
          {
            ...m.outOfCentre[name],
            hollow: true,
            tip: `${view.nameOf(m.method)} in ${centre.centre}: ${estimateText(figure, m.outOfCentre[name], view.level)}`,
          },
        ]),
      };
    });
    const rows = rowsFor(
      view,
      centre.methods.map((m) => m.method),
    );
    const label = `Top-1, ECE and NLL in centre and in ${centre.centre}, ${calibratorName(centre.calibrator)}`;
    return {
      head: `${centre.centre}, ${calibratorName(centre.calibrator)}: ${plural(centre.samples, 'image')}`,
      drawing: forest(rows, forests, label),
    };
  });
  return {
    file: fileOf(sheet, 'centres'),
    title: `In other centres: ${view.cellName(cell)}`,
    note: `The same networks tested where they were trained and elsewhere, all panels of a figure on one scale. ${intervalNote(view)}`,
    columns: 1,
    legend: stateLegend('in centre', 'out of centre'),
    panels,
  };
}

function embeddingFigures(sheet: Sheet): Figure[] {
  const { view, cell, medium } = sheet;
  const set = view.setOf(cell);
  return (cell.embeddings?.pictures ?? []).map((picture) => {
    const { names, groups, by } = groupsOf(picture.labels, set.classes, set.strata);
    const size = sizeOf(medium, picture.methods.length);
    const projection = picture.projection === 'tsne' ? 't-SNE' : 'UMAP';
    return {
      file: fileOf(sheet, `embedding-${picture.projection}`),
      title: `${projection} of the penultimate features: ${view.cellName(cell)}`,
      note: `The same ${plural(picture.labels.length, 'image')} for every method, of seed ${picture.seed}, by ${by}. Axes, distances between clusters and their sizes have no unit and cannot be compared between panels: look at which images lie together, and at the measures for a figure of it.`,
      columns: size.columns,
      legend: names.map((text, group): LegendItem => ({ mark: groupMark(group), text })),
      panels: picture.methods.map(({ method, points }): Panel => {
        const name = view.nameOf(method);
        return {
          head: name,
          drawing: scatterPanel(`${projection} of ${name}`, points, groups, size.width),
        };
      }),
    };
  });
}

function embeddingMeasuresFigure(sheet: Sheet): Figure | undefined {
  const { view, cell } = sheet;
  const found = cell.embeddings;
  if (found === null || found.methods.length === 0) return undefined;
  const names = ['distanceRatio', 'silhouette', 'neighbourAccuracy'] as const;
  const baseline = found.methods.find((m) => m.method === view.report.baseline);
  const panels = names.map((name): ForestPanel => {
    const figure = EMBEDDING[name];
    return {
      head: headOf(figure),
      scale: scaleOf(figure),
      digits: figure.digits,
      reference: baseline?.figures[name].value ?? null,
      marks: found.methods.map((m) => [
        {
          ...m.figures[name],
          sign: signOf(figure, m.versus?.[name], view.alpha),
          tip: `${view.nameOf(m.method)}: ${estimateText(figure, m.figures[name], view.level)}`,
        },
      ]),
    };
  });
  const rows = rowsFor(
    view,
    found.methods.map((m) => m.method),
  );
  return {
    file: fileOf(sheet, 'embedding-measures'),
    title: `Compactness and separation of the features: ${view.cellName(cell)}`,
    note: `Measured on the penultimate features of ${plural(found.samples, 'image')}, k = ${found.k} neighbours, not on the pictures. ${intervalNote(view)} ${capital(signNote(view))}`,
    columns: 1,
    panels: [{ drawing: forest(rows, panels, `Measures of the features, ${view.cellName(cell)}`) }],
  };
}

function certificateFigure(sheet: Sheet): Figure | undefined {
  const { view, cell, medium } = sheet;
  const found = cell.certificates;
  if (found === null || found.methods.length === 0) return undefined;
  const size = sizeOf(medium, found.methods.length);
  const percent = (v: number | null) => (v === null ? null : 100 * v);
  const points = (method: (typeof found.methods)[number]) =>
    found.radii.map((radius, i) => [radius, percent(method.certified[i]!.value)] as const);
  const baseline = found.methods.find((m) => m.method === view.report.baseline);
  const far = Math.max(...found.radii, Number.MIN_VALUE);
  return {
    file: fileOf(sheet, 'certificates'),
    title: `Certified confidence: ${view.cellName(cell)}`,
    note: `Randomized smoothing with σ = ${found.sigma}, ${formatCount(found.samples)} samples for each of ${plural(found.images, 'image')}: no perturbation within an ℓ2 radius takes the smoothed network’s confidence in an image’s predicted class below its certificate, for each image with probability ${Number((1 - found.delta).toPrecision(6))}; the curve is the mean of these certificates. High is not good in itself: an over-confident network certifies more. Bars are ${view.level} intervals; ${view.baseline} is dashed.`,
    columns: size.columns,
    panels: found.methods.map((method): Panel => {
      const name = view.nameOf(method.method);
      const series = view.seriesOf(method.method);
      const own: Line = {
        points: points(method),
        kind: 'mean',
        series,
        intervals: found.radii.flatMap((radius, i) => {
          const { low, high } = method.certified[i]!;
          return low === null || high === null ? [] : [[radius, 100 * low, 100 * high] as const];
        }),
      };
      const reference: Line[] =
        baseline === undefined || baseline === method
          ? []
          : [{ points: points(baseline), kind: 'reference' }];
      return {
        head: name,
        series,
        lines: [valueLine(UNPERTURBED, method.confidence, undefined, view.alpha)],
        drawing: linePanel({
          label: `Certified confidence of ${name} against the radius`,
          lines: [...reference, own],
          x: { name: 'radius (ℓ2)', domain: [0, far] },
          y: { name: 'certified confidence (%)', domain: [0, 100] },
          width: size.width,
        }),
      };
    }),
  };
}

function curveFigures(sheet: Sheet): Figure[] {
  const { view, cell, medium } = sheet;
  const { methods } = cell.comparison;
  const epochs = methods.flatMap((m) => m.runs.flatMap((r) => r.epochs));
  if (epochs.length === 0) return [];
  const last = Math.max(...epochs.map((e) => e.epoch));
  const size = sizeOf(medium, methods.length);
  const validated = epochs.some((e) => e.val !== undefined);
  const curvesOf = (value: (e: EpochMetrics) => number | null | undefined, scale: number): Curve[] =>
    methods.map((method) => ({
      method: view.seriesOf(method.objective),
      runs: method.runs.map((run) =>
        run.epochs.map((e) => {
          const v = value(e);
          return [e.epoch, v === null || v === undefined ? null : scale * v] as const;
        }),
      ),
    }));
  const figure = (
    name: string,
    file: string,
    curves: readonly Curve[],
    note: string,
    shared: boolean,
    fromZero: boolean,
  ): Figure => {
    const [low, high] = curveDomain(curves);
    const baseline = methods.findIndex((m) => m.objective === view.report.baseline);
    const panels = methods.map((method, m): Panel => {
      const reference = shared && baseline >= 0 && baseline !== m ? curves[baseline]!.runs : undefined;
      return {
        head: view.nameOf(method.objective),
        series: view.seriesOf(method.objective),
        drawing: curvePanel(`${name} of ${view.nameOf(method.objective)}`, [curves[m]!], last, {
          ...(shared && { reference: reference ?? [] }),
          ...(shared && { domain: [fromZero ? 0 : low, high] as const }),
          width: size.width,
        }),
      };
    });
    return {
      file: fileOf(sheet, file),
      title: `${name} over epochs: ${view.cellName(cell)}`,
      note,
      columns: size.columns,
      panels,
    };
  };
  const same = `Thin: one seed, bold: their mean; the mean of ${view.baseline} is dashed. All panels have one scale.`;
  if (!validated) {
    return [
      figure(
        'Training loss',
        'curves-loss',
        curvesOf((e) => e.trainLoss, 1),
        'There is no validation split. The training losses of different objectives are different quantities: each panel has its own scale, and only its course can be read.',
        false,
        false,
      ),
    ];
  }
  return [
    figure(
      'Validation NLL (nats)',
      'curves-nll',
      curvesOf((e) => e.val?.nll, 1),
      same,
      true,
      false,
    ),
    figure(
      'Validation ECE (%)',
      'curves-ece',
      curvesOf((e) => e.val?.ece, 100),
      same,
      true,
      true,
    ),
  ];
}

/** Twelve panels of four columns fit a page's width; a few are drawn larger. */
function sizeOf(medium: Medium, panels: number): { width: number; columns: number } {
  return medium === 'file' && panels > 6 ? { width: 212, columns: 4 } : { width: 280, columns: 3 };
}

function rowsOf({ view, cell }: Sheet): ForestRow[] {
  return rowsFor(
    view,
    plainResults(cell).map((m) => m.method),
  );
}

function rowsFor(view: StudyView, methods: readonly string[]): ForestRow[] {
  return methods.map((method) => ({ name: view.nameOf(method), series: view.seriesOf(method) }));
}

/** `ECE 4.1 % [3.0, 5.2] ✓`. */
function valueLine(
  figure: ShownFigure,
  estimate: Estimate,
  versus: TestedDifference | undefined,
  alpha: number,
): string {
  if (estimate.value === null) return `${figure.label} not defined`;
  const unit = figure.unit === '%' ? ' %' : '';
  const interval = formatInterval(figure, estimate);
  const sign = signOf(figure, versus, alpha);
  return [
    `${figure.label} ${formatFigure(figure, estimate.value)}${unit}`,
    ...(interval === undefined ? [] : [`[${interval}]`]),
    ...(sign === '' ? [] : [sign]),
  ].join(' ');
}

function stateLegend(full: string, hollow: string): LegendItem[] {
  return [
    { mark: mark(0), text: full },
    { mark: mark(0, true), text: hollow },
  ];
}

function intervalNote(view: StudyView): string {
  return view.report.replicates === 0
    ? 'No resamples were asked for: there are no intervals.'
    : `Bars are ${view.level} intervals.`;
}

function signNote(view: StudyView): string {
  return `✓ and ✗: significantly better and worse than ${view.baseline} (p < ${view.alpha}, Holm-corrected).`;
}

function fileOf({ cell }: Sheet, kind: string): string {
  return [kind, cell.set, cell.network].map(safe).join('-');
}

/** A name as files can carry it on every system. */
function safe(name: string): string {
  return name.replace(/[^A-Za-z0-9._+-]+/g, '_').slice(0, 60);
}
