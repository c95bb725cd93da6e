import { type ConformalMethod, defaultConformalMethods, fitConformal } from '../calibration/index.ts';
import { type BootstrapOptions, meanMeasure } from '../metrics/index.ts';
import type { MethodRuns } from './calibrated.ts';
import { jointly, type RunMeasures } from './jointly.ts';
import { CONFORMAL_FIGURES, type ConformalFigureName, type ConformalResults } from './study-result.ts';

/**
 * Conformal sets of every method, each run's calibrated on its own validation outputs and measured on its judged ones.
 * Probabilities are as the networks give them: a calibrator that was fitted on the same images would spoil the coverage.
 */
export async function conformalOf(
  methods: readonly MethodRuns[],
  options: {
    readonly methods?: readonly string[] | undefined;
    readonly alpha: number;
    readonly bootstrap: BootstrapOptions;
    readonly baseline: string;
  },
): Promise<ConformalResults[]> {
  const { alpha } = options;
  const kinds = (options.methods ?? defaultConformalMethods) as readonly ConformalMethod[];
  const measured = kinds.map(() => new Map<string, RunMeasures<ConformalFigureName>[]>());
  const worst = kinds.map(() => new Map<string, (number | null)[]>());
  const warnings = kinds.map(() => new Map<string, Set<string>>());
  let samples = 0;
  let calibrationSamples = 0;
  for (const { method, seeds } of methods) {
    for (const { judged, validation } of seeds) {
      const fitOn = await validation();
      const { probabilities, labels, classes } = await judged();
      samples = labels.length;
      calibrationSamples = fitOn.labels.length;
      for (const [k, kind] of kinds.entries()) {
        const predictor = fitConformal(kind, fitOn, { alpha });
        const { offsets, members } = predictor.predict(probabilities);
        const sizes = Int32Array.from(labels, (_, i) => offsets[i + 1]! - offsets[i]!);
        const covered = Uint8Array.from(labels, (label, i) =>
          members.subarray(offsets[i]!, offsets[i + 1]!).includes(label) ? 1 : 0,
        );
        append(measured[k]!, method, {
          coverage: meanMeasure(covered),
          size: meanMeasure(sizes),
          empty: meanMeasure(sizes.map((size) => (size === 0 ? 1 : 0))),
        });
        append(worst[k]!, method, worstCoverage(covered, labels, classes));
        const own = warnings[k]!.get(method) ?? new Set();
        for (const warning of predictor.warnings) own.add(warning);
        warnings[k]!.set(method, own);
      }
    }
  }
  return kinds.map((kind, k) => ({
    kind,
    alpha,
    calibrationSamples,
    methods: jointly(measured[k]!, CONFORMAL_FIGURES, samples, options.bootstrap, options.baseline).map(
      (result) => ({
        ...result,
        worstClass: mean(worst[k]!.get(result.method)!),
        warnings: [...warnings[k]!.get(result.method)!],
      }),
    ),
  }));
}

/** The least share of a class's samples whose set holds it. */
function worstCoverage(covered: Uint8Array, labels: Int32Array, classes: number): number | null {
  const support = new Int32Array(classes);
  const hits = new Int32Array(classes);
  labels.forEach((label, i) => {
    support[label]!++;
    hits[label]! += covered[i]!;
  });
  const shares = Array.from(hits, (count, k) => count / support[k]!).filter((share) => !Number.isNaN(share));
  return shares.length === 0 ? null : Math.min(...shares);
}

function mean(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((a, b) => a + b, 0) / known.length;
}

function append<T>(map: Map<string, T[]>, key: string, value: T): void {
  const own = map.get(key);
  if (own === undefined) map.set(key, [value]);
  else own.push(value);
}
