import {
  augrcStatistic,
  aurcStatistic,
  excessAurcStatistic,
  measureStatistics,
  type Outputs,
  predictionsOf,
  type Statistic,
  selectiveStatistic,
} from '../../figures/index.ts';
import { byConfidence, type Floats, normalizedLogitConfidence, topLabels } from '../../metrics/index.ts';
import type { Panel } from '../draw/figure.ts';
import { type Line, linePanel } from '../draw/lines.ts';
import { append } from '../measure.ts';
import type { Part } from '../part.ts';
import { type Measured, type ShownFigure, shownAs, valueLine } from '../shown.ts';
import { cellOf, columnOf, figureRemarks, methodTable, tableNotes, type View } from '../view.ts';

/** How well one way of ranking images tells a method's right answers from its wrong ones. Before calibration. */
export interface SelectiveResult {
  /** `confidence` or `normalised logit`. */
  readonly ranking: string;
  readonly methods: readonly (Measured & {
    /** The error rate among the surest share (coverage, in (0, 1], ascending), mean over runs. */
    readonly curve: readonly { readonly coverage: number; readonly risk: number }[];
  })[];
}

/** Scores that rank images; the answers stay the same. A new one is an entry here. */
const RANKINGS: Readonly<Record<string, (outputs: Outputs) => Floats | undefined>> = {
  confidence: (outputs) => topLabels(predictionsOf(outputs)).confidence,
  // Label smoothing degrades the ranking by confidence, and the norm of the logits repairs it (arXiv 2403.14715).
  'normalised logit': ({ logits, targets }) =>
    logits === undefined || targets.names.length < 3
      ? undefined
      : normalizedLogitConfidence(logits, targets.names.length),
};

const SHARES = [0.8, 0.9, 0.95];

const FIGURES: readonly ShownFigure[] = [
  shownAs('aurc', 'AURC', ['%', 2, 'lower'], 'Error rate among the surest share, mean over all shares.'),
  shownAs(
    'augrc',
    'AUGRC',
    ['%', 2, 'lower'],
    'Share of all images that are answered and wrong, mean over all shares: every pair of images counts alike.',
  ),
  shownAs(
    'excessAurc',
    'Excess AURC',
    ['%', 2, 'lower'],
    'AURC above that of the best order of the same answers.',
  ),
  ...SHARES.map((share) =>
    shownAs(
      `accuracy${100 * share}`,
      `Accuracy at ${100 * share} %`,
      ['%', 1, 'higher'],
      `Among the ${100 * share} % of the images that the ranking puts first.`,
    ),
  ),
];

export const selectivePart: Part<readonly SelectiveResult[]> = {
  name: 'selective',
  title: 'Risk–coverage',
  kinds: ['one-of-k'],
  async measure({ judged, options, tell }) {
    tell('risk and coverage');
    const measured = new Map<string, Map<string, Record<string, Statistic>[]>>();
    const curves = new Map<string, { coverage: number; risk: number }[][]>();
    let samples = 0;
    for (const { id, runs } of judged.methods)
      for (const run of runs) {
        const outputs = await run.judged();
        const { correct } = topLabels(predictionsOf(outputs));
        samples = correct.length;
        for (const [ranking, scoreOf] of Object.entries(RANKINGS)) {
          const score = scoreOf(outputs);
          if (score === undefined) continue;
          const ranked = byConfidence(score, correct);
          const own = measured.get(ranking) ?? new Map<string, Record<string, Statistic>[]>();
          measured.set(ranking, own);
          append(own, id, {
            aurc: aurcStatistic(ranked),
            augrc: augrcStatistic(ranked),
            excessAurc: excessAurcStatistic(ranked),
            ...Object.fromEntries(
              SHARES.map((share) => [`accuracy${100 * share}`, selectiveStatistic(ranked, share)]),
            ),
          });
          append(curves, `${ranking} ${id}`, curveOf(ranked));
        }
      }
    return [...measured].map(([ranking, methods]) => ({
      ranking,
      methods: measureStatistics(methods, samples, options, judged.baseline).map((one) => ({
        ...one,
        curve: meanOf(curves.get(`${ranking} ${one.method}`)!),
      })),
    }));
  },
  show(results, view) {
    return {
      blocks: [{ figure: curveFigure(view, results[0]!) }, { table: rankingTable(view, results) }],
      answers: [
        {
          question: 'Does confidence rank the errors better?',
          remarks: FIGURES.slice(0, 2).flatMap((figure) => figureRemarks(view, figure, results[0]!.methods)),
        },
        ...results.slice(1).map(({ ranking, methods }) => ({
          question: `And the ${ranking}?`,
          remarks: FIGURES.slice(0, 2).flatMap((figure) => figureRemarks(view, figure, methods)),
        })),
      ],
    };
  },
};

/** At most 100 points; samples of one score stand in every order at once, so each place carries their mean error. */
function curveOf({
  order,
  wrong,
  ends,
}: ReturnType<typeof byConfidence>): { coverage: number; risk: number }[] {
  const n = order.length;
  const errors = new Float64Array(n + 1);
  for (let start = 0, t = 0; t < n; t++) {
    if (ends[t] === 0) continue;
    let tied = 0;
    for (let i = start; i <= t; i++) tied += wrong[i]!;
    for (let i = start; i <= t; i++)
      errors[i + 1] = errors[start]! + (tied * (i + 1 - start)) / (t + 1 - start);
    start = t + 1;
  }
  const points = Math.min(100, n);
  return Array.from({ length: points }, (_, p) => {
    const many = Math.ceil(((p + 1) / points) * n);
    return { coverage: many / n, risk: errors[many]! / many };
  });
}

function meanOf(
  curves: readonly { coverage: number; risk: number }[][],
): { coverage: number; risk: number }[] {
  return curves[0]!.map(({ coverage }, p) => ({
    coverage,
    risk: curves.reduce((sum, curve) => sum + curve[p]!.risk, 0) / curves.length,
  }));
}

function curveFigure(view: View, { methods }: SelectiveResult) {
  const size = view.size(methods.length);
  const points = (method: (typeof methods)[number]) =>
    method.curve.map(({ coverage, risk }) => [100 * coverage, 100 * risk] as const);
  const most = Math.max(1, ...methods.flatMap((one) => points(one).map(([, risk]) => risk)));
  const baseline = methods.find(({ method }) => method === view.judgement.baseline);
  return {
    file: 'risk-coverage',
    title: view.title('Error rate among the most confident images'),
    note: `The network answers for the share of images it is most confident of (coverage) and leaves the others to a reader: how often is it wrong (risk)? Lower is better. Each panel shows one method in its colour, ${view.baseline} dashed and the others faint, on one scale. At small coverages few images decide. ${view.signNote}`,
    columns: size.columns,
    panels: methods.map((one): Panel => {
      const lines: Line[] = [
        ...methods
          .filter((other) => other !== one && other !== baseline)
          .map((other): Line => ({ points: points(other), kind: 'other' })),
        ...(baseline === undefined || baseline === one
          ? []
          : [{ points: points(baseline), kind: 'reference' as const }]),
        { points: points(one), kind: 'mean', series: view.series(one.method) },
      ];
      return {
        head: view.name(one.method),
        series: view.series(one.method),
        lines: [FIGURES[0]!, FIGURES[1]!].map((figure) =>
          valueLine(figure, one.figures[figure.name]!, view.sign(figure, one.versus?.[figure.name])),
        ),
        drawing: linePanel({
          label: `Risk–coverage curve of ${view.name(one.method)}`,
          lines,
          x: { name: 'coverage (%)', domain: [0, 100] },
          y: { name: 'error rate (%)', domain: [0, most * 1.04] },
          width: size.width,
        }),
      };
    }),
  };
}

function rankingTable(view: View, results: readonly SelectiveResult[]) {
  return methodTable(
    view,
    {
      id: 'selective',
      title: view.title('risk and coverage'),
      caption:
        'Images are ranked by the confidence in the answer, or by its normalised logit (max logit over the 5-norm of the centred logits); the answers are the same. AURC weighs the few surest images most, AUGRC counts every pair alike. Excess AURC: above the best order of the same answers.',
      stubs: ['Ranked by'],
      notes: tableNotes(view),
    },
    FIGURES.map((figure) => columnOf(figure)),
    results.flatMap(({ ranking, methods }) =>
      methods.map((one) => ({
        method: one.method,
        stubs: [ranking],
        cells: FIGURES.map(({ name }) => cellOf(one, name)),
      })),
    ),
  );
}
