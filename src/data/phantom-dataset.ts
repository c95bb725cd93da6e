import { join } from 'node:path';
import sharp from 'sharp';
import { PenumbraError } from '../errors.ts';
import { writeFolder, writeNew } from '../files/index.ts';
import {
  type AtlasOptions,
  DEFAULT_ATLAS_NOISE,
  DEFAULT_READER_NOISE,
  type Drawing,
  drawAtlas,
  drawPhantoms,
  GRADE_THRESHOLDS,
  type PhantomOptions,
} from '../phantom/index.ts';
import { csvLine } from './csv.ts';
import { datasetOf } from './dataset.ts';
import { encodeIdx } from './idx.ts';
import { namesOf, oneOfK } from './part.ts';
import { allRows } from './rows.ts';
import type { Fractions } from './split.ts';
import type { Dataset, Subset } from './types.ts';

/** What was drawn, and what is written beside it. */
interface Drawn extends Drawing {
  /** Names of a patient's two pictures. */
  readonly pictures: readonly [string, string];
  readonly seed: number;
  readonly readerNoise: number;
  /** What else is known of an image: names of columns before and behind the posterior's, and an image's values. */
  readonly before: string;
  readonly behind: readonly string[];
  readonly extra: (row: number) => { before: number; behind: readonly number[] };
  /** What the folder's README says of how they were made. */
  readonly about: string;
}

const kinds = { knee: drawKnees, atlas: drawAtlasPages } as const;

/** What can be drawn as one label of K: knees with grades, or an atlas of 165 classes. */
export type PhantomKind = keyof typeof kinds;
export const PHANTOM_KINDS = Object.keys(kinds) as readonly PhantomKind[];

export interface PhantomDatasetOptions extends PhantomOptions {
  /** Default: knee. An atlas takes the options of `AtlasOptions`. */
  readonly kind?: PhantomKind;
  /** Shares of the images for `val` and `test`; patients are not divided. Default: val 0.1, test 0.2. */
  readonly fractions?: Fractions;
}

/** Virtual radiographs (`drawPhantoms`, `drawAtlas`) as a data set in memory, with patients as groups and the true posterior. */
export function phantomDataset(options: PhantomDatasetOptions = {}): Dataset {
  return divided(drawn(options), options);
}

/**
 * Draws virtual radiographs and writes them into a new or empty folder, as a data set that `openDataset` reads back:
 * `idx`: per split `<split>-images-idx3-ubyte`, `-labels-idx1-ubyte`, `-files.csv` (patients), `-posterior.csv`;
 * `png`: `<split>/<class>/p<patient>_<picture>.png` and one `posterior.csv`. Both with `info.json` and a README.
 *
 * @returns the data set that was written.
 * @throws {PenumbraError} `files/exists` where the folder holds anything.
 */
export async function writePhantom(
  folder: string,
  options: PhantomDatasetOptions & { readonly format?: 'idx' | 'png' } = {},
): Promise<Dataset> {
  const { format = 'idx' } = options;
  const phantoms = drawn(options);
  const dataset = divided(phantoms, options);
  const subsets = Object.values(dataset.splits);
  await writeFolder(folder, { kind: 'phantom', inputs: [] }, async (draft) => {
    if (format === 'idx') for (const subset of subsets) writeIdxSplit(draft, subset, phantoms);
    else await writePngs(draft, subsets, phantoms);
    const counts = Object.fromEntries(subsets.map((subset) => [subset.split, { n: subset.length }]));
    const { classes, size, seed, readerNoise } = phantoms;
    const info = { classes, size, channels: 1, seed, readerNoise, splits: counts };
    writeNew(join(draft, 'info.json'), JSON.stringify(info, undefined, 1) + '\n');
    writeNew(join(draft, 'README.md'), readme(phantoms));
  });
  return dataset;
}

function drawn({ kind = 'knee', ...options }: PhantomDatasetOptions): Drawn {
  return kinds[kind](options);
}

function drawKnees(options: PhantomOptions): Drawn {
  const { readerNoise = DEFAULT_READER_NOISE, seed = 0 } = options;
  const { severities, readings, ...images } = drawPhantoms(options);
  const readers = readings.length / severities.length;
  return {
    ...images,
    pictures: ['R', 'L'],
    seed,
    readerNoise,
    before: 'severity',
    behind: Array.from({ length: readers }, (_, r) => `reader_${r + 1}`),
    extra: (row) => ({
      before: severities[row],
      behind: [...readings.subarray(row * readers, (row + 1) * readers)],
    }),
    about: `Virtual knee radiographs. Severity s in (0, 1) is uniform over images and correlated within a patient (two knees). It narrows the joint
space, grows osteophytes and brightens the bone beside the joint. The label is one virtual reader's grade, an ordinal probit:

    P(grade = k | s) = Φ((t_{k+1} − s) / τ) − Φ((t_k − s) / τ),  t = ${GRADE_THRESHOLDS.join(', ')},  τ = ${readerNoise}

The posterior tables hold s, these true probabilities (columns \`p_<class>\`) and every reader's grade.`,
  };
}

/** With fewer images the rarest of 165 classes would be missing from a split. */
const LEAST_ATLAS = 10_000;

function drawAtlasPages(options: AtlasOptions): Drawn {
  const { readerNoise = DEFAULT_ATLAS_NOISE, seed = 0, images: count } = options;
  if (count !== undefined && count < LEAST_ATLAS) {
    throw new PenumbraError(
      'phantom/option',
      `an atlas needs ${LEAST_ATLAS} images or more, not ${count}: with fewer, rare classes are missing from a split`,
      { where: { argument: 'images' }, hint: 'leave it out for 20000' },
    );
  }
  const { betweens, ...images } = drawAtlas(options);
  return {
    ...images,
    pictures: ['1', '2'],
    seed,
    readerNoise,
    before: 't',
    behind: [],
    extra: (row) => ({ before: betweens[row], behind: [] }),
    about: `An atlas: eleven regions in CT, MR and ultrasound, each normal or with one of seven pairs of pathologies that are nearly alike;
165 classes, long-tailed. A patient has two pictures. A number t in [0, 1] says where between the two of a pair a picture stands, and the
label is one virtual reader's:

    P(second | t) = Φ((t − ½) / τ),  P(first | t) = 1 − P(second | t),  τ = ${readerNoise}

The posterior tables hold t and these probabilities (columns \`p_<class>\`); what of t can be seen in a small picture is less.`,
  };
}

function divided(phantoms: Drawn, options: PhantomDatasetOptions): Dataset {
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

function writeIdxSplit(folder: string, subset: Subset, phantoms: Drawn): void {
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

async function writePngs(folder: string, subsets: readonly Subset[], phantoms: Drawn): Promise<void> {
  const { size, pixels, patients, classes, pictures } = phantoms;
  const area = size * size;
  let truth = csvLine(['file', ...truthHeader(phantoms)]);
  for (const { split, rows, labels } of subsets) {
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i];
      const picture = `p${String(patients[row]).padStart(6, '0')}_${pictures[row % 2]}.png`;
      const file = `${split}/${classes[labels[i]]}/${picture}`;
      // A copy, since sharp does not take shared memory.
      const image = Uint8Array.from(pixels.subarray(row * area, (row + 1) * area));
      const raw = { width: size, height: size, channels: 1 } as const;
      writeNew(join(folder, file), await sharp(image, { raw }).toColourspace('b-w').png().toBuffer());
      truth += csvLine([file, ...truthOf(phantoms, row)]);
    }
  }
  writeNew(join(folder, 'posterior.csv'), truth);
}

function truthHeader({ classes, before, behind }: Drawn): string[] {
  return [before, ...classes.map((name) => `p_${name}`), ...behind];
}

/** Numbers as written read back to the same float32. */
function truthOf({ posterior, classes, extra }: Drawn, row: number): (string | number)[] {
  const k = classes.length;
  const probabilities = Array.from(posterior.subarray(row * k, (row + 1) * k), written);
  const { before, behind } = extra(row);
  return [written(before), ...probabilities, ...behind];
}

function written(value: number): string {
  return value === 0 ? '0' : value.toPrecision(9);
}

function readme({ labels, size, classes, seed, about }: Drawn): string {
  return `# Phantoms
${labels.length} pictures of ${size}×${size} pixels, drawn by Penumbra with seed ${seed}. Nobody's pictures.

${about}
Classes: ${classes.join(', ')}.
`;
}
