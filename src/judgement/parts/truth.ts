import { type Outputs, predictionsOf } from '../../figures/index.ts';
import {
  type Floats,
  probabilityOf,
  type ReliabilityBin,
  reliability,
  topLabels,
} from '../../metrics/index.ts';
import type { Panel } from '../draw/figure.ts';
import { reliabilityPanel } from '../draw/reliability.ts';
import { joined } from '../judged.ts';
import type { Part } from '../part.ts';
import { valueLine } from '../shown.ts';
import { type ForestSpec, figureRemarks, figureTable, forestFigure, tableNotes, type View } from '../view.ts';
import { afterOf, calibratorText, withCalibrator } from './calibrators.ts';
import { type FigureResults, figuresOf, leadsOf } from './figures.ts';

/** One of K: top-1 confidence against the true probability of the predicted class. Findings: every probability against its own. */
export type TruthResults = readonly { readonly method: string; readonly bins: readonly ReliabilityBin[] }[];

/** What a phantom knows: how probable each class truly is. The figures against it are registered ones, `truth.…`. */
export const truthPart: Part<TruthResults> = {
  name: 'truth',
  title: 'Truth',
  kinds: ['one-of-k', 'findings'],
  async measure({ judged, options }) {
    const results: { method: string; bins: readonly ReliabilityBin[] }[] = [];
    for (const { id, runs } of judged.methods) {
      const confidences: Floats[] = [];
      const truths: Floats[] = [];
      for (const run of runs) {
        const outputs = await run.judged();
        if (outputs.posterior === undefined)
          return { absent: 'nobody knows the true posterior', quiet: true };
        const pair = againstTruth(outputs, outputs.posterior);
        confidences.push(pair.confidence);
        truths.push(pair.truth);
      }
      const bins = reliability(joined(confidences), joined(truths), options);
      results.push({ method: id, bins });
    }
    return results;
  },
  show(results, view) {
    const plain = view.judgement.parts.figures as FigureResults;
    const after = afterOf(view);
    const figures = figuresOf(view, plain, true);
    const both = [leadsOf(figuresOf(view, plain)).calibration, ...figures].filter(
      (figure) => figure !== undefined,
    );
    const table = (of: { readonly methods: FigureResults['methods'] }, calibrator: string) =>
      figureTable(
        view,
        {
          id: calibrator === 'none' ? 'truth' : `truth-${calibrator}`,
          title: view.title(`against the true posterior, ${withCalibrator(calibrator)}`),
          caption: 'The posterior of every image is known.',
          notes: tableNotes(view),
        },
        both,
        of.methods,
      );
    return {
      blocks: [
        { figure: errorFigure(view, plain) },
        { figure: diagrams(view, results, plain) },
        { table: table(plain, 'none') },
        ...(after === undefined
          ? []
          : [
              {
                table: table(after, after.calibrator),
                fold: `Against the truth, ${withCalibrator(after.calibrator)}`,
              },
            ]),
      ],
      answers: [
        {
          question: 'And against the phantom’s true posterior?',
          remarks: figures.flatMap((figure) => figureRemarks(view, figure, plain.methods)),
        },
        ...(after === undefined
          ? []
          : [
              {
                question: `And against the true posterior, all ${withCalibrator(after.calibrator)}?`,
                remarks: figures.flatMap((figure) => figureRemarks(view, figure, after.methods)),
              },
            ]),
      ],
    };
  },
};

function againstTruth(outputs: Outputs, posterior: Floats): { confidence: Floats; truth: Floats } {
  if (outputs.targets.kind === 'findings') return { confidence: outputs.probabilities, truth: posterior };
  const { confidence, predicted } = topLabels(predictionsOf(outputs));
  return { confidence, truth: probabilityOf(posterior, predicted, outputs.targets.names.length) };
}

function errorFigure(view: View, plain: FigureResults) {
  const after = afterOf(view);
  const states = [
    { what: after === undefined ? '' : 'no calibrator', methods: plain.methods },
    ...(after === undefined ? [] : [{ what: calibratorText(after.calibrator), methods: after.methods }]),
  ];
  const figures = figuresOf(view, plain, true);
  const labels = leadsOf(figuresOf(view, plain)).calibration;
  const error = figures.find(({ sort }) => sort === 'calibration');
  const specs: ForestSpec[] = [
    ...(labels === undefined
      ? []
      : [
          {
            figure: labels,
            states,
            scale: 'error',
            fromZero: true,
            head: 'Error against labels (%) ↓',
          },
        ]),
    ...(error === undefined
      ? []
      : [{ figure: error, states, scale: 'error', fromZero: true, head: 'Error against the truth (%) ↓' }]),
    ...figures
      .filter((figure) => figure !== error)
      .slice(0, 1)
      .map((figure) => ({ figure, states })),
  ];
  return forestFigure(
    view,
    {
      file: 'truth',
      title: 'Against the truth',
      note: `The phantom knows how probable each class truly is: against it a calibration error holds no chance of the labels. The two panels of such errors have one scale, from 0. ${view.intervalNote} ${view.signNote}`,
    },
    [specs],
  );
}

function diagrams(view: View, results: TruthResults, plain: FigureResults) {
  const size = view.size(results.length);
  const error = figuresOf(view, plain, true).find(({ sort }) => sort === 'calibration');
  return {
    file: 'truth-reliability',
    title: view.title('Confidence against the true probability'),
    note: `A bar is the mean true probability of ${view.judgement.kind === 'findings' ? 'all findings that were thought so likely' : 'what the network predicted'}: no chance of the labels is in it, and the diagonal is exactly what a perfect network would reach.`,
    columns: size.columns,
    panels: results.map(({ method, bins }): Panel => {
      const estimate = error && plain.methods.find((one) => one.method === method)?.figures[error.name];
      return {
        head: view.name(method),
        series: view.series(method),
        ...(estimate && { lines: [valueLine(error!, estimate)] }),
        drawing: reliabilityPanel(bins, {
          title: `Confidence of ${view.name(method)} against the true probability`,
          runs: view.runs(method),
          outcome: 'true probability',
          width: size.width,
        }),
      };
    }),
  };
}
