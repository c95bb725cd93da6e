/**
 * Images per second of the loader: `node bench/loader.ts`. PNG at 224×224 decoded from files by 0, 1 and 2 workers,
 * and 64×64 from memory as IDX files and phantoms are held, with crop and flip. Prints one JSON object a line.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BatchLoader, openDataset, phantomDataset, type Subset, writePhantom } from '../src/data/index.ts';

const SECONDS = 3;

async function measure(what: string, subset: Subset, workers: number): Promise<void> {
  const augment = { pad: 4, flip: true };
  await using loader = new BatchLoader(subset, {
    batchSize: 64,
    shuffle: true,
    dropLast: true,
    workers,
    augment,
  });
  for await (const batch of loader.epoch(0)) batch.release(); // Starts the workers, fills the file cache.
  let images = 0;
  let seconds = 0;
  const start = performance.now();
  for (let epoch = 1; seconds < SECONDS; epoch++) {
    for await (const batch of loader.epoch(epoch)) {
      images += batch.labels.length;
      batch.release();
    }
    seconds = (performance.now() - start) / 1000;
  }
  console.log(
    JSON.stringify({ bench: 'loader', what, workers, images_per_second: Math.round(images / seconds) }),
  );
}

const folder = mkdtempSync(join(tmpdir(), 'penumbra-bench-'));
try {
  await writePhantom(folder, { format: 'png', images: 600, size: 224 });
  const files = openDataset(folder).splits.train!;
  for (const workers of [0, 1, 2]) await measure('PNG 224×224 from files', files, workers);
} finally {
  rmSync(folder, { recursive: true });
}

const start = performance.now();
const phantoms = phantomDataset({ images: 10_000, size: 64 });
const seconds = Number(((performance.now() - start) / 1000).toFixed(2));
console.log(JSON.stringify({ bench: 'phantom', what: '10,000 images of 64×64', seconds }));
for (const workers of [0, 1, 2]) await measure('64×64 grey from memory', phantoms.splits.train!, workers);
