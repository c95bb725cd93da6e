import { figuresOf as figuresOfKind, measureMethods, type Outputs } from '../../figures/index.ts';
import { list } from '../format.ts';
import type { Part } from '../part.ts';
import type { Measured, ShownFigure } from '../shown.ts';
import { valueText, versusText } from '../shown.ts';
import { plain } from '../tables/table.ts';
import { cellOf, columnOf, methodTable, type View } from '../view.ts';
import { type CalibratorResult, calibratedOutputs, withCalibrator } from './calibrators.ts';
import { judgedOutputs } from './figures.ts';

/**
 * Whether one fitted number does as much as a method of training: the baseline with the leading calibrator against every
 * other method as it came out of training, and every method with the calibrator against itself without.
 */
export interface FittedResults {
  /** `temperature` where that was fitted. */
  readonly calibrator: string;
  /** Each other method without a calibrator; `versus` is its difference from the baseline with one. */
  readonly others: readonly Measured[];
  /** Each method with the calibrator; `versus` is its difference from itself without. */
  readonly own: readonly (Measured & {
    /** The temperature of each run, where there are such. */
    readonly temperatures: readonly number[];
  })[];
}

const MEASURED = ['eceDebiased', 'nll', 'brier'];
const BASE = ' with a calibrator';

export const fittedPart: Part<FittedResults> = {
  name: 'fitted',
  title: 'What one fitted number does',
  kinds: ['one-of-k', 'findings'],
  async measure({ of, judged, options, tell }) {
    const fitted = of('calibration') as readonly CalibratorResult[] | undefined;
    const leading = fitted?.find(({ calibrator }) => calibrator === 'temperature') ?? fitted?.[0];
    if (leading === undefined) return { absent: 'no calibrator was fitted', quiet: true };
    const { calibrator } = leading;
    tell(`against ${calibrator}`);
    const figures = figuresOfKind(judged.kind)
      .map(({ name }) => name)
      .filter((name) => MEASURED.includes(name));
    const raw = new Map<string, Outputs[]>();
    const after = new Map<string, Outputs[]>();
    for (const { id, runs } of judged.methods) {
      raw.set(id, await Promise.all(runs.map(judgedOutputs)));
      after.set(
        id,
        await Promise.all(runs.map(async (run) => (await calibratedOutputs(calibrator, run)).outputs)),
      );
    }
    const base = judged.methods.some(({ id }) => id === judged.baseline)
      ? judged.baseline
      : judged.methods[0]!.id;
    const against = (methods: ReadonlyMap<string, readonly Outputs[]>, baseline: string) =>
      measureMethods(methods, { ...options, figures, perFinding: false, baseline, pairs: 'baseline' });
    const others = [...raw].filter(([id]) => id !== base);
    const joint =
      others.length === 0 ? undefined : against(new Map([...others, [BASE, after.get(base)!]]), BASE);
    return {
      calibrator,
      others: others.map(([id]) => ({
        method: id,
        figures: joint!.methods.get(id)!,
        versus: joint!.pairs.find(({ first }) => first === id)!.figures,
      })),
      own: [...after].map(([id, outputs]) => {
        const both = against(
          new Map([
            [id, outputs],
            [BASE, raw.get(id)!],
          ]),
          BASE,
        );
        return {
          method: id,
          figures: both.methods.get(id)!,
          versus: both.pairs[0]!.figures,
          temperatures: (leading.fits[id] ?? []).flatMap(({ temperature }) => temperature ?? []),
        };
      }),
    };
  },
  show(results, view) {
    return { blocks: [{ table: fittedTable(view, results) }, { notes: notesOf(view, results) }] };
  },
};

function fittedTable(view: View, { calibrator, own }: FittedResults) {
  const figures = shownOf(view);
  const temperatures = own.some((one) => one.temperatures.length > 0);
  const before = (view.judgement.parts.figures as { methods: readonly Measured[] }).methods;
  return methodTable(
    view,
    {
      id: 'fitted',
      title: view.title(`every method without and ${withCalibrator(calibrator)}`),
      against: 'itself without',
      caption: `Fitted on the validation split of each run, judged on other images. ✓ and ✗: significantly better and worse than the same method without.`,
    },
    [
      ...(temperatures
        ? [{ id: 'temperature', label: 'Temperature', unit: '' as const, better: 'none' as const, least: 2 }]
        : []),
      ...figures.flatMap((figure) => [
        columnOf(figure, {
          id: `${figure.name}_none`,
          group: figure.label,
          label: 'without',
          better: 'none',
        }),
        columnOf(figure, {
          id: `${figure.name}_${calibrator}`,
          group: figure.label,
          label: 'with it',
        }),
      ]),
    ],
    own.map((one) => {
      const plainOne = before.find(({ method }) => method === one.method);
      return {
        method: one.method,
        cells: [
          ...(temperatures ? [plain(meanOf(one.temperatures))] : []),
          ...figures.flatMap(({ name }) => [
            cellOf(plainOne && { ...plainOne, versus: null }, name),
            cellOf(one, name),
          ]),
        ],
      };
    }),
  );
}

/** What the other methods are against the baseline with one number. */
function notesOf(view: View, { calibrator, others }: FittedResults): string[] {
  return shownOf(view)
    .map((figure) => {
      const text = others.map((one) => {
        const { value } = one.figures[figure.name]!;
        return `${view.name(one.method)} ${valueText(figure, value)} (${versusText(figure, one.versus?.[figure.name], view.alpha) ?? 'not tested'})`;
      });
      return text.length === 0
        ? ''
        : `${figure.label} without a calibrator, against ${view.baseline} ${withCalibrator(calibrator)}: ${list(text)}.`;
    })
    .filter((text) => text !== '');
}

function shownOf(view: View): ShownFigure[] {
  return figuresOfKind(view.judgement.kind).filter(({ name }) => MEASURED.includes(name));
}

export function meanOf(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((a, b) => a + b, 0) / values.length;
}
