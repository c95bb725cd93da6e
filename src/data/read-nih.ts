import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { scanCsv } from './csv.ts';
import type { DatasetOptions } from './dataset.ts';
import type { DataFormat } from './format.ts';
import { checkAsked, joinedFindings, partsOfLabel } from './joined-labels.ts';
import { type Listing, namedColumn, readText } from './part.ts';
import { partsOf } from './read-table.ts';
import { IntegerList } from './rows.ts';
import { StringIndex } from './string-table.ts';
import { RowCollector, type RowEntry, readBytes } from './table-rows.ts';
import type { SplitName } from './types.ts';
import { ViewFilter } from './views.ts';

const TABLE = /^Data_Entry_2017(_v\d+)?\.csv$/i;

/** The 14 findings of ChestX-ray14, in the order of its publication. */
export const CHESTXRAY14_FINDINGS: readonly string[] = [
  'Atelectasis',
  'Cardiomegaly',
  'Effusion',
  'Infiltration',
  'Mass',
  'Nodule',
  'Pneumonia',
  'Pneumothorax',
  'Consolidation',
  'Edema',
  'Emphysema',
  'Fibrosis',
  'Pleural_Thickening',
  'Hernia',
];

/** The 8 of ChestX-ray8, the first of the 14: give them as `classes`. */
export const CHESTXRAY8_FINDINGS = CHESTXRAY14_FINDINGS.slice(0, 8);

/** The NIH Clinical Center's chest radiographs: their folder, or its table. */
export const NIH: DataFormat = {
  name: 'nih-chestxray',
  what: "NIH ChestX-ray14's folder with Data_Entry_2017.csv",
  views: true,
  detects: ({ name, isFolder, names }) => (isFolder ? names : [name]).some((entry) => TABLE.test(entry)),
  read(path, options) {
    if (/\.csv$/i.test(path)) return readNih(path, options);
    return readNih(join(path, readdirSync(path).find((name) => TABLE.test(name))!), options);
  },
};

/**
 * Reads NIH ChestX-ray14 (Wang et al., CVPR 2017) as it is handed out: `Data_Entry_2017.csv`, with the findings of each
 * image joined by `|` and its patient; images in `images/`, in `images_001/images/` … `images_012/images/`, or beside
 * the table; and `train_val_list.txt` and `test_list.txt`. The official lists leave validation open: an eighth of the
 * first (70/10/20 in all), whole patients, unless `fractions` says otherwise. Without the lists all is split by fraction.
 *
 * `classes` chooses among the 14 findings, and `No Finding` besides. `views` are PA and AP.
 *
 * @throws {PenumbraError} `data/unlisted` for images that are in neither list, or named by both.
 */
function readNih(table: string, options: DatasetOptions): Listing {
  const { columns = {}, root = dirname(table), classes = CHESTXRAY14_FINDINGS, views } = options;
  checkAsked(classes, [...CHESTXRAY14_FINDINGS, 'No Finding'], table);
  const folderOf = folders(root);
  const splitOf = lists(dirname(table));
  const wanted = new ViewFilter(views);
  const labels = new StringIndex();
  const labelOf = new IntegerList();
  const entries: RowEntry[] = [];
  const unlisted: number[] = [];
  let at: { file: number; label: number; patient: number; view: number } | undefined;
  scanCsv(readBytes(table), table, (row) => {
    if (at === undefined) {
      const header = row.texts();
      at = {
        file: namedColumn(header, columns.file ?? 'Image Index', table),
        label: namedColumn(header, columns.label ?? 'Finding Labels', table),
        patient: namedColumn(header, columns.group ?? 'Patient ID', table),
        view: views === undefined ? -1 : namedColumn(header, 'View Position', table),
      };
      return;
    }
    if (at.view >= 0 && !wanted.has(row.text(at.view))) return;
    const name = row.text(at.file).trim();
    const split = splitOf?.get(name);
    if (splitOf !== undefined && split === undefined) unlisted.push(row.line);
    const file = `${folderOf.get(name) ?? 'images/'}${name}`;
    entries.push({ file, line: row.line, split, group: row.text(at.patient).trim() });
    labelOf.push(labels.addText(row.text(at.label).trim()));
  });
  wanted.check(table);
  if (unlisted.length > 0) {
    throw new PenumbraError(
      'data/unlisted',
      `${unlisted.length} images of ${table} are in neither list of splits, from line ${unlisted[0]} on`,
      {
        where: { file: table, line: unlisted[0], missing: unlisted.length },
        hint: 'take the lists that belong to this table, or move them away to split by fraction',
      },
    );
  }
  const texts = labels.texts();
  checkLabels(texts, table);
  const tables = [{ path: table, split: undefined }];
  const collector = new RowCollector(tables);
  collector.addEntries(entries);
  collector.checkFiles(root, options);
  const rows = collector.build();
  const parts = partsOf(rows, joinedFindings(classes, texts, labelOf.view()), tables, root);
  const fractions = splitOf === undefined ? undefined : { val: 1 / 8 };
  return { format: NIH.name, parts, skipped: rows.skipped, ...(fractions && { fractions }) };
}

/** The folder of each image below the root: `images/`, `images_001/images/` …, or none. */
function folders(root: string): Map<string, string> {
  const folderOf = new Map<string, string>();
  const candidates = existsSync(root) ? readdirSync(root).filter((name) => /^images(_\d+)?$/.test(name)) : [];
  for (const folder of ['', ...candidates.sort().flatMap((name) => [`${name}/`, `${name}/images/`])]) {
    if (!existsSync(join(root, folder))) continue;
    for (const name of readdirSync(join(root, folder))) {
      if (/\.(png|jpe?g)$/i.test(name) && !folderOf.has(name)) folderOf.set(name, folder);
    }
  }
  return folderOf;
}

/** The split of each image by the official lists; undefined where there are none. */
function lists(folder: string): Map<string, SplitName> | undefined {
  const splitOf = new Map<string, SplitName>();
  const files: [string, SplitName][] = [
    ['train_val_list.txt', 'train'],
    ['train_list.txt', 'train'],
    ['val_list.txt', 'val'],
    ['test_list.txt', 'test'],
  ];
  for (const [name, split] of files) {
    const path = join(folder, name);
    if (!existsSync(path)) continue;
    for (const [i, line] of readText(path).split(/\r?\n/).entries()) {
      const image = line.trim();
      if (image === '') continue;
      if ((splitOf.get(image) ?? split) !== split) {
        throw new PenumbraError('data/unlisted', `${path}, line ${i + 1}: another list has this image too`, {
          where: { file: path, line: i + 1 },
          hint: 'an image belongs to one split',
        });
      }
      splitOf.set(image, split);
    }
  }
  return splitOf.size === 0 ? undefined : splitOf;
}

/** A label that is none of the published ones is a table that this reader does not know. */
function checkLabels(texts: readonly string[], table: string): void {
  const known = new Set([...CHESTXRAY14_FINDINGS, 'No Finding'].map((name) => name.toLowerCase()));
  for (const part of new Set(texts.flatMap(partsOfLabel))) {
    if (!known.has(part.toLowerCase())) checkAsked([part], [...CHESTXRAY14_FINDINGS, 'No Finding'], table);
  }
}
