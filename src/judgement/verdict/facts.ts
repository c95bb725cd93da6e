import { type FigureEstimate, type Verdict as Tested, verdictOf } from '../../figures/index.ts';
import { type BaselineResults, baselineName, beatsMajority, hasLearned } from '../parts/baselines.ts';
import { type FigureResults, figuresOf, leadsOf } from '../parts/figures.ts';
import { type FittedResults, meanOf } from '../parts/fitted.ts';
import type { Measured, ShownFigure } from '../shown.ts';
import type { View } from '../view.ts';

/** All that a verdict follows from: numbers and what tests said of them. Plain data. */
export interface Facts {
  readonly kind: 'one-of-k' | 'findings';
  /** Judged images. */
  readonly samples: number;
  /** K. */
  readonly classes: number;
  /** `95 %`. */
  readonly level: string;
  /** Whether intervals and tests were asked for. */
  readonly tested: boolean;
  readonly methods: readonly MethodFacts[];
  /** Id of the method that the others are compared with. */
  readonly baseline: string;
  /** The figures by name, as they are written. */
  readonly figures: Readonly<Record<string, ShownFigure>>;
  /** The calibration error that leads. */
  readonly error: string;
  /** Figures of right answers or of ranking; losses. By name, in order. */
  readonly accuracies: readonly string[];
  readonly losses: readonly string[];
  /** Of who looks at no image: `Always “grade 3”`, and how often that is right. */
  readonly ignorant: { readonly name: string; readonly right: number | null } | null;
  /** `temperature`, where one was fitted. */
  readonly calibrator: string | null;
  /** Half the median width of the intervals of the differences in the leading calibration error: what could be seen. */
  readonly visible: number | null;
}

export interface MethodFacts {
  readonly id: string;
  readonly name: string;
  /** Mean confidence, and how often it was right; of findings the mean probability, and how often one is there. */
  readonly sure: number | null;
  readonly right: number | null;
  /** Confidence − accuracy. */
  readonly gap: FigureEstimate | null;
  /** The true calibration error. */
  readonly error: FigureEstimate;
  readonly values: Readonly<Record<string, number | null>>;
  /** Whether it knows more than how frequent classes are; null where that was not tested. */
  readonly learned: boolean | null;
  /** Whether it is right more often than who always names the majority; null where that was not tested. */
  readonly beatsMajority: boolean | null;
  /** Of every figure, what the test against the baseline says; empty for the baseline. */
  readonly against: Readonly<Record<string, Tested>>;
  /** The same of figures at thresholds that were chosen on validation: they are told, and decide nothing. */
  readonly cut?: Readonly<Record<string, Tested>>;
  /** With the calibrator: the error, the temperature (mean over runs), and whether error and losses changed significantly. */
  readonly fitted: {
    readonly error: FigureEstimate;
    readonly temperature: number | null;
    readonly change: Readonly<Record<string, Tested>>;
  } | null;
  /** As it came out of training, against the baseline with the calibrator. */
  readonly againstFitted: Readonly<Record<string, Tested>> | null;
}

/** What a judgement holds for a verdict. */
export function factsOf(view: View): Facts {
  const { judgement } = view;
  const results = judgement.parts.figures as FigureResults;
  const baselines = judgement.parts.baselines as BaselineResults | undefined;
  const fitted = judgement.parts.fitted as FittedResults | undefined;
  const all = figuresOf(view, results);
  // Where a threshold falls is a choice between two errors, and no merit: such figures decide nothing.
  const shown = all.filter(({ needs }) => needs !== 'thresholds');
  const cut = all.filter(({ needs }) => needs === 'thresholds');
  const { calibration } = leadsOf(shown);
  const statistics = shown.filter(({ sort }) => sort === 'statistic');
  const tests = (of: Measured | undefined) => told(shown, of, view.alpha);
  return {
    kind: judgement.kind,
    samples: judgement.samples,
    classes: judgement.names.length,
    level: view.level,
    tested: judgement.settings.replicates > 0,
    baseline: judgement.baseline,
    figures: Object.fromEntries(all.map((figure) => [figure.name, figure])),
    error: calibration?.name ?? '',
    accuracies: statistics.filter(({ better }) => better === 'higher').map(({ name }) => name),
    losses: statistics.filter(({ better }) => better === 'lower').map(({ name }) => name),
    ignorant: baselines === undefined ? null : ignorantOf(baselines),
    calibrator: fitted?.calibrator ?? null,
    visible: visibleOf(results, calibration?.name),
    methods: results.methods.map((one): MethodFacts => {
      const { method, figures } = one;
      const own = fitted?.own.find((other) => other.method === method);
      const gap = figures.confidenceGap ?? null;
      return {
        id: method,
        name: view.name(method),
        ...sureness(figures, baselines?.present ?? null),
        gap,
        error: (calibration && figures[calibration.name]) ?? NOTHING,
        values: Object.fromEntries(shown.map(({ name }) => [name, figures[name]?.value ?? null])),
        learned: baselines === undefined ? null : hasLearned(baselines, method, view),
        beatsMajority: baselines === undefined ? null : beatsMajority(baselines, method, view),
        against: tests(one),
        cut: told(cut, one, view.alpha),
        fitted:
          own === undefined
            ? null
            : {
                error: own.figures[calibration?.name ?? ''] ?? NOTHING,
                temperature: meanOf(own.temperatures),
                change: tests(own),
              },
        againstFitted:
          fitted === undefined ? null : tests(fitted.others.find((other) => other.method === method)),
      };
    }),
  };
}

const NOTHING: FigureEstimate = { value: null, low: null, high: null };

function told(
  figures: readonly ShownFigure[],
  of: Measured | undefined,
  alpha: number,
): Record<string, Tested> {
  if (!of?.versus) return {};
  return Object.fromEntries(
    figures.flatMap((figure) => {
      const difference = of.versus![figure.name];
      return difference === undefined ? [] : [[figure.name, verdictOf(figure, difference, alpha)]];
    }),
  );
}

function sureness(figures: Measured['figures'], present: number | null) {
  const right = figures.top1?.value ?? present;
  const gap = figures.confidenceGap?.value ?? null;
  return { right, sure: right === null || gap === null ? null : right + gap };
}

function ignorantOf(results: BaselineResults) {
  const right = results.rows[0]!.figures.top1?.value ?? null;
  return { name: baselineName('frequencies', results), right };
}

function visibleOf({ methods }: FigureResults, name: string | undefined): number | null {
  const widths = methods
    .flatMap(({ versus }) => {
      const one = name === undefined ? undefined : versus?.[name];
      return one && one.low !== null && one.high !== null ? [(one.high - one.low) / 2] : [];
    })
    .sort((a, b) => a - b);
  return widths[Math.floor(widths.length / 2)] ?? null;
}
