import { readdirSync } from 'node:fs';
import { basename, extname, join, relative, sep } from 'node:path';
import { PenumbraError } from '../../errors.ts';
import { readRegular } from '../../files/index.ts';
import { readZipEntries } from '../../zip.ts';
import { decoderOf } from './bytes.ts';
import { type InputItem, type InputOptions, notUtf8, tooLong } from './item.ts';
import { readOpenIXml } from './openi.ts';

/** The report in one text or XML file. */
export function fromFile(path: string, options: InputOptions, longest: number): InputItem {
  return fromBytes(stem(basename(path)), extname(path), readRegular(path), options, longest);
}

/** One report per .txt or .xml file below a folder, MIMIC-CXR's layout among them. */
export function* fromFolder(root: string, options: InputOptions, longest: number): Generator<InputItem> {
  for (const path of walk(root)) {
    const extension = extname(path).toLowerCase();
    if (extension !== '.txt' && extension !== '.xml') continue;
    const id = idOf(relative(root, path).split(sep).join('/'));
    let bytes: Buffer;
    try {
      bytes = readRegular(path, {
        most: longest * 4,
        ...(options.allowOutside !== true && { within: root }),
      });
    } catch (error) {
      if (!(error instanceof PenumbraError)) throw error;
      yield { id, failure: unreadable[error.code] ?? 'the file cannot be read' };
      continue;
    }
    yield fromBytes(id, extension, bytes, options, longest);
  }
}

/** Reasons for a failed row: without the path, which may name a patient. */
const unreadable: Readonly<Record<string, string>> = {
  'files/too-large': 'the file is larger than the limit of a report (--longest)',
  'files/outside': 'the file is a link out of the folder; --allow-outside reads it',
  'files/not-regular': 'it is no file (a pipe, a device or a folder)',
  'files/not-found': 'the file is a link to nothing, or was removed meanwhile',
  'files/not-allowed': 'the file cannot be read: permission denied',
};

/** Files below `root`, folder by folder, in the order of their names. Links to folders are not followed. */
function* walk(root: string): Generator<string> {
  const entries = readdirSync(root, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const path = join(root, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    else yield path;
  }
}

/** The same in a zip, which is not unpacked. */
export function* fromZip(path: string, options: InputOptions, longest: number): Generator<InputItem> {
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
