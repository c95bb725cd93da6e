import { z } from 'zod';
import {
  chooseThresholds,
  meanStatistic,
  measureStatistics,
  type Statistic,
  type ThresholdRule,
} from '../../figures/index.ts';
import type { Estimate } from '../../metrics/index.ts';
import { capital, plural } from '../format.ts';
import { withoutValidation } from '../judged.ts';
import { append } from '../measure.ts';
import { asFindings, columnAt, MOST_CLASSES, shownColumns } from '../one-by-one.ts';
import type { Part } from '../part.ts';
import { type Measured, type ShownFigure, shownAs } from '../shown.ts';
import { plain } from '../tables/table.ts';
import { cellOf, columnOf, methodTable, type View } from '../view.ts';

/** Sensitivity and specificity of each class or finding at thresholds that were chosen on validation. */
export interface OperatingResults {
  readonly calibrationSamples: number;
  /** Frequencies that the predictive values are asked for, by class or finding; empty: only at the judged ones. */
  readonly prevalence: Readonly<Record<string, number>>;
  readonly points: readonly {
    /** `youden`, `sensitivity=0.9`. */
    readonly rule: string;
    readonly name: string;
    readonly positives: number;
    readonly known: number;
    readonly methods: readonly (Measured & {
      /** Mean over runs; null where none could be chosen. */ readonly threshold: number | null;
    })[];
  }[];
}

interface Settings {
  readonly rules: readonly string[];
  readonly prevalence?: number | Readonly<Record<string, number>> | undefined;
}

const SHOWN: readonly ShownFigure[] = [
  shownAs('sensitivity', 'Sensitivity', ['%', 1, 'higher'], 'Share of those that have it that are called.'),
  shownAs(
    'specificity',
    'Specificity',
    ['%', 1, 'higher'],
    'Share of those that do not have it that are not called.',
  ),
  shownAs(
    'ppv',
    'PPV',
    ['%', 1, 'higher'],
    'Share of the called that have it, as frequent as it is among the judged.',
  ),
  shownAs('npv', 'NPV', ['%', 1, 'higher'], 'Share of the not called that do not have it, likewise.'),
];

const share = z.number().gt(0).lt(1);

export const operatingPart: Part<OperatingResults, Settings> = {
  name: 'operating',
  title: 'Operating points',
  kinds: ['one-of-k', 'findings'],
  settings: z
    .union([
      z.literal(false),
      z.strictObject({
        rules: z
          .array(
            z
              .string()
              .regex(
                /^(youden|f1|(sensitivity|specificity)=(0?\.\d+|1))$/,
                'youden, f1, sensitivity=0.9 or specificity=0.9',
              ),
          )
          .min(1)
          .default(['youden', 'sensitivity=0.9'])
          .describe('How thresholds are chosen on the validation split.'),
        prevalence: z
          .union([share, z.record(z.string(), share)])
          .optional()
          .describe(
            'How frequent what is looked for is where the network shall be used: one share, or one for each class or finding.',
          ),
      }),
    ])
    .prefault({})
    .describe('Sensitivity and specificity at thresholds chosen on validation; false for none.')
    .meta({ examples: [{ rules: ['youden', 'specificity=0.95'], prevalence: 0.02 }, false] }),
  async measure({ judged, settings, options, tell }) {
    const { methods, kind, names } = judged;
    const absent = withoutValidation(judged, 'to choose thresholds on');
    if (absent !== undefined) return absent;
    const columns = shownColumns(kind, names);
    if (columns.length === 0)
      return { absent: `more than ${MOST_CLASSES} classes are not looked at one by one` };
    tell('operating points');
    const measured = new Map<string, Record<string, Statistic>[]>();
    const thresholds = new Map<string, number[]>();
    let [samples, calibrationSamples] = [0, 0];
    const counts = new Map<number, { positives: number; known: number }>();
    for (const { id, runs } of methods)
      for (const run of runs) {
        const fitOn = asFindings(await run.validation!());
        const outputs = asFindings(await run.judged());
        samples = outputs.targets.values.length / names.length;
        calibrationSamples = fitOn.targets.values.length / names.length;
        const own: Record<string, Statistic> = {};
        const cuts = settings.rules.map((rule) => chooseThresholds(fitOn, ruleOf(rule)));
        for (const k of columns) {
          const { probability, present, known } = columnAt(outputs, k);
          counts.set(k, {
            positives: present.reduce((sum, y, i) => sum + (known[i] === 1 ? y : 0), 0),
            known: known.reduce((sum, one) => sum + one, 0),
          });
          settings.rules.forEach((_, r) => {
            const cut = cuts[r]![k]!;
            const called = Uint8Array.from(probability, (p) => (p >= cut ? 1 : 0));
            const some = (want: (i: number) => boolean) =>
              Uint8Array.from(known, (one, i) => (one === 1 && want(i) ? 1 : 0));
            const not = (flags: Uint8Array) => flags.map((flag) => 1 - flag);
            const key = `${r} ${k}`;
            append(thresholds, `${key} ${id}`, cut);
            own[`${key} sensitivity`] = meanStatistic(
              called,
              some((i) => present[i] === 1),
              'share',
            );
            own[`${key} specificity`] = meanStatistic(
              not(called),
              some((i) => present[i] === 0),
              'share',
            );
            own[`${key} ppv`] = meanStatistic(
              present,
              some((i) => called[i] === 1),
              'share',
            );
            own[`${key} npv`] = meanStatistic(
              not(present),
              some((i) => called[i] === 0),
              'share',
            );
          });
        }
        append(measured, id, own);
      }
    const all = measureStatistics(measured, samples, options, judged.baseline);
    const wanted = settings.prevalence;
    return {
      calibrationSamples,
      prevalence:
        typeof wanted === 'number'
          ? Object.fromEntries(columns.map((k) => [names[k]!, wanted]))
          : (wanted ?? {}),
      points: columns.flatMap((k) =>
        settings.rules.map((rule, r) => {
          const only = <T>(values: Readonly<Record<string, T>>) =>
            Object.fromEntries(SHOWN.map(({ name }) => [name, values[`${r} ${k} ${name}`]!]));
          return {
            rule,
            name: names[k]!,
            ...counts.get(k)!,
            methods: all.map(({ method, figures, versus }) => ({
              method,
              figures: only(figures),
              versus: versus && only(versus),
              threshold: meanOf(thresholds.get(`${r} ${k} ${method}`)!),
            })),
          };
        }),
      ),
    };
  },
  show: (results, view) => ({ blocks: [{ table: pointTable(view, results) }] }),
};

function ruleOf(text: string): ThresholdRule {
  if (text === 'youden' || text === 'f1') return text;
  const [name, value] = text.split('=') as ['sensitivity' | 'specificity', string];
  return name === 'sensitivity' ? { sensitivity: Number(value) } : { specificity: Number(value) };
}

function ruleText(rule: string): string {
  if (rule === 'youden') return 'most sensitivity + specificity';
  if (rule === 'f1') return 'most F1';
  const [name, value] = rule.split('=') as [string, string];
  return `${name} ≥ ${100 * Number(value)} %`;
}

function meanOf(values: readonly number[]): number | null {
  return values.some(Number.isNaN) ? null : values.reduce((a, b) => a + b, 0) / values.length;
}

/**
 * Predictive values at a prevalence, by Bayes' rule. The ends of the interval are those of both intervals at once: at
 * least as wide as need be.
 * @param prevalence in (0, 1)
 */
export function predictiveValues(
  sensitivity: Estimate,
  specificity: Estimate,
  prevalence: number,
): { readonly ppv: Estimate; readonly npv: Estimate } {
  const ppv = (se: number | null, sp: number | null) => {
    if (se === null || sp === null) return null;
    const called = se * prevalence + (1 - sp) * (1 - prevalence);
    return called === 0 ? null : (se * prevalence) / called;
  };
  const npv = (se: number | null, sp: number | null) => {
    if (se === null || sp === null) return null;
    const quiet = sp * (1 - prevalence) + (1 - se) * prevalence;
    return quiet === 0 ? null : (sp * (1 - prevalence)) / quiet;
  };
  const both = (of: typeof ppv): Estimate => {
    const [value, low, high] = [
      of(sensitivity.value, specificity.value),
      of(sensitivity.low, specificity.low),
      of(sensitivity.high, specificity.high),
    ];
    return value === null ? { value, low: null, high: null } : { value, low, high };
  };
  return { ppv: both(ppv), npv: both(npv) };
}

function pointTable(view: View, { points, prevalence, calibrationSamples }: OperatingResults) {
  const findings = view.judgement.kind === 'findings';
  const asked = points.filter(({ name }) => prevalence[name] !== undefined);
  const rates = [...new Set(asked.map(({ name }) => prevalence[name]!))];
  const at =
    rates.length === 1 ? `at ${Number((100 * rates[0]!).toFixed(2))} %` : 'at the prevalence asked for';
  return methodTable(
    view,
    {
      id: 'operating',
      title: view.title('sensitivity and specificity at chosen thresholds'),
      caption: `Each ${findings ? 'finding' : 'class against all others'} (in brackets: how many judged images have it) is called from a threshold up that was chosen on ${plural(calibrationSamples, 'validation image')} of each run. PPV and NPV: as frequent as it is among the judged images${asked.length > 0 ? `; then ${at}, where the network shall be used, from both intervals’ ends` : '. Give a prevalence (--prevalence) for where the network shall be used'}.`,
      stubs: [findings ? 'Finding' : 'Class', 'Threshold for'],
    },
    [
      { id: 'threshold', label: 'Threshold', unit: '', better: 'none' },
      ...SHOWN.map((figure) => columnOf(figure)),
      ...(asked.length > 0
        ? [
            { id: 'ppv_asked', label: `PPV ${at}`, unit: '%' as const, better: 'none' as const },
            { id: 'npv_asked', label: `NPV ${at}`, unit: '%' as const, better: 'none' as const },
          ]
        : []),
    ],
    points.flatMap(({ rule, name, positives, methods }) =>
      view.sorted(methods.map(({ method }) => method)).map((id) => {
        const one = methods.find(({ method }) => method === id)!;
        const rate = prevalence[name];
        const values =
          rate === undefined
            ? undefined
            : predictiveValues(one.figures.sensitivity!, one.figures.specificity!, rate);
        return {
          method: id,
          stubs: [`${capital(name)} (${positives})`, ruleText(rule)],
          cells: [
            plain(one.threshold),
            ...SHOWN.map((figure) => cellOf(one, figure.name)),
            ...(asked.length > 0
              ? [
                  values === undefined ? plain(null) : { estimate: values.ppv },
                  values === undefined ? plain(null) : { estimate: values.npv },
                ]
              : []),
          ],
        };
      }),
    ),
  );
}
