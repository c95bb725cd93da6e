import { z } from 'zod';
import { controlRisk, type RiskControl, riskNames } from '../../calibration/index.ts';
import { meanStatistic, measureStatistics, type Outputs, type Statistic } from '../../figures/index.ts';
import { plural } from '../format.ts';
import { withoutValidation } from '../judged.ts';
import { append } from '../measure.ts';
import type { Part } from '../part.ts';
import { type Measured, type ShownFigure, shownAs } from '../shown.ts';
import { cellOf, columnOf, forestFigure, methodTable, tableNotes, type View } from '../view.ts';

/** Flags under which one risk is controlled on the validation outputs, measured on the judged ones. */
export interface FlagResult {
  /** `missed`, `false-positives` … */
  readonly risk: string;
  /** The greatest mean loss that is asked for. */
  readonly alpha: number;
  readonly calibrationSamples: number;
  readonly methods: readonly Measured[];
  readonly warnings: readonly string[];
}

const SHOWN: readonly ShownFigure[] = [
  shownAs(
    'missed',
    'Missed',
    ['%', 1, 'lower'],
    'Share of an image’s present findings that are not flagged, mean over images.',
  ),
  shownAs(
    'alarms',
    'False alarms',
    ['%', 1, 'lower'],
    'Share of an image’s absent findings that are flagged, mean over images.',
  ),
];
/** Which figure a risk promises something about. */
const PROMISED: Readonly<Record<string, string>> = { missed: 'missed', 'false-positives': 'alarms' };

/** Conformal risk control (Angelopoulos et al., ICLR 2024): one threshold a run, chosen on its validation outputs. */
export const flagsPart: Part<readonly FlagResult[], { readonly alpha: number }> = {
  name: 'flags',
  title: 'Flags with a promise',
  kinds: ['findings'],
  settings: z
    .union([
      z.literal(false),
      z.strictObject({
        alpha: z.number().gt(0).lt(1).default(0.1).describe('The greatest mean risk that is promised.'),
      }),
    ])
    .prefault({})
    .describe(
      'Flags of findings under which a risk is controlled, chosen on the validation split; false for none.',
    )
    .meta({ examples: [{ alpha: 0.1 }, false] }),
  async measure({ judged, settings: { alpha }, options, tell }) {
    const absent = withoutValidation(judged, 'to choose on');
    if (absent !== undefined) return absent;
    tell('flags');
    const measured = new Map<string, Map<string, Record<string, Statistic>[]>>();
    const warnings = new Map<string, string[]>();
    let samples = 0;
    let calibrationSamples = 0;
    for (const { id, runs } of judged.methods)
      for (const run of runs) {
        const fitOn = await run.validation!();
        const outputs = await run.judged();
        const k = outputs.targets.names.length;
        samples = outputs.probabilities.length / k;
        calibrationSamples = fitOn.probabilities.length / k;
        for (const risk of riskNames) {
          const control = controlRisk(risk, fitOn.probabilities, fitOn.targets as never, k, { alpha });
          const own = measured.get(risk) ?? new Map<string, Record<string, Statistic>[]>();
          measured.set(risk, own);
          append(own, id, lossesOf(outputs, control));
          for (const text of [...control.warnings, reachOf(control)]) append(warnings, risk, text);
        }
      }
    return [...measured].map(([risk, own]) => ({
      risk,
      alpha,
      calibrationSamples,
      methods: measureStatistics(own, samples, options, judged.baseline),
      warnings: [...new Set(warnings.get(risk))],
    }));
  },
  show: (results, view) => ({
    blocks: [
      { figure: lossFigure(view, results) },
      { table: lossTable(view, results) },
      { notes: results.flatMap(({ risk, warnings }) => warnings.map((text) => `${risk}: ${text}`)) },
    ],
  }),
};

/**
 * What the promise does not say: it is the mean over draws of the validation split. Of n independent images the realised
 * risk scatters about it as a share of n does (docs/figure-coverage.md has it in numbers).
 */
function reachOf({ alpha, samples }: RiskControl): string {
  const n = Math.max(1, Math.min(...samples));
  const reach = alpha + 1.645 * Math.sqrt((alpha * (1 - alpha)) / n);
  return `the promise of ${100 * alpha} % is a mean over choices. This one was made on ${plural(n, 'validation image')} that the risk speaks of: one such choice in twenty ends above ${(100 * Math.min(1, reach)).toFixed(0)} %, more where patients have several images.`;
}

/** Losses of an image, over those that have a present, or an absent, known finding. */
function lossesOf({ targets, probabilities }: Outputs, control: RiskControl): Record<string, Statistic> {
  const k = targets.names.length;
  const mask = targets.kind === 'findings' ? targets.mask : undefined;
  const flags = control.flag(probabilities);
  const share = (present: boolean) => {
    const losses = new Float64Array(flags.length / k);
    const known = new Uint8Array(losses.length);
    for (let i = 0; i < losses.length; i++) {
      let all = 0;
      let lost = 0;
      for (let at = i * k; at < (i + 1) * k; at++) {
        const y = targets.values[at]!;
        if (mask?.[at] === 0 || (present ? y <= 0.5 : y >= 0.5)) continue;
        all++;
        if (flags[at] === (present ? 0 : 1)) lost++;
      }
      known[i] = all > 0 ? 1 : 0;
      losses[i] = all > 0 ? lost / all : 0;
    }
    return meanStatistic(losses, known, 'share');
  };
  return { missed: share(true), alarms: share(false) };
}

function lossFigure(view: View, results: readonly FlagResult[]) {
  const { alpha, calibrationSamples } = results[0]!;
  return forestFigure(
    view,
    {
      file: 'flags',
      title: 'Flags under which a risk is controlled',
      note: `One threshold for all findings, chosen on ${plural(calibrationSamples, 'validation image')} so that a new image’s mean risk is at most ${100 * alpha} % (dashed): what is promised should stay below the line, and then less of the other is better. ${view.intervalNote} ${view.signNote}`,
    },
    results.map(({ risk, methods }) =>
      SHOWN.map((figure) => ({
        figure,
        head: `${risk} ≤ ${100 * alpha} %: ${figure.label.toLowerCase()} (%)`,
        states: [{ what: risk, methods }],
        reference: PROMISED[risk] === figure.name ? alpha : null,
        signs: PROMISED[risk] !== figure.name,
      })),
    ),
  );
}

function lossTable(view: View, results: readonly FlagResult[]) {
  return methodTable(
    view,
    {
      id: 'flags',
      title: view.title('flags under which a risk is controlled'),
      caption:
        'The promise is a mean over images like those that the threshold was chosen on; it says nothing of another centre.',
      notes: tableNotes(view),
    },
    results.flatMap(({ risk, alpha }) =>
      SHOWN.map((figure) =>
        columnOf(figure, {
          id: `${risk}_${figure.name}`,
          label: figure.label.toLowerCase(),
          group: `${risk} ≤ ${100 * alpha} %`,
          better: PROMISED[risk] === figure.name ? 'none' : 'lower',
        }),
      ),
    ),
    view.ids.map((method) => ({
      method,
      cells: results.flatMap(({ methods }) =>
        SHOWN.map(({ name }) =>
          cellOf(
            methods.find((one) => one.method === method),
            name,
          ),
        ),
      ),
    })),
  );
}
