import { basename, dirname } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { readZipEntries } from '../zip.ts';
import type { DatasetOptions } from './dataset.ts';
import type { DataFormat } from './format.ts';
import { checkAsked } from './joined-labels.ts';
import { checkPairs, type MemoryPair, numberedClasses } from './memory-parts.ts';
import { type NpyArray, npyBytes, npyIntegers, parseNpy } from './npy.ts';
import { type Listing, oneOfK, type Part, readClassNames } from './part.ts';
import { allRows } from './rows.ts';
import { type Findings, takeFindings } from './targets.ts';
import { SPLIT_NAMES, type SplitName } from './types.ts';

const MEMBER = /^(train|val|test)_(images|labels)\.npy$/;

/** An array may have this many bytes: it is unpacked whole. */
export const LONGEST_ARRAY = 2 ** 32 - 2 ** 16;

/** A file of MedMNIST. */
export const NPZ: DataFormat = {
  name: 'npz',
  what: 'MedMNIST .npz',
  detects: ({ name, isFolder }) => !isFolder && /\.npz$/i.test(name),
  read: (path, options) => readNpz(path, options),
};

/** The findings of ChestMNIST (NIH ChestX-ray14), in the order of its columns. */
const CHEST_MNIST = [
  'atelectasis',
  'cardiomegaly',
  'effusion',
  'infiltration',
  'mass',
  'nodule',
  'pneumonia',
  'pneumothorax',
  'consolidation',
  'edema',
  'emphysema',
  'fibrosis',
  'pleural',
  'hernia',
];

/**
 * Reads a MedMNIST file (Yang et al., Scientific Data 2023;10:41): `.npz` with `train_images`, `train_labels` and the
 * same for `val` and `test`; images N×H×W or N×H×W×3 of uint8, labels N×1 or N of integers, or N×K of 0 and 1: K
 * findings, as ChestMNIST has. Names come from `info.json` beside it, for ChestMNIST from its publication; otherwise they
 * are numbers. All images are held in memory.
 *
 * @throws {PenumbraError} `data/npz` for an archive without such arrays or one that is damaged, `data/npy` for an array
 * of another kind.
 */
function readNpz(path: string, { classes: given, kind }: DatasetOptions): Listing {
  const pairs = readPairs(path);
  const named = given ?? readClassNames(dirname(path));
  const width = pairs[0].labels.length / pairs[0].count;
  const isFindings = width > 1 || kind === 'findings';
  const classes = isFindings ? findingNames(path, width, named) : (named ?? numberedClasses(pairs));
  checkPairs(pairs, isFindings ? ['0', '1'] : classes);
  const wanted = isFindings && given !== undefined ? given.map((name) => classes.indexOf(name)) : undefined;
  const parts = pairs.map(({ split, name, source, labels, count }): Part => {
    if (labels.length !== count * width) {
      throw npzError(path, `${name} has other labels than ${pairs[0].name}`, 'fetch the file again');
    }
    const all: Findings = { kind: 'findings', names: classes, values: Float32Array.from(labels) };
    const findings = wanted === undefined ? all : takeFindings(all, wanted);
    return {
      split,
      source,
      rows: allRows(count),
      targets: isFindings ? findings : oneOfK(classes, labels),
      names: undefined,
      groups: undefined,
      posterior: undefined,
    };
  });
  return { format: 'npz', parts, skipped: [] };
}

/** The names of all the K findings of a file. */
function findingNames(path: string, k: number, named: readonly string[] | undefined): readonly string[] {
  const isChest = /^chestmnist/i.test(basename(path)) && k === CHEST_MNIST.length;
  const usual = isChest ? CHEST_MNIST : Array.from({ length: k }, (_, column) => String(column));
  if (named === undefined) return usual;
  if (named.length === k && !named.every((name) => usual.includes(name))) return named;
  checkAsked(named, usual, path);
  return usual;
}

function readPairs(path: string): (MemoryPair & { split: SplitName; count: number })[] {
  const images = new Map<string, MemoryPair['source']>();
  const labels = new Map<string, Labels>();
  const wanted = (name: string) => MEMBER.test(name);
  for (const entry of readZipEntries(path, {
    longest: LONGEST_ARRAY,
    mostInflation: 64,
    wanted,
    code: 'data/npz',
  })) {
    const where = `${path}, ${entry.name}`;
    if ('failure' in entry) {
      throw npzError(
        path,
        `${entry.name}: ${entry.failure}`,
        'fetch the file again, and compare its checksum',
      );
    }
    const [, split, what] = MEMBER.exec(entry.name)!;
    const array = parseNpy(entry.bytes, where);
    if (what === 'images') images.set(split, npyPixels(array, where));
    else labels.set(split, labelsOf(array, where));
  }
  const splits = SPLIT_NAMES.filter((split) => images.has(split) || labels.has(split));
  if (splits.length === 0) {
    throw npzError(
      path,
      'it holds no train_images and train_labels',
      'it should be a file of MedMNIST (2-D)',
    );
  }
  return splits.map((split) => {
    const [source, own] = [images.get(split), labels.get(split)];
    const lacks = source === undefined ? 'images' : 'labels';
    if (source === undefined || own === undefined) {
      throw npzError(path, `${split}_${lacks} is missing`, 'it should be a file of MedMNIST (2-D)');
    }
    const count = source.pixels.length / (source.height * source.width * source.channels);
    const rows = own.shape[0];
    if (rows !== count) {
      throw npzError(path, `it has ${rows} ${split}_labels for ${count} images`, 'fetch the file again');
    }
    return { file: path, name: `${split}_images`, split, source, labels: own.values, count };
  });
}

export function npyPixels(array: NpyArray, where: string): MemoryPair['source'] {
  const [, height, width, channels = 1] = array.shape;
  const flat = array.shape.length === 3 || array.shape.length === 4;
  if (!flat || height === 0 || width === 0 || (channels !== 1 && channels !== 3)) {
    throw new PenumbraError(
      'data/npy',
      `${where} holds ${array.shape.join('×')} values; images are N×H×W or N×H×W×C (C 1 or 3)`,
      { where: { file: where }, hint: 'volumes (the 3-D sets of MedMNIST) are not read' },
    );
  }
  return { kind: 'memory', pixels: npyBytes(array, where), height, width, channels };
}

interface Labels {
  readonly shape: readonly number[];
  readonly values: Int32Array;
}

function labelsOf(array: NpyArray, where: string): Labels {
  const { shape } = array;
  if (shape.length < 1 || shape.length > 2 || shape[1] === 0) {
    throw new PenumbraError('data/npy', `${where} holds ${shape.join('×')} values; labels are N×1 or N×K`, {
      where: { file: where },
    });
  }
  return { shape, values: npyIntegers(array, where) };
}

function npzError(path: string, what: string, hint: string): PenumbraError {
  return new PenumbraError('data/npz', `${path}: ${what}`, { where: { file: path }, hint });
}
