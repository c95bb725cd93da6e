import { closeSync, existsSync, fstatSync, fsyncSync, readSync, statSync } from 'node:fs';
import { sqlText } from '../../duckdb.ts';
import { PenumbraError } from '../../errors.ts';
import {
  checkDistinct,
  cutLog,
  fileError,
  type Lock,
  openLog,
  openRegular,
  putInPlace,
  removeFile,
  removeTemporariesOf,
  takeLock,
  temporaryFor,
  writeAll,
  writeNamed,
  writeWith,
} from '../../files/index.ts';
import type { FindingRow } from '../types.ts';
import { RowLines } from './row-lines.ts';
import { withDuckDB } from './tables.ts';

/** Bytes that are written at once: few enough to lie in the processor's cache when the system takes them. */
const blockSize = 1 << 18;

/** The columns of the output, as DuckDB names their types. */
export const rowColumns =
  "{id:'VARCHAR', finding:'VARCHAR', status:'VARCHAR', probability:'DOUBLE', deviation:'DOUBLE', label:'TINYINT', rate:'DOUBLE', " +
  'evidence:\'STRUCT(phrase VARCHAR, "start" INTEGER, "end" INTEGER, section VARCHAR, sentence VARCHAR)[]\', ' +
  "extractor:'VARCHAR', version:'VARCHAR', reason:'VARCHAR'}";

/** The reports that an output file holds completely, by a 53-bit hash of their ids: 16 bytes each. */
export class IdSet {
  private slots = new Float64Array(1 << 12).fill(-1);
  private counts = new Uint32Array(1 << 12);
  size = 0;

  /** Counts one more of `id`; returns how often it was there before. */
  add(id: string): number {
    if (this.size * 2 > this.slots.length) this.grow();
    const hash = hash53(id);
    const slot = this.slotOf(hash);
    if (this.slots[slot] === -1) {
      this.slots[slot] = hash;
      this.size++;
    }
    return this.counts[slot]!++;
  }

  has(id: string): boolean {
    if (this.size === 0) return false;
    return this.slots[this.slotOf(hash53(id))] !== -1;
  }

  private slotOf(hash: number): number {
    const mask = this.slots.length - 1;
    let slot = (hash % 4294967296) & mask;
    while (this.slots[slot] !== -1 && this.slots[slot] !== hash) slot = (slot + 1) & mask;
    return slot;
  }

  private grow(): void {
    const { slots, counts } = this;
    this.slots = new Float64Array(slots.length * 2).fill(-1);
    this.counts = new Uint32Array(slots.length * 2);
    for (let i = 0; i < slots.length; i++) {
      if (slots[i] === -1) continue;
      const slot = this.slotOf(slots[i]!);
      this.slots[slot] = slots[i]!;
      this.counts[slot] = counts[i]!;
    }
  }
}

/** A 53-bit hash (cyrb53 by bryc, public domain). Two of a million ids collide with a probability of 6·10⁻⁵. */
export function hash53(text: string): number {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    a = Math.imul(a ^ c, 2654435761);
    b = Math.imul(b ^ c, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return 4294967296 * (2097151 & b) + (a >>> 0);
}

export interface OutputOptions {
  /** Fingerprint of the configuration; an output of another one is refused. */
  version: string;
  /** Rows of a report that did not fail. */
  rowsPerReport: number | 'any';
  /** What is read: the output must be none of it. */
  inputs: readonly string[];
  /** Begin again, where what is there is an output of ours. It stays until the first new rows are written. */
  overwrite?: boolean;
  /** Reports whose row says `failed` are done again. */
  retryFailed?: boolean;
}

/**
 * The output of an extraction: JSON lines, or Parquet that is made from them at the end.
 *
 * One process writes it at a time. The rows of a report are written together and the file only grows, so after any
 * interruption it holds complete reports and at most one torn one, which `open` cuts off. What is done stands in the
 * file itself; there is no second file that could disagree. Parquet cannot grow: its rows are collected in
 * `OUT.rows.jsonl` and joined at `close`.
 */
export class RowOutput {
  readonly path: string;
  /** Reports that were complete when the output was opened. */
  readonly done = new IdSet();
  private readonly parquet: boolean;
  private readonly log: string;
  private readonly lock: Lock;
  private file = -1;
  /** Where new rows go until there are some, when all is begun again. */
  private draft: string | undefined;
  private readonly pending = new RowLines();

  private constructor(path: string, parquet: boolean, log: string, lock: Lock) {
    this.path = path;
    this.parquet = parquet;
    this.log = log;
    this.lock = lock;
  }

  /**
   * @throws PenumbraError `reports/other-configuration` where the file holds rows of another version
   * @throws PenumbraError `files/locked` where another process writes it
   * @throws PenumbraError `files/same` where it is an input, `files/exists` where it is not an output of ours
   */
  static async open(path: string, options: OutputOptions): Promise<RowOutput> {
    const parquet = /\.parquet$/i.test(path);
    if (!parquet && !/\.(jsonl|ndjson)$/i.test(path)) {
      throw new PenumbraError('reports/output', `The output ${path} has no form that is known.`, {
        hint: 'Call it something.jsonl or something.parquet.',
      });
    }
    const log = parquet ? `${path}.rows.jsonl` : path;
    for (const written of new Set([path, log])) checkDistinct(written, options.inputs);
    const output = new RowOutput(path, parquet, log, takeLock(`${path}.lock`, { what: path }));
    try {
      for (const written of new Set([path, log])) removeTemporariesOf(written);
      if (options.overwrite) await output.beginAgain();
      else {
        if (parquet && existsSync(path)) await output.readParquetIds(options);
        output.file = openLog(log);
        output.readLog(options);
      }
    } catch (error) {
      output.abandon();
      throw error;
    }
    return output;
  }

  /** Adds the rows of one report. They reach the file some time before `flush` returns. */
  write(rows: readonly FindingRow[]): void {
    this.writeLines((lines) => lines.add(rows));
  }

  /** The same with whatever adds the lines; gives what it gives. */
  writeLines<T>(add: (lines: RowLines) => T): T {
    const result = add(this.pending);
    if (this.pending.length > blockSize) this.flush();
    return result;
  }

  /** The same with lines of complete reports that were made elsewhere. */
  writeBytes(lines: Uint8Array): void {
    this.flush();
    this.put(lines);
  }

  flush(): void {
    const { pending } = this;
    if (pending.length === 0) return;
    try {
      this.put(pending.view());
    } finally {
      pending.clear();
    }
  }

  private put(lines: Uint8Array): void {
    try {
      writeAll(this.file, lines);
      this.putDraftInPlace();
    } catch (error) {
      throw fileError(error, this.log, 'written');
    }
  }

  /**
   * Writes what is pending and makes the Parquet file.
   * @throws PenumbraError `files/lost` where the output was removed while it was written
   */
  async close(): Promise<void> {
    try {
      this.flush();
      this.putDraftInPlace();
      fsyncSync(this.file);
      this.checkThere();
      if (this.parquet) {
        const empty = fstatSync(this.file).size === 0;
        if (!empty || !existsSync(this.path)) await this.makeParquet();
        this.checkThere();
        removeFile(this.log);
      }
      this.lock.check();
    } catch (error) {
      throw fileError(error, this.path, 'finished');
    } finally {
      this.abandon();
    }
  }

  /** Leaves the file as it is, without what is pending; for errors. */
  abandon(): void {
    if (this.file >= 0) closeSync(this.file);
    this.file = -1;
    if (this.draft !== undefined) removeFile(this.draft);
    this.draft = undefined;
    this.lock[Symbol.dispose]();
  }

  private async makeParquet(): Promise<void> {
    await writeNamed(this.path, (temporary) =>
      withDuckDB(({ run, source }) => {
        const fresh = `SELECT * FROM read_json(${source(this.log)}, format='newline_delimited', columns=${rowColumns}, maximum_object_size=268435456)`;
        // A run that was killed between the two last steps leaves rows in both files: those of the log are old news.
        const old = existsSync(this.path) ? `read_parquet(${source(this.path)})` : undefined;
        const all =
          old === undefined
            ? fresh
            : `SELECT * FROM ${old} UNION ALL ${fresh} WHERE id NOT IN (SELECT id FROM ${old})`;
        return run(`COPY (${all}) TO ${sqlText(temporary)} (FORMAT parquet, COMPRESSION zstd)`);
      }),
    );
  }

  /** Nothing is removed yet: new rows go into a draft, which takes the old file's place when it holds some. */
  private async beginAgain(): Promise<void> {
    if (this.parquet && existsSync(this.path)) {
      await this.columnsOfParquet();
    }
    if (existsSync(this.log)) {
      using file = openRegular(this.log);
      for (const { bytes } of linesOf(file.descriptor)) {
        if (keyOf(bytes.toString('utf8')) === null) throw this.foreign();
        break;
      }
    }
    this.draft = temporaryFor(this.log);
    this.file = openLog(this.draft);
  }

  private putDraftInPlace(): void {
    if (this.draft === undefined) return;
    if (this.parquet) removeFile(this.path);
    putInPlace(this.draft, this.log);
    this.draft = undefined;
  }

  /** What is written must be what lies there: it may have been removed or replaced meanwhile. */
  private checkThere(): void {
    const there = statSync(this.log, { throwIfNoEntry: false, bigint: true });
    const ours = fstatSync(this.file, { bigint: true });
    if (there !== undefined && there.ino === ours.ino && there.dev === ours.dev) return;
    throw new PenumbraError('files/lost', `${this.log} was removed or replaced while it was written`, {
      hint: 'the same command does again what is lost',
      where: { file: this.log },
    });
  }

  private refuse(version: string): never {
    throw new PenumbraError(
      'reports/other-configuration',
      `${this.path} holds rows of another configuration (${version}).`,
      {
        hint: 'Lexicon, findings, extractor or code have changed since. Choose another output, or begin again with --overwrite.',
        where: { file: this.path },
      },
    );
  }

  /** The output holds one row per finding and this run only those mentioned, or the other way round. */
  private refuseForm(full: boolean): never {
    throw new PenumbraError(
      'reports/other-form',
      `${this.path} holds ${full ? 'a row for every finding' : 'only the findings that are mentioned'}.`,
      {
        hint: `Go on ${full ? 'without' : 'with'} --mentioned-only, choose another output, or begin again with --overwrite.`,
        where: { file: this.path },
      },
    );
  }

  private foreign(): PenumbraError {
    return new PenumbraError('files/exists', `${this.log} exists already and is not an output of extract`, {
      hint: 'it is not overwritten: choose another name, or delete it yourself',
      where: { file: this.log },
    });
  }

  /** @throws PenumbraError `files/exists` for a Parquet file of another kind */
  private async columnsOfParquet(): Promise<void> {
    const names = await withDuckDB(async ({ run, source }) =>
      (await run(`DESCRIBE SELECT * FROM read_parquet(${source(this.path)})`)).map(([name]) => String(name)),
    ).catch((): string[] => []);
    if (['id', 'finding', 'status', 'evidence', 'extractor', 'version'].every((name) => names.includes(name)))
      return;
    throw new PenumbraError('files/exists', `${this.path} exists already and is not an output of extract`, {
      hint: 'it is not overwritten: choose another name, or delete it yourself',
      where: { file: this.path },
    });
  }

  private async readParquetIds(options: OutputOptions): Promise<void> {
    await this.columnsOfParquet();
    const rows = await withDuckDB(({ run, source }) =>
      run(
        `SELECT id, min(version), bool_or(status = 'failed'), bool_or(status = 'not_mentioned' AND finding <> ''), count(*) FROM read_parquet(${source(this.path)}) GROUP BY id`,
      ),
    );
    const again: string[] = [];
    for (const [id, version, failed, full, n] of rows as [string, string, boolean, boolean, bigint][]) {
      if (version !== options.version) this.refuse(version);
      if (!failed && options.rowsPerReport === 'any' && full) this.refuseForm(true);
      if (!failed && options.rowsPerReport !== 'any' && Number(n) !== options.rowsPerReport) {
        this.refuseForm(false);
      }
      if (failed && options.retryFailed) again.push(id);
      else this.done.add(id);
    }
    if (again.length > 0) {
      await writeNamed(this.path, (temporary) =>
        withDuckDB(({ run, source }) =>
          run(
            `COPY (SELECT * FROM read_parquet(${source(this.path)}) WHERE status <> 'failed') TO ${sqlText(temporary)} (FORMAT parquet, COMPRESSION zstd)`,
          ),
        ),
      );
    }
  }

  /** Learns which reports the log holds, cuts off a torn end, and drops failed ones where they are to be done again. */
  private readLog(options: OutputOptions): void {
    let complete = 0; // bytes up to the end of the last complete report
    let id = '';
    let rows = 0;
    let failed = false;
    let full = false; // a row that says that a finding is not mentioned
    let dropped = false;
    const keep: [number, number][] = [];
    let begin = 0;
    const endReport = (at: number, last: boolean): void => {
      if (rows === 0) return;
      // Only the last report can be torn; with any number of rows, the last is done again.
      if (!failed && options.rowsPerReport === 'any' && full) this.refuseForm(true);
      if (!failed && options.rowsPerReport !== 'any' && rows !== options.rowsPerReport && !last) {
        this.refuseForm(false);
      }
      const whole = failed || (options.rowsPerReport === 'any' ? !last : rows === options.rowsPerReport);
      if (whole) {
        complete = at;
        if (failed && options.retryFailed) dropped = true;
        else {
          this.done.add(id);
          keep.push([begin, at]);
          const previous = keep.at(-2);
          if (previous !== undefined && previous[1] === begin) {
            previous[1] = at;
            keep.pop();
          }
        }
      }
      begin = at;
      rows = 0;
      failed = full = false;
    };
    let position = 0;
    for (const line of linesOf(this.file)) {
      const text = line.bytes.toString('utf8');
      if (!line.complete) {
        // Cut off only where it is surely ours: behind rows of ours, or with the beginning of one.
        const begins = position > 0 ? text.startsWith('{"id":"'.slice(0, text.length)) : TORN_ROW.test(text);
        if (!begins) throw this.foreign();
        break;
      }
      const key = keyOf(text);
      if (key === null) throw this.foreign();
      const lineId = JSON.parse(key[1]!) as string;
      if (lineId !== id) {
        endReport(position, false);
        id = lineId;
        const version = /"version":"([0-9a-f]*)"/.exec(text.slice(text.lastIndexOf('"version":"')));
        if (version?.[1] !== options.version) this.refuse(version?.[1] ?? 'none');
      }
      rows++;
      failed ||= key[2] === 'failed';
      full ||= key[2] === 'not_mentioned' && !text.includes('"finding":""');
      position += line.bytes.length + 1;
    }
    endReport(position, true);
    const size = fstatSync(this.file).size;
    if (size > complete) cutLog(this.file, complete);
    if (dropped) this.rewrite(keep);
  }

  /** Keeps only these byte ranges of the log, so that a kill leaves either the old file or the new one. */
  private rewrite(keep: readonly [number, number][]): void {
    const buffer = Buffer.allocUnsafe(1 << 20);
    writeWith(this.log, (copy) => {
      for (const [from, end] of keep) {
        for (let at = from; at < end; ) {
          const n = readSync(this.file, buffer, 0, Math.min(buffer.length, end - at), at);
          writeAll(copy, buffer.subarray(0, n));
          at += n;
        }
      }
    });
    closeSync(this.file);
    this.file = openLog(this.log);
  }
}

/** The beginning of a row as {@link RowLines} writes it: its id and its status. */
function keyOf(line: string): RegExpExecArray | null {
  return /^\{"id":("(?:[^"\\]|\\.)*"),"finding":"(?:[^"\\]|\\.)*","status":"(\w+)"/.exec(line);
}

/** A row of ours that was cut off behind its id. */
const TORN_ROW = /^\{"id":"(?:[^"\\]|\\.)*","finding":"/;

function* linesOf(file: number): Generator<{ bytes: Buffer; complete: boolean }> {
  let rest: Buffer = Buffer.alloc(0);
  for (let position = 0; ; ) {
    const buffer = Buffer.allocUnsafe(1 << 20);
    const n = readSync(file, buffer, 0, buffer.length, position);
    if (n === 0) break;
    position += n;
    const chunk = rest.length === 0 ? buffer.subarray(0, n) : Buffer.concat([rest, buffer.subarray(0, n)]);
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      yield { bytes: chunk.subarray(from, end), complete: true };
      from = end + 1;
    }
    rest = chunk.subarray(from);
  }
  if (rest.length > 0) yield { bytes: rest, complete: false };
}
