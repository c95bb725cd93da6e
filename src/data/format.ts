import { PenumbraError } from '../errors.ts';
import type { DatasetOptions } from './dataset.ts';
import type { Listing } from './part.ts';

/** What lies at the path of a data set. */
export interface Place {
  readonly path: string;
  /** The last word of the path. */
  readonly name: string;
  readonly isFolder: boolean;
  /** Names in the folder, sorted; none where it is a file. */
  readonly names: readonly string[];
}

/** One way in which data sets lie on disk. A new one is a file with a format, and a line that registers it. */
export interface DataFormat {
  /** Becomes `Dataset.format`. */
  readonly name: string;
  /** What it reads, for a person, as one of a list: 'MedMNIST .npz'. */
  readonly what: string;
  /** Whether a data set of this format is there, by its names and, at most, a table's first line. */
  detects(place: Place): boolean;
  /** Whether it can leave images of other views out (`DatasetOptions.views`). Where it cannot, asking for it is an error. */
  readonly views?: true;
  read(path: string, options: DatasetOptions): Listing;
}

const formats: DataFormat[] = [];

/**
 * Makes `openDataset` read another format. The one that was registered last is asked first.
 *
 * @throws {PenumbraError} `data/format` for a name that is taken.
 */
export function registerFormat(format: DataFormat): void {
  if (formats.some(({ name }) => name === format.name)) {
    throw new PenumbraError('data/format', `there is a data format named ${format.name} already`, {
      hint: 'choose another name',
    });
  }
  formats.unshift(format);
}

/** All formats, in the order in which they are asked. */
export function dataFormats(): readonly DataFormat[] {
  return formats;
}
