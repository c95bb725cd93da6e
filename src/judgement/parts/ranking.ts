import { formatNumber } from '../../figures/index.ts';
import type { Panel } from '../draw/figure.ts';
import { type Line, linePanel } from '../draw/lines.ts';
import { dashOf, lineMark } from '../draw/marker.ts';
import { capital } from '../format.ts';
import { outputsByMethod } from '../judged.ts';
import { asFindings, columnAt, MOST_CLASSES, rankedColumn, rounded, shownColumns } from '../one-by-one.ts';
import type { Part } from '../part.ts';
import type { View } from '../view.ts';

/** ROC and precision–recall curves of each class or finding. */
export interface RankingResults {
  readonly classes: readonly {
    readonly name: string;
    readonly positives: number;
    readonly known: number;
    readonly methods: readonly {
      readonly method: string;
      /** Sensitivity at each false-positive rate of {@link GRID}, mean over runs. */
      readonly roc: readonly number[];
      /** Precision at each recall of {@link GRID}, mean over runs; at 0 that of the surest. */
      readonly pr: readonly number[];
    }[];
  }[];
}

/** Places of the curves: 0, 0.02 … 1. */
const GRID = Array.from({ length: 51 }, (_, i) => i / 50);

export const rankingPart: Part<RankingResults> = {
  name: 'ranking',
  title: 'ROC and precision–recall',
  kinds: ['one-of-k', 'findings'],
  async measure({ judged, tell }) {
    const columns = shownColumns(judged.kind, judged.names);
    if (columns.length === 0)
      return { absent: `more than ${MOST_CLASSES} classes are not looked at one by one` };
    tell('ROC and precision–recall');
    const found = new Map<number, RankingResults['classes'][number]['methods'][number][]>();
    const counts = new Map<number, { positives: number; known: number }>();
    for await (const { id, outputs } of outputsByMethod(judged)) {
      const seen = outputs.map(asFindings);
      for (const k of columns) {
        const ranked = seen
          .map((one) => ({ column: columnAt(one, k) }))
          .map(({ column }) => ({ column, ...rankedColumn(column) }));
        const { positives, negatives, order } = ranked[0]!;
        counts.set(k, { positives, known: order.length });
        if (positives === 0 || negatives === 0) continue;
        const curves = ranked.map((one) => curvesOf(one.column, one));
        const mean = (key: 'roc' | 'pr') =>
          GRID.map((_, i) => rounded(curves.reduce((sum, curve) => sum + curve[key][i]!, 0) / curves.length));
        const own = found.get(k) ?? [];
        found.set(k, own);
        own.push({ method: id, roc: mean('roc'), pr: mean('pr') });
      }
    }
    const classes = columns.flatMap((k) =>
      found.has(k) ? [{ name: judged.names[k]!, ...counts.get(k)!, methods: found.get(k)! }] : [],
    );
    return classes.length === 0 ? { absent: 'nothing has both positive and negative images' } : { classes };
  },
  show(results, view) {
    return {
      blocks: [{ figure: curveFigure(view, results, 'roc') }, { figure: curveFigure(view, results, 'pr') }],
    };
  },
};

/**
 * Both curves of one column on the grid. Ties are taken together, so that a curve does not depend on their order; between
 * places the ROC curve is a line, and precision is that of the lowest threshold that reaches the recall.
 */
export function curvesOf(
  { probability, present }: { readonly probability: Float64Array; readonly present: Uint8Array },
  {
    order,
    positives,
    negatives,
  }: { readonly order: readonly number[]; readonly positives: number; readonly negatives: number },
): { roc: number[]; pr: number[] } {
  const points: { fpr: number; tpr: number; precision: number }[] = [{ fpr: 0, tpr: 0, precision: 1 }];
  let [hits, alarms] = [0, 0];
  order.forEach((i, t) => {
    if (present[i] === 1) hits++;
    else alarms++;
    const next = order[t + 1];
    if (next !== undefined && probability[next] === probability[i]) return;
    points.push({ fpr: alarms / negatives, tpr: hits / positives, precision: hits / (hits + alarms) });
  });
  let at = 0;
  const roc = GRID.map((fpr) => {
    while (at + 1 < points.length && points[at + 1]!.fpr <= fpr) at++;
    const [a, b] = [points[at]!, points[at + 1]];
    return b === undefined || b.fpr === a.fpr
      ? a.tpr
      : a.tpr + ((b.tpr - a.tpr) * (fpr - a.fpr)) / (b.fpr - a.fpr);
  });
  let reached = 1;
  const pr = GRID.map((recall) => {
    while (reached + 1 < points.length && points[reached]!.tpr < recall - 1e-12) reached++;
    return points[reached]!.precision;
  });
  return { roc, pr };
}

function curveFigure(view: View, { classes }: RankingResults, which: 'roc' | 'pr') {
  const size = view.size(classes.length);
  const ids = view.sorted(view.ids);
  const roc = which === 'roc';
  return {
    file: which,
    title: view.title(roc ? 'ROC curves' : 'Precision–recall curves'),
    note: roc
      ? 'How many of those that have it are found, for how many false alarms. On the dashed diagonal is who guesses.'
      : 'How many of the called have it, for how many of those that have it are found. The dashed line is who calls all.',
    columns: size.columns,
    legend: ids.map((id) => ({ mark: lineMark(view.series(id)), text: view.name(id) })),
    panels: classes.map(({ name, positives, known, methods }): Panel => {
      const rate = known === 0 ? 0 : positives / known;
      const guess: Line = roc
        ? {
            kind: 'reference',
            points: [
              [0, 0],
              [100, 100],
            ],
          }
        : {
            kind: 'reference',
            points: [
              [0, 100 * rate],
              [100, 100 * rate],
            ],
          };
      return {
        head: capital(name),
        lines: [`${positives} of ${known} have it (${formatNumber(100 * rate, 1)} %)`],
        drawing: linePanel({
          label: `${roc ? 'ROC' : 'Precision–recall'} curves of ${name}`,
          lines: [
            guess,
            ...ids.flatMap((id): Line[] => {
              const own = methods.find(({ method }) => method === id);
              if (own === undefined) return [];
              return [
                {
                  kind: 'mean',
                  series: view.series(id),
                  muted: view.muted(id),
                  dash: dashOf(view.series(id)),
                  points: own[which].map((y, i) => [100 * GRID[i]!, 100 * y] as const),
                },
              ];
            }),
          ],
          x: { name: roc ? 'false alarms (%)' : 'recall (%)', domain: [0, 100] },
          y: { name: roc ? 'sensitivity (%)' : 'precision (%)', domain: [0, 100] },
          width: size.width,
        }),
      };
    }),
  };
}
