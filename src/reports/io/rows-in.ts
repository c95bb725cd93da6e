import { existsSync, readSync } from 'node:fs';
import { sqlText } from '../../duckdb.ts';
import { PenumbraError } from '../../errors.ts';
import { openRegular } from '../../files/index.ts';
import type { FindingRow, Status } from '../types.ts';
import { rowColumns } from './rows-out.ts';
import { withDuckDB } from './tables.ts';

/** Statuses by the numbers that `ReportTargets.status` holds. */
export const statusCodes: readonly Status[] = [
  'not_mentioned',
  'present',
  'absent',
  'uncertain',
  'historical',
  'conditional',
  'other',
  'failed',
];

/** Rows of extract by report, as plain arrays: N reports × K findings, row by row. */
export interface ReportTargets {
  /** N ids, in the order in which the reports first appear. */
  readonly ids: readonly string[];
  /** K findings, in the order in which they first appear, or as they were asked for. */
  readonly findings: readonly string[];
  /** N×K: P(finding) in [0, 1]; NaN where `mask` is 0. */
  readonly probability: Float32Array;
  /** N×K: standard deviation of it; NaN where it is not known. */
  readonly deviation: Float32Array;
  /** N×K: smoothing rate; NaN where `mask` is 0. */
  readonly rate: Float32Array;
  /** N×K: 1 where the row has a label. */
  readonly mask: Uint8Array;
  /** N×K: index into `statusCodes`; a finding without a row is not mentioned. */
  readonly status: Uint8Array;
}

/**
 * The name by which a report and an image know each other: MIMIC-CXR's `s50414267` is the study 50414267 there, every
 * other id is itself.
 */
export function reportKey(id: string): string {
  return /^s\d{8}$/.test(id) ? id.slice(1) : id;
}

/** `reportKey` of the column `id` in SQL. */
export const reportKeySql = "CASE WHEN regexp_full_match(id, 's[0-9]{8}') THEN id[2:] ELSE id END";

/** The rows of several outputs of extract as one query; `source` opens a file (`Tables.source`). */
export function rowsSql(source: (path: string) => string, paths: readonly string[]): string {
  return paths
    .map((path) =>
      /\.parquet$/i.test(path)
        ? `SELECT * FROM read_parquet(${source(path)})`
        : `SELECT * FROM read_json(${source(path)}, format='newline_delimited', columns=${rowColumns}, maximum_object_size=268435456)`,
    )
    .join(' UNION ALL BY NAME ');
}

/**
 * Reads outputs of extract (`.jsonl`, `.parquet`; several where shards wrote them) into arrays. Evidence is not read.
 * @param options.findings the K findings in their order; rows of others are left out
 * @throws PenumbraError `reports/rows` where a file is missing, is no output of extract, or holds a pair twice
 */
export async function readRows(
  paths: string | readonly string[],
  options: { findings?: readonly string[] } = {},
): Promise<ReportTargets> {
  const files = typeof paths === 'string' ? [paths] : paths;
  for (const file of files) {
    if (existsSync(file)) continue;
    throw new PenumbraError('reports/rows', `There is nothing at ${file}.`, {
      hint: 'Give the output of penumbra extract.',
      where: { file },
    });
  }
  const builder = new TargetsBuilder(options.findings);
  for (const file of files) {
    if (/\.parquet$/i.test(file)) await fromParquet(file, builder);
    else fromJsonLines(file, builder);
  }
  return builder.targets();
}

/** Columns of rows without a finding of their own, and of findings that were not asked for. */
const wholeReport = -1;
const notAsked = -2;

const failedCode = statusCodes.indexOf('failed');

/** The index into `statusCodes`; what is not known counts as not mentioned. */
function codeOf(status: string): number {
  return Math.max(0, statusCodes.indexOf(status as Status));
}

/** Collects rows; arrays grow with the reports. */
class TargetsBuilder {
  private readonly ids: string[] = [];
  private readonly rows = new Map<string, number>();
  private readonly findings: string[];
  private readonly columns = new Map<string, number>();
  private readonly open: boolean;
  /** Findings that there is room for; more make the arrays wider. */
  private width: number;
  private room = 1024;
  private numbers: [Float32Array, Float32Array, Float32Array];
  private bytes: [mask: Uint8Array, status: Uint8Array, seen: Uint8Array];
  private lastId = '';
  private lastRow = -1;

  constructor(findings: readonly string[] | undefined) {
    this.open = findings === undefined;
    this.findings = [...(findings ?? [])];
    this.findings.forEach((finding, k) => {
      this.columns.set(finding, k);
    });
    this.width = this.open ? 16 : this.findings.length;
    this.numbers = [0, 1, 2].map(() => new Float32Array(this.room * this.width).fill(Number.NaN)) as never;
    this.bytes = [0, 1, 2].map(() => new Uint8Array(this.room * this.width)) as never;
  }

  add(
    id: string,
    finding: string,
    status: string,
    p: number | null,
    d: number | null,
    r: number | null,
  ): void {
    this.put(this.rowOf(id), this.columnOf(finding), codeOf(status), p, d, r);
  }

  /** `add` for a row of `rowOf`, a column of `columnOf` and a code of `codeOf`; NaN or null for what is not known. */
  put(row: number, column: number, code: number, p: number | null, d: number | null, r: number | null): void {
    if (column === wholeReport) {
      if (code === failedCode) this.bytes[1].fill(code, row * this.width, (row + 1) * this.width);
      return;
    }
    if (column === notAsked) return;
    const at = row * this.width + column;
    if (this.bytes[2][at]! > 0) {
      throw new PenumbraError('reports/rows', 'A pair of report and finding is there more than once.', {
        hint: 'Was one shard given twice, or do two files hold rows of different configurations?',
      });
    }
    this.bytes[2][at] = 1;
    this.bytes[1][at] = code;
    if (p === null) return;
    this.numbers[0][at] = p;
    this.numbers[1][at] = d ?? Number.NaN;
    this.numbers[2][at] = r ?? Number.NaN;
    this.bytes[0][at] = 1;
  }

  targets(): ReportTargets {
    const k = this.findings.length;
    this.resize(this.ids.length, k);
    const [probability, deviation, rate] = this.numbers;
    const [mask, status] = this.bytes;
    return { ids: this.ids, findings: this.findings, probability, deviation, rate, mask, status };
  }

  rowOf(id: string): number {
    if (id === this.lastId && this.lastRow >= 0) return this.lastRow;
    let row = this.rows.get(id);
    if (row === undefined) {
      row = this.ids.push(id) - 1;
      this.rows.set(id, row);
      if (row === this.room) this.resize(this.room * 2, this.width);
    }
    this.lastId = id;
    this.lastRow = row;
    return row;
  }

  columnOf(finding: string): number {
    if (finding === '') return wholeReport;
    const known = this.columns.get(finding);
    if (known !== undefined) return known;
    if (!this.open) return notAsked;
    const column = this.findings.push(finding) - 1;
    this.columns.set(finding, column);
    if (column === this.width) this.resize(this.room, this.width * 2);
    return column;
  }

  private resize(room: number, width: number): void {
    const rows = Math.min(this.ids.length, room, this.room);
    const columns = Math.min(width, this.width);
    const copy = <T extends Float32Array | Uint8Array>(from: T, to: T): T => {
      if (width === this.width) to.set(from.subarray(0, rows * width));
      else {
        for (let row = 0; row < rows; row++) {
          to.set(from.subarray(row * this.width, row * this.width + columns), row * width);
        }
      }
      return to;
    };
    this.numbers = this.numbers.map((from) =>
      copy(from, new Float32Array(room * width).fill(Number.NaN)),
    ) as never;
    this.bytes = this.bytes.map((from) => copy(from, new Uint8Array(room * width))) as never;
    this.room = room;
    this.width = width;
  }
}

/** Texts are slow to fetch, so names and statuses come as numbers, and an id only where it differs from the row before. */
async function fromParquet(file: string, builder: TargetsBuilder): Promise<void> {
  await withDuckDB(
    async ({ run, connection, source }) => {
      let result: Awaited<ReturnType<typeof connection.stream>>;
      let names: string[];
      try {
        const found = await run(`SELECT DISTINCT finding FROM read_parquet(${source(file)})`);
        names = found.map(([finding]) => String(finding));
        const numberOf = (column: string, texts: readonly string[]): string =>
          `CASE ${column} ${texts.map((text, i) => `WHEN ${sqlText(text)} THEN ${i}`).join(' ')} END`;
        result =
          await connection.stream(`SELECT CASE WHEN lag(id) OVER () IS NOT DISTINCT FROM id THEN NULL ELSE id END,
            ${numberOf('finding', names)}, ${numberOf('status', statusCodes)}, probability, deviation, rate
          FROM read_parquet(${source(file)})`);
      } catch {
        throw unreadable(file);
      }
      const columns: number[] = []; // known when a row of the finding comes: findings stand in that order
      let row = -1;
      for (;;) {
        const chunk = await result.fetchChunk();
        if (chunk === null || chunk.rowCount === 0) return;
        const [id, finding, status, p, d, r] = chunk.getColumns() as [
          (string | null)[],
          number[],
          number[],
          (number | null)[],
          (number | null)[],
          (number | null)[],
        ];
        for (let i = 0; i < id.length; i++) {
          if (row < 0 || id[i] !== null) row = builder.rowOf(id[i] ?? '');
          const n = finding[i]!;
          columns[n] ??= builder.columnOf(names[n]!);
          builder.put(row, columns[n]!, status[i] ?? 0, p[i]!, d[i]!, r[i]!);
        }
      }
    },
    { memory: '400MB', threads: 1 },
  );
}

/** The beginning of a row as `RowLines` writes it, behind its id. */
const rowHead =
  /^,"finding":("(?:[^"\\]|\\.)*"),"status":"(\w+)","probability":([\d.e-]+|null),"deviation":([\d.e-]+|null),"label":(?:[01]|null),"rate":([\d.e-]+|null),"e$/;

/** What a row says between its id and its evidence. */
interface Said {
  /** With the `,"e` that follows, so that none is the beginning of another. */
  readonly bytes: Uint8Array;
  /** The same, four bytes each, without the up to three at the end. */
  readonly words: Int32Array;
  /** What was said in the next row, the last time first: findings follow each other in the same order. */
  readonly followers: Said[];
  readonly column: number;
  readonly code: number;
  readonly probability: number | null;
  readonly deviation: number | null;
  readonly rate: number | null;
}

const idKey = Buffer.from('{"id":');
const evidenceKey = Buffer.from(',"e');
const mostSaid = 10_000;
const mostFollowers = 8;

/**
 * What stands between the id and the evidence of a row is one of a few hundred texts, so it is read once and known by
 * its bytes from then on; evidence is passed over. A row that somebody else wrote, with the same keys in another order,
 * is read as JSON.
 */
class LineReader {
  private readonly file: string;
  private readonly builder: TargetsBuilder;
  private readonly said = new Map<string, Said>();
  private last: Said | undefined;
  private view: DataView = new DataView(new ArrayBuffer(0));
  /** The id of the line before, with its quotation marks, and its row. */
  private id: Uint8Array = Buffer.alloc(0);
  private row = -1;
  private line = 0;

  constructor(file: string, builder: TargetsBuilder) {
    this.file = file;
    this.builder = builder;
  }

  /** Takes the line bytes[from, end). */
  take(bytes: Buffer, from: number, end: number): void {
    this.line++;
    const begin = this.readId(bytes, from, end);
    if (begin < 0) {
      this.takeAny(bytes, from, end);
      return;
    }
    const said = this.saidAt(bytes, begin, end);
    if (said === undefined) this.takeAny(bytes, from, end);
    else this.builder.put(this.row, said.column, said.code, said.probability, said.deviation, said.rate);
  }

  /** Reads the id that the line begins with; returns where it ends, or -1. */
  private readId(bytes: Buffer, from: number, end: number): number {
    const { id } = this;
    for (let i = 0; i < idKey.length; i++) if (bytes[from + i] !== idKey[i]) return -1;
    const begin = from + idKey.length;
    // With its quotation marks, no id is the beginning of another.
    let same = 0;
    while (same < id.length && bytes[begin + same] === id[same]) same++;
    if (same === id.length && same > 0 && begin + same <= end) return begin + same;
    if (bytes[begin] !== 34) return -1;
    let at = begin + 1;
    while (at < end && bytes[at] !== 34) at += bytes[at] === 92 ? 2 : 1;
    if (at >= end) return -1;
    const json = Uint8Array.from(bytes.subarray(begin, at + 1));
    let text: unknown;
    try {
      text = JSON.parse(Buffer.from(json).toString('utf8'));
    } catch {
      return -1;
    }
    this.id = json;
    this.row = this.builder.rowOf(text as string);
    return at + 1;
  }

  private saidAt(bytes: Buffer, begin: number, end: number): Said | undefined {
    const { last } = this;
    if (last !== undefined) {
      const { followers } = last;
      for (let i = 0; i < followers.length; i++) {
        const one = followers[i]!;
        if (!this.standsAt(one, bytes, begin, end)) continue;
        for (let k = i; k > 0; k--) followers[k] = followers[k - 1]!;
        followers[0] = one;
        this.last = one;
        return one;
      }
    }
    // Inside a string no quotation mark stands before an e, so `,"e` is the key of the evidence.
    const found = bytes.subarray(begin, end).indexOf(evidenceKey);
    if (found < 0) return undefined;
    const to = begin + found + evidenceKey.length;
    const text = bytes.toString('latin1', begin, to);
    let said = this.said.get(text);
    if (said === undefined) {
      said = this.read(bytes.subarray(begin, to));
      if (said === undefined) return undefined;
      if (this.said.size < mostSaid) this.said.set(text, said);
    }
    if (last !== undefined && this.said.size < mostSaid) {
      last.followers.unshift(said);
      if (last.followers.length > mostFollowers) last.followers.pop();
    }
    this.last = said;
    return said;
  }

  private standsAt(said: Said, bytes: Uint8Array, begin: number, end: number): boolean {
    const { words, bytes: own } = said;
    if (begin + own.length > end) return false;
    const view = this.viewOf(bytes);
    let at = begin;
    for (let i = 0; i < words.length; i++, at += 4) if (view.getInt32(at, true) !== words[i]) return false;
    for (let i = words.length * 4; i < own.length; i++, at++) if (bytes[at] !== own[i]) return false;
    return true;
  }

  private viewOf(bytes: Uint8Array): DataView {
    if (this.view.buffer !== bytes.buffer || this.view.byteOffset !== bytes.byteOffset) {
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    return this.view;
  }

  private read(part: Buffer): Said | undefined {
    const bytes = Uint8Array.from(part);
    const head = rowHead.exec(part.toString('utf8'));
    if (head === null) return undefined;
    const number = (text: string): number | null => (text === 'null' ? null : Number(text));
    let finding: string;
    try {
      finding = JSON.parse(head[1]!) as string;
    } catch {
      return undefined;
    }
    const view = new DataView(bytes.buffer);
    return {
      bytes,
      words: Int32Array.from({ length: bytes.length >> 2 }, (_, i) => view.getInt32(i * 4, true)),
      followers: [],
      column: this.builder.columnOf(finding),
      code: codeOf(head[2]!),
      probability: number(head[3]!),
      deviation: number(head[4]!),
      rate: number(head[5]!),
    };
  }

  private takeAny(bytes: Buffer, from: number, end: number): void {
    const text = bytes.toString('utf8', from, end);
    if (text.trim() === '') return;
    let row: Partial<FindingRow> | null = null;
    try {
      row = JSON.parse(text);
    } catch {}
    if (typeof row?.id !== 'string' || typeof row.finding !== 'string' || typeof row.status !== 'string') {
      throw unreadable(this.file, this.line);
    }
    this.builder.add(
      row.id,
      row.finding,
      row.status,
      row.probability ?? null,
      row.deviation ?? null,
      row.rate ?? null,
    );
  }
}

/** Looks at the lines as they stand in the file, piece by piece. */
function fromJsonLines(file: string, builder: TargetsBuilder): void {
  using opened = openRegular(file);
  const reader = new LineReader(file, builder);
  let buffer = Buffer.allocUnsafe(1 << 21);
  let kept = 0; // bytes of a line whose end is not read yet
  for (let position = 0; ; ) {
    if (kept === buffer.length) buffer = Buffer.concat([buffer], buffer.length * 2);
    const n = readSync(opened.descriptor, buffer, kept, buffer.length - kept, position);
    if (n === 0) break;
    position += n;
    const filled = kept + n;
    let from = 0;
    let end = buffer.indexOf(10, kept);
    for (; end >= 0 && end < filled; end = buffer.indexOf(10, from)) {
      reader.take(buffer, from, end);
      from = end + 1;
    }
    buffer.copyWithin(0, from, filled);
    kept = filled - from;
  }
  if (kept > 0) reader.take(buffer, 0, kept);
}

function unreadable(file: string, line?: number): PenumbraError {
  return new PenumbraError(
    'reports/rows',
    `${file}${line === undefined ? '' : `, line ${line}`}, cannot be read as rows of extract.`,
    { hint: 'Was extract finished? The same command goes on and completes a torn file.', where: { file } },
  );
}
