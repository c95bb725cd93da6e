import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { certify } from '../calibration/index.ts';
import type { Subset } from '../data/index.ts';
import { meanMeasure } from '../metrics/index.ts';
import { fromTypedArray, readSafetensors, Scope, writeSafetensors } from '../torch/index.ts';
import { noisyConfidences } from '../training/index.ts';
import { type CellRun, samplesKey, weightsKey } from './cell.ts';
import { jointly, type RunMeasures } from './jointly.ts';
import { knownOf } from './known.ts';
import type { CertificateResults } from './study-result.ts';

export interface CertificateOptions {
  /** Images of the subset, spread evenly. */
  readonly images: number;
  /** Noisy copies of each. */
  readonly samples: number;
  readonly sigma: number;
  readonly delta: number;
  readonly radii: readonly number[];
  readonly replicates: number;
  readonly baseline: string;
  readonly signal?: AbortSignal | undefined;
  readonly onMessage?: (message: string) => void;
}

/**
 * Certified confidence of every method by randomized smoothing, means over images: the distribution-function bound
 * (Kumar et al. 2020), which is named before anything is looked at.
 */
export async function certificatesOf(
  runs: readonly CellRun[],
  subset: Subset,
  options: CertificateOptions,
): Promise<CertificateResults> {
  const { samples, sigma, delta, radii, onMessage = () => {} } = options;
  const names = ['confidence', ...radii.map((_, r) => `bound${r}`), ...radii.map((_, r) => `error${r}`)];
  const measured = new Map<string, RunMeasures<string>[]>();
  let indices: Int32Array = new Int32Array(0);
  for (const run of runs) {
    onMessage(`certificates of ${run.method}, seed ${run.seed}`);
    const noisy = await noisyOf(run, subset, options);
    indices = noisy.indices;
    const { bounds, estimate } = certify(noisy.confidences, samples, { sigma, delta, radii });
    const column = (values: Float64Array, r: number) =>
      Float64Array.from(indices, (_, i) => values[i * radii.length + r]!);
    const own: Record<string, ReturnType<typeof meanMeasure>> = {
      confidence: meanMeasure(rowMeans(noisy.confidences, samples)),
    };
    radii.forEach((_, r) => {
      const bound = column(bounds.cdf, r);
      own[`bound${r}`] = meanMeasure(bound);
      own[`error${r}`] = meanMeasure(column(estimate, r).map((value, i) => value - bound[i]!));
    });
    measured.set(run.method, [...(measured.get(run.method) ?? []), own]);
  }
  const { groups } = knownOf(subset, indices);
  const bootstrap = { replicates: options.replicates, ...(groups && { groups }) };
  return {
    images: indices.length,
    samples,
    sigma,
    delta,
    radii,
    methods: jointly(measured, names, indices.length, bootstrap, options.baseline).map(
      ({ method, figures, versus }) => ({
        method,
        confidence: figures.confidence!,
        certified: radii.map((_, r) => figures[`bound${r}`]!),
        versus: versus && radii.map((_, r) => versus[`bound${r}`]!),
        samplingError: radii.map((_, r) => figures[`error${r}`]!.value!),
      }),
    ),
  };
}

/** What a run's network says under noise, from its folder where it was asked before. */
async function noisyOf(
  run: CellRun,
  subset: Subset,
  { images, samples, sigma, signal }: CertificateOptions,
): Promise<{ confidences: Float32Array; indices: Int32Array }> {
  const path = join(run.folder, 'noisy.safetensors');
  const key = {
    samples: samplesKey(subset),
    weights: weightsKey(run.folder),
    noise: JSON.stringify([images, samples, sigma]),
  };
  if (existsSync(path)) {
    using _scope = new Scope();
    const { tensors, metadata } = readSafetensors(path);
    if (Object.entries(key).every(([name, value]) => metadata[name] === value)) {
      return {
        confidences: tensors.get('confidences')!.toTypedArray() as Float32Array,
        indices: tensors.get('indices')!.toTypedArray() as Int32Array,
      };
    }
  }
  const { confidences, indices, chosen } = await noisyConfidences(run.folder, subset, {
    images,
    samples,
    sigma,
    ...(signal && { signal }),
  });
  using _scope = new Scope();
  writeSafetensors(
    path,
    new Map([
      ['confidences', fromTypedArray(confidences, { shape: [indices.length, samples] })],
      ['indices', fromTypedArray(indices)],
      ['chosen', fromTypedArray(chosen)],
    ]),
    key,
  );
  return { confidences, indices };
}

function rowMeans(values: Float32Array, width: number): Float64Array {
  return Float64Array.from({ length: values.length / width }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < width; j++) sum += values[i * width + j]!;
    return sum / width;
  });
}
