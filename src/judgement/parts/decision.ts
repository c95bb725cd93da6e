import { z } from 'zod';
import type { Panel } from '../draw/figure.ts';
import { type Line, linePanel } from '../draw/lines.ts';
import { dashOf, lineMark } from '../draw/marker.ts';
import { capital } from '../format.ts';
import { outputsByMethod } from '../judged.ts';
import { asFindings, columnAt, MOST_CLASSES, type OneColumn, rounded, shownColumns } from '../one-by-one.ts';
import type { Part } from '../part.ts';
import type { View } from '../view.ts';

/** Decision curves: what acting on the probabilities is worth (Vickers & Elkin, Medical Decision Making 2006). */
export interface DecisionResults {
  /** Threshold probabilities, ascending. */
  readonly thresholds: readonly number[];
  readonly classes: readonly {
    readonly name: string;
    /** The prevalence that net benefits are for. */
    readonly prevalence: number;
    /** Of treating everybody. Of treating nobody it is 0. */
    readonly all: readonly number[];
    readonly methods: readonly { readonly method: string; readonly benefit: readonly number[] }[];
  }[];
}

const THRESHOLDS = Array.from({ length: 49 }, (_, i) => (i + 1) / 50);
const share = z.number().gt(0).lt(1);

export const decisionPart: Part<
  DecisionResults,
  { readonly prevalence?: number | Readonly<Record<string, number>> | undefined }
> = {
  name: 'decision',
  title: 'Decision curves',
  kinds: ['one-of-k', 'findings'],
  settings: z
    .union([
      z.literal(false),
      z.strictObject({
        prevalence: z
          .union([share, z.record(z.string(), share)])
          .optional()
          .describe(
            'How frequent what is looked for is where the network shall be used. Default: as among the judged.',
          ),
      }),
    ])
    .prefault({})
    .describe('Net benefit of acting on the probabilities; false for none.')
    .meta({ examples: [{ prevalence: 0.02 }, false] }),
  async measure({ judged, settings: { prevalence }, tell }) {
    const columns = shownColumns(judged.kind, judged.names);
    if (columns.length === 0)
      return { absent: `more than ${MOST_CLASSES} classes are not looked at one by one` };
    tell('decision curves');
    const found = columns.map((k) => ({
      k,
      name: judged.names[k]!,
      rate: Number.NaN,
      methods: [] as DecisionResults['classes'][number]['methods'][number][],
    }));
    for await (const { id, outputs } of outputsByMethod(judged)) {
      const seen = outputs.map(asFindings);
      for (const one of found) {
        const curves = seen.map((run) => sharesOf(columnAt(run, one.k)));
        const judgedRate = curves[0]!.rate;
        one.rate = (typeof prevalence === 'number' ? prevalence : prevalence?.[one.name]) ?? judgedRate;
        if (!(judgedRate > 0 && judgedRate < 1)) continue;
        one.methods.push({
          method: id,
          benefit: THRESHOLDS.map((t, i) =>
            rounded(
              curves.reduce(
                (sum, { hits, alarms }) => sum + netBenefit(hits[i]!, alarms[i]!, one.rate, t),
                0,
              ) / curves.length,
            ),
          ),
        });
      }
    }
    const classes = found
      .filter(({ methods }) => methods.length > 0)
      .map(({ name, rate, methods }) => ({
        name,
        prevalence: rounded(rate),
        all: THRESHOLDS.map((t) => rounded(netBenefit(1, 1, rate, t))),
        methods,
      }));
    return classes.length === 0
      ? { absent: 'nothing has both positive and negative images' }
      : { thresholds: THRESHOLDS, classes };
  },
  show: (results, view) => ({ blocks: [{ figure: decisionFigure(view, results) }] }),
};

/**
 * What acting from a threshold probability up is worth, in true positives an image: false ones count by the odds of the
 * threshold (Vickers & Elkin 2006, eq. 1, with rates instead of counts, so that a prevalence can be given).
 * @param sensitivity, alarms the shares of positives and of negatives that are called
 */
export function netBenefit(
  sensitivity: number,
  alarms: number,
  prevalence: number,
  threshold: number,
): number {
  return sensitivity * prevalence - alarms * (1 - prevalence) * (threshold / (1 - threshold));
}

/** The shares of positives and of negatives that reach each threshold, and how frequent positives are. */
function sharesOf({ probability, present, known }: OneColumn) {
  const ends = THRESHOLDS.length;
  const counts = [new Float64Array(ends + 1), new Float64Array(ends + 1)];
  const totals = [0, 0];
  for (let i = 0; i < known.length; i++) {
    if (known[i] === 0) continue;
    const y = present[i]!;
    totals[y]!++;
    // How many thresholds the probability reaches; a hair against rounding of i/50.
    counts[y]![Math.min(ends, Math.floor(50 * probability[i]! + 1e-9))]!++;
  }
  const reached = (y: 0 | 1) => {
    const shares = new Array<number>(ends);
    let sum = 0;
    for (let t = ends; t >= 1; t--) {
      sum += counts[y]![t]!;
      shares[t - 1] = totals[y] === 0 ? 0 : sum / totals[y]!;
    }
    return shares;
  };
  return { hits: reached(1), alarms: reached(0), rate: totals[1]! / (totals[0]! + totals[1]!) };
}

function decisionFigure(view: View, { thresholds, classes }: DecisionResults) {
  const size = view.size(classes.length);
  const ids = view.sorted(view.ids);
  return {
    file: 'decision',
    title: view.title('Decision curves'),
    note: 'If somebody acts where the probability reaches the threshold, what is it worth, in true positives per 100 images with false alarms subtracted by the odds of the threshold? Higher is better; worth something is what lies above both the dashed line (act on everybody) and 0 (act on nobody). Without a calibrator.',
    columns: size.columns,
    legend: ids.map((id) => ({ mark: lineMark(view.series(id)), text: view.name(id) })),
    panels: classes.map(({ name, prevalence, all, methods }): Panel => {
      const most = Math.max(prevalence, ...methods.flatMap(({ benefit }) => benefit));
      const floor = -0.25 * most;
      const shown = (values: readonly number[]) =>
        values.map((v, i) => [100 * thresholds[i]!, v < floor ? null : 100 * v] as const);
      return {
        head: capital(name),
        lines: [`prevalence ${(100 * prevalence).toFixed(1)} %`],
        drawing: linePanel({
          label: `Decision curves of ${name}`,
          lines: [
            { kind: 'reference', points: shown(all) },
            {
              kind: 'other',
              points: [
                [0, 0],
                [100, 0],
              ],
            },
            ...ids.flatMap((id): Line[] => {
              const own = methods.find(({ method }) => method === id);
              return own === undefined
                ? []
                : [
                    {
                      kind: 'mean',
                      series: view.series(id),
                      muted: view.muted(id),
                      dash: dashOf(view.series(id)),
                      points: shown(own.benefit),
                    },
                  ];
            }),
          ],
          x: { name: 'threshold (%)', domain: [0, 100] },
          y: { name: 'net benefit (per 100)', domain: [100 * floor, 104 * most] },
          width: size.width,
        }),
      };
    }),
  };
}
