import type { Targets } from '../data/index.ts';
import { PenumbraError } from '../errors.ts';
import type { Judged } from './judged.ts';
import { type Absent, type Context, type Part, partList } from './part.ts';

/** What was found of several methods on the same samples. Plain JSON: all that tables, drawings and sentences are made of. */
export interface Judgement {
  readonly kind: Targets['kind'];
  /** K names of classes or findings. */
  readonly names: readonly string[];
  readonly samples: number;
  /** Samples of each class, or known positive ones of each finding. */
  readonly support: readonly number[];
  /** Whether samples were resampled by group (patient). */
  readonly groups: boolean;
  readonly strata: Readonly<Record<string, readonly string[]>>;
  readonly methods: readonly {
    readonly id: string;
    readonly label: string;
    readonly runs: readonly string[];
  }[];
  readonly baseline: string;
  /** How many comparisons a family of tests holds. */
  readonly comparisons: number;
  readonly settings: {
    readonly level: number;
    readonly replicates: number;
    readonly bins: number;
    readonly seed: number;
  };
  /** The result of each part that was measured, by its name. */
  readonly parts: Readonly<Record<string, unknown>>;
  /** Why a part is missing, by its name. */
  readonly absent: Readonly<Record<string, Absent>>;
}

export interface JudgeOptions {
  readonly bins?: number | undefined;
  /** Resamples of intervals and tests. Default 1,000. */
  readonly replicates?: number | undefined;
  readonly seed?: number | undefined;
  /** Coverage of the intervals. Default 0.95. */
  readonly level?: number | undefined;
  /** Measure these parts alone, by name: what a verdict needs is `figures`, `baselines`, `calibration` and `fitted`. */
  readonly only?: readonly string[] | undefined;
  /** Settings of parts, by name; `false` leaves one out. */
  readonly parts?: Readonly<Record<string, unknown>>;
  readonly signal?: AbortSignal | undefined;
  readonly onMessage?: (message: string) => void;
}

/**
 * Judges methods by their outputs on the same samples: every registered part that fits the task.
 * @throws `judgement/methods` where there are none or one is named twice; the signal's reason where it is aborted; what
 *   the outputs raise
 */
export async function judge(judged: Judged, options: JudgeOptions = {}): Promise<Judgement> {
  const { methods, baseline, names, kind } = judged;
  const ids = methods.map(({ id }) => id);
  const twice = ids.find((id, i) => ids.indexOf(id) !== i);
  if (ids.length === 0 || twice !== undefined || methods.some(({ runs }) => runs.length === 0)) {
    throw new PenumbraError(
      'judgement/methods',
      twice === undefined ? 'there is nothing to judge' : `method '${twice}' is there twice`,
    );
  }
  const { bins = 15, replicates = 1000, seed = 0, level = 0.95, signal } = options;
  const settings = { level, replicates, bins, seed };
  const { targets, indices, probabilities } = await methods[0]!.runs[0]!.judged();
  const samples = probabilities.length / names.length;
  const groups =
    judged.groups && Int32Array.from({ length: samples }, (_, i) => judged.groups![indices?.[i] ?? i]!);
  const parts: Record<string, unknown> = {};
  const absent: Record<string, Absent> = {};
  const tell = (message: string) => {
    signal?.throwIfAborted();
    options.onMessage?.(message);
  };
  const context: Context = {
    judged,
    settings: undefined,
    options: { ...settings, ...(groups && { groups }) },
    indices,
    signal,
    tell,
    of: (part) => parts[typeof part === 'string' ? part : part.name],
  };
  for (const part of partList()) {
    const found: unknown =
      options.only?.includes(part.name) === false
        ? { absent: 'not asked for', quiet: true }
        : await measurePart(part, context, options.parts?.[part.name]);
    if (isAbsent(found)) absent[part.name] = found;
    else parts[part.name] = found;
  }
  const others = ids.length - 1;
  return {
    kind,
    names,
    samples,
    support: supportOf(targets),
    groups: groups !== undefined,
    strata: judged.strata ?? {},
    methods: methods.map(({ id, label, runs }) => ({ id, label, runs: runs.map(({ name }) => name) })),
    baseline: ids.includes(baseline) ? baseline : ids[0]!,
    comparisons: judged.pairs === 'all' ? (ids.length * others) / 2 : others,
    settings,
    parts,
    absent,
  };
}

async function measurePart(part: Part, context: Context, given: unknown): Promise<unknown> {
  if (!part.kinds.includes(context.judged.kind)) return { absent: 'it is for the other task', quiet: true };
  const settings = part.settings === undefined ? given : part.settings.parse(given);
  if (settings === false) return { absent: 'not asked for', quiet: true };
  return part.measure({ ...context, settings });
}

function isAbsent(found: unknown): found is Absent {
  return typeof found === 'object' && found !== null && 'absent' in found;
}

function supportOf(targets: Targets): number[] {
  const counts = new Array<number>(targets.names.length).fill(0);
  if (targets.kind === 'one-of-k') for (const label of targets.values) counts[label]!++;
  else
    targets.values.forEach((y, at) => {
      if (y > 0.5 && (targets.mask?.[at] ?? 1) === 1) counts[at % counts.length]!++;
    });
  return counts;
}
