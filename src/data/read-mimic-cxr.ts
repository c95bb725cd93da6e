import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { PenumbraError } from '../errors.ts';
import { scanCsv } from './csv.ts';
import type { DatasetOptions } from './dataset.ts';
import { FindingColumns } from './finding-columns.ts';
import type { DataFormat } from './format.ts';
import type { Listing } from './part.ts';
import { namedColumn } from './part.ts';
import { BLANK_IS_ABSENT } from './read-chexpert.ts';
import { partsOf } from './read-table.ts';
import { splitOfName } from './split.ts';
import { RowCollector, type RowEntry, readBytes } from './table-rows.ts';
import { takeTargets } from './targets.ts';
import { ViewFilter } from './views.ts';

const TABLE = /^mimic-cxr-\d+\.\d+\.\d+-(chexpert|negbio|split|metadata)\.csv(\.gz)?$/i;
type TableKind = 'chexpert' | 'negbio' | 'split' | 'metadata';

/** A table that unpacks to more than this is not one of these. */
const LONGEST = 2 ** 30;

/** MIMIC-CXR-JPG's folder, or its table of labels. */
export const MIMIC_CXR: DataFormat = {
  name: 'mimic-cxr-jpg',
  what: "MIMIC-CXR-JPG's folder with mimic-cxr-2.0.0-chexpert.csv[.gz] and -split.csv[.gz]",
  views: true,
  detects: ({ name, isFolder, names }) =>
    (isFolder ? names : [name]).some((entry) => /^(chexpert|negbio)$/i.test(TABLE.exec(entry)?.[1] ?? '')),
  read: (path, options) => {
    const own = TABLE.exec(path.replace(/^.*[\\/]/, ''))?.[1].toLowerCase();
    return own === undefined
      ? readMimic(path, 'chexpert', options)
      : readMimic(dirname(path), own as TableKind, options);
  },
};

/**
 * Reads MIMIC-CXR-JPG (Johnson et al. 2019) as it is handed out: labels by study in `mimic-cxr-2.0.0-chexpert.csv`
 * (or `-negbio.csv`, when that file is the path), images and splits in `-split.csv`, views in `-metadata.csv` (read only
 * for `options.views`), each plain or `.gz`; images in `files/p10/p10000032/s50414267/….jpg`. A study's labels hold for
 * each of its images; patients are groups. Images of studies without labels are left out, and counted in the notes.
 *
 * What uncertain (−1) and blank become `options.findings` says; a blank under No Finding means that there is one. `views`
 * are `frontal`, `lateral`, or ViewPosition's words.
 */
function readMimic(folder: string, kind: TableKind, options: DatasetOptions): Listing {
  const { root = folder, classes, findings: choice, views } = options;
  const labels = findTable(folder, kind) ?? findTable(folder, 'negbio');
  const splits = findTable(folder, 'split');
  if (labels === undefined || splits === undefined) {
    const lacking = labels === undefined ? kind : 'split';
    throw new PenumbraError('data/not-found', `${folder} has no mimic-cxr-2.0.0-${lacking}.csv or .csv.gz`, {
      where: { file: folder },
      hint: 'put the tables of MIMIC-CXR-JPG beside its folder `files`',
    });
  }
  const collected = new FindingColumns(classes, choice, BLANK_IS_ABSENT);
  /** The row of labels of each study. */
  const rowOf = new Map<string, number>();
  let study = -1;
  let take: ReturnType<FindingColumns['open']>;
  scanCsv(bytesOf(labels), labels, (row) => {
    if (study < 0) {
      const header = row.texts();
      study = namedColumn(header, 'study_id', labels);
      const subject = header.findIndex((name) => name.trim() === 'subject_id');
      take = collected.open(header, labels, new Set([study, subject]));
      return;
    }
    const id = row.text(study).trim();
    if (rowOf.has(id)) {
      throw new PenumbraError(
        'data/duplicate-study',
        `${labels}, line ${row.line}: this study has labels already`,
        {
          where: { file: labels, line: row.line },
        },
      );
    }
    rowOf.set(id, rowOf.size);
    take(row);
  });
  const wanted = views === undefined ? undefined : imagesOfViews(folder, views);
  const entries: RowEntry[] = [];
  const studyRows: number[] = [];
  let unlabelled = 0;
  let at: { image: number; study: number; subject: number; split: number } | undefined;
  scanCsv(bytesOf(splits), splits, (row) => {
    if (at === undefined) {
      const header = row.texts();
      at = {
        image: namedColumn(header, 'dicom_id', splits),
        study: namedColumn(header, 'study_id', splits),
        subject: namedColumn(header, 'subject_id', splits),
        split: namedColumn(header, 'split', splits),
      };
      return;
    }
    const image = row.text(at.image).trim();
    if (wanted !== undefined && !wanted.has(image)) return;
    const id = row.text(at.study).trim();
    const labelRow = rowOf.get(id);
    if (labelRow === undefined) {
      unlabelled++;
      return;
    }
    const split = splitOfName(row.text(at.split).trim());
    if (split === undefined) {
      throw new PenumbraError(
        'data/split-names',
        `${splits}, line ${row.line}: the split is not train, validate or test`,
        { where: { file: splits, line: row.line } },
      );
    }
    const subject = row.text(at.subject).trim();
    entries.push({
      file: `files/p${subject.slice(0, 2)}/p${subject}/s${id}/${image}.jpg`,
      line: row.line,
      split,
      group: subject,
    });
    studyRows.push(labelRow);
  });
  const tables = [{ path: splits, split: undefined }];
  const collector = new RowCollector(tables);
  collector.addEntries(entries);
  collector.checkFiles(root, options);
  const rows = collector.build();
  const targets = takeTargets(collected.build(labels), studyRows);
  const notes = unlabelled > 0 ? [`${unlabelled} images of studies without labels are left out`] : [];
  return {
    format: MIMIC_CXR.name,
    parts: partsOf(rows, targets, tables, root),
    skipped: rows.skipped,
    notes,
  };
}

/** The ids of the images whose view is wanted. */
function imagesOfViews(folder: string, views: readonly string[]): Set<string> {
  const metadata = findTable(folder, 'metadata');
  if (metadata === undefined) {
    throw new PenumbraError('data/not-found', `${folder} has no mimic-cxr-2.0.0-metadata.csv or .csv.gz`, {
      where: { file: folder, argument: 'views' },
      hint: 'the views are in that table: add it, or ask for no views',
    });
  }
  const filter = new ViewFilter(views);
  const images = new Set<string>();
  let image = -1;
  let view = -1;
  scanCsv(bytesOf(metadata), metadata, (row) => {
    if (image < 0) {
      const header = row.texts();
      image = namedColumn(header, 'dicom_id', metadata);
      view = namedColumn(header, 'ViewPosition', metadata);
    } else if (filter.has(row.text(view))) images.add(row.text(image).trim());
  });
  filter.check(metadata);
  return images;
}

/** A table's path, the plain one before the packed one and the newest version first. */
function findTable(folder: string, kind: TableKind): string | undefined {
  const names = readdirSync(folder).filter((name) => TABLE.exec(name)?.[1].toLowerCase() === kind);
  const [first] = names.sort((a, b) => {
    const packed = Number(/\.gz$/i.test(a)) - Number(/\.gz$/i.test(b));
    return packed || (a < b ? 1 : -1);
  });
  return first && join(folder, first);
}

function bytesOf(path: string): Buffer {
  const bytes = readBytes(path);
  if (!/\.gz$/i.test(path)) return bytes;
  try {
    return gunzipSync(bytes, { maxOutputLength: LONGEST });
  } catch (cause) {
    throw new PenumbraError('data/gzip', `${path} cannot be unpacked`, {
      where: { file: path },
      hint: 'fetch the file again, and compare its checksum',
      cause,
    });
  }
}
