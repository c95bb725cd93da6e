import { existsSync, readdirSync, readSync } from 'node:fs';
import { posix, resolve } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { openRegular, readRegular } from '../files/index.ts';
import { type CsvRow, scanCsv } from './csv.ts';
import { type ColumnNames, findColumn, missingColumn, type Names } from './part.ts';
import { IntegerList } from './rows.ts';
import { splitOfName } from './split.ts';
import { StringIndex, type StringTable, StringTableBuilder, stringAt } from './string-table.ts';
import { type BrokenFile, SPLIT_NAMES, type SplitName } from './types.ts';
import { noViews, ViewFilter, viewColumn } from './views.ts';

/** A table of files, and the split that its name speaks of. */
export interface TableFile {
  readonly path: string;
  readonly split: SplitName | undefined;
}

/**
 * All rows of some tables, in order: per row a few numbers into short lists of different texts, so that a million rows
 * stay small. Row r is image r of the file source.
 */
export interface TableRows {
  readonly length: number;
  readonly files: StringTable;
  /** Label texts, as they are written. */
  readonly labels: Names;
  /** The folder of each file: `''`, or with a slash at its end. */
  readonly folders: Names;
  readonly groups: Names | undefined;
  readonly sites: Names | undefined;
  splitOf(row: number): SplitName | undefined;
  /** Rows that were asked to be left out: their files are not there, or were listed before. */
  readonly leftOut: ReadonlySet<number>;
  /** The same as files with the reason. */
  readonly skipped: readonly BrokenFile[];
  /** Whether any row is in the split. */
  hasSplit(split: SplitName): boolean;
  /** Where a row stands, for errors. */
  placeOf(row: number): { readonly file: string; readonly line: number };
}

/** Where the columns of a table stand that are not values; undefined where one is not there. */
export type Positions = Record<(typeof COLUMN_ROLES)[number], number | undefined>;
const COLUMN_ROLES = ['file', 'label', 'split', 'group', 'site'] as const;

/** What a reader takes from each row besides; it is shown the header first. `false` leaves the row out. */
export type RowVisitor = (header: readonly string[], path: string, at: Positions) => (row: CsvRow) => unknown;

interface RowOptions {
  readonly visit?: RowVisitor | undefined;
  readonly place?: ((file: string) => string) | undefined;
  readonly skip?: SkipOptions | undefined;
  /** Only rows of these views, as `DatasetOptions.views`. Default: all. */
  readonly views?: readonly string[] | undefined;
  /** The columns that are looked at. Default: all. */
  readonly roles?: readonly (keyof Positions)[] | undefined;
}

/** Rows that are left out instead of an error. */
export interface SkipOptions {
  /** Those whose file is not there. Default: false. */
  readonly skipMissing?: boolean | undefined;
  /** Those whose file an earlier row lists. Default: false. */
  readonly skipDuplicates?: boolean | undefined;
  /** Nobody will open the files: whether they are there is not looked at. Default: false. */
  readonly labelsOnly?: boolean | undefined;
}

/**
 * Reads tables with columns for the file and the label, and perhaps for the split, the group and the site, and holds
 * every listed file against what is there.
 *
 * @param root the folder that the files are relative to.
 * @param more.visit takes what else is wanted; with it a table needs no label.
 * @param more.place where a listed file is, relative to the root. Default: where it is listed.
 * @throws {PenumbraError} for a column, field or file that is missing, and for a file that is listed twice.
 */
export function readRows(
  tables: readonly TableFile[],
  columns: ColumnNames,
  root: string,
  more: RowOptions = {},
): TableRows {
  const rows = new RowCollector(tables);
  const filter = more.views === undefined ? undefined : new ViewFilter(more.views);
  for (const [table, { path, split }] of tables.entries())
    rows.addTable(table, readBytes(path), split, columns, more, filter);
  filter?.check(tables[0]!.path);
  rows.checkFiles(root, more.skip);
  return rows.build();
}

/** The files of a folder by numbers in [0, count); −1 for one that is not there. */
interface NumberedFiles {
  readonly count: number;
  numberOf(row: number): number;
}

/** A row of one's own making, for layouts whose tables need to be joined. */
export interface RowEntry {
  /** Relative to the root, with `/`. */
  readonly file: string;
  /** Its line in the table that is open. */
  readonly line: number;
  readonly split?: SplitName | undefined;
  /** In every row, or in none. */
  readonly group?: string;
}

export class RowCollector {
  private readonly tables: readonly TableFile[];
  private readonly files = new StringTableBuilder();
  private readonly folders = new StringIndex();
  private readonly labels = new StringIndex();
  private readonly groups = new StringIndex();
  private readonly sites = new StringIndex();
  private readonly labelOf = new IntegerList();
  private readonly folderOf = new IntegerList();
  private readonly groupOf = new IntegerList();
  private readonly siteOf = new IntegerList();
  /** An index into `SPLIT_NAMES`, or −1. */
  private readonly splitOf = new IntegerList();
  private readonly lineOf = new IntegerList();
  /** One past each table's last row. */
  private readonly ends: number[] = [];
  private readonly leftOut = new Set<number>();
  private readonly skipped: BrokenFile[] = [];

  constructor(tables: readonly TableFile[]) {
    this.tables = tables;
  }

  addTable(
    table: number,
    bytes: Buffer,
    split: SplitName | undefined,
    columns: ColumnNames,
    { visit, place, roles }: RowOptions = {},
    views?: ViewFilter,
  ): void {
    const { path } = this.tables[table];
    let at: Positions | undefined;
    let view = -1;
    let take: ReturnType<RowVisitor> | undefined;
    scanCsv(bytes, path, (row) => {
      if (at === undefined) {
        const header = row.texts();
        at = positionsOf(header, columns, path, split, visit === undefined && roles === undefined, roles);
        take = visit?.(header, path, at);
        if (views !== undefined) view = viewColumn(header);
        if (views !== undefined && view < 0) throw noViews(path);
      } else if (view >= 0 && !views!.has(row.text(view))) return;
      else if (take === undefined || take(row) !== false) this.addRow(row, at, table, split, place);
    });
    if (at === undefined) {
      throw new PenumbraError('data/columns', `${path} is empty`, {
        where: { file: path },
        hint: 'its first line must name the columns, for example file,label',
      });
    }
    this.ends.push(this.files.length);
    this.checkWhole(table, 'group', at.group, this.groupOf);
    this.checkWhole(table, 'site', at.site, this.siteOf);
  }

  /** Appends rows of one's own making to the next table. */
  addEntries(entries: Iterable<RowEntry>): void {
    for (const { file, line, split, group } of entries) {
      this.addFile(file);
      if (group !== undefined) this.groupOf.push(this.groups.addText(group));
      this.splitOf.push(split === undefined ? -1 : SPLIT_NAMES.indexOf(split));
      this.lineOf.push(line);
    }
    this.ends.push(this.files.length);
  }

  /**
   * Folder by folder, since one folder's names fit into the processor's cache: each file must be in the folder's
   * listing (a few system calls a folder, not one a file), and in no other row.
   */
  checkFiles(root: string, skip: SkipOptions = {}): void {
    if (skip.labelsOnly) return;
    const { folders } = this;
    const { starts, members } = groupRows(this.folderOf.view(), folders.length);
    const missing: number[] = [];
    const again: { row: number; before: number }[] = [];
    const scratch = Buffer.alloc(1 << 12);
    for (const [folder, name] of folders.texts().entries()) {
      const own = members.subarray(starts[folder], starts[folder + 1]);
      const files = own.length <= FEW ? this.askForFew(own, root) : this.listMany(name, root, scratch);
      const rowOf = new Int32Array(files.count).fill(-1);
      for (const row of own) {
        const number = files.numberOf(row);
        if (number < 0) missing.push(row);
        else if (rowOf[number] >= 0) again.push({ row, before: rowOf[number] });
        else rowOf[number] = row;
      }
    }
    missing.sort((a, b) => a - b);
    if (again.length > 0 && skip.skipDuplicates !== true) throw this.duplicates(again);
    if (missing.length > 0 && skip.skipMissing !== true) throw this.missingFiles(root, missing);
    if (missing.length === this.files.length && missing.length > 0) throw this.missingFiles(root, missing);
    const leave = (row: number, reason: string) => {
      this.leftOut.add(row);
      this.skipped.push({ file: stringAt(this.files, row), reason });
    };
    for (const row of missing) leave(row, 'listed, and not there');
    for (const { row } of again.sort((a, b) => a.row - b.row)) leave(row, 'listed by an earlier row');
  }

  build(): TableRows {
    const { files, labels, folders, labelOf, folderOf, groups, groupOf, sites, siteOf } = this;
    const splitOf = this.splitOf.view();
    return {
      leftOut: this.leftOut,
      skipped: this.skipped,
      length: files.length,
      files: files.build(),
      labels: { names: labels.texts(), of: labelOf.view() },
      folders: { names: folders.texts(), of: folderOf.view() },
      groups: groupOf.length === 0 ? undefined : { names: trimmed(groups), of: groupOf.view() },
      sites: siteOf.length === 0 ? undefined : { names: trimmed(sites), of: siteOf.view() },
      splitOf: (row) => SPLIT_NAMES[splitOf[row]],
      hasSplit: (split) => splitOf.includes(SPLIT_NAMES.indexOf(split)),
      placeOf: (row) => this.placeOf(row),
    };
  }

  private addRow(
    row: CsvRow,
    at: Positions,
    table: number,
    tableSplit: SplitName | undefined,
    place?: (file: string) => string,
  ): void {
    const { bytes, starts, ends, line } = row;
    const { path } = this.tables[table];
    const file = at.file!;
    this.checkFilled(row, at, path);
    const split = at.split === undefined ? tableSplit : splitOfName(row.text(at.split).trim());
    if (at.split !== undefined && split === undefined) {
      throw new PenumbraError(
        'data/split-names',
        `${path}, line ${line}: the split is not train, val or test`,
        { where: { file: path, line } },
      );
    }
    const cut = place === undefined ? afterLastSlash(row, file) : -1;
    if (cut >= 0) {
      this.files.add(bytes, starts[file], ends[file]);
      this.folderOf.push(this.folders.add(bytes, starts[file], cut));
    } else {
      const name = posix.normalize(row.text(file).replaceAll('\\', '/'));
      this.addFile(place === undefined ? name : place(name));
    }
    if (at.label !== undefined) this.labelOf.push(addField(this.labels, row, at.label));
    if (at.group !== undefined) this.groupOf.push(addField(this.groups, row, at.group));
    if (at.site !== undefined) this.siteOf.push(addField(this.sites, row, at.site));
    this.splitOf.push(split === undefined ? -1 : SPLIT_NAMES.indexOf(split));
    this.lineOf.push(line);
  }

  private addFile(name: string): void {
    this.files.addText(name);
    this.folderOf.push(this.folders.addText(name.slice(0, name.lastIndexOf('/') + 1)));
  }

  private checkFilled(row: CsvRow, at: Positions, path: string): void {
    for (const role of ['file', 'label', 'site'] as const) {
      const i = at[role];
      if (i === undefined || !isBlank(row, i)) continue;
      throw new PenumbraError('data/empty-field', `${path}, line ${row.line}: no ${role}`, {
        where: { file: path, line: row.line },
        hint: 'fill it in, or take the row out',
      });
    }
  }

  /** Every table must have a column that one of them has. */
  private checkWhole(
    table: number,
    role: 'group' | 'site',
    position: number | undefined,
    of: IntegerList,
  ): void {
    if (of.length === (position === undefined ? 0 : this.files.length)) return;
    const { path } = this.tables[position === undefined ? table : table - 1];
    const other = this.tables[position === undefined ? table - 1 : table].path;
    throw new PenumbraError('data/columns', `${path} has no column for the ${role}, and ${other} has`, {
      where: { file: path, column: role },
      hint: `name the ${role} in every table, or in none`,
    });
  }

  private placeOf(row: number): { file: string; line: number } {
    const table = this.ends.findIndex((end) => row < end);
    return { file: this.tables[table].path, line: this.lineOf.view()[row] };
  }

  /** Numbers the files of some rows by asking for each: −1 for one that is not there. */
  private askForFew(rows: Uint32Array, root: string): NumberedFiles {
    const names = Array.from(rows, (row) => stringAt(this.files, row));
    return {
      count: names.length,
      numberOf: (row) => {
        const number = names.indexOf(names[rows.indexOf(row)]);
        const name = names[number];
        // Not `resolve`, which takes as long as the question itself.
        return existsSync(name.startsWith('/') ? name : `${root}/${name}`) ? number : -1;
      },
    };
  }

  /** The same from the listing of their folder. */
  private listMany(folder: string, root: string, scratch: Buffer): NumberedFiles {
    const { files } = this;
    const there = new StringIndex();
    for (const file of namesIn(resolve(root, folder))) there.add(scratch, 0, scratch.write(file));
    const prefix = Buffer.byteLength(folder);
    return {
      count: there.length,
      numberOf: (row) => {
        const start = row === 0 ? 0 : files.ends[row - 1];
        return there.find(files.bytes, start + prefix, files.ends[row]);
      },
    };
  }

  private missingFiles(root: string, missing: readonly number[]): PenumbraError {
    const { file, line } = this.placeOf(missing[0]);
    // By their lines, not by their names: a file name may be a patient's, and a table without a header lists no files.
    const lines = missing.slice(0, 20).map((row) => this.placeOf(row).line);
    return new PenumbraError(
      'data/missing-files',
      `${missing.length} of ${this.files.length} listed files are not under ${root}: ${file}, line ${lines.join(', ')}` +
        (missing.length > lines.length ? ', …' : ''),
      {
        where: { file, line, missing: missing.length },
        hint: 'paths are relative to the table; --root names the folder that they are relative to, and --skip-missing goes on without these rows',
      },
    );
  }

  private duplicates(again: readonly { row: number; before: number }[]): PenumbraError {
    const first = again.reduce((least, one) => (one.row < least.row ? one : least));
    const { file, line } = this.placeOf(first.row);
    const earlier = this.placeOf(first.before);
    const count = again.length === 1 ? '' : `${again.length} rows list a file again; the first is `;
    return new PenumbraError(
      'data/duplicate-file',
      `${count}${file}, line ${line}: ${stringAt(this.files, first.row)} was listed before, in ${earlier.file}, line ${earlier.line}`,
      {
        where: { file, line, duplicates: again.length },
        hint: 'a file twice in the data counts twice, or leaks from training into the test; keep one of the rows, or let --skip-duplicates keep the first',
      },
    );
  }
}

/** So few files are found sooner than their folder is listed, which takes five system calls. */
const FEW = 4;

const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const DOT = 0x2e;
const SPACE = 0x20;

/** The names in a table's first line, without reading the rest. */
export function readHeader(path: string): string[] {
  const head = Buffer.alloc(1 << 16);
  let length: number;
  try {
    using file = openRegular(path);
    length = readSync(file.descriptor, head, 0, head.length, 0);
  } catch (cause) {
    throw new PenumbraError('data/not-found', `${path} cannot be read`, { where: { file: path }, cause });
  }
  const end = head.subarray(0, length).indexOf('\n');
  let names: string[] = [];
  scanCsv(head.subarray(0, end < 0 ? length : end), path, (row) => {
    names = row.texts();
  });
  return names;
}

export function readBytes(path: string): Buffer {
  try {
    return readRegular(path);
  } catch (cause) {
    throw new PenumbraError('data/not-found', `${path} cannot be read`, { where: { file: path }, cause });
  }
}

function positionsOf(
  header: readonly string[],
  columns: ColumnNames,
  path: string,
  split: SplitName | undefined,
  needsLabel: boolean,
  roles: readonly (keyof Positions)[] = COLUMN_ROLES,
): Positions {
  const positions = Object.fromEntries(
    COLUMN_ROLES.map((role) => [
      role,
      roles.includes(role) ? findColumn(header, role, columns, path) : undefined,
    ]),
  ) as Positions;
  for (const role of ['file', 'label'] as const) {
    if (role === 'label' && !needsLabel) continue;
    if (positions[role] === undefined) throw missingColumn(header, role, columns, path);
  }
  // What a table is named for is stronger than its column.
  return split === undefined ? positions : { ...positions, split: undefined };
}

/** Adds the text of field i and gives its number. */
function addField(index: StringIndex, row: CsvRow, i: number): number {
  return row.doubled[i] ? index.addText(row.text(i)) : index.add(row.bytes, row.starts[i], row.ends[i]);
}

/** The texts without the space around them: two may become the same. */
function trimmed(index: StringIndex): string[] {
  return index.texts().map((text) => text.trim());
}

function isBlank({ bytes, starts, ends }: CsvRow, i: number): boolean {
  for (let at = starts[i]; at < ends[i]; at++) if (bytes[at] > SPACE) return false;
  return true;
}

/**
 * Where the name of the file in field i begins, after its folder.
 *
 * @returns −1 for a path with a backslash, or with a `.`, `..` or doubled slash, which give a file a second name.
 */
function afterLastSlash({ bytes, starts, ends, doubled }: CsvRow, i: number): number {
  if (doubled[i]) return -1;
  let cut = starts[i];
  for (let at = starts[i]; at < ends[i]; at++) {
    const byte = bytes[at];
    if (byte === BACKSLASH || (at === cut && (byte === DOT || (byte === SLASH && at > starts[i])))) return -1;
    if (byte === SLASH) cut = at + 1;
  }
  return cut;
}

/** The rows of each group in order: those of group g are `members[starts[g]…starts[g + 1]]`. */
function groupRows(of: Int32Array, groups: number): { starts: Uint32Array; members: Uint32Array } {
  const starts = new Uint32Array(groups + 1);
  for (let row = 0; row < of.length; row++) starts[of[row] + 1]++;
  for (let g = 0; g < groups; g++) starts[g + 1] += starts[g];
  const next = starts.slice();
  const members = new Uint32Array(of.length);
  for (let row = 0; row < of.length; row++) members[next[of[row]]++] = row;
  return { starts, members };
}

/** Names in a folder; none where it is not there. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
}
