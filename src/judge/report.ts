import {
  type Judged,
  type Judgement,
  judge,
  type Report,
  reportHtml,
  reportMarkdown,
  reportText,
  reportVerdicts,
} from '../judgement/index.ts';
import type { JudgeOptions, JudgeResult, Loaded } from './judge.ts';

export { reportHtml as renderHtml, reportMarkdown as renderMarkdown, reportText as renderText };

/**
 * What else a comparison shows: reliability diagrams, calibrators fitted on `fit`, conformal sets, risk–coverage curves,
 * strata; as the parts of a judgement.
 */
export async function judgementOf(
  loaded: Loaded,
  result: JudgeResult,
  options: JudgeOptions & {
    readonly onMessage?: (message: string) => void;
    /** Measure what a verdict needs, and nothing else. */
    readonly verdict?: boolean;
  },
): Promise<Judgement> {
  const { strata, groups } = loaded;
  const judged: Judged = {
    kind: loaded.kind,
    names: loaded.names,
    methods: loaded.methods.map(({ name, files, runs, validation }, m) => ({
      id: name,
      label: name,
      runs: runs.map((outputs, s) => ({
        name: files[s]!.file,
        judged: async () => withThresholds(outputs, result, m),
        ...(validation[s] && { validation: async () => validation[s]! }),
      })),
    })),
    baseline: options.baseline ?? loaded.methods[0]!.name,
    pairs: options.allPairs === true ? 'all' : 'baseline',
    measured: {
      methods: new Map(result.methods.map(({ name, summary }) => [name, summary.figures])),
      pairs: result.differences,
    },
    noValidation: 'there are no predictions to fit on (--fit)',
    ...(groups && { groups }),
    ...(strata && { sampleStrata: { [strata.column]: { codes: strata.codes, values: strata.values } } }),
  };
  const { bins, replicates, seed, level, onMessage } = options;
  return judge(judged, {
    bins,
    replicates,
    seed,
    level,
    ...(onMessage && { onMessage }),
    ...(options.verdict && {
      only: ['figures', 'baselines', 'calibration', 'fitted'],
      parts: { calibration: ['temperature'] },
    }),
  });
}

/** The verdict as it stands in `figures.json`. */
export function verdictJson(report: Report) {
  return reportVerdicts(report)[0]!.verdict;
}

/** A judgement with what people have to know of it. */
export function reportOf(
  loaded: Loaded,
  judgement: Judgement,
  options: JudgeOptions,
  command: string,
): Report {
  const { kind, names, samples, methods, groups } = loaded;
  const what = kind === 'one-of-k' ? `${names.length} classes` : `${names.length} findings`;
  const patients = groups === undefined ? '' : `, ${new Set(groups).size} patients`;
  const fit = options.fit ?? [];
  return {
    version: 2,
    title: methods.length > 1 ? 'Predictions compared' : `Predictions of ${methods[0]!.name}`,
    finished: new Date().toISOString(),
    command,
    facts: [
      ['Judged on', `${samples} samples of ${what}${patients}`],
      ...(fit.length > 0 ? ([['Fitted on', fit.join(', ')]] as const) : []),
    ],
    methods: methods.map(({ name, files }) => ({
      id: name,
      label: name,
      about: files.map(({ file, scale }) => `${file} (${scale})`).join(', '),
    })),
    cells: [{ set: '', network: '', about: `${samples} samples`, judgement }],
    missing: [],
    notes: loaded.notes,
    software: { node: process.version },
  };
}

function withThresholds<O>(outputs: O, result: JudgeResult, m: number): O {
  const { thresholds } = result.methods[m]!;
  if (thresholds === undefined) return outputs;
  return {
    ...outputs,
    thresholds: Float64Array.from(result.names, (name) => thresholds[name] ?? Number.NaN),
  };
}
