import { existsSync, readSync } from 'node:fs';
import { basename, join } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { openRegular, readRegular } from '../files/index.ts';
import { parseCsv } from './csv.ts';
import { readHeader } from './decode.ts';
import type { Fractions } from './split.ts';
import { type StringTable, stringAt } from './string-table.ts';
import type { OneOfK, Targets } from './targets.ts';
import type { BrokenFile, Dataset, PixelSource, SplitName } from './types.ts';

/** A name per sample: that of sample i is `names[of[i]]`. Two numbers may have the same name. */
export interface Names {
  readonly names: readonly string[];
  readonly of: Int32Array;
}

/** Samples as a reader found them, before they are divided: those of one named split, or of none. */
export interface Part {
  readonly split: SplitName | undefined;
  readonly source: PixelSource;
  /** Sample i is image `rows[i]` of `source`. */
  readonly rows: Uint32Array<SharedArrayBuffer>;
  /** With the same names in every part. */
  readonly targets: Targets;
  /** File names, where there are any. Row r of the source has name `names[r]`. */
  readonly names: StringTable | undefined;
  /** Groups per sample, where a table gives them. */
  readonly groups: Names | undefined;
  /** Sites per sample, likewise. */
  readonly sites?: Names | undefined;
  /** N×K. */
  readonly posterior: Float32Array | undefined;
}

/** What a reader of one format gives. */
export interface Listing {
  readonly format: string;
  readonly strata?: Dataset['strata'];
  readonly parts: readonly Part[];
  readonly skipped: readonly BrokenFile[];
  /** What a person should know, a sentence each. */
  readonly notes?: readonly string[];
  /** Shares that are asked for where the caller names none, for data whose publication leaves a split open. */
  readonly fractions?: Fractions;
}

/** Names of table columns; where absent, the usual ones are looked for. */
export interface ColumnNames {
  readonly file?: string;
  readonly label?: string;
  readonly split?: string;
  readonly group?: string;
  readonly site?: string;
}

export const USUAL_COLUMNS: Readonly<Record<keyof ColumnNames, readonly string[]>> = {
  file: ['file', 'filename', 'path', 'image'],
  label: ['label', 'class'],
  split: ['split'],
  group: ['group', 'patient', 'patient_id', 'patientid', 'patient id', 'subject', 'subject_id'],
  site: ['site', 'centre', 'center', 'hospital', 'institution'],
};

/** The position of a column in a header line, undefined where it is not there; a column asked for by name must be. */
export function findColumn(
  header: readonly string[],
  role: keyof ColumnNames,
  columns: ColumnNames,
  file: string,
): number | undefined {
  const wanted = columns[role] === undefined ? USUAL_COLUMNS[role] : [columns[role].toLowerCase()];
  const names = header.map((name) => name.trim().toLowerCase());
  const found = wanted.map((name) => names.indexOf(name)).find((at) => at >= 0);
  if (found === undefined && columns[role] !== undefined) throw missingColumn(header, role, columns, file);
  return found;
}

/**
 * The position of a column that a published table has.
 *
 * @throws {PenumbraError} `data/columns` where it is not there.
 */
export function namedColumn(header: readonly string[], column: string, table: string): number {
  const at = header.findIndex((name) => name.trim().toLowerCase() === column.toLowerCase());
  if (at >= 0) return at;
  throw new PenumbraError('data/columns', `${table} has no column ${column}`, {
    where: { file: table, column },
    hint: 'take the table as it is published, or name the column',
  });
}

export function missingColumn(
  header: readonly string[],
  role: keyof ColumnNames,
  columns: ColumnNames,
  file: string,
): PenumbraError {
  const wanted = columns[role] ?? USUAL_COLUMNS[role].join(', ');
  const headless = header.some((name) => /\.(png|jpe?g)$/i.test(name));
  return new PenumbraError('data/columns', `${file} has no column for the ${role} (looked for: ${wanted})`, {
    where: { file, column: role },
    hint: headless
      ? 'its first line must name the columns, for example file,label'
      : `name the ${role} column`,
  });
}

export function readText(path: string): string {
  try {
    return readRegular(path).toString('utf8');
  } catch (cause) {
    throw new PenumbraError('data/not-found', `${path} cannot be read`, { where: { file: path }, cause });
  }
}

/** Integers by value, other names by code point: the same order on every machine. */
export function sortClasses(names: Iterable<string>): string[] {
  const all = [...names];
  if (all.every((name) => /^\d+$/.test(name))) return all.sort((a, b) => Number(a) - Number(b));
  return all.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/**
 * A table of true posteriors beside a data set, `posterior.csv`: the first column is the key (a file or an
 * index), and each class has a column `p_<class>`.
 *
 * @returns K probabilities by key; undefined where there is no such table.
 */
export function readPosterior(
  path: string,
  classes: readonly string[],
): Map<string, Float32Array> | undefined {
  if (!existsSync(path)) return undefined;
  const text = readRegular(path).toString('utf8');
  const rows = new Map<string, Float32Array>();
  let positions: number[] | undefined;
  parseCsv(text, path, (fields, line) => {
    if (positions === undefined) {
      positions = classes.map((name) => fields.indexOf(`p_${name}`));
      const absent = positions.indexOf(-1);
      if (absent < 0) return;
      throw new PenumbraError('data/posterior', `${path} has no column p_${classes[absent]}`, {
        where: { file: path, column: `p_${classes[absent]}` },
      });
    }
    const values = Float32Array.from(positions, (at) => Number(fields[at] || NaN));
    const sum = values.reduce((total, value) => total + value, 0);
    if (!values.every((value) => value >= 0) || Math.abs(sum - 1) > 1e-3) {
      throw new PenumbraError(
        'data/posterior',
        `${path}, line ${line}: not ${classes.length} probabilities`,
        {
          where: { file: path, line },
          hint: 'each row holds numbers of 0 or more with the sum 1',
        },
      );
    }
    rows.set(fields[0], values);
  });
  return rows;
}

/** N×K from a posterior table; every sample must be in it. */
export function pickPosterior(
  table: Map<string, Float32Array> | undefined,
  keys: readonly string[],
  classes: number,
  path: string,
): Float32Array | undefined {
  if (table === undefined) return undefined;
  const posterior = new Float32Array(keys.length * classes);
  for (let i = 0; i < keys.length; i++) {
    const row = table.get(keys[i]);
    if (row === undefined) {
      throw new PenumbraError('data/posterior', `${path} has no row for ${keys[i]}`, {
        where: { file: path, row: i },
      });
    }
    posterior.set(row, i * classes);
  }
  return posterior;
}

/** Class names from `info.json` beside the data (`{"classes": [...]}`), where there is one. */
export function readClassNames(folder: string): string[] | undefined {
  const path = join(folder, 'info.json');
  let text: string;
  try {
    text = readRegular(path).toString('utf8');
  } catch {
    return undefined;
  }
  let classes: unknown;
  try {
    classes = (JSON.parse(text) as { classes?: unknown } | null)?.classes;
  } catch (cause) {
    throw new PenumbraError('data/info', `${path} is not JSON`, { where: { file: path }, cause });
  }
  if (classes === undefined) return undefined;
  const names: unknown[] = Array.isArray(classes) ? classes : [];
  const good = names.every((name) => typeof name === 'string') && new Set(names).size === names.length;
  if (!good || names.length < 2) {
    throw new PenumbraError('data/info', `${path}: classes must be two or more different names`, {
      where: { file: path },
    });
  }
  return names as string[];
}

/** Grey or colour, by the first of the first 16 files that has a readable header; colour where none has. */
export function probeChannels(root: string, paths: StringTable): 1 | 3 {
  const head = Buffer.alloc(1 << 16);
  for (let i = 0; i < Math.min(16, paths.length); i++) {
    try {
      using file = openRegular(join(root, stringAt(paths, i)));
      return readHeader(head.subarray(0, readSync(file.descriptor, head, 0, head.length, 0))).channels;
    } catch {
      // Broken files are reported when they are loaded.
    }
  }
  return 3;
}

export function oneOfK(names: readonly string[], values: Int32Array): OneOfK {
  return { kind: 'one-of-k', names, values };
}

/** Names as they come, one a sample. */
export function namesOf(values: readonly string[]): Names {
  const numbers = new Map<string, number>();
  const of = Int32Array.from(values, (name) => {
    const number = numbers.get(name) ?? numbers.size;
    numbers.set(name, number);
    return number;
  });
  return { names: [...numbers.keys()], of };
}

/** `dir/a.png` → `a.png`, for any separator. */
export function fileName(path: string): string {
  return basename(path.replaceAll('\\', '/'));
}
