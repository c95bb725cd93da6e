/**
 * `node bench/loader.ts`: the time and memory to list RadImageNet's 1.35 million files and MIMIC-CXR-JPG's 377,110 with
 * the labels of their studies, held against what is on disk, and images per second of the loader: PNG and JPEG at 224×224, grey, decoded
 * from files by 0, 1 and 2 workers, and 64×64 from memory as IDX files and phantoms are held, with crop and flip. Prints one JSON object a line.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import {
  BatchLoader,
  CHEXPERT_FINDINGS,
  openDataset,
  phantomDataset,
  RADIMAGENET_CLASSES,
  type Subset,
  writePhantom,
} from '../src/data/index.ts';
import { Random } from '../src/random.ts';

const SECONDS = 3;

/** As many as RadImageNet has. */
const FILES = 1_354_886;

/** Empty files in RadImageNet's layout, long-tailed, and its three tables in an order that jumps between folders. */
function writeFiles(folder: string): void {
  const weights = RADIMAGENET_CLASSES.map((_, k) => 1 / (k + 3));
  const total = weights.reduce((sum, weight) => sum + weight);
  const queues = RADIMAGENET_CLASSES.map((name, k) => {
    const [modality, anatomy, ...words] = name.split('_');
    const finding = words.join('_');
    const place = `radiology_ai/${modality}/${modality === 'US' ? '' : `${anatomy}/`}${finding}`;
    mkdirSync(join(folder, place), { recursive: true });
    const count = Math.round((FILES * weights[k]) / total);
    return { file: `${place}/${anatomy}`, label: `${anatomy}-${finding}`, left: count };
  });
  const tables = ['train', 'train', 'train', 'val', 'test'].map((split) =>
    openSync(join(folder, `RadiologyAI_${split}.csv`), 'a'),
  );
  for (const table of new Set([tables[0], tables[3], tables[4]])) writeSync(table, 'filename,label\n');
  for (let id = 0, queued = queues; queued.length > 0; queued = queued.filter(({ left }) => left > 0)) {
    const lines = tables.map(() => '');
    for (const queue of queued) {
      const file = `${queue.file}${String(id).padStart(7, '0')}.png`;
      closeSync(openSync(join(folder, file), 'w'));
      lines[queue.left-- % lines.length] += `${file},${queue.label}\n`;
      id++;
    }
    lines.forEach((text, table) => {
      if (text !== '') writeSync(tables[table], text);
    });
  }
  for (const table of tables) closeSync(table);
}

/** Images and studies of MIMIC-CXR-JPG. */
const IMAGES = 377_110;

/** Empty files in MIMIC-CXR-JPG's layout, a folder a study, and its tables of labels and splits. */
function writeStudies(folder: string): void {
  const random = new Random(0);
  const cells = ['', '', '', '', '', '', '', '1.0', '1.0', '0.0', '-1.0'];
  let labels = `subject_id,study_id,${CHEXPERT_FINDINGS.join(',')}\n`;
  let splits = 'dicom_id,study_id,subject_id,split\n';
  for (let id = 0, study = 50_000_000, patient = 10_000_000; id < IMAGES; patient += 1 + random.below(130)) {
    const split = patient % 50 === 0 ? 'validate' : patient % 50 < 3 ? 'test' : 'train';
    for (let studies = 1 + random.below(6); studies > 0 && id < IMAGES; studies--) {
      study += 1 + random.below(40);
      const place = join(folder, 'files', `p${String(patient).slice(0, 2)}`, `p${patient}`, `s${study}`);
      mkdirSync(place, { recursive: true });
      labels += `${patient},${study},${CHEXPERT_FINDINGS.map(() => cells[random.below(cells.length)]).join(',')}\n`;
      for (let images = 1 + (random.below(5) >> 1); images > 0 && id < IMAGES; images--, id++) {
        // As long as the published names.
        const name = `${String(id).padStart(8, '0')}-${'0'.repeat(8)}-${'0'.repeat(8)}-${'0'.repeat(8)}-${'0'.repeat(8)}`;
        closeSync(openSync(join(place, `${name}.jpg`), 'w'));
        splits += `${name},${study},${patient},${split}\n`;
      }
    }
  }
  writeFileSync(join(folder, 'mimic-cxr-2.0.0-chexpert.csv'), labels);
  writeFileSync(join(folder, 'mimic-cxr-2.0.0-split.csv'), splits);
}

/** Lists in a process of its own, so that its memory is all that counts. */
if (process.argv[2] === '--list') {
  const start = performance.now();
  const before = process.cpuUsage();
  const { splits, format } = openDataset(process.argv[3]);
  const seconds = Number(((performance.now() - start) / 1000).toFixed(2));
  const { user, system } = process.cpuUsage(before);
  const cpu_seconds = Number(((user + system) / 1e6).toFixed(2));
  const files = Object.values(splits).reduce((sum, { length }) => sum + length, 0);
  const megabytes = Math.round(process.resourceUsage().maxRSS / 1024);
  const what = format === 'radimagenet' ? "RadImageNet's layout" : "MIMIC-CXR-JPG's layout, 14 findings";
  console.log(JSON.stringify({ bench: 'listing', what, files, seconds, cpu_seconds, megabytes }));
  process.exit();
}

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
  const before = process.cpuUsage();
  const start = performance.now();
  for (let epoch = 1; seconds < SECONDS; epoch++) {
    for await (const batch of loader.epoch(epoch)) {
      images += batch.labels.length;
      batch.release();
    }
    seconds = (performance.now() - start) / 1000;
  }
  const { user, system } = process.cpuUsage(before);
  const cpu_milliseconds_per_image = Number(((user + system) / 1000 / images).toFixed(3));
  const images_per_second = Math.round(images / seconds);
  console.log(
    JSON.stringify({ bench: 'loader', what, workers, images_per_second, cpu_milliseconds_per_image }),
  );
}

for (const write of [writeFiles, writeStudies]) {
  const large = mkdtempSync(join(tmpdir(), 'penumbra-bench-'));
  try {
    write(large);
    spawnSync(process.execPath, [import.meta.filename, '--list', large], { stdio: 'inherit' });
  } finally {
    rmSync(large, { recursive: true });
  }
}

const folder = mkdtempSync(join(tmpdir(), 'penumbra-bench-'));
try {
  await writePhantom(folder, { format: 'png', images: 600, size: 224 });
  const files = openDataset(folder).splits.train!;
  for (const workers of [0, 1, 2]) await measure('PNG 224×224 from files', files, workers);
  // The same pictures as JPEG, at the quality of most published radiographs.
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.png'),
  );
  for (const name of names) {
    const path = join(folder, name);
    writeFileSync(
      path.replace(/png$/, 'jpg'),
      await sharp(path).toColourspace('b-w').jpeg({ quality: 95 }).toBuffer(),
    );
    rmSync(path);
  }
  rmSync(join(folder, 'posterior.csv')); // Its rows are called .png.
  const jpeg = openDataset(folder).splits.train!;
  for (const workers of [0, 1, 2]) await measure('JPEG 224×224 from files', jpeg, workers);
} finally {
  rmSync(folder, { recursive: true });
}

const start = performance.now();
const phantoms = phantomDataset({ images: 10_000, size: 64 });
const seconds = Number(((performance.now() - start) / 1000).toFixed(2));
console.log(JSON.stringify({ bench: 'phantom', what: '10,000 images of 64×64', seconds }));
for (const workers of [0, 1, 2]) await measure('64×64 grey from memory', phantoms.splits.train!, workers);
