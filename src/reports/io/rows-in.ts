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
    const row = id === this.lastId ? this.lastRow : this.rowOf(id);
    const code = statusCodes.indexOf(status as Status);
    if (finding === '') {
      if (status === 'failed') this.bytes[1].fill(code, row * this.width, (row + 1) * this.width);
      return;
    }
    const column = this.columns.get(finding) ?? this.addFinding(finding);
    if (column < 0) return;
    const at = row * this.width + column;
    if (this.bytes[2][at]! > 0) {
      throw new PenumbraError('reports/rows', 'A pair of report and finding is there more than once.', {
        hint: 'Was one shard given twice, or do two files hold rows of different configurations?',
      });
    }
    this.bytes[2][at] = 1;
    this.bytes[1][at] = code < 0 ? 0 : code;
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

  private rowOf(id: string): number {
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

  private addFinding(finding: string): number {
    if (!this.open) return -1;
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
        const codeOf = (column: string, texts: readonly string[]): string =>
          `CASE ${column} ${texts.map((text, i) => `WHEN ${sqlText(text)} THEN ${i}`).join(' ')} END`;
        result =
          await connection.stream(`SELECT CASE WHEN lag(id) OVER () IS NOT DISTINCT FROM id THEN NULL ELSE id END,
            ${codeOf('finding', names)}, ${codeOf('status', statusCodes)}, probability, deviation, rate
          FROM read_parquet(${source(file)})`);
      } catch {
        throw unreadable(file);
      }
      let last = '';
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
          last = id[i] ?? last;
          builder.add(last, names[finding[i]!]!, statusCodes[status[i]!]!, p[i]!, d[i]!, r[i]!);
        }
      }
    },
    { memory: '400MB', threads: 1 },
  );
}

/** The beginning of a row as `rowLines` writes it; evidence stands behind it and is not looked at. */
const rowHead =
  /\{"id":("(?:[^"\\]|\\.)*"),"finding":("(?:[^"\\]|\\.)*"),"status":"(\w+)","probability":([\d.e-]+|null),"deviation":([\d.e-]+|null),"label":(?:[01]|null),"rate":([\d.e-]+|null),/y;

/** Lines are looked at as they stand in the file, piece by piece; only the ids and names become texts of their own. */
function fromJsonLines(file: string, builder: TargetsBuilder): void {
  using opened = openRegular(file);
  const texts = new Map<string, string>(); // JSON of names → names
  const textOf = (json: string): string => {
    let text = texts.get(json);
    if (text === undefined) {
      text = JSON.parse(Buffer.from(json, 'latin1').toString('utf8')) as string;
      if (texts.size < 10_000) texts.set(json, text);
    }
    return text;
  };
  const number = (text: string): number | null => (text === 'null' ? null : Number(text));
  let idJson = '';
  let id = '';
  let line = 0;
  const take = (text: string, at: number, end: number): void => {
    line++;
    rowHead.lastIndex = at;
    const head = rowHead.exec(text);
    if (head === null || rowHead.lastIndex > end) {
      takeAny(Buffer.from(text.slice(at, end), 'latin1').toString('utf8'));
      return;
    }
    if (head[1] !== idJson) {
      idJson = head[1]!;
      id = JSON.parse(Buffer.from(idJson, 'latin1').toString('utf8')) as string;
    }
    builder.add(id, textOf(head[2]!), head[3]!, number(head[4]!), number(head[5]!), number(head[6]!));
  };
  /** A row that somebody else wrote: the same keys in another order. */
  const takeAny = (text: string): void => {
    if (text.trim() === '') return;
    let row: Partial<FindingRow> | null = null;
    try {
      row = JSON.parse(text);
    } catch {}
    if (typeof row?.id !== 'string' || typeof row.finding !== 'string' || typeof row.status !== 'string') {
      throw unreadable(file, line);
    }
    builder.add(
      row.id,
      row.finding,
      row.status,
      row.probability ?? null,
      row.deviation ?? null,
      row.rate ?? null,
    );
  };
  const buffer = Buffer.allocUnsafe(1 << 22);
  let rest = '';
  for (let position = 0; ; ) {
    const n = readSync(opened.descriptor, buffer, 0, buffer.length, position);
    if (n === 0) break;
    position += n;
    const text = rest + buffer.toString('latin1', 0, n);
    let from = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
      take(text, from, end);
      from = end + 1;
    }
    rest = text.slice(from);
  }
  if (rest !== '') take(rest, 0, rest.length);
}

function unreadable(file: string, line?: number): PenumbraError {
  return new PenumbraError(
    'reports/rows',
    `${file}${line === undefined ? '' : `, line ${line}`}, cannot be read as rows of extract.`,
    { hint: 'Was extract finished? The same command goes on and completes a torn file.', where: { file } },
  );
}
