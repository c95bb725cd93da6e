import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { countFindings, narrowSubset, type Subset, type Targets, thumbnail } from '../data/index.ts';
import { sampleFor } from '../embeddings/index.ts';
import { type Judged, type JudgedRun, type Judgement, judge, partList } from '../judgement/index.ts';
import { chooseMode, RunFolder, writeAtomically } from '../training/index.ts';
import type { PlannedCell, PlannedRun } from './plan.ts';
import { noisyOf, outputsOf, samplesKey, weightsKey } from './run-outputs.ts';
import type { StudySpec } from './study-file.ts';

export interface JudgeCellOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onMessage?: (message: string) => void;
}

/**
 * Judges all runs of a cell on the same images. What was judged before from the same weights, images and settings is read
 * from `judgement.json`.
 * @param runs the cell's finished runs, at least one
 * @throws the signal's reason where it is aborted; what was finished by then is kept
 */
export async function judgeCell(
  study: StudySpec,
  cell: PlannedCell,
  runs: readonly PlannedRun[],
  { signal, onMessage }: JudgeCellOptions,
): Promise<Judgement> {
  const path = join(cell.folder, 'judgement.json');
  const key = judgementKey(study, cell, runs);
  if (existsSync(path)) {
    const known = JSON.parse(readFileSync(path, 'utf8')) as { key: string; judgement: Judgement };
    if (known.key === key) return known.judgement;
  }
  chooseMode(runs[0]!.config); // Pictures depend on the number of threads, and outputs may all be there already.
  for (const run of runs) {
    signal?.throwIfAborted();
    onMessage?.(`${run.method}, seed ${run.seed}`);
    const { judged, validation } = judgedRun(cell, run);
    await judged();
    await validation?.();
  }
  const { bins, replicates } = study.config;
  const judgement = await judge(judgedOf(study, cell, runs), {
    bins,
    replicates,
    parts: study.config,
    signal,
    ...(onMessage && { onMessage }),
  });
  writeAtomically(path, `${JSON.stringify({ key, judgement })}\n`);
  return judgement;
}

/** All that a cell's judgement follows from. */
function judgementKey(study: StudySpec, cell: PlannedCell, runs: readonly PlannedRun[]): string {
  const { bins, replicates } = study.config;
  const { set } = cell;
  const content = {
    version: 3,
    settings: { bins, replicates, pairs: study.pairs },
    parts: partList().map(({ name }) => [name, (study.config as Record<string, unknown>)[name]]),
    baseline: study.baseline,
    judged: [set.split, samplesKey(set.dataset.splits[set.split]!)],
    calibration: set.calibration && samplesKey(set.calibration),
    centres: set.centres.map(({ name, kind, subset }) => [name, kind, samplesKey(subset)]),
    strata: set.dataset.strata,
    frequencies: frequenciesOf(set.dataset.splits.train?.targets),
    runs: runs.map(({ method, label, seed, folder }) => [method, label, seed, weightsKey(folder)]),
  };
  return createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 32);
}

/** A cell as the judgement sees it: outputs, what is known of the images, and a network that can be asked for more. */
function judgedOf(study: StudySpec, cell: PlannedCell, runs: readonly PlannedRun[]): Judged {
  const { set } = cell;
  const { dataset, split, centres } = set;
  const ids = [...new Set(runs.map(({ method }) => method))];
  return {
    kind: dataset.kind,
    names: dataset.classes,
    baseline: study.baseline,
    pairs: study.pairs,
    groups: dataset.splits[split]!.groups,
    strata: dataset.strata,
    frequencies: frequenciesOf(dataset.splits.train?.targets),
    centres: centres.map(({ name, kind, subset }) => ({ name, kind, groups: subset.groups })),
    ...(dataset.splits[split]!.source && {
      pictures: (samples) => picturesOf(dataset.splits[split]!, samples),
    }),
    noValidation: `${set.id} has no validation split beside the judged one: nothing to fit on`,
    methods: ids.map((id) => {
      const own = runs.filter(({ method }) => method === id);
      return { id, label: own[0]!.label, runs: own.map((run) => judgedRun(cell, run)) };
    }),
  };
}

function frequenciesOf(targets: Targets | undefined): number[] | undefined {
  if (targets?.kind !== 'findings') return undefined;
  return countFindings(targets).map(({ known, positive }) => positive / known);
}

function judgedRun({ set }: PlannedCell, { folder, seed }: PlannedRun): JudgedRun {
  const subset = set.dataset.splits[set.split]!;
  const { calibration } = set;
  return {
    name: `seed ${seed}`,
    judged: () => outputsOf(folder, subset, `predictions-${set.split}`),
    validation: calibration && (() => outputsOf(folder, calibration, 'predictions-val')),
    network: {
      centre(name) {
        const centre = set.centres.find((one) => one.name === name)!;
        return outputsOf(folder, centre.subset, `predictions-centre-${name.replace(/[^\w.-]+/g, '_')}`);
      },
      async features(images) {
        const some = sampledSubset(subset, images);
        const { features, targets, indices } = await outputsOf(folder, some.subset, 'features', {
          features: true,
        });
        return {
          features: features!,
          labels: targets.values as Int32Array,
          classes: subset.classes.length,
          rows: indices.map((i) => some.rows?.[i] ?? i),
        };
      },
      noisy: (request) => noisyOf(folder, subset, request),
    },
    epochs: () => new RunFolder(folder).metrics(),
  };
}

/** Small pictures of a subset's samples, inside the page. */
async function picturesOf(subset: Subset, samples: readonly number[]) {
  return await Promise.all(
    samples.map(async (sample) => {
      const bytes = await thumbnail(subset, sample);
      return bytes && `data:image/jpeg;base64,${Buffer.from(bytes).toString('base64')}`;
    }),
  );
}

/** At most so many images of a subset, every class with its share. */
function sampledSubset(subset: Subset, images: number): { subset: Subset; rows?: Uint32Array } {
  if (subset.length <= images) return { subset };
  const rows = Uint32Array.from(sampleFor(subset.labels, images));
  return { subset: narrowSubset(subset, rows), rows };
}
