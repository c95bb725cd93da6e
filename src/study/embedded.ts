import {
  EMBEDDING_FIGURES,
  type EmbeddingFigure,
  measureEmbeddings,
  project,
  sampleFor,
} from '../embeddings/index.ts';
import type { BootstrapOptions } from '../metrics/index.ts';
import type { RunOutput } from './cell.ts';
import { jointly, type RunMeasures } from './jointly.ts';
import { pickRows } from './known.ts';
import type { EmbeddingResults } from './study-result.ts';

/** A method's runs with features of the same images. */
export interface EmbeddedMethod {
  readonly method: string;
  readonly runs: readonly { readonly seed: number; readonly output: () => Promise<RunOutput> }[];
}

/**
 * Measures of every run's features, and pictures of those of each method's first seed: the same images for all methods.
 * @param sample images of the pictures
 * @param k neighbours of the vote; fewer where there are not so many images
 */
export async function embeddingsOf(
  methods: readonly EmbeddedMethod[],
  options: {
    readonly sample: number;
    readonly k: number;
    readonly pictures: EmbeddingResults['pictures'][number]['projection'][];
    readonly bootstrap: (indices: Int32Array) => BootstrapOptions;
    readonly baseline: string;
    readonly onMessage?: (message: string) => void;
  },
): Promise<EmbeddingResults> {
  const { sample, pictures, onMessage = () => {} } = options;
  const first = await methods[0]!.runs[0]!.output();
  const n = first.labels.length;
  const k = Math.min(options.k, n - 1);
  const measured = new Map<string, RunMeasures<EmbeddingFigure>[]>();
  const points = pictures.map(() => new Map<string, number[]>());
  const rows = sampleFor(first.labels, sample);
  for (const { method, runs } of methods) {
    const own: RunMeasures<EmbeddingFigure>[] = [];
    for (const [r, { seed, output }] of runs.entries()) {
      const { features, labels, classes } = await output();
      onMessage(`features of ${method}, seed ${seed}`);
      own.push(measureEmbeddings(features!, labels, classes, { k }).measures);
      if (r > 0) continue;
      const width = features!.length / labels.length;
      const shown = pickRows(features!, rows, width);
      for (const [p, projection] of pictures.entries()) {
        onMessage(`${projection} of ${method}, seed ${seed}`);
        const placed = project(shown, rows.length, width, { method: projection });
        points[p]!.set(
          method,
          Array.from(placed, (x) => Number(x.toFixed(3))),
        );
      }
    }
    measured.set(method, own);
  }
  return {
    k,
    samples: n,
    methods: jointly(measured, EMBEDDING_FIGURES, n, options.bootstrap(first.indices), options.baseline),
    pictures: pictures.map((projection, p) => ({
      projection,
      seed: methods[0]!.runs[0]!.seed,
      labels: Array.from(rows, (row) => first.labels[row]!),
      methods: methods.map(({ method }) => ({ method, points: points[p]!.get(method)! })),
    })),
  };
}
