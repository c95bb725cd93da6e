import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { viewColumn } from '../../data/views.ts';
import { sqlText } from '../../duckdb.ts';
import { PenumbraError } from '../../errors.ts';
import { findingSet } from '../findings/findings.ts';
import type { Tables } from '../io/tables.ts';

/** Columns of a generic table of images. */
export interface ImageColumns {
  image?: string;
  report?: string;
  patient?: string;
  split?: string;
}

/** What a set of images is, once it is read. */
export interface Images {
  readonly kind: 'mimic-cxr-jpg' | 'chexpert' | 'table';
  /** The files that it was read from. */
  readonly files: readonly string[];
  /** Labels came with the images (CheXpert's or its labeler's), in the table `given(report, finding, value)`. */
  readonly givenLabels: boolean;
  /** The images came with splits. */
  readonly givenSplits: boolean;
  /** The folder that the images' paths are relative to. */
  readonly root: string;
}

/** CheXpert's findings are those of the shipped set, by the same names. */
const chexpertFindings = (): readonly string[] => findingSet('chexpert14').findings;

/**
 * Reads a set of images into the tables `images(image, report, patient, split, view, row)`, all texts, and
 * `given(report, finding, value)`. Knows MIMIC-CXR-JPG's folder (its metadata, split and chexpert tables, packed or
 * not), CheXpert's CSV (with or without CheXpert Plus's report ids), and any CSV or Parquet with a column of images.
 */
export async function readImages(tables: Tables, path: string, columns: ImageColumns): Promise<Images> {
  if (!existsSync(path)) {
    throw new PenumbraError('dataset/images', `There is nothing at ${path}.`, {
      hint: "Give MIMIC-CXR-JPG's folder, CheXpert's CSV, or a CSV or Parquet with one row per image.",
      where: { file: path },
    });
  }
  if (statSync(path).isDirectory()) return readMimic(tables, path);
  const names = await columnsOf(tables, path);
  if (names.includes('Path') && names.includes('Frontal/Lateral') && columns.image === undefined) {
    return readChexpert(tables, path, names, columns);
  }
  return readTable(tables, path, names, columns);
}

async function readMimic(tables: Tables, folder: string): Promise<Images> {
  const find = (table: string): string | undefined =>
    ['2.0.0', '2.1.0']
      .flatMap((version) => [`mimic-cxr-${version}-${table}.csv.gz`, `mimic-cxr-${version}-${table}.csv`])
      .map((name) => join(folder, name))
      .find((file) => existsSync(file));
  const metadata = find('metadata');
  if (metadata === undefined) {
    throw new PenumbraError('dataset/images', `${folder} holds no mimic-cxr-2.0.0-metadata.csv.gz.`, {
      hint: "Give the folder that holds MIMIC-CXR-JPG's tables: metadata, split and chexpert.",
      where: { file: folder },
    });
  }
  await need(tables, metadata, ['dicom_id', 'subject_id', 'study_id']);
  const views = (await columnsOf(tables, metadata)).includes('ViewPosition') ? 'm.ViewPosition' : 'NULL';
  const split = find('split');
  const chexpert = find('chexpert');
  if (split !== undefined) await need(tables, split, ['dicom_id', 'split']);
  const word = "CASE s.split WHEN 'validate' THEN 'val' ELSE s.split END";
  await tables.run(`CREATE TABLE images AS SELECT
      'files/p' || m.subject_id[1:2] || '/p' || m.subject_id || '/s' || m.study_id || '/' || m.dicom_id || '.jpg' AS image,
      m.study_id AS report, m.subject_id AS patient, ${split === undefined ? 'NULL::VARCHAR' : word} AS split, ${views} AS view, NULL::BIGINT AS row
    FROM ${table(tables, metadata)} m ${split === undefined ? '' : `LEFT JOIN ${table(tables, split)} s ON m.dicom_id = s.dicom_id`}`);
  if (chexpert !== undefined) {
    await need(tables, chexpert, ['study_id', 'Pneumonia']);
    await given(tables, chexpert, 'study_id');
  } else await noneGiven(tables);
  return {
    kind: 'mimic-cxr-jpg',
    files: [metadata, split, chexpert].filter((file) => file !== undefined),
    givenLabels: chexpert !== undefined,
    givenSplits: split !== undefined,
    root: folder,
  };
}

/** CheXpert: `Path` is `CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg`. */
async function readChexpert(
  tables: Tables,
  path: string,
  names: readonly string[],
  columns: ImageColumns,
): Promise<Images> {
  const report =
    columns.report === undefined
      ? "regexp_extract(Path, '(patient\\d+/study\\d+)', 1)"
      : name(columns.report);
  if (columns.report !== undefined) await need(tables, path, [columns.report]);
  await tables.run(`CREATE TABLE images AS SELECT Path AS image, ${report} AS report,
      regexp_extract(Path, '(patient\\d+)', 1) AS patient,
      CASE WHEN Path LIKE '%/valid/%' THEN 'val' WHEN Path LIKE '%/test/%' THEN 'test' ELSE NULL END AS split,
      "Frontal/Lateral" AS view, NULL::BIGINT AS row FROM ${table(tables, path)}`);
  // The published training set has no test split of its own: what is not "valid" is split here, by patient.
  const has = chexpertFindings().filter((finding) => names.includes(finding));
  if (has.length > 0) await given(tables, path, report, has);
  else await noneGiven(tables);
  return {
    kind: 'chexpert',
    files: [path],
    givenLabels: has.length > 0,
    givenSplits: false,
    root: dirname(path),
  };
}

async function readTable(
  tables: Tables,
  path: string,
  names: readonly string[],
  columns: ImageColumns,
): Promise<Images> {
  const pick = (wanted: string | undefined, known: readonly string[], what: string, flag: string): string => {
    const found = wanted ?? known.find((candidate) => names.includes(candidate));
    if (found !== undefined && names.includes(found)) return found;
    throw new PenumbraError(
      'dataset/columns',
      `${path} has no column for the ${what}${wanted === undefined ? '' : ` "${wanted}"`}.`,
      {
        hint: `Its first line must name the ${names.length} columns (looked for: ${known.join(', ')}); name another with ${flag}.`,
        where: { file: path },
      },
    );
  };
  const image = pick(columns.image, ['image', 'path', 'file', 'filename', 'Path'], 'image', '--image-column');
  const report = pick(
    columns.report,
    ['report', 'report_id', 'study_id', 'study', 'uid'],
    'report',
    '--report-column',
  );
  const patient = pick(
    columns.patient,
    ['patient', 'patient_id', 'patientid', 'subject_id'],
    'patient',
    '--patient-column',
  );
  const split = columns.split ?? (names.includes('split') ? 'split' : undefined);
  if (split !== undefined) await need(tables, path, [split]);
  const word =
    split === undefined
      ? 'NULL::VARCHAR'
      : `CASE lower(${name(split)}) WHEN 'valid' THEN 'val' WHEN 'validate' THEN 'val' WHEN 'validation' THEN 'val' ELSE lower(${name(split)}) END`;
  const view = names[viewColumn(names)];
  await tables.run(`CREATE TABLE images AS SELECT ${name(image)} AS image, ${name(report)} AS report, ${name(patient)} AS patient,
      ${word} AS split, ${view === undefined ? 'NULL' : name(view)}::VARCHAR AS view,
      row_number() OVER () AS row FROM ${table(tables, path)}`);
  await noneGiven(tables);
  return {
    kind: 'table',
    files: [path],
    givenLabels: false,
    givenSplits: split !== undefined,
    root: dirname(path),
  };
}

async function given(
  tables: Tables,
  path: string,
  report: string,
  findings: readonly string[] = chexpertFindings(),
): Promise<void> {
  const names = await columnsOf(tables, path);
  const parts = findings
    .filter((finding) => names.includes(finding))
    .map(
      (finding) =>
        `SELECT DISTINCT ${report} AS report, ${sqlText(finding)} AS finding, TRY_CAST(${name(finding)} AS DOUBLE) AS value FROM ${table(tables, path)}`,
    );
  await tables.run(
    `CREATE TABLE given AS SELECT * FROM (${parts.join(' UNION ALL ')}) WHERE value IS NOT NULL`,
  );
}

async function noneGiven(tables: Tables): Promise<void> {
  await tables.run('CREATE TABLE given (report VARCHAR, finding VARCHAR, value DOUBLE)');
}

async function columnsOf(tables: Tables, path: string): Promise<string[]> {
  try {
    return (await tables.run(`DESCRIBE SELECT * FROM ${table(tables, path)}`)).map(([column]) =>
      String(column),
    );
  } catch (error) {
    // A pipe, a missing permission: what opening it says. The rest is DuckDB's, which quotes lines.
    if (error instanceof PenumbraError && error.code.startsWith('files/')) throw error;
    throw new PenumbraError('dataset/images', `${path} cannot be read as a table.`, {
      hint: 'A .csv (also .csv.gz) with a header, or a .parquet.',
      where: { file: path },
    });
  }
}

async function need(tables: Tables, path: string, columns: readonly string[]): Promise<void> {
  const names = await columnsOf(tables, path);
  const missing = columns.filter((column) => !names.includes(column));
  if (missing.length === 0) return;
  throw new PenumbraError('dataset/columns', `${path} lacks the column(s) ${missing.join(', ')}.`, {
    hint: `Its first line must name the columns; ${names.length} were found, these not among them.`,
    where: { file: path },
  });
}

/** A file as a table of texts. */
function table({ source }: Tables, path: string): string {
  if (/\.parquet$/i.test(path)) return `read_parquet(${source(path)})`;
  const compression = /\.gz$/i.test(path) ? 'gzip' : 'none';
  return `read_csv(${source(path)}, header=true, all_varchar=true, compression='${compression}')`;
}

function name(column: string): string {
  return `"${column.replaceAll('"', '""')}"`;
}
