import { join } from 'node:path';
import sharp from 'sharp';
import { writeFolder, writeNew } from '../files/index.ts';
import {
  DEFAULT_READER_NOISE,
  drawPhantoms,
  GRADE_THRESHOLDS,
  type PhantomOptions,
  type Phantoms,
} from '../phantom/index.ts';
import { csvLine } from './csv.ts';
import { datasetOf } from './dataset.ts';
import { encodeIdx } from './idx.ts';
import { namesOf, oneOfK } from './part.ts';
import { allRows } from './rows.ts';
import type { Fractions } from './split.ts';
import type { Dataset, Subset } from './types.ts';

export interface PhantomDatasetOptions extends PhantomOptions {
  /** Shares of the images for `val` and `test`; patients are not divided. Default: val 0.1, test 0.2. */
  readonly fractions?: Fractions;
}

/** Virtual radiographs (`drawPhantoms`) as a data set in memory, with patients as groups and the true posterior. */
export function phantomDataset(options: PhantomDatasetOptions = {}): Dataset {
  return divided(drawPhantoms(options), options);
}

/**
 * Draws virtual radiographs and writes them into a new or empty folder, as a data set that `openDataset` reads back:
 * `idx`: per split `<split>-images-idx3-ubyte`, `-labels-idx1-ubyte`, `-files.csv` (patients), `-posterior.csv`;
 * `png`: `<split>/<class>/p<patient>_<R or L>.png` and one `posterior.csv`. Both with `info.json` and a README.
 *
 * @returns the data set that was written.
 * @throws {PenumbraError} `files/exists` where the folder holds anything.
 */
export async function writePhantom(
  folder: string,
  options: PhantomDatasetOptions & { readonly format?: 'idx' | 'png' } = {},
): Promise<Dataset> {
  const { format = 'idx', readerNoise = DEFAULT_READER_NOISE, seed = 0 } = options;
  const phantoms = drawPhantoms(options);
  const dataset = divided(phantoms, options);
  const subsets = Object.values(dataset.splits);
  await writeFolder(folder, { kind: 'phantom', inputs: [] }, async (draft) => {
    if (format === 'idx') for (const subset of subsets) writeIdxSplit(draft, subset, phantoms);
    else await writePngs(draft, subsets, phantoms);
    const counts = Object.fromEntries(subsets.map((subset) => [subset.split, { n: subset.length }]));
    const { classes, size } = phantoms;
    const info = { classes, size, channels: 1, seed, readerNoise, splits: counts };
    writeNew(join(draft, 'info.json'), JSON.stringify(info, undefined, 1) + '\n');
    writeNew(join(draft, 'README.md'), readme(phantoms, seed, readerNoise));
  });
  return dataset;
}

function divided(phantoms: Phantoms, options: PhantomDatasetOptions): Dataset {
  const { classes, pixels, size, labels, posterior, patients } = phantoms;
  const part = {
    split: undefined,
    source: { kind: 'memory', pixels, height: size, width: size, channels: 1 },
    rows: allRows(labels.length),
    targets: oneOfK(classes, labels),
    names: undefined,
    groups: namesOf(Array.from(patients, String)),
    posterior,
  } as const;
  const listing = { format: 'phantom', parts: [part], skipped: [] } as const;
  return datasetOf('phantom', listing, { fractions: options.fractions, seed: options.seed });
}

function writeIdxSplit(folder: string, subset: Subset, phantoms: Phantoms): void {
  const { size, pixels, patients } = phantoms;
  const { split, rows, labels, classes } = subset;
  const area = size * size;
  const images = new Uint8Array(rows.length * area);
  rows.forEach((row, i) => {
    images.set(pixels.subarray(row * area, (row + 1) * area), i * area);
  });
  const name = (what: string) => join(folder, `${split}-${what}`);
  writeNew(name('images-idx3-ubyte'), encodeIdx([rows.length, size, size], images));
  writeNew(name('labels-idx1-ubyte'), encodeIdx([rows.length], Uint8Array.from(labels)));
  let files = csvLine(['index', 'label', 'class', 'patient']);
  let truth = csvLine(['index', ...truthHeader(phantoms)]);
  rows.forEach((row, i) => {
    files += csvLine([i, labels[i], classes[labels[i]], patients[row]]);
    truth += csvLine([i, ...truthOf(phantoms, row)]);
  });
  writeNew(name('files.csv'), files);
  writeNew(name('posterior.csv'), truth);
}

async function writePngs(folder: string, subsets: readonly Subset[], phantoms: Phantoms): Promise<void> {
  const { size, pixels, patients, classes } = phantoms;
  const area = size * size;
  let truth = csvLine(['file', ...truthHeader(phantoms)]);
  for (const { split, rows, labels } of subsets) {
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i];
      const side = row % 2 === 0 ? 'R' : 'L';
      const file = `${split}/${classes[labels[i]]}/p${String(patients[row]).padStart(6, '0')}_${side}.png`;
      // A copy, since sharp does not take shared memory.
      const image = Uint8Array.from(pixels.subarray(row * area, (row + 1) * area));
      const raw = { width: size, height: size, channels: 1 } as const;
      writeNew(join(folder, file), await sharp(image, { raw }).toColourspace('b-w').png().toBuffer());
      truth += csvLine([file, ...truthOf(phantoms, row)]);
    }
  }
  writeNew(join(folder, 'posterior.csv'), truth);
}

function truthHeader({ classes, readings, labels }: Phantoms): string[] {
  const readers = Array.from({ length: readings.length / labels.length }, (_, r) => `reader_${r + 1}`);
  return ['severity', ...classes.map((name) => `p_${name}`), ...readers];
}

/** Numbers as written read back to the same float32. */
function truthOf(
  { severities, posterior, readings, labels, classes }: Phantoms,
  row: number,
): (string | number)[] {
  const k = classes.length;
  const readers = readings.length / labels.length;
  const probabilities = Array.from(posterior.subarray(row * k, (row + 1) * k), (p) => p.toPrecision(9));
  const grades = readings.subarray(row * readers, (row + 1) * readers);
  return [severities[row].toPrecision(9), ...probabilities, ...grades];
}

function readme({ labels, size, classes }: Phantoms, seed: number, readerNoise: number): string {
  return `# Phantoms
${labels.length} virtual knee radiographs of ${size}×${size} pixels, drawn by Penumbra with seed ${seed}. Nobody's pictures.

Severity s in (0, 1) is uniform over images and correlated within a patient (two knees). It narrows the joint space,
grows osteophytes and brightens the bone beside the joint. The label is one virtual reader's grade, an ordinal probit:

    P(grade = k | s) = Φ((t_{k+1} − s) / τ) − Φ((t_k − s) / τ),  t = ${GRADE_THRESHOLDS.join(', ')},  τ = ${readerNoise}

The posterior tables hold s, these true probabilities (columns \`p_<class>\`) and every reader's grade.
Classes: ${classes.join(', ')}.
`;
}
