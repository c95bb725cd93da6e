/** Trained runs asked why: maps of images, side by side, scored where it is known what is there. */
import {
  BatchLoader,
  type BrokenFile,
  type Masks,
  narrowSubset,
  type Subset,
  type Targets,
} from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import {
  agreementOf,
  type ExplainMethod,
  explainMethod,
  explainSubset,
  type Grid,
  joinMaps,
  layerOf,
  type MapAgreement,
  type Scores,
  type Shown,
  SIDE,
  type SubsetMaps,
  scoreColumns,
} from '../explain/index.ts';
import { nearest } from '../nearest.ts';
import { taskOf } from '../tasks/index.ts';
import { fromTypedArray, tidy } from '../torch/index.ts';
import { type LoadedRun, loadRun, runLoaderOptions } from '../training/index.ts';

/** Images to be explained, of one place. */
export interface ExplainedPart {
  readonly subset: Subset;
  /** The patient of image i; null where it is not known. */
  readonly groupOf?: ((i: number) => string | number | null) | undefined;
  /** Whether the subset's targets are true, and not only there to fill it. */
  readonly known: boolean;
}

export interface ExplainOptions {
  readonly runs: readonly { readonly name: string; readonly folder: string }[];
  /** Names of methods. */
  readonly methods: readonly string[];
  /**
   * A finding or class; `all`; or `predicted`, the likeliest of each image by the first run. Default: with masks all that an
   * image has masks of, else `predicted`.
   */
  readonly finding?: string | undefined;
  readonly masks?: Masks | undefined;
  readonly layer?: string | undefined;
  /** Images that are explained at most, spread evenly. */
  readonly limit: number;
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onNotice?: ((text: string) => void) | undefined;
  readonly onProgress?: ((done: number, total: number, what: string) => void) | undefined;
}

/** One map, in every column. */
interface Case {
  /** The image, among those that are explained, and which of its outputs. */
  readonly image: number;
  readonly place: number;
  readonly output: number;
}

interface Column {
  readonly name: string;
  readonly run: LoadedRun;
  readonly method: ExplainMethod;
  readonly layer: string;
}

export interface Explained {
  readonly data: string;
  readonly classes: readonly string[];
  readonly columns: readonly {
    readonly name: string;
    readonly run: string;
    readonly method: string;
    readonly layer: string;
  }[];
  readonly images: readonly string[];
  readonly cases: readonly ExplainedCase[];
  readonly scores?: { readonly all: Scores; readonly byOutput: ReadonlyMap<string, Scores> };
  readonly notes: readonly string[];
  readonly broken: readonly BrokenFile[];
  /** What the first run is shown of cases, with their masks, by case. */
  readonly shown: (cases: readonly number[]) => Promise<ReadonlyMap<number, Shown>>;
}

export interface ExplainedCase {
  readonly image: string;
  readonly output: string;
  readonly truth: string | undefined;
  /** By column. */
  readonly maps: readonly Grid[];
  readonly probabilities: readonly number[];
  readonly agreements: readonly MapAgreement[] | undefined;
}

/**
 * Explains images by several runs and methods.
 * @throws `explain/nothing` where no image is left, `explain/finding`, `explain/members`, and what `loadRun` and methods raise
 */
export async function explainRuns(
  data: string,
  parts: readonly ExplainedPart[],
  options: ExplainOptions,
): Promise<Explained> {
  const runs: LoadedRun[] = [];
  try {
    for (const { folder } of options.runs) {
      runs.push(loadRun(folder, { threads: options.threads }));
      checkAlike(runs);
    }
    return await explained(data, parts, runs, options);
  } finally {
    for (const run of runs) run[Symbol.dispose]();
  }
}

async function explained(
  data: string,
  parts: readonly ExplainedPart[],
  runs: readonly LoadedRun[],
  options: ExplainOptions,
): Promise<Explained> {
  const { masks, finding, limit, onNotice } = options;
  const { classes } = runs[0]!.description.data;
  const { kind } = runs[0]!;
  const columns = columnsOf(runs, options);
  const notes: string[] = [];
  const note = (text: string) => {
    notes.push(text);
    onNotice?.(text);
  };
  const chosen = chosenOutput(finding, classes);
  // With masks, what an image is asked about is what it has masks of.
  const outputsIn = (name: string): number[] | undefined => {
    if (masks === undefined)
      return chosen === 'all' ? classes.map((_, k) => k) : chosen === 'predicted' ? undefined : [chosen];
    const there = masks
      .findingsOf(name)
      .map((one) => classes.indexOf(one))
      .filter((k) => k >= 0);
    return typeof chosen === 'number' ? there.filter((k) => k === chosen) : there;
  };
  const all = parts.flatMap(({ subset }, part) =>
    Array.from({ length: subset.length }, (_, i) => ({ part, i, name: subset.nameOf(i) })),
  );
  const asked = all
    .map((one) => ({ ...one, outputs: outputsIn(one.name) }))
    .filter(({ outputs }) => outputs === undefined || outputs.length > 0);
  const items = evenly(asked, limit);
  if (items.length === 0) {
    throw new PenumbraError(
      'explain/nothing',
      masks === undefined
        ? `${data} has no images`
        : `no mask is of an image of ${data} and a ${kind === 'findings' ? 'finding' : 'class'} of the run${typeof chosen === 'number' ? `, ${classes[chosen]}` : ''}`,
      {
        hint:
          masks === undefined
            ? 'name a folder or files of images'
            : 'masks name images by their path, or by a file name that is there once',
      },
    );
  }
  const results: SubsetMaps[] = [];
  const broken = new Map<string, BrokenFile>();
  let outputsOfItem = items.map(({ outputs }) => outputs);
  const most = () => Math.max(1, ...outputsOfItem.map((outputs) => outputs?.length ?? 1));
  for (const { run, method, layer, name } of columns) {
    const width = most();
    const padded = outputsOfItem.map(
      (outputs) => outputs && Array.from({ length: width }, (_, m) => outputs[m] ?? outputs[0]!),
    );
    const own: SubsetMaps[] = [];
    let before = 0;
    for (const [p, { subset }] of parts.entries()) {
      const places = items.flatMap(({ part }, at) => (part === p ? [at] : []));
      if (places.length === 0) continue;
      const some = narrowSubset(
        subset,
        Uint32Array.from(places, (at) => items[at]!.i),
      );
      await using loader = new BatchLoader(some, {
        ...runLoaderOptions(run.description, BATCH),
        ...(options.signal && { signal: options.signal }),
      });
      const maps = await explainSubset(run.model, loader, method, {
        outputsOf: padded[places[0]!] === undefined ? undefined : (sample) => padded[places[sample]!]!,
        layer: method.name === 'grad-cam' ? layer : undefined,
        device: run.mode.device,
        signal: options.signal,
        onProgress: (done) => options.onProgress?.(before + done, items.length, name),
      });
      before += places.length;
      for (const file of loader.broken) broken.set(file.file, file);
      own.push({ ...maps, indices: maps.indices.map((sample) => places[sample]!) });
    }
    const together = joinMaps(own);
    // Other columns explain what the first run finds likeliest.
    if (outputsOfItem.some((outputs) => outputs === undefined)) {
      const found = new Map(Array.from(together.indices, (at, row) => [at, together.outputs[row]!]));
      outputsOfItem = items.map((_, at) => [found.get(at) ?? 0]);
    }
    if (together.height * together.width < LEAST_PLACES)
      note(
        `Maps of ${name} are ${together.height}×${together.width}: too coarse for small findings; --layer names an earlier layer.`,
      );
    results.push(together);
  }
  const rows = results.map(({ indices }) => new Map(Array.from(indices, (at, row) => [at, row])));
  const cases: Case[] = items.flatMap((_, image) =>
    rows.every((row) => row.has(image))
      ? outputsOfItem[image]!.map((output, place) => ({ image, place, output }))
      : [],
  );
  const task = taskOf(kind);
  const probabilities = results.map(({ logits }) =>
    tidy(
      () =>
        task
          .probabilities(fromTypedArray(logits, { shape: [logits.length / classes.length, classes.length] }))
          .toTypedArray() as Float32Array,
    ),
  );
  const shownCases = cases.map(({ image, place, output }): ExplainedCase => {
    const { name, part, i } = items[image]!;
    const maps = results.map(({ maps: values, height, width, outputsEach }, c): Grid => {
      const at = (rows[c]!.get(image)! * outputsEach + place) * height * width;
      return { height, width, values: values.subarray(at, at + height * width) };
    });
    const mask = masks?.get(name, classes[output]!);
    return {
      image: name,
      output: classes[output]!,
      truth: parts[part]!.known ? truthOf(parts[part]!.subset.targets, i, output) : undefined,
      maps,
      probabilities: results.map(
        (_, c) => probabilities[c]![rows[c]!.get(image)! * classes.length + output]!,
      ),
      agreements: mask && maps.map((map) => agreementOf(map, mask)),
    };
  });
  columns.forEach(({ name }, c) => {
    const empty = shownCases.filter(({ maps }) => !maps[c]!.values.some((value) => value > 0)).length;
    if (empty > 0)
      note(
        `${empty} of ${cases.length} maps of ${name} are empty: nothing in those images speaks for what was asked.`,
      );
  });
  const units = unitsOf(
    cases.map(({ image }) => {
      const { part, i } = items[image]!;
      return parts[part]!.groupOf?.(i) ?? `image ${image}`;
    }),
  );
  if (columns.some(({ method, run }) => method.name === 'rollout' && !run.description.config.findingTokens))
    note(
      'Attention rollout of a network with one class token is the same map for every output: where it looked, not what for.',
    );
  return {
    data,
    classes,
    columns: columns.map(({ name, run, method, layer }) => ({
      name,
      run: run.folder,
      method: method.name,
      layer,
    })),
    images: items.map(({ name }) => name),
    cases: shownCases,
    ...(masks && { scores: scoresOf(shownCases, units) }),
    notes,
    broken: [...broken.values()],
    shown: async (wanted) => {
      const pictures = await picturesOf(
        wanted.map((at) => items[cases[at]!.image]!),
        parts,
        runs[0]!,
      );
      return new Map(
        wanted.flatMap((at) => {
          const { image, output } = cases[at]!;
          const picture = pictures.get(items[image]!);
          const mask = masks?.get(items[image]!.name, classes[output]!);
          return picture === undefined ? [] : [[at, { picture, ...(mask && { mask }) }] as const];
        }),
      );
    },
  };
}

/** Images at once: the features of a ResNet-50 at 224 px of so many are 150 MB. */
const BATCH = 16;
/** A map of fewer places cannot tell where a small finding is. */
const LEAST_PLACES = 16;

/** Runs × methods, but for those that cannot be. */
function columnsOf(runs: readonly LoadedRun[], options: ExplainOptions): Column[] {
  const { methods, layer, onNotice } = options;
  const columns: Column[] = [];
  for (const name of methods) {
    const method = explainMethod(name);
    const able = runs.filter(({ model }) => method.serves(model));
    if (able.length === 0) {
      throw new PenumbraError('explain/method', `${method.label} can explain none of the runs`, {
        hint: 'attention rollout is for vision transformers; grad-cam explains every network',
      });
    }
    runs.forEach((run, r) => {
      const of = options.runs[r]!.name;
      if (!able.includes(run)) {
        onNotice?.(`${method.label} cannot explain ${of}: left out.`);
        return;
      }
      const both = runs.length > 1 && methods.length > 1;
      columns.push({
        name: both ? `${of}, ${method.label}` : runs.length > 1 ? of : method.label,
        run,
        method,
        layer: method.name === 'grad-cam' ? layerOf(run.model, layer) : 'attention of every block',
      });
    });
  }
  // Methods of one run stand together.
  return runs.flatMap((run) => columns.filter((column) => column.run === run));
}

/** @throws `explain/finding` */
function chosenOutput(finding: string | undefined, classes: readonly string[]): number | 'all' | 'predicted' {
  if (finding === undefined || finding === 'predicted') return 'predicted';
  if (finding === 'all') return 'all';
  const column = classes.indexOf(finding);
  if (column >= 0) return column;
  throw new PenumbraError('explain/finding', `the runs know no '${finding}'`, {
    hint: `did you mean '${nearest(finding, classes)}'? all and predicted are possible too`,
  });
}

/** @throws `explain/members` where the last run knows other classes than the first */
function checkAlike(runs: readonly LoadedRun[]): void {
  const [first, last] = [runs[0]!, runs.at(-1)!];
  const names = ({ description }: LoadedRun) => description.data.classes.join('\0');
  if (first.kind === last.kind && names(first) === names(last)) return;
  throw new PenumbraError('explain/members', `${last.folder} knows other classes than ${first.folder}`, {
    hint: 'maps that stand side by side are of the same findings',
  });
}

/** At most so many, spread evenly. */
export function evenly<T>(list: readonly T[], most: number): T[] {
  if (list.length <= most) return [...list];
  return Array.from({ length: most }, (_, i) => list[Math.floor((i * list.length) / most)]!);
}

/** A number for each patient. */
function unitsOf(names: readonly (string | number)[]): Int32Array {
  const numbers = new Map<string | number, number>();
  for (const name of names) if (!numbers.has(name)) numbers.set(name, numbers.size);
  return Int32Array.from(names, (name) => numbers.get(name)!);
}

function truthOf(targets: Targets, i: number, output: number): string | undefined {
  if (targets.kind === 'one-of-k') return `truth: ${targets.names[targets.values[i]!]}`;
  const at = i * targets.names.length + output;
  if (targets.mask !== undefined && targets.mask[at] !== 1) return 'truth: unknown';
  const y = targets.values[at]!;
  return `truth: ${y === 1 ? 'present' : y === 0 ? 'absent' : `p ${y.toFixed(2)}`}`;
}

function scoresOf(cases: readonly ExplainedCase[], units: Int32Array): NonNullable<Explained['scores']> {
  const of = (rows: readonly number[]) =>
    scoreColumns(
      cases[0]!.maps.map((_, c) => rows.map((row) => cases[row]!.agreements![c]!)),
      rows.map((row) => units[row]!),
    );
  const every = cases.map((_, row) => row);
  const outputs = [...new Set(cases.map(({ output }) => output))];
  return {
    all: of(every),
    byOutput: new Map(
      outputs.map((output) => [output, of(every.filter((row) => cases[row]!.output === output))]),
    ),
  };
}

interface Item {
  readonly part: number;
  readonly i: number;
}

/** Images as a run is shown them, as SIDE×SIDE×3 bytes. */
async function picturesOf<T extends Item>(
  items: readonly T[],
  parts: readonly ExplainedPart[],
  { description }: LoadedRun,
): Promise<ReadonlyMap<T, Uint8Array>> {
  const pictures = new Map<T, Uint8Array>();
  for (const [p, { subset }] of parts.entries()) {
    const own = [...new Set(items)].filter(({ part }) => part === p);
    if (own.length === 0) continue;
    const some = narrowSubset(
      subset,
      Uint32Array.from(own, ({ i }) => i),
    );
    const shown = {
      ...runLoaderOptions(description, BATCH),
      size: SIDE,
      normalization: 'symmetric',
      layout: 'NHWC',
    } as const;
    await using loader = new BatchLoader(some, shown);
    for await (const batch of loader.epoch(0)) {
      const { values, shape } = batch.inputs.images!;
      const channels = shape[3]!;
      const each = SIDE * SIDE * channels;
      batch.indices.forEach((sample, row) => {
        const picture = new Uint8Array(SIDE * SIDE * 3);
        for (let at = 0; at < picture.length; at++) {
          const value = values[row * each + (channels === 3 ? at : Math.floor(at / 3))]!;
          picture[at] = Math.round(127.5 * (Math.min(1, Math.max(-1, value)) + 1));
        }
        pictures.set(own[sample]!, picture);
      });
      batch.release();
    }
  }
  return pictures;
}
