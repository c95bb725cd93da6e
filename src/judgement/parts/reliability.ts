import { type Outputs, predictionsOf } from '../../figures/index.ts';
import { type ReliabilityBin, reliability, topLabels } from '../../metrics/index.ts';
import type { Panel } from '../draw/figure.ts';
import { FEW, greatestShare, reliabilityPanel } from '../draw/reliability.ts';
import { type JudgedRun, joined, outputsByMethod } from '../judged.ts';
import type { Context, Part } from '../part.ts';
import { valueLine } from '../shown.ts';
import type { View } from '../view.ts';
import { afterOf, calibratedOutputs, calibratorText, withCalibrator } from './calibrators.ts';
import { type FigureResults, figuresOf, leadsOf } from './figures.ts';

/** Reliability of every method under some calibrators, all runs of a method together. */
export type ReliabilityResults = readonly {
  readonly calibrator: string;
  readonly methods: readonly {
    readonly method: string;
    /** Of the top-1 confidence; of all findings together. */
    readonly bins: readonly ReliabilityBin[];
    /** Of each finding. */
    readonly findings?: readonly (readonly ReliabilityBin[])[];
  }[];
}[];

export const reliabilityPart: Part<ReliabilityResults> = {
  name: 'reliability',
  title: 'Reliability',
  kinds: ['one-of-k', 'findings'],
  async measure(context) {
    const after = context.of('calibration') as readonly { readonly calibrator: string }[] | undefined;
    const name = (after?.find(({ calibrator }) => calibrator === 'temperature') ?? after?.[0])?.calibrator;
    return Promise.all(
      ['none', ...(name === undefined ? [] : [name])].map((one) => underCalibrator(context, one)),
    );
  },
  show(results, view) {
    // One scale for the histograms before and after: the figures are held side by side.
    const share = greatestShare(results.flatMap(({ methods }) => methods.map(({ bins }) => bins)));
    return {
      blocks: results.flatMap(({ calibrator, methods }) => [
        {
          figure: figureOf(
            view,
            calibrator,
            methods.map(({ method, bins }) => ({ method, bins })),
            share,
          ),
        },
        ...methods.flatMap(({ method, findings }) =>
          findings === undefined
            ? []
            : [
                {
                  figure: findingsFigure(view, calibrator, method, findings),
                  fold: `Each finding, ${view.name(method)}`,
                },
              ],
        ),
      ]),
    };
  },
};

async function underCalibrator(context: Context, calibrator: string): Promise<ReliabilityResults[number]> {
  const methods = [];
  const of = async (run: JudgedRun) =>
    calibrator === 'none' ? await run.judged() : (await calibratedOutputs(calibrator, run)).outputs;
  for await (const { id, outputs } of outputsByMethod(context.judged, of))
    methods.push({ method: id, ...binsOf(outputs, context) });
  return { calibrator, methods };
}

function binsOf(runs: readonly Outputs[], { options }: Context) {
  const { kind, names } = runs[0]!.targets;
  if (kind === 'one-of-k') {
    const tops = runs.map((run) => topLabels(predictionsOf(run)));
    return {
      bins: reliability(
        joined(tops.map((top) => top.confidence)),
        joined(tops.map((top) => top.correct)),
        options,
      ),
    };
  }
  const findings = names.map((_, k) => {
    const columns = runs.map((run) => knownColumn(run, k));
    return reliability(
      joined(columns.map((one) => one.confidence)),
      joined(columns.map((one) => one.outcome)),
      options,
    );
  });
  return { bins: pooled(findings), findings };
}

/** Probability of a finding and what is there, where that is known. */
function knownColumn({ targets, probabilities }: Outputs, column: number) {
  const mask = targets.kind === 'findings' ? targets.mask : undefined;
  const width = targets.names.length;
  const confidence = new (probabilities.constructor as Float32ArrayConstructor)(
    targets.values.length / width,
  );
  const outcome = new Float32Array(confidence.length);
  let n = 0;
  for (let at = column; at < targets.values.length; at += width) {
    if (mask !== undefined && mask[at] === 0) continue;
    confidence[n] = probabilities[at]!;
    outcome[n++] = targets.values[at]!;
  }
  return { confidence: confidence.subarray(0, n), outcome: outcome.subarray(0, n) };
}

/** The bins of all findings together: they have the same edges. */
function pooled(findings: readonly (readonly ReliabilityBin[])[]): ReliabilityBin[] {
  return findings[0]!.map((first, b) => {
    const bins = findings.map((bins) => bins[b]!);
    const count = bins.reduce((sum, bin) => sum + bin.count, 0);
    const mean = (key: 'confidence' | 'accuracy') =>
      count === 0 ? null : bins.reduce((sum, bin) => sum + bin.count * (bin[key] ?? 0), 0) / count;
    return { ...first, count, confidence: mean('confidence'), accuracy: mean('accuracy') };
  });
}

/** The diagrams as small as they can be read, for the head of a report: how sure, how often right, and the gap. */
export function thumbnails(
  view: View,
): { readonly panels: readonly Panel[]; readonly note: string } | undefined {
  const plain = (view.judgement.parts.reliability as ReliabilityResults | undefined)?.[0];
  if (plain === undefined) return undefined;
  const findings = view.judgement.kind === 'findings';
  return {
    note: `A bar is how often the networks were right when they were so sure; it should reach the dashed line. Filled: over-confident, hatched: under-confident.${findings ? ' All findings together.' : ''} Bins with few images are faint.`,
    panels: view.sorted(plain.methods.map(({ method }) => method)).map((id): Panel => {
      const { bins } = plain.methods.find(({ method }) => method === id)!;
      return {
        head: view.name(id),
        series: view.series(id),
        lines: [meanLine(bins)],
        drawing: reliabilityPanel(bins, {
          title: `Small reliability diagram of ${view.name(id)}: ${meanLine(bins)}`,
          runs: view.runs(id),
          width: 210,
        }),
      };
    }),
  };
}

const NOTE = `A bar is the share that was right, a point stands at the bin’s mean confidence with a 95 % Wilson interval; on the dashed diagonal, 80 % sure is right in 80 %. A filled gap is over-confidence, a hatched one under-confidence; a bin without predictions stays empty, one with fewer than ${FEW} images is faint. Below: how many predictions each bin holds, mean confidence dashed, accuracy solid. All runs are pooled; an image counts once for an interval.`;

function figureOf(
  view: View,
  calibrator: string,
  methods: readonly { readonly method: string; readonly bins: readonly ReliabilityBin[] }[],
  share: number,
) {
  const size = view.size(methods.length);
  const figures = calibrator === 'none' ? (view.judgement.parts.figures as FigureResults) : afterOf(view);
  const lead = figures && leadsOf(figuresOf(view, figures)).calibration;
  const panels = methods.map(({ method, bins }): Panel => {
    const own = figures?.methods.find((one) => one.method === method);
    const estimate = lead && own?.figures[lead.name];
    return {
      head: view.name(method),
      series: view.series(method),
      lines: [
        ...(estimate === undefined
          ? []
          : [valueLine(lead!, estimate, view.sign(lead!, own!.versus?.[lead!.name]))]),
        meanLine(bins),
      ],
      drawing: reliabilityPanel(bins, {
        title: `Reliability diagram of ${view.name(method)}, ${calibratorText(calibrator)}: accuracy against confidence`,
        runs: view.runs(method),
        greatestShare: share,
        width: size.width,
      }),
    };
  });
  return {
    file: calibrator === 'none' ? 'reliability' : `reliability-${calibrator}`,
    title: view.title(`Reliability ${withCalibrator(calibrator)}`),
    note: NOTE,
    columns: size.columns,
    panels,
  };
}

function findingsFigure(
  view: View,
  calibrator: string,
  method: string,
  findings: readonly (readonly ReliabilityBin[])[],
) {
  const size = view.size(findings.length);
  return {
    file: `reliability-${calibrator === 'none' ? '' : `${calibrator}-`}${method}`,
    title: view.title(`Reliability of each finding, ${view.name(method)} ${withCalibrator(calibrator)}`),
    note: 'As above, for the probability of each finding among the images in which it is known.',
    columns: size.columns,
    panels: findings.map(
      (bins, k): Panel => ({
        head: view.judgement.names[k]!,
        lines: [meanLine(bins)],
        drawing: reliabilityPanel(bins, {
          title: `Reliability diagram of ${view.judgement.names[k]}, ${view.name(method)}`,
          runs: view.runs(method),
          width: size.width,
        }),
      }),
    ),
  };
}

/** `sure 87.1 %, right 80.3 %`: means over all predictions of the bins. */
function meanLine(bins: readonly ReliabilityBin[]): string {
  const total = bins.reduce((sum, { count }) => sum + count, 0);
  if (total === 0) return 'no predictions';
  const mean = (key: 'confidence' | 'accuracy') =>
    (100 * bins.reduce((sum, bin) => sum + bin.count * (bin[key] ?? 0), 0)) / total;
  return `sure ${mean('confidence').toFixed(1)} %, right ${mean('accuracy').toFixed(1)} %`;
}
