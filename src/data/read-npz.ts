import { dirname } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { readZipEntries } from '../zip.ts';
import { checkPairs, type MemoryPair, numberedClasses } from './memory-parts.ts';
import { type NpyArray, npyBytes, npyIntegers, parseNpy } from './npy.ts';
import { type Listing, oneOfK, type Part, readClassNames } from './part.ts';
import { allRows } from './rows.ts';
import { SPLIT_NAMES, type SplitName } from './types.ts';

const MEMBER = /^(train|val|test)_(images|labels)\.npy$/;

/** An array may have this many bytes: it is unpacked whole. */
const LONGEST = 2 ** 32 - 2 ** 16;

/**
 * Reads a MedMNIST file (Yang et al., Scientific Data 2023;10:41): `.npz` with `train_images`, `train_labels` and the
 * same for `val` and `test`; images N×H×W or N×H×W×3 of uint8, labels N×1 or N of integers. Class names come from
 * `info.json` beside it, otherwise classes are numbers. All images are held in memory.
 *
 * @throws {PenumbraError} `data/npz` for an archive without such arrays or one that is damaged, `data/npy` for an array
 * of another kind, `data/multi-label` for several labels an image.
 */
export function readNpz(path: string, given: readonly string[] | undefined): Listing {
  const pairs = readPairs(path);
  const classes = given ?? readClassNames(dirname(path)) ?? numberedClasses(pairs);
  checkPairs(pairs, classes);
  const parts = pairs.map(
    ({ split, source, labels }): Part => ({
      split,
      source,
      rows: allRows(labels.length),
      targets: oneOfK(classes, labels),
      names: undefined,
      groups: undefined,
      posterior: undefined,
    }),
  );
  return { format: 'npz', parts, skipped: [] };
}

function readPairs(path: string): (MemoryPair & { split: SplitName })[] {
  const images = new Map<string, MemoryPair['source']>();
  const labels = new Map<string, Int32Array>();
  const wanted = (name: string) => MEMBER.test(name);
  for (const entry of readZipEntries(path, {
    longest: LONGEST,
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
    if (what === 'images') images.set(split, pixelsOf(array, where));
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
    if (own.length !== count) {
      throw npzError(
        path,
        `it has ${own.length} ${split}_labels for ${count} images`,
        'fetch the file again',
      );
    }
    return { file: path, name: `${split}_images`, split, source, labels: own };
  });
}

function pixelsOf(array: NpyArray, where: string): MemoryPair['source'] {
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

function labelsOf(array: NpyArray, where: string): Int32Array {
  const { shape } = array;
  if (shape.length === 2 && shape[1] > 1) {
    throw new PenumbraError(
      'data/multi-label',
      `${where} holds ${shape[1]} labels for each of ${shape[0]} images, and a data set here has one class an image`,
      {
        where: { file: where },
        hint: 'take a single-label set; of a multi-label one such as ChestMNIST, write one finding as N×1 labels',
      },
    );
  }
  if (shape.length !== 1 && !(shape.length === 2 && shape[1] === 1)) {
    throw new PenumbraError('data/npy', `${where} holds ${shape.join('×')} values; labels are N×1`, {
      where: { file: where },
    });
  }
  return npyIntegers(array, where);
}

function npzError(path: string, what: string, hint: string): PenumbraError {
  return new PenumbraError('data/npz', `${path}: ${what}`, { where: { file: path }, hint });
}
