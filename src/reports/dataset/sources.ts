import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PenumbraError } from '../../errors.ts';
import { sqlText } from '../io/tables.ts';

export type Run = (sql: string) => Promise<unknown[][]>;

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
}

const chexpertFindings = [
  'No Finding',
  'Enlarged Cardiomediastinum',
  'Cardiomegaly',
  'Lung Lesion',
  'Lung Opacity',
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
 * Reads a set of images into the tables `images(image, report, patient, split, view)`, all texts, and
 * `given(report, finding, value)`. Knows MIMIC-CXR-JPG's folder (its metadata, split and chexpert tables, packed or
 * not), CheXpert's CSV (with or without CheXpert Plus's report ids), and any CSV or Parquet with a column of images.
 */
export async function readImages(run: Run, path: string, columns: ImageColumns): Promise<Images> {
  if (!existsSync(path)) {
    throw new PenumbraError('dataset/images', `There is nothing at ${path}.`, {
      hint: "Give MIMIC-CXR-JPG's folder, CheXpert's CSV, or a CSV or Parquet with one row per image.",
      where: { file: path },
    });
  }
  if (statSync(path).isDirectory()) return readMimic(run, path);
  const names = await columnsOf(run, path);
  if (names.includes('Path') && names.includes('Frontal/Lateral') && columns.image === undefined) {
    return readChexpert(run, path, names, columns);
  }
  return readTable(run, path, names, columns);
}

async function readMimic(run: Run, folder: string): Promise<Images> {
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
  await need(run, metadata, ['dicom_id', 'subject_id', 'study_id']);
  const views = (await columnsOf(run, metadata)).includes('ViewPosition') ? 'm.ViewPosition' : 'NULL';
  const split = find('split');
  const chexpert = find('chexpert');
  if (split !== undefined) await need(run, split, ['dicom_id', 'split']);
  const word = "CASE s.split WHEN 'validate' THEN 'val' ELSE s.split END";
  await run(`CREATE TABLE images AS SELECT
      'files/p' || m.subject_id[1:2] || '/p' || m.subject_id || '/s' || m.study_id || '/' || m.dicom_id || '.jpg' AS image,
      m.study_id AS report, m.subject_id AS patient, ${split === undefined ? 'NULL::VARCHAR' : word} AS split, ${views} AS view
    FROM ${table(metadata)} m ${split === undefined ? '' : `LEFT JOIN ${table(split)} s ON m.dicom_id = s.dicom_id`}`);
  if (chexpert !== undefined) {
    await need(run, chexpert, ['study_id', 'Pneumonia']);
    await given(run, chexpert, 'study_id');
  } else await noneGiven(run);
  return {
    kind: 'mimic-cxr-jpg',
    files: [metadata, split, chexpert].filter((file) => file !== undefined),
    givenLabels: chexpert !== undefined,
    givenSplits: split !== undefined,
  };
}

/** CheXpert: `Path` is `CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg`. */
async function readChexpert(
  run: Run,
  path: string,
  names: readonly string[],
  columns: ImageColumns,
): Promise<Images> {
  const report =
    columns.report === undefined
      ? "regexp_extract(Path, '(patient\\d+/study\\d+)', 1)"
      : name(columns.report);
  if (columns.report !== undefined) await need(run, path, [columns.report]);
  await run(`CREATE TABLE images AS SELECT Path AS image, ${report} AS report,
      regexp_extract(Path, '(patient\\d+)', 1) AS patient,
      CASE WHEN Path LIKE '%/valid/%' THEN 'val' WHEN Path LIKE '%/test/%' THEN 'test' ELSE NULL END AS split,
      "Frontal/Lateral" AS view FROM ${table(path)}`);
  // The published training set has no test split of its own: what is not "valid" is split here, by patient.
  const has = chexpertFindings.filter((finding) => names.includes(finding));
  if (has.length > 0) await given(run, path, report, has);
  else await noneGiven(run);
  return { kind: 'chexpert', files: [path], givenLabels: has.length > 0, givenSplits: false };
}

async function readTable(
  run: Run,
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
        hint: `It has: ${names.slice(0, 40).join(', ')}. Name it with ${flag}.`,
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
  if (split !== undefined) await need(run, path, [split]);
  const word =
    split === undefined
      ? 'NULL::VARCHAR'
      : `CASE lower(${name(split)}) WHEN 'valid' THEN 'val' WHEN 'validate' THEN 'val' WHEN 'validation' THEN 'val' ELSE lower(${name(split)}) END`;
  await run(`CREATE TABLE images AS SELECT ${name(image)} AS image, ${name(report)} AS report, ${name(patient)} AS patient,
      ${word} AS split, NULL::VARCHAR AS view FROM ${table(path)}`);
  await noneGiven(run);
  return { kind: 'table', files: [path], givenLabels: false, givenSplits: split !== undefined };
}

async function given(
  run: Run,
  path: string,
  report: string,
  findings: readonly string[] = chexpertFindings,
): Promise<void> {
  const names = await columnsOf(run, path);
  const parts = findings
    .filter((finding) => names.includes(finding))
    .map(
      (finding) =>
        `SELECT DISTINCT ${report} AS report, ${sqlText(finding)} AS finding, TRY_CAST(${name(finding)} AS DOUBLE) AS value FROM ${table(path)}`,
    );
  await run(`CREATE TABLE given AS SELECT * FROM (${parts.join(' UNION ALL ')}) WHERE value IS NOT NULL`);
}

async function noneGiven(run: Run): Promise<void> {
  await run('CREATE TABLE given (report VARCHAR, finding VARCHAR, value DOUBLE)');
}

async function columnsOf(run: Run, path: string): Promise<string[]> {
  try {
    return (await run(`DESCRIBE SELECT * FROM ${table(path)}`)).map(([column]) => String(column));
  } catch (cause) {
    throw new PenumbraError('dataset/images', `${path} cannot be read as a table.`, {
      hint: 'A .csv (also .csv.gz) with a header, or a .parquet.',
      where: { file: path },
      cause,
    });
  }
}

async function need(run: Run, path: string, columns: readonly string[]): Promise<void> {
  const names = await columnsOf(run, path);
  const missing = columns.filter((column) => !names.includes(column));
  if (missing.length === 0) return;
  throw new PenumbraError('dataset/columns', `${path} lacks the column(s) ${missing.join(', ')}.`, {
    hint: `It has: ${names.slice(0, 40).join(', ')}.`,
    where: { file: path },
  });
}

/** A file as a table of texts. */
function table(path: string): string {
  return /\.parquet$/i.test(path)
    ? `read_parquet(${sqlText(path)})`
    : `read_csv(${sqlText(path)}, header=true, all_varchar=true)`;
}

function name(column: string): string {
  return `"${column.replaceAll('"', '""')}"`;
}
