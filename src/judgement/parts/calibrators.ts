import { z } from 'zod';
import {
  type CalibratorName,
  calibratorLabel,
  calibratorNames,
  defaultCalibrators,
  findingCalibratorLabel,
  findingCalibratorNames,
  fitCalibrator,
  fitFindingCalibrator,
  logitsOf,
} from '../../calibration/index.ts';
import type { Outputs } from '../../figures/index.ts';
import { figureHead, UNDEFINED } from '../../figures/index.ts';
import type { Floats } from '../../metrics/index.ts';
import { type HeatCell, heatBlocks } from '../draw/heat.ts';
import { capital, plural } from '../format.ts';
import { type JudgedRun, withoutValidation } from '../judged.ts';
import { append } from '../measure.ts';
import { type Block, type Context, type Part, registeredName } from '../part.ts';
import { estimateText, headOf, type Measured, type ShownFigure, valueText, versusText } from '../shown.ts';
import { plain } from '../tables/table.ts';
import {
  type Answer,
  byVerdict,
  cellOf,
  columnOf,
  compact,
  figureTable,
  methodTable,
  namesOf,
  proven,
  type Remark,
  said,
  tableNotes,
  type View,
} from '../view.ts';
import { type FigureResults, figuresOf, leadsOf, measureFigures } from './figures.ts';

/** All methods under one calibrator, fitted on the validation outputs of each run. */
export interface CalibratorResult extends FigureResults {
  readonly calibrator: string;
  /** Images that it was fitted on. */
  readonly fittedOn: number;
  /** What the fits found, by method: temperatures where that is the calibrator, and complaints. */
  readonly fits: Readonly<
    Record<
      string,
      readonly {
        readonly run: string;
        readonly temperature: number | null;
        readonly warnings: readonly string[];
      }[]
    >
  >;
}

export const calibratorsPart: Part<readonly CalibratorResult[], readonly string[] | undefined> = {
  name: 'calibration',
  title: 'Calibrators',
  kinds: ['one-of-k', 'findings'],
  settings: z
    .union([
      z.literal(false),
      z.array(registeredName(() => [...new Set([...calibratorNames, ...findingCalibratorNames])])),
    ])
    .optional()
    .describe(
      'Calibrators that are fitted on the validation split on top of every method; [] or false for none. Default: temperature, vector scaling, isotonic regression and histogram binning; of findings all.',
    )
    .meta({ examples: [['temperature', 'vector'], false] }),
  async measure(context) {
    const { kind } = context.judged;
    const usual = kind === 'findings' ? findingCalibratorNames : defaultCalibrators;
    const names = [...new Set(context.settings ?? usual)];
    if (names.length === 0) return { absent: 'not asked for', quiet: true };
    const absent = withoutValidation(context.judged, 'to fit on');
    if (absent !== undefined) return absent;
    const results: CalibratorResult[] = [];
    for (const name of names) {
      context.tell(`after ${name}`);
      results.push(await underCalibrator(context, name));
    }
    return results;
  },
  show(results, view) {
    const all = [plainResult(view), ...results];
    return {
      blocks: [
        { figure: heatFigure(view, all) },
        { table: overviewTable(view, all) },
        ...results.map((result) => detailTable(view, result)),
        { notes: zeroNotes(results.map(({ calibrator }) => calibrator)) },
        { notes: warningsOf(results) },
      ],
      answers: afterAnswer(view),
    };
  },
};

async function underCalibrator(
  context: Context<never> | Context<unknown>,
  name: string,
): Promise<CalibratorResult> {
  const fits = new Map<string, CalibratorResult['fits'][string][number][]>();
  const owner = new Map(
    context.judged.methods.flatMap(({ id, runs }) => runs.map((run) => [run, id] as const)),
  );
  let fittedOn = 0;
  const results = await measureFigures(context as Context, async (run) => {
    const { outputs, ...fit } = await calibratedOutputs(name, run);
    fittedOn = fit.fittedOn;
    append(fits, owner.get(run)!, { run: run.name, temperature: fit.temperature, warnings: fit.warnings });
    return outputs;
  });
  return { calibrator: name, fittedOn, ...results, fits: Object.fromEntries(fits) };
}

/** A run's judged outputs after a calibrator that was fitted on its validation outputs. */
export async function calibratedOutputs(
  name: string,
  run: JudgedRun,
  of: () => Promise<Outputs> = run.judged,
) {
  const fitOn = await run.validation!();
  const { targets } = fitOn;
  const k = targets.names.length;
  const fitted =
    targets.kind === 'one-of-k'
      ? fitCalibrator(name as CalibratorName, logits(fitOn), targets.values, k)
      : fitFindingCalibrator(name, logits(fitOn), targets, k);
  const judged = await of();
  const { logits: _, ...known } = judged;
  const { temperature = null } = fitted.parameters as { readonly temperature?: number };
  return {
    outputs: { ...known, probabilities: fitted.apply(logits(judged)) } as Outputs,
    temperature,
    warnings: 'warnings' in fitted ? fitted.warnings : fitted.report.warnings,
    fittedOn: fitOn.probabilities.length / k,
  };
}

/** Probabilities are all that a file of predictions may hold. */
function logits({ logits: given, probabilities, targets }: Outputs): Floats {
  if (given !== undefined) return given;
  if (targets.kind === 'one-of-k') return logitsOf(probabilities);
  return probabilities.map((p) => Math.log(Math.max(p, 1e-7) / Math.max(1 - p, 1e-7)));
}

/** The calibrator that stands for all of them in overviews: the temperature, or the first one. */
export function afterOf({ judgement }: View): CalibratorResult | undefined {
  const results = judgement.parts.calibration as readonly CalibratorResult[] | undefined;
  return results?.find(({ calibrator }) => calibrator === 'temperature') ?? results?.[0];
}

function plainResult({ judgement }: View): CalibratorResult {
  return { ...(judgement.parts.figures as FigureResults), calibrator: 'none', fits: {}, fittedOn: 0 };
}

/** `no calibrator`, `temperature`, `isotonic regression`. */
export function calibratorText(calibrator: string): string {
  if (calibrator === 'none') return 'no calibrator';
  if (calibrator === 'temperature') return calibrator;
  const label = calibratorNames.includes(calibrator)
    ? calibratorLabel(calibrator as CalibratorName)
    : findingCalibratorLabel(calibrator);
  // Platt and Dirichlet keep their capital.
  return /^(Platt|Dirichlet)/.test(label) ? label : label.charAt(0).toLowerCase() + label.slice(1);
}

/** `with a temperature`, in a sentence. */
export function withCalibrator(calibrator: string): string {
  return calibrator === 'none'
    ? 'without a calibrator'
    : `with ${calibrator === 'temperature' ? 'a ' : ''}${calibratorText(calibrator)}`;
}

/** What is shown of every calibrator: calibration errors and the loss that lead. */
function shownOf(view: View, results: FigureResults): ShownFigure[] {
  const { calibration, loss } = leadsOf(figuresOf(view, results));
  return [calibration, loss].filter((figure) => figure !== undefined);
}

function found(result: CalibratorResult, method: string): Measured | undefined {
  return result.methods.find((one) => one.method === method);
}

function heatFigure(view: View, all: readonly CalibratorResult[]) {
  const figures = shownOf(view, all[0]!);
  const blocks = figures.map((figure) => ({
    head: headOf(figure),
    ...shades(
      all.flatMap(({ methods }) => methods.map((one) => one.figures[figure.name]?.value ?? null)),
      figure.sort === 'calibration' ? 0 : undefined,
    ),
    cells: view.ids.map((id) =>
      all.map((result): HeatCell => {
        const one = found(result, id);
        const estimate = one?.figures[figure.name] ?? plain(null).estimate;
        const versus = one?.versus?.[figure.name];
        const difference = versusText(figure, versus, view.alpha);
        return {
          value: estimate.value,
          text: compact(figure, estimate.value),
          sign: view.sign(figure, versus),
          tip: [
            `${view.name(id)}, ${calibratorText(result.calibrator)}: ${estimateText(figure, estimate, view.level)}`,
            ...(difference === undefined
              ? []
              : [`against ${view.baseline} under the same calibrator: ${difference}`]),
          ].join('\n'),
        };
      }),
    ),
  }));
  return {
    file: 'calibration',
    title: view.title('Every method under every calibrator'),
    note: `Calibrators are fitted on the validation split alone. Darker is worse; white is 0 for the calibration error and the least value for the loss, and what lies far beyond the others is as dark as can be, so that these keep their shades. ${view.signNote} Every comparison is made under the same calibrator. ${UNDEFINED}: not defined.`,
    columns: 1,
    panels: [
      {
        drawing: heatBlocks(
          view.ids.map((id) => view.name(id)),
          all.map(({ calibrator }) => calibrator),
          blocks,
          `${figures.map(({ label }) => label).join(' and ')} of every method under every calibrator, ${view.subject}`,
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

function overviewTable(view: View, all: readonly CalibratorResult[]) {
  const figures = shownOf(view, all[0]!);
  return methodTable(
    view,
    {
      id: 'calibration',
      title: view.title('calibration after training'),
      caption: `Every calibrator is fitted on the validation split (${plural(all[1]!.fittedOn, 'image')}) of each run. Methods are compared under the same calibrator: whether one still helps once another is fitted is read down a column.`,
      notes: [...tableNotes(view), ...zeroNotes(all.map(({ calibrator }) => calibrator)), ...warningsOf(all)],
    },
    figures.flatMap((figure) =>
      all.map(({ calibrator }) =>
        columnOf(figure, {
          id: `${figure.name}_${calibrator}`,
          label: calibrator,
          group: figureHead(figure),
        }),
      ),
    ),
    view.ids.map((method) => ({
      method,
      cells: figures.flatMap((figure) => all.map((result) => cellOf(found(result, method), figure.name))),
    })),
  );
}

/** Every figure under one calibrator, folded away. */
function detailTable(view: View, result: CalibratorResult): Block {
  const title = capital(withCalibrator(result.calibrator));
  const temperatures = Object.values(result.fits).some((fits) =>
    fits.some(({ temperature }) => temperature !== null),
  );
  const mean = (method: string) => {
    const known = (result.fits[method] ?? []).flatMap(({ temperature }) => temperature ?? []);
    return known.length === 0 ? null : known.reduce((a, b) => a + b, 0) / known.length;
  };
  return {
    fold: `${title}: all figures with intervals`,
    table: figureTable(
      view,
      {
        id: `calibration-${result.calibrator}`,
        title: view.title(`all figures ${withCalibrator(result.calibrator)}`),
        caption: 'Every method, the baseline too, under this calibrator.',
        notes: tableNotes(view),
      },
      [...figuresOf(view, result), ...figuresOf(view, result, true)],
      result.methods,
      {
        columns: temperatures
          ? [{ id: 'temperature', label: 'Temperature', unit: '', better: 'none', least: 2 }]
          : [],
        cells: (method) => (temperatures ? [plain(mean(method))] : []),
      },
    ),
  };
}

/** What makes the loss of some calibrators look broken. */
function zeroNotes(calibrators: readonly string[]): string[] {
  const binned = calibrators.filter((name) => name === 'isotonic' || name === 'histogram');
  if (binned.length === 0) return [];
  return [
    `NLL of ${binned.join(' and ')}: they give a class the probability 0 where no validation image of its kind had it, ` +
      'and each image that has it after all costs 87 nats. Calibration errors are not touched by that.',
  ];
}

/** What the fits complained of, each once with how many runs it concerns. */
function warningsOf(results: readonly CalibratorResult[]): string[] {
  const counts = new Map<string, number>();
  for (const { calibrator, fits } of results)
    for (const { warnings } of Object.values(fits).flat())
      for (const warning of warnings) {
        const text = `${calibrator}: ${warning}`;
        counts.set(text, (counts.get(text) ?? 0) + 1);
      }
  return [...counts].map(([text, runs]) => `${text} (${plural(runs, 'run')})`);
}

/** Whether what a method does is still there once all of them, the baseline too, have been calibrated. */
function afterAnswer(view: View): Answer[] {
  const after = afterOf(view)!;
  const before = plainResult(view);
  const figure = leadsOf(figuresOf(view, before)).calibration;
  if (figure === undefined) return [];
  const fitted = after.calibrator === 'temperature' ? 'a temperature' : calibratorText(after.calibrator);
  const values = [before, after].map((result) =>
    valueText(figure, found(result, view.judgement.baseline)?.figures[figure.name]?.value ?? null),
  );
  const remarks: Remark[] = [
    said(
      `${view.baseline}: ${figure.label} ${values[0]} without, ${values[1]} with ${fitted} (this change was not tested).`,
    ),
  ];
  const now = byVerdict(view, figure, after.methods);
  const was = new Set(byVerdict(view, figure, before.methods).better.map(({ method }) => method));
  const pick = (some: readonly Measured[], helped: boolean) =>
    some.filter(({ method }) => was.has(method) === helped);
  const base = `${view.baseline} with ${fitted}`;
  const add = (kind: Remark['kind'], some: readonly Measured[], text: string) => {
    if (some.length > 0)
      remarks.push({
        kind,
        text: `${text}: ${kind === 'plain' ? namesOf(view, some) : proven(view, figure, some)}.`,
      });
  };
  add('good', pick(now.better, true), `Still significantly lower ${figure.label} than ${base}`);
  add('good', pick(now.better, false), `Only now significantly lower ${figure.label} than ${base}`);
  add(
    'bad',
    pick(now.worse, true),
    `The gain turns into harm, ${figure.label} significantly higher than ${base}`,
  );
  add('bad', pick(now.worse, false), `Significantly higher ${figure.label} than ${base}`);
  add('plain', pick(now.undecided, true), 'The gain is no longer significant');
  const none = now.undecided.length > 1 && now.undecided.length === view.ids.length - 1 && was.size === 0;
  if (none) remarks.push(said(`No method differs significantly from ${base}.`));
  else add('plain', pick(now.undecided, false), `No significant difference from ${base}`);
  add('plain', now.untested, 'Not tested');
  return [{ question: `Do they still help, once ${fitted} is fitted?`, remarks }];
}
