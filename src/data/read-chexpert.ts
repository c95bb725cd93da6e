import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { scanCsv } from './csv.ts';
import type { DatasetOptions } from './dataset.ts';
import { FindingColumns } from './finding-columns.ts';
import type { DataFormat } from './format.ts';
import type { Listing } from './part.ts';
import { namedColumn } from './part.ts';
import { partsOf } from './read-table.ts';
import { splitOfName } from './split.ts';
import { RowCollector, type RowEntry, readBytes, readHeader, type TableFile } from './table-rows.ts';
import { ViewFilter } from './views.ts';

/** The 14 observations of CheXpert and MIMIC-CXR, in the order of CheXpert's table. */
export const CHEXPERT_FINDINGS: readonly string[] = [
  'No Finding',
  'Enlarged Cardiomediastinum',
  'Cardiomegaly',
  'Lung Opacity',
  'Lung Lesion',
  'Edema',
  'Consolidation',
  'Pneumonia',
  'Atelectasis',
  'Pneumothorax',
  'Pleural Effusion',
  'Pleural Other',
  'Fracture',
  'Support Devices',
];

/**
 * The labeler writes 1 where it found nothing, and else a blank: that one's blank is no doubt (Irvin et al. 2019,
 * section 2).
 */
export const BLANK_IS_ABSENT = ['No Finding'];

const TABLE = /^(train|valid|test)\.csv$/i;

/** CheXpert's folder, or one of its tables. */
export const CHEXPERT: DataFormat = {
  name: 'chexpert',
  what: "CheXpert's folder with train.csv and valid.csv",
  views: true,
  detects: ({ path, name, isFolder, names }) => {
    if (!isFolder) return /\.csv$/i.test(name) && isChexpert(path);
    const tables = names.filter((entry) => TABLE.test(entry));
    return tables.length > 0 && tables.every((table) => isChexpert(join(path, table)));
  },
  read(path, options) {
    if (/\.csv$/i.test(path)) return readChexpert([{ path, split: undefined }], options);
    const tables = readdirSync(path)
      .filter((name) => TABLE.test(name))
      .sort((a, b) => Number(/^train/i.test(b)) - Number(/^train/i.test(a)))
      .map((name) => ({ path: join(path, name), split: splitOfName(name.slice(0, -4)) }));
    return readChexpert(tables, options);
  },
};

function isChexpert(path: string): boolean {
  const names = new Set(readHeader(path).map((name) => name.trim()));
  return names.has('Path') && names.has('Frontal/Lateral');
}

/**
 * Reads CheXpert (Irvin et al., AAAI 2019) as it is handed out: `train.csv` and `valid.csv` (and `test.csv`, where it is
 * there) with `Path`, `Frontal/Lateral`, `AP/PA` and 14 columns of 1, 0, −1 (uncertain) and blanks; images in
 * `train/patient…/study…/`. The patient is in the path. What uncertain and blank become `options.findings` says; a blank
 * under No Finding means that there is one.
 *
 * The split is the table's, or, of a single table, the path's. `views` are `frontal`, `lateral`, `PA` and `AP`.
 */
function readChexpert(tables: readonly TableFile[], options: DatasetOptions): Listing {
  const { root = dirname(tables[0].path), classes, findings: choice, views } = options;
  const collector = new RowCollector(tables);
  const wanted = new ViewFilter(views);
  const collected = new FindingColumns(classes ?? findingsIn(tables[0].path), choice, BLANK_IS_ABSENT);
  // A root that is given may be the folder around CheXpert's own.
  const isAround =
    options.root !== undefined && !existsSync(join(root, 'train')) && !existsSync(join(root, 'valid'));
  for (const { path, split } of tables) {
    const entries: RowEntry[] = [];
    let at: { file: number; frontal: number; projection: number } | undefined;
    let take: ReturnType<FindingColumns['open']>;
    scanCsv(readBytes(path), path, (row) => {
      if (at === undefined) {
        const header = row.texts();
        const projection = header.findIndex((name) => name.trim() === 'AP/PA');
        at = {
          file: namedColumn(header, 'Path', path),
          frontal: namedColumn(header, 'Frontal/Lateral', path),
          projection,
        };
        take = collected.open(header, path, new Set([at.file, at.frontal, projection]));
        return;
      }
      if (views !== undefined) {
        const seen = [row.text(at.frontal)];
        if (at.projection >= 0) seen.push(row.text(at.projection));
        if (!wanted.has(...seen)) return;
      }
      const whole = row.text(at.file).trim().replaceAll('\\', '/');
      const cut = /(?:^|\/)((train|valid|test)\/.*?(patient\d+)\/.*)$/i.exec(whole);
      if (cut === null) {
        throw new PenumbraError(
          'data/path',
          `${path}, line ${row.line}: the path names no split and patient`,
          {
            where: { file: path, line: row.line },
            hint: 'CheXpert writes CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg',
          },
        );
      }
      take(row);
      const [, inside, part, patient] = cut;
      entries.push({
        file: isAround ? whole : inside,
        line: row.line,
        split: split ?? splitOfName(part),
        group: patient,
      });
    });
    collector.addEntries(entries);
  }
  wanted.check(tables[0].path);
  collector.checkFiles(root, options);
  const rows = collector.build();
  const parts = partsOf(rows, collected.build(tables[0].path), tables, root);
  // A single table of training images is divided like any other: validation is the other table.
  const only = parts.length === 1 && parts[0].split === 'train';
  return {
    format: CHEXPERT.name,
    parts: only ? [{ ...parts[0], split: undefined }] : parts,
    skipped: rows.skipped,
  };
}

/** Those of the 14 that a table has, in its order. */
function findingsIn(path: string): string[] {
  const names = readHeader(path).map((name) => name.trim());
  return names.filter((name) => CHEXPERT_FINDINGS.includes(name));
}
