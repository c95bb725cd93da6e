/**
 * Time of the measures and the pictures of embeddings: `node bench/embeddings.ts [--samples 10000] [--dimensions 2048]`.
 * Prints one JSON object a line. `cpu_seconds` of all threads tells the work where the machine has others.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { measureEmbeddings, project, summarizeEmbeddings } from '../src/embeddings/index.ts';
import { Random } from '../src/random.ts';
import { getThreads } from '../src/torch/index.ts';

const { values } = parseArgs({
  options: {
    samples: { type: 'string', default: '10000' },
    dimensions: { type: 'string', default: '2048' },
    classes: { type: 'string', default: '10' },
  },
  strict: false,
});
const samples = Number(values.samples);
const dimensions = Number(values.dimensions);
const classes = Number(values.classes);

/** As after a ReLU: not negative, clusters of different widths that overlap. */
function draw(): { features: Float32Array; labels: Int32Array } {
  const random = new Random(1);
  const centres = Float32Array.from({ length: classes * dimensions }, () => 0.25 * random.normal());
  const features = new Float32Array(samples * dimensions);
  const labels = new Int32Array(samples);
  for (let i = 0; i < samples; i++) {
    const y = random.below(classes);
    const width = 0.6 + 0.4 * random.uniform();
    labels[i] = y;
    for (let j = 0; j < dimensions; j++)
      features[i * dimensions + j] = Math.max(0, centres[y * dimensions + j]! + width * random.normal());
  }
  return { features, labels };
}

function time<T>(what: string, run: () => T): T {
  const start = performance.now();
  const before = process.cpuUsage();
  const result = run();
  const { user, system } = process.cpuUsage(before);
  console.log(
    JSON.stringify({
      bench: 'embeddings',
      samples,
      dimensions,
      what,
      seconds: Number(((performance.now() - start) / 1000).toFixed(2)),
      cpu_seconds: Number(((user + system) / 1e6).toFixed(2)),
    }),
  );
  return result;
}

const { features, labels } = draw();
console.log(
  JSON.stringify({
    bench: 'embeddings',
    processor: cpus()[0]?.model,
    cores: cpus().length,
    threads: getThreads(),
  }),
);
const measured = time('ratio, silhouette and 20 neighbours, Euclidean', () =>
  measureEmbeddings(features, labels, classes),
);
time('the same with cosine neighbours', () =>
  measureEmbeddings(features, labels, classes, { metric: 'cosine' }),
);
time('1,000 replicates of all three', () => summarizeEmbeddings(measured));
time('t-SNE, from features to places', () => project(features, samples, dimensions, { method: 'tsne' }));
time('UMAP, from features to places', () => project(features, samples, dimensions, { method: 'umap' }));
