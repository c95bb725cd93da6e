import { imageThumbnail } from '../data/thumbnail.ts';
import { PenumbraError } from '../errors.ts';
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
    /** Settings of parts, by name. */
    readonly parts?: Readonly<Record<string, unknown>>;
    /** A folder in which a sample's id is the path of its image. */
    readonly images?: string;
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
    ...(options.images !== undefined && { pictures: picturesIn(options.images, loaded) }),
    ...(strata && { sampleStrata: { [strata.column]: { codes: strata.codes, values: strata.values } } }),
  };
  const { bins, replicates, seed, level, onMessage } = options;
  return judge(judged, {
    bins,
    replicates,
    seed,
    level,
    ...(onMessage && { onMessage }),
    ...(options.parts && { parts: options.parts }),
    ...(options.verdict && {
      only: ['figures', 'baselines', 'calibration', 'fitted'],
      parts: { calibration: ['temperature'] },
    }),
  });
}

/**
 * Small pictures of samples whose id is a path in a folder.
 * @throws PenumbraError `judge/images` where the predictions have no ids
 */
function picturesIn(root: string, { methods }: Loaded) {
  const { ids } = methods[0]!.files[0]!;
  if (ids === undefined)
    throw new PenumbraError(
      'judge/images',
      'The predictions have no ids, so no image can be found for them.',
      {
        hint: 'Give them a column of ids, the paths of the images relative to the folder.',
      },
    );
  return async (samples: readonly number[]) =>
    await Promise.all(
      samples.map(async (sample) => {
        const bytes = await imageThumbnail(root, ids[sample]!);
        return bytes && `data:image/jpeg;base64,${Buffer.from(bytes).toString('base64')}`;
      }),
    );
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
