import { join } from 'node:path';
import { CLINIC_NAMES } from '../phantom/index.ts';
import type { DataFormat } from './format.ts';
import { readFindingColumns } from './read-table.ts';

/** Names the folder of a chest clinic among others. */
export const CLINIC_CARD = 'clinic.json';

/**
 * The folder that `penumbra phantom --kind chest` writes, by its `labels.csv`: the true findings, with patients and splits.
 * The plain labeler's labels are `plain.csv` beside it, a table like any other.
 */
export const CLINIC: DataFormat = {
  name: 'clinic',
  what: 'what penumbra phantom --kind chest wrote',
  detects: ({ isFolder, names }) => isFolder && names.includes(CLINIC_CARD) && names.includes('labels.csv'),
  read: (path, options) => {
    const table = { path: join(path, 'labels.csv'), split: undefined };
    const given = { ...options, classes: options.classes ?? CLINIC_NAMES, root: options.root ?? path };
    return { ...readFindingColumns([table], given), format: CLINIC.name };
  },
};
