import { statSync } from 'node:fs';
import { extname } from 'node:path';
import { PenumbraError } from '../../errors.ts';
import type { Report } from '../types.ts';
import { decoderOf } from './bytes.ts';
import { fromCsv } from './csv-in.ts';
import { fromFile, fromFolder, fromZip } from './files-in.ts';
import type { InputItem, InputOptions } from './item.ts';
import { fromJsonLines } from './jsonl-in.ts';
import { fromParquet } from './parquet-in.ts';

export type { InputItem, InputOptions } from './item.ts';

/** How the input is laid out. */
export type InputFormat = 'csv' | 'jsonl' | 'parquet' | 'folder' | 'zip' | 'xml' | 'txt';

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
  if (options.encoding !== undefined) decoderOf(options.encoding); // a wrong name is one error, not one per report
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
      yield [fromFile(path, options, longest)];
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
