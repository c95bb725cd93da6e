import { isUtf8 } from 'node:buffer';
import { createReadStream, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, extname, join, relative, sep } from 'node:path';
import { createGunzip } from 'node:zlib';
import { PenumbraError } from '../../errors.ts';
import { readZipEntries } from '../../zip.ts';
import type { Report, Section } from '../types.ts';
import { CsvReader } from './csv.ts';
import { readOpenIXml } from './openi.ts';
import { readParquet } from './tables.ts';

/** A report, or the reason why there is none under this id. The reason never holds text of the report. */
export type InputItem = { readonly report: Report } | { readonly id: string; readonly failure: string };

export interface InputOptions {
  /** Column of the report's id; default: the first of `idColumns` that exists, else the number of the row. */
  idColumn?: string;
  /** Column of the whole text; default: the first of `textColumns`, else the section columns. */
  textColumn?: string;
  /** Longer reports (UTF-16 units) become failures. Default 1,000,000. */
  longestText?: number;
  /** Encoding of text files; default `utf-8`. Whatever a `TextDecoder` knows. */
  encoding?: string;
}

/** How the input is laid out. */
export type InputFormat = 'csv' | 'jsonl' | 'parquet' | 'folder' | 'zip' | 'xml' | 'txt';

/** Names under which an id, a text and sections are looked for, in this order, whatever their case. */
const idColumns = [
  'id',
  'report_id',
  'reportid',
  'study_id',
  'uid',
  'accession',
  'accession_number',
  'filename',
  'name',
];
const textColumns = ['text', 'report', 'reports', 'report_text', 'note', 'body'];
const sectionColumns: Readonly<Record<string, Section>> = {
  indication: 'history',
  history: 'history',
  clinical_history: 'history',
  clinical_information: 'history',
  comparison: 'comparison',
  technique: 'technique',
  examination: 'technique',
  exam: 'technique',
  findings: 'findings',
  impression: 'impression',
  conclusion: 'impression',
  recommendation: 'recommendation',
  recommendations: 'recommendation',
};

const batchSize = 256;

/**
 * The format of `path`, by what it is and how it is called.
 * @throws PenumbraError `reports/input` for a path that does not exist or has no known form.
 */
export function inputFormat(path: string): InputFormat {
  let stat: ReturnType<typeof statSync>;
  try {
    stat = statSync(path);
  } catch (cause) {
    throw new PenumbraError('reports/input', `There is nothing at ${path}.`, {
      hint: "Give a folder of .txt or .xml files, MIMIC-CXR's files/ folder or reports zip, or a .csv, .jsonl or .parquet file.",
      where: { file: path },
      cause,
    });
  }
  if (stat.isDirectory()) return 'folder';
  if (stat.size === 0) {
    throw new PenumbraError('reports/empty-input', `${path} is empty (0 bytes).`, {
      hint: 'Was it written completely?',
      where: { file: path },
    });
  }
  const name = path.toLowerCase().replace(/\.gz$/, '');
  const format = (
    {
      '.csv': 'csv',
      '.tsv': 'csv',
      '.jsonl': 'jsonl',
      '.ndjson': 'jsonl',
      '.parquet': 'parquet',
      '.zip': 'zip',
      '.xml': 'xml',
      '.txt': 'txt',
    } as const
  )[extname(name)];
  if (format === undefined) {
    throw new PenumbraError('reports/input', `${path} has no form that is known.`, {
      hint: 'Known are folders, .csv, .tsv, .jsonl, .ndjson (each also .gz), .parquet, .zip, .xml and .txt.',
      where: { file: path },
    });
  }
  return format;
}

/**
 * Reads reports in batches, in an order that depends only on the input. Memory does not grow with the number of
 * reports. A report that cannot be read is an item with the reason; input that cannot be read at all is an error.
 */
export async function* readReports(path: string, options: InputOptions = {}): AsyncGenerator<InputItem[]> {
  const longest = options.longestText ?? 1_000_000;
  const format = inputFormat(path);
  let any = false;
  for await (const batch of batches(items(path, format, options, longest))) {
    any = true;
    yield batch;
  }
  if (!any) {
    throw new PenumbraError('reports/empty-input', `${path} holds no report.`, {
      hint:
        format === 'folder' || format === 'zip'
          ? 'Reports are .txt or Open-i .xml files.'
          : 'It has a header but no rows, or only empty lines.',
      where: { file: path },
    });
  }
}

/** `readReports` without what cannot be read: for statistics, where a few reports more or less do not matter. */
export async function* readableReports(path: string, options: InputOptions = {}): AsyncGenerator<Report[]> {
  for await (const batch of readReports(path, options)) {
    yield batch.flatMap((item) => ('report' in item ? [item.report] : []));
  }
}

async function* items(
  path: string,
  format: InputFormat,
  options: InputOptions,
  longest: number,
): AsyncGenerator<InputItem[]> {
  switch (format) {
    case 'csv':
      yield* fromCsv(path, options, longest);
      return;
    case 'jsonl':
      yield* fromJsonLines(path, options, longest);
      return;
    case 'parquet':
      yield* fromParquet(path, options, longest);
      return;
    case 'zip':
      yield* inBatches(fromZip(path, options, longest));
      return;
    case 'folder':
      yield* inBatches(fromFolder(path, options, longest));
      return;
    default:
      yield [fromBytes(stem(basename(path)), extname(path), readFileSync(path), options, longest)];
  }
}

async function* batches(source: AsyncIterable<InputItem[]>): AsyncGenerator<InputItem[]> {
  for await (const batch of source) if (batch.length > 0) yield batch;
}

function* inBatches(source: Iterable<InputItem>): Generator<InputItem[]> {
  let batch: InputItem[] = [];
  for (const item of source) {
    if (batch.push(item) === batchSize) {
      yield batch;
      batch = [];
    }
  }
  yield batch;
}

// --- tables -----------------------------------------------------------------------------------------------------

/** Where in a row the parts of a report stand. */
interface Columns {
  readonly id: number;
  readonly text: number;
  readonly sections: readonly { readonly index: number; readonly section: Section }[];
}

function findColumns(header: readonly string[], options: InputOptions, path: string): Columns {
  const names = header.map((name) => name.trim());
  const lower = names.map((name) => name.toLowerCase());
  const named = (column: string | undefined, flag: string): number | undefined => {
    if (column === undefined) return undefined;
    const index = names.indexOf(column);
    if (index >= 0) return index;
    throw new PenumbraError('reports/columns', `${path} has no column "${column}".`, {
      hint: `It has: ${names.join(', ')}. Name one of them with ${flag}.`,
      where: { file: path },
    });
  };
  const first = (wanted: readonly string[]): number => {
    for (const name of wanted) if (lower.includes(name)) return lower.indexOf(name);
    return -1;
  };
  const id = named(options.idColumn, '--id-column') ?? first(idColumns);
  const sections = lower.flatMap((name, index) => {
    const section = sectionColumns[name];
    return section === undefined ? [] : [{ index, section }];
  });
  const says = sections.some(({ section }) => section === 'findings' || section === 'impression');
  const text = named(options.textColumn, '--text-column') ?? (says ? -1 : first(textColumns));
  if (text < 0 && !says) {
    throw new PenumbraError('reports/columns', `${path} has no column that holds reports.`, {
      hint: `It has: ${names.slice(0, 40).join(', ')}. Name the one that holds the text with --text-column.`,
      where: { file: path },
    });
  }
  return { id, text, sections: text < 0 ? sections : [] };
}

function fromCells(cells: readonly unknown[], columns: Columns, row: number, longest: number): InputItem {
  const cell = (index: number): string => {
    const value = cells[index];
    return value === null || value === undefined ? '' : String(value);
  };
  const id = columns.id >= 0 ? cell(columns.id).trim() : '';
  const name = id === '' ? `row-${row}` : id;
  const parts = columns.text >= 0 ? [columns.text] : columns.sections.map(({ index }) => index);
  let length = 0;
  for (const index of parts) {
    const text = cell(index);
    length += text.length;
    if (text.includes('\uFFFD')) return { id: name, failure: notUtf8 };
  }
  if (length > longest) return { id: name, failure: tooLong(length, longest) };
  if (columns.text >= 0) return { report: { id: name, text: cell(columns.text) } };
  return {
    report: {
      id: name,
      sections: columns.sections.map(({ index, section }) => ({ section, text: cell(index) })),
    },
  };
}

async function* fromCsv(path: string, options: InputOptions, longest: number): AsyncGenerator<InputItem[]> {
  const reader = new CsvReader({
    separator: /\.tsv(\.gz)?$/i.test(path) ? '\t' : ',',
    longestField: longest,
  });
  const decoder = decoderOf(options.encoding);
  let columns: Columns | undefined;
  let width = 0;
  let row = 0;
  const take = (rows: string[][]): InputItem[] => {
    const found: InputItem[] = [];
    for (const cells of rows) {
      if (columns === undefined) {
        columns = findColumns(cells, options, path);
        width = cells.length;
        continue;
      }
      row++;
      if (cells.length === 1 && cells[0] === '' && width > 1) continue;
      if (cells.length !== width) {
        const id = columns.id >= 0 ? (cells[columns.id] ?? '').trim().slice(0, 200) : '';
        const failure = `the row has ${cells.length} fields, the header ${width}: is a quote or a comma missing?`;
        found.push({ id: id === '' ? `row-${row}` : id, failure });
      } else found.push(fromCells(cells, columns, row, longest));
    }
    return found;
  };
  let first = true;
  for await (const chunk of chunks(path)) {
    let text = decoder.decode(chunk, { stream: true });
    if (first && text.startsWith('\uFEFF')) text = text.slice(1);
    first = false;
    yield take(reader.push(text));
  }
  const rest = reader.push(decoder.decode());
  const { row: last, unclosed } = reader.end();
  if (last !== undefined) rest.push(last);
  const found = take(rest);
  if (unclosed && found.length > 0) {
    const item = found.pop()!;
    found.push({ id: 'report' in item ? item.report.id : item.id, failure: 'a quoted field never ends' });
  }
  yield found;
}

async function* fromJsonLines(
  path: string,
  options: InputOptions,
  longest: number,
): AsyncGenerator<InputItem[]> {
  // A character may take six bytes as \uXXXX; more than that, and the line holds more than a report.
  const longestLine = longest * 6 + 65_536;
  const decoder = options.encoding === undefined ? undefined : decoderOf(options.encoding);
  let rest: Buffer = Buffer.alloc(0);
  let dropping = false;
  let dropped = 0;
  let row = 0;
  let keys: string[] | undefined;
  let columns: Columns | undefined;
  const read = (bytes: Buffer): InputItem | undefined => {
    if (bytes.length > 0 && bytes[bytes.length - 1] === 13) bytes = bytes.subarray(0, -1);
    if (bytes.length === 0) return undefined;
    row++;
    if (decoder === undefined && !isUtf8(bytes)) return { id: `row-${row}`, failure: notUtf8 };
    const text = decoder === undefined ? bytes.toString('utf8') : decoder.decode(bytes);
    if (text.trim() === '' || text === '\uFEFF') {
      row--;
      return undefined;
    }
    let value: unknown;
    try {
      value = JSON.parse(row === 1 ? text.replace(/^\uFEFF/, '') : text);
    } catch {
      return { id: `row-${row}`, failure: 'the line is not JSON' };
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return { id: `row-${row}`, failure: 'the line is no JSON object' };
    }
    const object = value as Record<string, unknown>;
    const own = Object.keys(object);
    if (keys === undefined || own.length !== keys.length || !keys.every((key) => key in object)) {
      keys = own;
      try {
        columns = findColumns(keys, options, path);
      } catch (error) {
        if (row === 1) throw error;
        keys = undefined;
        return { id: `row-${row}`, failure: 'the line lacks the fields of a report' };
      }
    }
    const cells = keys.map((key) => object[key]);
    const bad = [...(columns!.text >= 0 ? [columns!.text] : columns!.sections.map((s) => s.index))].find(
      (index) => cells[index] !== null && typeof cells[index] !== 'string',
    );
    const item = fromCells(cells, columns!, row, longest);
    if (bad !== undefined) {
      return { id: 'report' in item ? item.report.id : item.id, failure: `field "${keys[bad]}" is no text` };
    }
    return item;
  };
  for await (const chunk of chunks(path)) {
    const found: InputItem[] = [];
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      const piece = chunk.subarray(from, end);
      from = end + 1;
      if (dropping) {
        row++;
        found.push({
          id: `row-${row}`,
          failure: `the line has more than ${dropped + piece.length} bytes; the limit is ${longestLine}`,
        });
        dropping = false;
        dropped = 0;
        continue;
      }
      const item = read(rest.length === 0 ? piece : Buffer.concat([rest, piece]));
      rest = Buffer.alloc(0);
      if (item !== undefined) found.push(item);
    }
    const tail = chunk.subarray(from);
    if (dropping) dropped += tail.length;
    else if (rest.length + tail.length > longestLine) {
      dropping = true;
      dropped = rest.length + tail.length;
      rest = Buffer.alloc(0);
    } else rest = rest.length === 0 ? Buffer.from(tail) : Buffer.concat([rest, tail]);
    yield found;
  }
  if (dropping)
    yield [{ id: `row-${row + 1}`, failure: `the line has ${dropped} bytes; the limit is ${longestLine}` }];
  else {
    const item = read(rest);
    yield item === undefined ? [] : [item];
  }
}

async function* fromParquet(
  path: string,
  options: InputOptions,
  longest: number,
): AsyncGenerator<InputItem[]> {
  let row = 0;
  let columns: Columns | undefined;
  for await (const { names, rows } of readParquet(path)) {
    columns ??= findColumns(names, options, path);
    yield rows.map((cells) => fromCells(cells, columns!, ++row, longest));
  }
}

// --- files ------------------------------------------------------------------------------------------------------

function* fromFolder(root: string, options: InputOptions, longest: number): Generator<InputItem> {
  for (const path of walk(root)) {
    const extension = extname(path).toLowerCase();
    if (extension !== '.txt' && extension !== '.xml') continue;
    const id = idOf(relative(root, path).split(sep).join('/'));
    try {
      const { size } = statSync(path);
      if (size > longest * 4) {
        yield { id, failure: `the file has ${size} bytes; the limit is ${longest * 4}` };
        continue;
      }
      yield fromBytes(id, extension, readFileSync(path), options, longest);
    } catch (error) {
      yield {
        id,
        failure: `the file cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`,
      };
    }
  }
}

/** Files below `root`, folder by folder, in the order of their names. Links to folders are not followed. */
function* walk(root: string): Generator<string> {
  const entries = readdirSync(root, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const path = join(root, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    else yield path;
  }
}

function* fromZip(path: string, options: InputOptions, longest: number): Generator<InputItem> {
  const wanted = (name: string) => /\.(txt|xml)$/i.test(name);
  for (const entry of readZipEntries(path, { longest: longest * 4, wanted, code: 'reports/zip' })) {
    const id = idOf(entry.name);
    if ('failure' in entry) yield { id, failure: entry.failure };
    else yield fromBytes(id, extname(entry.name).toLowerCase(), entry.bytes, options, longest);
  }
}

function fromBytes(
  id: string,
  extension: string,
  bytes: Buffer,
  options: InputOptions,
  longest: number,
): InputItem {
  if (bytes.length === 0) return { id, failure: 'the file is empty' };
  let text: string;
  try {
    text = decoderOf(options.encoding, bytes, true).decode(bytes);
  } catch {
    return { id, failure: notUtf8 };
  }
  if (text.trim() === '') return { id, failure: 'the file holds only white space' };
  if (text.length > longest) return { id, failure: tooLong(text.length, longest) };
  if (extension !== '.xml') return { report: { id, text } };
  const read = readOpenIXml(text);
  return 'failure' in read
    ? { id, failure: read.failure }
    : { report: { id: read.id ?? id, sections: read.sections } };
}

/** MIMIC-CXR's files are known by their study (`s50414267`), others by their path without the ending. */
function idOf(path: string): string {
  const mimic = /(?:^|\/)p\d{2}\/p\d{8}\/(s\d{8})\.txt$/.exec(path);
  return mimic === null ? stem(path) : mimic[1]!;
}

function stem(path: string): string {
  return path.slice(0, path.length - extname(path).length);
}

// --- bytes ------------------------------------------------------------------------------------------------------

const notUtf8 = 'the text is not valid UTF-8; name its encoding with --encoding (for example windows-1252)';

function tooLong(length: number, longest: number): string {
  return `the report has ${length > longest ? `more than ${longest}` : length} characters; is this one report?`;
}

function decoderOf(
  encoding: string | undefined,
  bytes?: Buffer,
  fatal = false,
): InstanceType<typeof TextDecoder> {
  // A byte order mark says what the bytes are, whatever was assumed.
  const marked =
    bytes !== undefined && bytes.length > 1 && bytes[0] === 0xff && bytes[1] === 0xfe
      ? 'utf-16le'
      : undefined;
  try {
    return new TextDecoder(marked ?? encoding ?? 'utf-8', { fatal });
  } catch (cause) {
    throw new PenumbraError('reports/encoding', `The encoding "${encoding}" is not known.`, {
      hint: 'Use a name such as utf-8, windows-1252, iso-8859-1 or utf-16le.',
      cause,
    });
  }
}

/** A file piece by piece, unpacked where it ends in .gz. */
async function* chunks(path: string): AsyncGenerator<Buffer> {
  const file = createReadStream(path, { highWaterMark: 1 << 20 });
  if (!path.toLowerCase().endsWith('.gz')) {
    yield* file as AsyncIterable<Buffer>;
    return;
  }
  const unpacked = createGunzip({ chunkSize: 1 << 20 });
  file.on('error', (error) => unpacked.destroy(error));
  try {
    yield* file.pipe(unpacked) as AsyncIterable<Buffer>;
  } catch (cause) {
    throw new PenumbraError('reports/damaged', `${path} cannot be unpacked: it is damaged or cut off.`, {
      hint: 'Compare it with its checksum and fetch it again.',
      where: { file: path },
      cause,
    });
  } finally {
    file.destroy();
  }
}
