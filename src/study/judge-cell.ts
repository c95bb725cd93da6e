import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CalibratorName, defaultCalibrators, fitCalibrator } from '../calibration/index.ts';
import { pickSamples, type Subset } from '../data/index.ts';
import { sampleFor } from '../embeddings/index.ts';
import {
  FIGURES,
  type FigureName,
  type Predictions,
  predictions,
  type SummaryOptions,
} from '../metrics/index.ts';
import { chooseMode, type SplitPredictions, writeAtomically } from '../training/index.ts';
import { calibrated, type MethodRuns, uncalibrated } from './calibrated.ts';
import { comparisonOf, outputsOf, type RunOutput, samplesKey, summaryOptionsOf, weightsKey } from './cell.ts';
import { type CentreOutputs, centreDrops } from './centres.ts';
import { certificatesOf } from './certified.ts';
import { conformalOf } from './conformal.ts';
import { embeddingsOf } from './embedded.ts';
import { knownOf } from './known.ts';
import type { PlannedCell, PlannedRun } from './plan.ts';
import { selectiveOf } from './selective.ts';
import { strataOf } from './strata.ts';
import type { OpenedCentre } from './study-data.ts';
import type { StudySpec } from './study-file.ts';
import type { CalibratedResults, CentreResults, StudyCell, StudyPart } from './study-result.ts';

export interface JudgeOptions {
  /** The command line, for the reports. */
  readonly command: string;
  readonly signal?: AbortSignal | undefined;
  readonly onMessage?: (message: string) => void;
}

/**
 * Judges all runs of a cell on the same images: figures before and after calibration, differences from the baseline,
 * strata, other centres, selection, conformal sets, embeddings, certificates. What was judged before from the same
 * weights, images and settings is read from `judgement.json`.
 * @param runs the cell's finished runs, at least one
 * @throws the signal's reason where it is aborted; what was finished by then is kept
 */
export async function judgeCell(
  study: StudySpec,
  cell: PlannedCell,
  runs: readonly PlannedRun[],
  options: JudgeOptions,
): Promise<StudyCell> {
  const path = join(cell.folder, 'judgement.json');
  const key = judgementKey(study, cell, runs);
  if (existsSync(path)) {
    const known = JSON.parse(readFileSync(path, 'utf8')) as { key: string; cell: StudyCell };
    if (known.key === key) return known.cell;
  }
  const judged = await judge(study, cell, runs, options);
  writeAtomically(path, `${JSON.stringify({ key, cell: judged })}\n`);
  return judged;
}

/** All that a cell's judgement follows from. */
function judgementKey(study: StudySpec, cell: PlannedCell, runs: readonly PlannedRun[]): string {
  const { calibration, conformal, embeddings, certificates, bins, replicates } = study.config;
  const { set } = cell;
  const content = {
    version: 1,
    settings: { calibration, conformal, embeddings, certificates, bins, replicates },
    baseline: study.baseline,
    judged: [cell.split, samplesKey(cell.dataset.splits[cell.split]!)],
    calibration: set.calibration && samplesKey(set.calibration),
    centres: set.centres.map(({ name, kind, subset }) => [name, kind, samplesKey(subset)]),
    strata: strataNames(cell),
    runs: runs.map(({ method, label, seed, folder }) => [method, label, seed, weightsKey(folder)]),
  };
  return createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 32);
}

/** Up to this many probabilities a run, figures that cost N·K work a resample are resampled too. */
const CHEAP = 250_000;

/** The figures that get intervals and tests. */
function intervalsFor(samples: number, classes: number): readonly FigureName[] {
  return samples * classes <= CHEAP
    ? FIGURES
    : FIGURES.filter((figure) => figure !== 'auroc' && figure !== 'classwiseEce');
}

async function judge(
  study: StudySpec,
  cell: PlannedCell,
  runs: readonly PlannedRun[],
  options: JudgeOptions,
): Promise<StudyCell> {
  const { config, baseline } = study;
  const { set } = cell;
  const subset = cell.dataset.splits[cell.split]!;
  const tell = (message: string) => {
    options.signal?.throwIfAborted();
    options.onMessage?.(message);
  };
  chooseMode(runs[0]!.config); // Pictures depend on the number of threads, and outputs may all be there already.

  const judged: { run: PlannedRun; predictions: SplitPredictions }[] = [];
  for (const run of runs) {
    tell(`${run.method}, seed ${run.seed}`);
    const output = await outputsOf(run, subset, `predictions-${cell.split}`);
    const { probabilities, labels, indices, classes, targets } = output;
    if (set.calibration) await outputsOf(run, set.calibration, 'predictions-val');
    judged.push({ run, predictions: { probabilities, labels, indices, classes, targets } });
  }
  const { indices, labels } = judged[0]!.predictions;
  const comparisonOptions = {
    bins: config.bins,
    replicates: config.replicates,
    intervals: intervalsFor(labels.length, subset.classes.length),
    baseline,
    command: options.command,
  };
  const summaryOptions = summaryOptionsOf(subset, indices, comparisonOptions);
  const { posterior: _, intervals: __, ...bootstrap } = summaryOptions;
  tell('intervals and differences');
  const comparison = comparisonOf(cell, judged, comparisonOptions);
  const methods = methodRuns(cell, runs);
  const byMethod = new Map(
    methods.map(({ method }): [string, Predictions[]] => [
      method,
      judged.filter(({ run }) => run.method === method).map((one) => one.predictions),
    ]),
  );

  const absent: Partial<Record<StudyPart, string>> = {};
  const noValidation = set.calibration === undefined;
  const reason = noValidation
    ? `${set.id} has no validation split beside the judged one: nothing to fit on`
    : undefined;

  const calibration: CalibratedResults[] = [await uncalibrated(comparison, methods, summaryOptions)];
  const calibrators = (config.calibration ?? defaultCalibrators) as readonly CalibratorName[];
  if (calibrators.length === 0) absent.calibration = 'not asked for';
  else if (reason !== undefined) absent.calibration = reason;
  else {
    for (const name of calibrators) {
      tell(`after ${name}`);
      calibration.push(await calibrated(name, methods, summaryOptions, baseline));
    }
  }

  const names = strataNames(cell);
  if (Object.keys(names).length === 0) absent.strata = `the classes of ${set.id} have no strata`;
  else tell('strata');
  const strata = strataOf(names, byMethod, summaryOptions, baseline);

  const centres: CentreResults[] = [];
  if (set.centres.length === 0) absent.centres = 'not asked for';
  for (const centre of set.centres) {
    tell(`centre ${centre.name}`);
    const temperature = calibrators.includes('temperature') && !noValidation;
    centres.push(...(await centreResults(cell, runs, methods, centre, temperature, summaryOptions)));
  }

  tell('risk and coverage');
  const selective = selectiveOf(byMethod, bootstrap, baseline);
  if (config.conformal === false) absent.conformal = 'not asked for';
  else if (reason !== undefined) absent.conformal = reason;
  else tell('conformal sets');
  const conformal =
    config.conformal === false || noValidation
      ? []
      : await conformalOf(methods, { ...config.conformal, bootstrap, baseline });

  if (config.embeddings === false) absent.embeddings = 'not asked for';
  const embeddings =
    config.embeddings === false
      ? null
      : await embeddingsOf(featureRuns(cell, runs, config.embeddings.images), {
          ...config.embeddings,
          bootstrap: (rows) => {
            const { groups } = knownOf(sampledSubset(subset, config.embeddings as { images: number }), rows);
            const { groups: ___, ...rest } = bootstrap;
            return groups === undefined ? rest : { ...rest, groups };
          },
          baseline,
          onMessage: tell,
        });

  if (config.certificates === false) absent.certificates = 'not asked for';
  const certificates =
    config.certificates === false
      ? null
      : await certificatesOf(runs, subset, {
          ...config.certificates,
          replicates: config.replicates,
          baseline,
          signal: options.signal,
          onMessage: tell,
        });

  if (subset.posterior === undefined) absent.truth = `nobody knows the true posterior of ${set.id}`;
  return {
    set: set.id,
    network: cell.network,
    comparison,
    calibration,
    strata,
    centres,
    selective,
    conformal,
    embeddings,
    certificates,
    absent,
  };
}

function methodRuns(cell: PlannedCell, runs: readonly PlannedRun[]): MethodRuns[] {
  const judged = cell.dataset.splits[cell.split]!;
  const { calibration } = cell.set;
  return methodsOf(runs).map((method) => ({
    method,
    seeds: runs
      .filter((run) => run.method === method)
      .map((run) => ({
        seed: run.seed,
        judged: () => outputsOf(run, judged, `predictions-${cell.split}`),
        validation: () => outputsOf(run, calibration!, 'predictions-val'),
      })),
  }));
}

function methodsOf(runs: readonly PlannedRun[]): string[] {
  return [...new Set(runs.map(({ method }) => method))];
}

function strataNames(cell: PlannedCell): Readonly<Record<string, readonly string[]>> {
  return cell.dataset.strata ?? {};
}

async function centreResults(
  cell: PlannedCell,
  runs: readonly PlannedRun[],
  methods: readonly MethodRuns[],
  centre: OpenedCentre,
  temperature: boolean,
  options: SummaryOptions,
): Promise<CentreResults[]> {
  const { name, kind, subset } = centre;
  const home = cell.dataset.splits[cell.split]!;
  const file = `predictions-centre-${name.replace(/[^\w.-]+/g, '_')}`;
  const { posterior: _, groups: __, intervals: ___, ...rest } = options;
  const results: CentreResults[] = [];
  for (const calibrator of temperature ? ['none', 'temperature'] : ['none']) {
    const sides: [Map<string, Predictions[]>, Map<string, Predictions[]>] = [new Map(), new Map()];
    let rows: readonly [Int32Array, Int32Array] | undefined;
    let labels: Int32Array = new Int32Array(0);
    for (const { method, seeds } of methods) {
      const own: [Predictions[], Predictions[]] = [[], []];
      for (const one of seeds) {
        const run = runs.find((other) => other.method === method && other.seed === one.seed)!;
        const outputs = [await one.judged(), await outputsOf(run, subset, file)] as const;
        rows ??= [outputs[0].indices, outputs[1].indices];
        labels = outputs[1].labels;
        const shown = calibrator === 'none' ? asGiven : await scaled(one.validation);
        outputs.forEach((output, side) => {
          own[side]!.push(shown(output));
        });
      }
      sides.forEach((side, i) => {
        side.set(method, own[i]!);
      });
    }
    const outputs = (side: 0 | 1, of: Subset): CentreOutputs => ({
      methods: sides[side],
      groups: knownOf(of, rows![side]).groups as Int32Array | undefined,
    });
    const there = new Set(labels);
    results.push({
      centre: name,
      kind,
      samples: labels.length,
      absentClasses: subset.classes.filter((_name, k) => !there.has(k)),
      calibrator,
      methods: centreDrops(outputs(0, home), outputs(1, subset), rest),
    });
  }
  return results;
}

function asGiven({ probabilities, labels, classes }: RunOutput): Predictions {
  return { probabilities, labels, classes };
}

/** With a temperature of the validation outputs. */
async function scaled(validation: () => Promise<RunOutput>): Promise<(output: RunOutput) => Predictions> {
  const { logits, labels, classes } = await validation();
  const fitted = fitCalibrator('temperature', logits, labels, classes);
  return (output) => predictions(fitted.apply(output.logits), output.labels, { classes });
}

function featureRuns(cell: PlannedCell, runs: readonly PlannedRun[], images: number) {
  const subset = sampledSubset(cell.dataset.splits[cell.split]!, { images });
  return methodsOf(runs).map((method) => ({
    method,
    runs: runs
      .filter((run) => run.method === method)
      .map((run) => ({
        seed: run.seed,
        output: () => outputsOf(run, subset, 'features', { features: true }),
      })),
  }));
}

/** At most so many images of a subset, every class with its share. */
function sampledSubset(subset: Subset, { images }: { readonly images: number }): Subset {
  if (subset.length <= images) return subset;
  const chosen = Uint32Array.from(sampleFor(subset.labels, images));
  return {
    ...subset,
    ...pickSamples(subset, chosen),
    length: chosen.length,
    nameOf: (i) => subset.nameOf(chosen[i]!),
  };
}
