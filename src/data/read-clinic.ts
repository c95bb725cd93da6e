import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { CLINIC_NAMES } from '../phantom/index.ts';
import { scanCsv } from './csv.ts';
import type { DataFormat } from './format.ts';
import { namedColumn, pickPosterior } from './part.ts';
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
    const parts = listing.parts.map((part) => {
      const images = Array.from(part.rows, (row) => stringAt(part.names!, row));
      return { ...part, posterior: pickPosterior(posteriors, images, part.targets.names.length, truth) };
    });
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
      return;
    }
    const values = Float32Array.from(columns, (at) => Number(row.text(at) || NaN));
    if (!values.every((value) => value >= 0 && value <= 1)) {
      throw new PenumbraError('data/posterior', `${path} has no probabilities for ${row.text(image)}`, {
        where: { file: path, line: row.line },
        hint: 'draw the clinic again, or move the file away to do without the true posterior',
      });
    }
    posteriors.set(row.text(image), values);
  });
  return posteriors;
}
