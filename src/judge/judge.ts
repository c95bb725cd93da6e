import { basename } from 'node:path';
import type { Targets } from '../data/targets.ts';
import { PenumbraError } from '../errors.ts';
import {
  chooseThresholds,
  describe,
  type Estimates,
  type FigureOptions,
  figuresOf,
  measureFigures,
  measureMethods,
  type Outputs,
  type PairDifferences,
  type Summary,
  samplesOf,
  type ThresholdRule,
} from '../figures/index.ts';
import { alignTo, columnsIn, take } from './match.ts';
import { type PredictionFile, type ReadOptions, readPredictions } from './read.ts';

/** A file to judge. Files of one name are runs (seeds) of one method. */
export interface JudgeInput {
  /** Default: the file's name without its ending. */
  readonly name?: string;
  readonly file: string;
}

export interface JudgeOptions
  extends ReadOptions,
    Pick<FigureOptions, 'bins' | 'replicates' | 'seed' | 'level' | 'perFinding'> {
  /** Predictions of the same methods on samples to fit on: one file, or one for each judged file in their order. */
  readonly fit?: readonly string[];
  /** How operating points of findings are chosen on `fit`. Default `youden`. */
  readonly threshold?: ThresholdRule;
  /** The method that others are compared with, by name; default the first. */
  readonly baseline?: string;
  /** Compare every pair instead of each method with the baseline. */
  readonly allPairs?: boolean;
  /** What is being done, and how far it is. */
  readonly onProgress?: (what: string, done: number, total: number) => void;
}

/** One method as it was read: its runs on the judged samples, all in the same order, and on those to fit on. */
export interface LoadedMethod {
  readonly name: string;
  readonly files: readonly PredictionFile[];
  readonly runs: readonly Outputs[];
  /** As many as runs; empty without `fit`. */
  readonly validation: readonly Outputs[];
}

/** All predictions, matched. */
export interface Loaded {
  readonly kind: Targets['kind'];
  readonly names: readonly string[];
  readonly samples: number;
  readonly methods: readonly LoadedMethod[];
  /** N numbers of patients. */
  readonly groups: Int32Array | undefined;
  readonly strata:
    | { readonly column: string; readonly codes: Int32Array; readonly values: readonly string[] }
    | undefined;
  /** What a reader must know. */
  readonly notes: readonly string[];
}

/** Figures of the samples of one stratum. */
export interface StratumFigures {
  readonly value: string;
  readonly samples: number;
  readonly methods: readonly { readonly name: string; readonly figures: Estimates }[];
}

/** Everything that was found. Plain data but for `methods[].summary`, which is too. */
export interface JudgeResult {
  readonly kind: Targets['kind'];
  readonly names: readonly string[];
  readonly samples: number;
  readonly methods: readonly {
    readonly name: string;
    readonly files: readonly string[];
    readonly scale: 'probabilities' | 'logits';
    readonly summary: Summary;
    /** Findings, with `fit`: the probability from which each is called. `null` where none could be chosen. */
    readonly thresholds?: Readonly<Record<string, number | null>>;
  }[];
  readonly differences: readonly PairDifferences[];
  readonly strata?: { readonly column: string; readonly values: readonly StratumFigures[] };
  readonly fit: readonly string[];
  readonly notes: readonly string[];
}

/**
 * Reads the files and brings them to the samples and classes of the first, in its order.
 * @throws PenumbraError `judge/…`
 */
export async function loadPredictions(
  inputs: readonly JudgeInput[],
  options: JudgeOptions = {},
): Promise<Loaded> {
  const { fit = [], onProgress } = options;
  if (inputs.length === 0) {
    throw new PenumbraError('judge/files', 'There are no predictions to judge.', {
      hint: 'Name at least one file.',
    });
  }
  if (fit.length > 1 && fit.length !== inputs.length) {
    throw new PenumbraError(
      'judge/files',
      `There are ${fit.length} files to fit on for ${inputs.length} judged ones.`,
      { hint: 'Give one --fit for all, or one for each judged file in their order.' },
    );
  }
  const total = inputs.length + fit.length;
  let done = 0;
  const read = async (file: string, own: ReadOptions): Promise<PredictionFile> => {
    onProgress?.('reading', done, total);
    const result = await readPredictions(file, own);
    onProgress?.('reading', ++done, total);
    return result;
  };
  const notes: string[] = [];
  const files: PredictionFile[] = [];
  const matched = total > 1 || options.labels !== undefined;
  const runs: Outputs[] = [];
  for (const { file } of inputs) {
    // The groups and strata of the first file are everybody's.
    const own = files.length === 0 ? options : without(options, ['group', 'stratum']);
    files.push(await read(file, { ...own, matched }));
    runs.push(files.length === 1 ? files[0]!.outputs : alignTo(files[0]!, files.at(-1)!));
  }
  const first = files[0]!;
  if (files.length > 1 && first.roles.id === undefined) {
    notes.push('No file has ids: samples were matched by row, and their labels agree.');
  }
  for (const file of files) {
    if (options.scale === undefined && !file.roles.namedLogits && file.scale === 'logits') {
      notes.push(`${file.file}: taken for logits, since its rows do not sum to 1 and leave [0, 1].`);
    }
  }
  const fitted: Outputs[] = [];
  for (const file of fit) {
    // Labels apart are matched by id, and validation samples may have theirs in the file.
    const fits = await read(file, without(options, ['group', 'stratum']));
    fitted.push(take(fits.outputs, undefined, columnsIn(first, fits)));
    checkOverlap(first, fits, notes);
  }
  if (fit.length === 1 && new Set(inputs.map(nameOf)).size > 1) {
    notes.push('One file to fit on for several methods: each is fitted on the same predictions.');
  }
  const methods = new Map<string, { files: PredictionFile[]; runs: Outputs[]; validation: Outputs[] }>();
  const ids = namesFor(inputs);
  inputs.forEach((_, i) => {
    const method = methods.get(ids[i]!) ?? { files: [], runs: [], validation: [] };
    methods.set(ids[i]!, method);
    method.files.push(files[i]!);
    method.runs.push(runs[i]!);
    const validation = fitted[fit.length === 1 ? 0 : i];
    if (validation !== undefined) method.validation.push(validation);
  });
  const { kind, names } = first.outputs.targets;
  return {
    kind,
    names,
    samples: samplesOf(first.outputs),
    methods: [...methods].map(([name, method]) => ({ name, ...method })),
    groups: first.groups?.codes,
    strata: first.strata && { column: options.stratum!, ...first.strata },
    notes,
  };
}

/** All figures of what was loaded. */
export function judgeFigures(loaded: Loaded, options: JudgeOptions = {}): JudgeResult {
  const { onProgress } = options;
  const figureOptions: FigureOptions = {
    ...(options.bins !== undefined && { bins: options.bins }),
    ...(options.replicates !== undefined && { replicates: options.replicates }),
    ...(options.seed !== undefined && { seed: options.seed }),
    ...(options.level !== undefined && { level: options.level }),
    ...(loaded.groups !== undefined && { groups: loaded.groups }),
    ...(options.perFinding !== undefined && { perFinding: options.perFinding }),
  };
  const methods = loaded.methods.map((method) => ({
    ...method,
    ...withThresholds(method, options.threshold),
  }));
  const { methods: estimates, pairs } = measureMethods(
    new Map(methods.map(({ name, runs }) => [name, runs])),
    {
      ...figureOptions,
      pairs: options.allPairs === true ? 'all' : 'baseline',
      ...(options.baseline !== undefined && { baseline: options.baseline }),
      onProgress: (done, total) => onProgress?.('measuring', done, total),
    },
  );
  const strata = loaded.strata && strataOf(loaded, methods, figureOptions);
  return {
    kind: loaded.kind,
    names: loaded.names,
    samples: loaded.samples,
    methods: methods.map(({ name, files, runs, thresholds }) => ({
      name,
      files: files.map(({ file }) => file),
      scale: files[0]!.scale,
      summary: { ...describe(runs, figureOptions), figures: estimates.get(name)! },
      ...(thresholds && {
        thresholds: Object.fromEntries(
          loaded.names.map((finding, k) => [finding, Number.isNaN(thresholds[k]!) ? null : thresholds[k]!]),
        ),
      }),
    })),
    differences: pairs,
    ...(strata && { strata: { column: loaded.strata!.column, values: strata } }),
    fit: options.fit ?? [],
    notes: loaded.notes,
  };
}

/** Operating points are a method's: of several runs, each run's own. The first run's are told. */
function withThresholds(
  { runs, validation }: LoadedMethod,
  rule: ThresholdRule | undefined,
): { runs: readonly Outputs[]; thresholds?: Float64Array } {
  if (validation.length === 0 || runs[0]!.targets.kind !== 'findings') return { runs };
  const thresholds = validation.map((one) => chooseThresholds(one, rule));
  return { runs: runs.map((run, s) => ({ ...run, thresholds: thresholds[s]! })), thresholds: thresholds[0]! };
}

/** Strata with fewer samples say nothing. */
const LEAST_STRATUM = 20;

function strataOf(
  { strata, groups }: Loaded,
  methods: readonly { readonly name: string; readonly runs: readonly Outputs[] }[],
  options: FigureOptions,
): StratumFigures[] {
  const { codes, values } = strata!;
  const kind = methods[0]!.runs[0]!.targets.kind;
  const figures = figuresOf(kind)
    .filter(({ name }) =>
      ['top1', 'balancedAccuracy', 'auroc', 'auprc', 'nll', 'brier', 'eceDebiased', 'confidenceGap'].includes(
        name,
      ),
    )
    .map(({ name }) => name);
  const rowsOf = values.map((_, v) => codes.reduce((many, code) => many + (code === v ? 1 : 0), 0));
  return values
    .map((value, v) => ({ value, v, samples: rowsOf[v]! }))
    .sort((a, b) => a.value.localeCompare(b.value, 'en', { numeric: true }))
    .map(({ value, v, samples }) => {
      const rows = new Int32Array(samples);
      for (let i = 0, at = 0; i < codes.length; i++) if (codes[i] === v) rows[at++] = i;
      const own = groups && rows.map((row) => groups[row]!);
      const { groups: _, ...rest } = options;
      return {
        value,
        samples,
        methods:
          samples < LEAST_STRATUM
            ? []
            : methods.map(({ name, runs }) => ({
                name,
                figures: measureFigures(
                  runs.map((run) => take(run, rows, undefined)),
                  { ...rest, ...(own && { groups: own }), figures, perFinding: false },
                ),
              })),
      };
    });
}

/** A calibrator must not see what it is judged on. */
function checkOverlap(judged: PredictionFile, fit: PredictionFile, notes: string[]): void {
  if (judged.ids === undefined || fit.ids === undefined) return;
  const own = new Map(fit.ids.map((id, i) => [id, i]));
  const k = judged.outputs.targets.names.length;
  let shared = 0;
  let same = 0;
  judged.ids.forEach((id, i) => {
    const at = own.get(id);
    if (at === undefined) return;
    shared++;
    if (judged.outputs.probabilities[i * k] === fit.outputs.probabilities[at * k]) same++;
  });
  if (same > 0 && same > shared / 2) {
    throw new PenumbraError(
      'judge/fit',
      `${fit.file} holds ${same} of the very predictions that are judged.`,
      {
        hint: 'Fit on other samples: figures of what was fitted on itself tell nothing.',
        where: { file: fit.file },
      },
    );
  }
  if (shared > 0)
    notes.push(
      `${fit.file} shares ${shared} ids with the judged samples; make sure that they are not the same samples.`,
    );
}

function without(options: JudgeOptions, names: readonly (keyof ReadOptions)[]): ReadOptions {
  return Object.fromEntries(
    Object.entries(options).filter(([key]) => !(names as readonly string[]).includes(key)),
  );
}

function nameOf({ name, file }: JudgeInput): string {
  return name ?? basename(file).replace(/\.(csv|tsv|txt|parquet|pq|npz)$/i, '');
}

/** Names for people: where two files of different folders are called alike and nobody named them, the folder helps. */
function namesFor(inputs: readonly JudgeInput[]): string[] {
  const plain = inputs.map(nameOf);
  return inputs.map((input, i) => {
    const alike = plain.filter((name, j) => name === plain[i] && inputs[j]!.name === undefined).length;
    if (input.name !== undefined || alike < 2) return plain[i]!;
    return input.file.replace(/\.(csv|tsv|txt|parquet|pq|npz)$/i, '');
  });
}
