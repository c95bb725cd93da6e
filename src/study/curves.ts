import { beyond, type Curve, curveDomain, curvePanel } from '../judgement/draw/curves.ts';
import type { Panel } from '../judgement/draw/figure.ts';
import { type Part, registerPart, type View } from '../judgement/index.ts';
import type { EpochMetrics } from '../training/index.ts';

/** What each run's training told after every epoch, by method. */
export type CurveResults = readonly {
  readonly method: string;
  readonly runs: readonly (readonly EpochMetrics[])[];
}[];

/** Learning curves: the part of a judgement that only training knows. */
export const curvesPart: Part<CurveResults> = {
  name: 'curves',
  title: 'Learning curves',
  kinds: ['one-of-k', 'findings'],
  measure({ judged }) {
    const methods = judged.methods.map(({ id, runs }) => ({
      method: id,
      runs: runs.map((run) => (run.epochs?.() ?? []) as readonly EpochMetrics[]),
    }));
    return methods.some(({ runs }) => runs.some((epochs) => epochs.length > 0))
      ? methods
      : { absent: 'no training was watched', quiet: true };
  },
  show(results, view) {
    const epochs = results.flatMap(({ runs }) => runs.flat());
    const names = [...new Set(epochs.flatMap(({ val }) => Object.keys(val ?? {})))];
    const same = `Thin: one seed, bold: their mean; the mean of ${view.baseline} is dashed. All panels have one scale.`;
    return {
      blocks: [
        ...names.map((name) => ({
          figure: curveFigure(
            view,
            results,
            `Validation ${headOf(name)}`,
            `curves-${name}`,
            same,
            scaleOf(name),
            (epoch) => {
              const value = (epoch.val as Readonly<Record<string, number>> | undefined)?.[name];
              return value === undefined || value === null ? null : value * scaleOf(name);
            },
          ),
          ...(name === names[0] ? {} : { fold: `Validation ${headOf(name)}` }),
        })),
        {
          figure: curveFigure(
            view,
            results,
            'Training loss',
            'curves-loss',
            'The training losses of different objectives are different quantities: each panel has its own scale, and only its course can be read.',
            null,
            ({ trainLoss }) => trainLoss,
          ),
          ...(names.length > 0 && { fold: 'Training loss' }),
        },
      ],
    };
  },
};

registerPart(curvesPart, 'strata');

/** Errors and shares are shown in percent. */
function scaleOf(name: string): number {
  return /top|acc|ece/i.test(name) ? 100 : 1;
}

function headOf(name: string): string {
  const label = name.length <= 5 && !/\d/.test(name) ? name.toUpperCase() : name;
  return scaleOf(name) === 100 ? `${label} (%)` : label;
}

/** @param shared the panels' common unit; null where each has its own scale */
function curveFigure(
  view: View,
  results: CurveResults,
  title: string,
  file: string,
  note: string,
  shared: number | null,
  value: (epoch: EpochMetrics) => number | null,
) {
  const last = Math.max(...results.flatMap(({ runs }) => runs.flat().map(({ epoch }) => epoch)));
  const size = view.size(results.length);
  const curves = results.map(
    ({ method, runs }): Curve => ({
      method: view.series(method),
      runs: runs.map((epochs) => epochs.map((epoch) => [epoch.epoch, value(epoch)] as const)),
    }),
  );
  const baseline = results.findIndex(({ method }) => method === view.judgement.baseline);
  return {
    file,
    title: view.title(`${title} over epochs`),
    note,
    columns: size.columns,
    panels: results.map(
      ({ method }, m): Panel => ({
        head: view.name(method),
        series: view.series(method),
        lines: beyond(curves[m]!, shared === null ? curveDomain([curves[m]!]) : curveDomain(curves))
          .slice(0, 3)
          .map(([epoch, v]) => `epoch ${epoch}: ${Number(v.toPrecision(3))}, beyond the picture`),
        drawing: curvePanel(`${title} of ${view.name(method)}`, [curves[m]!], last, {
          ...(shared !== null && {
            reference: baseline >= 0 && baseline !== m ? curves[baseline]!.runs : [],
            domain: curveDomain(curves),
          }),
          width: size.width,
        }),
      }),
    ),
  };
}
