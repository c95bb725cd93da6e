import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { CLINIC_NAMES } from '../phantom/index.ts';
import { scanCsv } from './csv.ts';
import type { DataFormat } from './format.ts';
import { namedColumn, type Part } from './part.ts';
import { readFindingColumns } from './read-table.ts';
import { stringAt } from './string-table.ts';
import { readBytes } from './table-rows.ts';

/** Names the folder of a chest clinic among others. */
export const CLINIC_CARD = 'clinic.json';

/**
 * The folder that `penumbra phantom --kind chest` writes, by its `labels.csv`: the true findings, with patients and splits,
 * and beside them the posterior of what each picture shows (`truth.csv`, where it is there). The plain labeler's labels are `plain.csv` beside it, a table like any other.
 */
export const CLINIC: DataFormat = {
  name: 'clinic',
  what: 'what penumbra phantom --kind chest wrote',
  detects: ({ isFolder, names }) => isFolder && names.includes(CLINIC_CARD) && names.includes('labels.csv'),
  read: (path, options) => {
    const table = { path: join(path, 'labels.csv'), split: undefined };
    const given = { ...options, classes: options.classes ?? CLINIC_NAMES, root: options.root ?? path };
    const listing = readFindingColumns([table], given);
    const truth = join(path, 'truth.csv');
    if (!existsSync(truth)) return { ...listing, format: CLINIC.name };
    const posteriors = readPosteriors(truth, listing.parts[0].targets.names);
    const parts = listing.parts.map((part) => ({ ...part, posterior: pick(posteriors, part, truth) }));
    return { ...listing, parts, format: CLINIC.name };
  },
};

/** P(finding | picture) by image: K numbers each. */
function readPosteriors(path: string, findings: readonly string[]): Map<string, Float32Array> {
  const posteriors = new Map<string, Float32Array>();
  let image = -1;
  let columns: number[] = [];
  scanCsv(readBytes(path), path, (row) => {
    if (image < 0) {
      const header = row.texts();
      image = namedColumn(header, 'image', path);
      columns = findings.map((name) => namedColumn(header, `${name} image_p`, path));
    } else
      posteriors.set(
        row.text(image),
        Float32Array.from(columns, (at) => Number(row.text(at) || NaN)),
      );
  });
  return posteriors;
}

/** N×K. */
function pick(
  posteriors: ReadonlyMap<string, Float32Array>,
  { rows, names, targets }: Part,
  path: string,
): Float32Array {
  const k = targets.names.length;
  const picked = new Float32Array(rows.length * k);
  rows.forEach((row, i) => {
    const image = stringAt(names!, row);
    const values = posteriors.get(image);
    if (values === undefined || !values.every((value) => value >= 0 && value <= 1)) {
      throw new PenumbraError('data/posterior', `${path} has no probabilities for ${image}`, {
        where: { file: path, row: i },
        hint: 'draw the clinic again, or move the file away to do without the true posterior',
      });
    }
    picked.set(values, i * k);
  });
  return picked;
}
