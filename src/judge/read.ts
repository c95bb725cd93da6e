import type { Targets } from '../data/targets.ts';
import { PenumbraError } from '../errors.ts';
import type { Outputs } from '../figures/index.ts';
import { printable } from '../files/index.ts';
import type { Floats } from '../metrics/index.ts';
import { type ColumnFlags, labelRoles, predictionRoles, type Roles, TEXTS } from './columns.ts';
import { openNpz } from './npz.ts';
import { type Coded, openTable, type Table } from './table.ts';

export interface ReadOptions extends ColumnFlags {
  /** A file of labels apart, matched by id. */
  readonly labels?: string;
  /** What the columns hold; default: found out. */
  readonly scale?: 'probabilities' | 'logits';
  /** Whether ids are wanted, to match another file. Default true. */
  readonly matched?: boolean;
}

/** One file of predictions with what is true of its samples. */
export interface PredictionFile {
  readonly file: string;
  /** Where labels came from, if from elsewhere. */
  readonly labelsFile: string | undefined;
  readonly outputs: Outputs;
  readonly scale: 'probabilities' | 'logits';
  /** N different texts; absent where the file has none, or nothing is matched. */
  readonly ids: readonly string[] | undefined;
  /** N numbers of groups (patients). */
  readonly groups: Coded | undefined;
  readonly strata: Coded | undefined;
  readonly roles: Roles;
}

/** How far a row's sum may be from 1. */
const TOLERANCE = 1e-3;

/**
 * Reads predictions made anywhere: CSV, Parquet or `.npz` by the name's ending, one label of K or K findings.
 *
 * @throws PenumbraError `judge/…`: what is wrong and in how many rows, never which and never their text.
 */
export async function readPredictions(path: string, options: ReadOptions = {}): Promise<PredictionFile> {
  using table = await open(path, options);
  const elsewhere = options.labels !== undefined;
  const roles = predictionRoles(table.columns, options, path, elsewhere);
  const names = roles.probabilities.map(({ name }) => name);
  const ids = roles.id === undefined ? undefined : await idsOf(table, roles.id, options.matched ?? true);
  const groups = roles.group === undefined ? undefined : await table.coded(roles.group);
  const strata = roles.stratum === undefined ? undefined : await table.coded(roles.stratum);
  checkBlank(groups, path, 'group');
  const truth = elsewhere
    ? await truthFrom(options.labels!, options, names, table.rows, ids, path)
    : await truthOf(table, roles, names);
  const scores = await table.numbers(roles.probabilities.map(({ column }) => column));
  const wanted = options.scale ?? (roles.namedLogits ? 'logits' : undefined);
  const read = scaled(scores, truth.kind, names.length, path, wanted);
  return {
    file: path,
    labelsFile: options.labels,
    outputs: { targets: truth, ...read.values },
    scale: read.scale,
    ids,
    groups,
    strata,
    roles,
  };
}

async function open(path: string, { id, label, group, stratum }: ColumnFlags): Promise<Table> {
  if (/\.npz$/i.test(path)) return openNpz(path);
  return openTable(path, [...TEXTS, ...[id, label, group, stratum].filter((name) => name !== undefined)]);
}

/** A file's ids; where nothing is matched by them only whether they are good. */
async function idsOf(table: Table, column: string, matched: boolean): Promise<string[] | undefined> {
  const { blank, repeated } = await table.distinct(column);
  if (blank > 0) {
    throw fileProblem(
      'judge/ids',
      table.file,
      `${blank} of ${table.rows} rows have no id (column ${printable(column)})`,
      'Every sample needs an id of its own; --id says which column it is.',
    );
  }
  if (repeated > 0) {
    throw fileProblem(
      'judge/ids',
      table.file,
      `${repeated} of ${table.rows} rows repeat an id (column ${printable(column)})`,
      'Every sample is judged once: average or drop repeated predictions, or name the right column with --id.',
    );
  }
  return matched ? table.texts(column) : undefined;
}

/** Truth from the file of predictions itself. */
async function truthOf(table: Table, roles: Roles, names: readonly string[]): Promise<Targets> {
  if (roles.findings.length > 0) {
    return findingsFrom(
      table,
      roles.findings.map(({ column }) => column),
      names,
    );
  }
  const label = roles.label!;
  // One column of probabilities beside one of labels: a single finding.
  if (names.length === 1) return findingsFrom(table, [label], names);
  return oneOfKFrom(await table.coded(label), names, table.file);
}

async function truthFrom(
  labels: string,
  options: ReadOptions,
  names: readonly string[],
  rows: number,
  ids: readonly string[] | undefined,
  file: string,
): Promise<Targets> {
  using table = await open(labels, options);
  const { group: _, stratum: __, ...flags } = options;
  // The two files may call their ids differently; a flag that only one of them knows is the other's.
  const known = flags.id !== undefined && table.columns.some(({ name }) => name === flags.id);
  const { id: ___, ...others } = flags;
  const roles = labelRoles(table.columns, known ? flags : others, labels, names);
  const own = roles.id === undefined ? undefined : await idsOf(table, roles.id, true);
  const place = matchRows(own, table.rows, labels, ids, rows, file);
  if (roles.findings.length === 0 && names.length > 1) {
    const { codes, values } = await table.coded(roles.label!);
    const picked = place === undefined ? codes : codes.length === 0 ? codes : place.map((row) => codes[row]!);
    return oneOfKFrom({ codes: picked, values }, names, labels);
  }
  const columns = roles.findings.length > 0 ? roles.findings.map(({ column }) => column) : [roles.label!];
  const targets = await findingsFrom(table, columns, names);
  if (place === undefined || targets.kind !== 'findings') return targets;
  const k = names.length;
  const values = new Float32Array(rows * k);
  const mask = targets.mask && new Uint8Array(rows * k);
  for (let i = 0; i < rows; i++) {
    values.set(targets.values.subarray(place[i]! * k, (place[i]! + 1) * k), i * k);
    mask?.set(targets.mask!.subarray(place[i]! * k, (place[i]! + 1) * k), i * k);
  }
  return { ...targets, values, ...(mask && { mask }) };
}

/**
 * Where each wanted sample stands in a file: by id, or by row where neither file has ids.
 * @returns N places; `undefined` where the order is the same.
 * @throws PenumbraError `judge/ids` with how many are missing
 */
export function matchRows(
  ids: readonly string[] | undefined,
  rows: number,
  file: string,
  wanted: readonly string[] | undefined,
  wantedRows: number,
  wantedFile: string,
): Int32Array | undefined {
  if (ids === undefined || wanted === undefined) {
    if (ids === undefined && wanted === undefined && rows === wantedRows) return undefined;
    const lacks = ids === undefined ? file : wantedFile;
    throw fileProblem(
      'judge/ids',
      lacks,
      ids === undefined && wanted === undefined
        ? `${rows} rows here and ${wantedRows} in ${wantedFile === lacks ? file : wantedFile}, and no ids to match them by`
        : 'there is no column of ids, which the other file has',
      'Samples are matched by id: name the column with --id.',
    );
  }
  if (ids.length === wanted.length && ids.every((id, i) => id === wanted[i])) return undefined;
  const place = new Map<string, number>();
  for (let i = 0; i < ids.length; i++) place.set(ids[i]!, i);
  const result = new Int32Array(wanted.length);
  let missing = 0;
  for (let i = 0; i < wanted.length; i++) {
    const at = place.get(wanted[i]!);
    if (at === undefined) missing++;
    else result[i] = at;
  }
  if (missing > 0) {
    throw fileProblem(
      'judge/ids',
      file,
      `${missing} of the ${wanted.length} ids of ${wantedFile} are not in it`,
      missing === wanted.length
        ? 'Not one id is the same: do both columns hold the same kind of id (with folder, with ending)? --id names them.'
        : 'Methods are compared on the same samples: give files of the same split.',
    );
  }
  return result;
}

function oneOfKFrom({ codes, values }: Coded, names: readonly string[], file: string): Targets {
  const blank = codes.reduce((many, code) => many + (code < 0 ? 1 : 0), 0);
  if (blank > 0) {
    throw fileProblem(
      'judge/labels',
      file,
      `${blank} of ${codes.length} rows have no label`,
      'Leave them out; blanks for what is not known are for findings.',
    );
  }
  // What this project writes guards a cell such as "=x" with an apostrophe.
  const byName = values.map((value) => names.indexOf(value.replace(/^'(?=[=+\-@])/, '')));
  // Class numbers, also as pandas writes them: 3.0.
  const byNumber = values.map((value) => (/^\d+(\.0+)?$/.test(value) ? Number(value) : -1));
  const good = (places: readonly number[]) => places.every((k) => k >= 0 && k < names.length);
  const places = good(byName) ? byName : good(byNumber) ? byNumber : undefined;
  if (places === undefined) {
    const unknown = values.filter((_, v) => byName[v]! < 0).length;
    throw fileProblem(
      'judge/classes',
      file,
      `${unknown} of its ${values.length} different labels are none of the ${names.length} classes with probabilities (${listed(names)})`,
      `Labels are names of classes, or numbers from 0 to ${names.length - 1} in the order of the columns.`,
    );
  }
  return { kind: 'one-of-k', names, values: codes.map((code) => places[code]!) };
}

async function findingsFrom(
  table: Table,
  columns: readonly string[],
  names: readonly string[],
): Promise<Targets> {
  for (const column of columns) {
    const { filled, numeric } = table.columns.find(({ name }) => name === column)!;
    if (filled === numeric) continue;
    throw fileProblem(
      'judge/labels',
      table.file,
      `${filled - numeric} of ${table.rows} cells of the column ${printable(column)} are no numbers`,
      'A finding is 1 (present), 0 (absent), a probability between them, or blank (not known).',
    );
  }
  const numbers = await table.numbers(columns);
  const values = new Float32Array(numbers.length);
  const mask = new Uint8Array(numbers.length);
  let unknown = 0;
  let bad = 0;
  let uncertain = 0;
  for (let at = 0; at < numbers.length; at++) {
    const y = numbers[at]!;
    if (Number.isNaN(y)) {
      unknown++;
      continue;
    }
    if (!(y >= 0 && y <= 1)) bad++;
    if (y === -1) uncertain++;
    values[at] = y;
    mask[at] = 1;
  }
  if (bad > 0) {
    throw fileProblem(
      'judge/labels',
      table.file,
      `${bad} of ${numbers.length} labels of findings are not in [0, 1]`,
      uncertain === bad
        ? 'These are all −1, CheXpert’s "uncertain": leave them blank (not known), or write what they shall count as.'
        : 'A finding is 1 (present), 0 (absent), a probability between them, or blank (not known).',
    );
  }
  if (unknown === numbers.length) {
    throw fileProblem(
      'judge/labels',
      table.file,
      'not one label is known',
      'Are these the right columns? --label-columns names them.',
    );
  }
  return { kind: 'findings', names, values, ...(unknown > 0 && { mask }) };
}

/**
 * Probabilities from what a file holds. Unless it is said, numbers outside [0, 1] in rows that do not sum to 1 are
 * logits; anything between is an error rather than a guess.
 */
function scaled(
  scores: Floats,
  kind: Targets['kind'],
  classes: number,
  file: string,
  wanted: ReadOptions['scale'],
): { scale: 'probabilities' | 'logits'; values: { probabilities: Floats; logits?: Floats } } {
  const n = scores.length / classes;
  let missing = 0;
  let infinite = 0;
  let outside = 0;
  let unsummed = 0;
  for (let i = 0, at = 0; i < n; i++) {
    let sum = 0;
    for (let k = 0; k < classes; k++, at++) {
      const v = scores[at]!;
      if (Number.isNaN(v)) missing++;
      else if (!Number.isFinite(v)) infinite++;
      if (!(v >= 0 && v <= 1 + TOLERANCE)) outside++;
      sum += v;
    }
    if (!(Math.abs(sum - 1) <= TOLERANCE)) unsummed++;
  }
  const all = scores.length;
  if (missing > 0) {
    throw fileProblem(
      'judge/nan',
      file,
      `${missing} of ${all} predictions are NaN, blank or no numbers`,
      'Did the training diverge? Or are other columns taken for predictions? --probability-columns names the right ones.',
    );
  }
  if (infinite > 0) {
    throw fileProblem(
      'judge/nan',
      file,
      `${infinite} of ${all} predictions are infinite`,
      'Logarithms of zero probabilities? Write probabilities, or logits before the softmax.',
    );
  }
  const oneOfK = kind === 'one-of-k';
  const share = outside / all;
  const isLogits =
    wanted === 'logits' ||
    (wanted === undefined && (oneOfK ? outside > 0 && unsummed > n / 2 : share >= 0.01));
  if (isLogits) {
    return {
      scale: 'logits',
      values: { logits: scores, probabilities: oneOfK ? softmaxRows(scores, classes) : sigmoid(scores) },
    };
  }
  if (outside > 0) {
    throw fileProblem(
      'judge/probabilities',
      file,
      `${outside} of ${all} probabilities are not in [0, 1]`,
      'If the columns hold logits, say --logits.',
    );
  }
  if (oneOfK && unsummed > 0) {
    throw fileProblem(
      'judge/row-sum',
      file,
      `${unsummed} of ${n} rows do not sum to 1 (within ${TOLERANCE})`,
      'If the columns hold logits, say --logits; if other columns were taken for probabilities, name the right ones with --probability-columns; for findings that are not exclusive, give a column of labels for each.',
    );
  }
  // What lies a rounding above 1 is 1.
  const above = scores.some((v: number) => v > 1);
  return {
    scale: 'probabilities',
    values: { probabilities: above ? scores.map((v: number) => Math.min(1, v)) : scores },
  };
}

function softmaxRows(logits: Floats, classes: number): Float64Array {
  const result = new Float64Array(logits.length);
  for (let at = 0; at < logits.length; at += classes) {
    let most = Number.NEGATIVE_INFINITY;
    for (let k = 0; k < classes; k++) most = Math.max(most, logits[at + k]!);
    let sum = 0;
    for (let k = 0; k < classes; k++) {
      const e = Math.exp(logits[at + k]! - most);
      result[at + k] = e;
      sum += e;
    }
    for (let k = 0; k < classes; k++) result[at + k] = result[at + k]! / sum;
  }
  return result;
}

function sigmoid(logits: Floats): Float64Array {
  const result = new Float64Array(logits.length);
  for (let at = 0; at < logits.length; at++) result[at] = 1 / (1 + Math.exp(-logits[at]!));
  return result;
}

function checkBlank(groups: Coded | undefined, file: string, what: string): void {
  const blank = groups?.codes.reduce((many, code) => many + (code < 0 ? 1 : 0), 0) ?? 0;
  if (blank === 0) return;
  throw fileProblem(
    'judge/groups',
    file,
    `${blank} of ${groups!.codes.length} rows have no ${what}`,
    'Give every sample its patient, or judge without --group.',
  );
}

function listed(names: readonly string[]): string {
  return `${names
    .slice(0, 8)
    .map((name) => printable(name).slice(0, 40))
    .join(', ')}${names.length > 8 ? ', …' : ''}`;
}

export function fileProblem(code: string, file: string, what: string, hint: string): PenumbraError {
  return new PenumbraError(code, `${file}: ${what}.`, { hint, where: { file } });
}
