import type { Estimate } from '../../metrics/index.ts';
import { bestAmong, signOf, type Tested } from '../shown.ts';

/** A table of figures as data: what Markdown, LaTeX, CSV and JSON are written from. */
export interface Table {
  /** A file's name without its ending: `main-knee`. */
  readonly id: string;
  readonly title: string;
  /** What is measured on what, in sentences. */
  readonly caption: string;
  /** Heads of the columns that name a row: `Network`, `Method`. */
  readonly stubs: readonly string[];
  readonly columns: readonly TableColumn[];
  readonly rows: readonly TableRow[];
  /** What the marks mean, what is missing and why, how intervals and tests were made. */
  readonly notes: readonly string[];
  /** What differences are from, where that is not the baseline method: no value of such a table is called best. */
  readonly against?: string;
}

export interface TableColumn {
  /** Unique in the table: `ece_temperature`. */
  readonly id: string;
  readonly label: string;
  /** A common head over neighbouring columns. */
  readonly group?: string;
  /** `%`: values are fractions, shown times 100. `count`: whole numbers. */
  readonly unit: '%' | 'nats' | 'count' | '';
  /** `none`: no value is called best. `zero`: the nearest to 0 is, and no difference is called better. */
  readonly better: 'higher' | 'lower' | 'zero' | 'none';
  /** One sentence for who meets it first. */
  readonly meaning?: string;
  /** Digits after the point that are shown: as many as the intervals bear. */
  readonly digits: number;
}

export interface TableRow {
  readonly stubs: readonly string[];
  /** Place of the method among all: its mark and colour. */
  readonly series?: number;
  /** Whether it is what the others are compared with. */
  readonly baseline?: boolean;
  /** Whether another block starts here: best values are looked for within a block. */
  readonly block: boolean;
  /** One for each column. */
  readonly cells: readonly TableCell[];
}

export interface TableCell {
  /** A fraction where the unit is `%`; null where it is undefined. */
  readonly value: number | null;
  readonly low: number | null;
  readonly high: number | null;
  /** Against the baseline of the block, Holm-corrected; null where nothing was tested. */
  readonly p: number | null;
  /** Its difference from the baseline, where that was measured. */
  readonly difference?: Estimate;
  /** Significantly better or worse than the baseline; `differs` of a figure that has no better side. */
  readonly mark: 'better' | 'worse' | 'differs' | null;
  /** The best of its block as shown, and a test says so; see {@link tableOf}. */
  readonly best: boolean;
}

/** A column before its digits are known. */
export interface ColumnSpec extends Omit<TableColumn, 'digits'> {
  /** Decimals at least. Default: 1 of a percentage, 3 of others. */
  readonly least?: number;
}

/** A cell before it is compared with the others of its block. */
export interface CellSpec {
  readonly estimate: Estimate;
  /** Its difference from the baseline's, where that was tested. */
  readonly versus?: Tested | null;
  /** Whether it must not be called better or best, whatever its value: a small set that does not cover. */
  readonly void?: boolean;
}

export interface RowSpec extends Omit<TableRow, 'cells'> {
  readonly cells: readonly CellSpec[];
}

/** A number without an interval. */
export function plain(value: number | null): CellSpec {
  return { estimate: { value, low: null, high: null } };
}

/**
 * Works out digits, marks and the best of each block. Best is only what a test supports: the best value as shown, where it
 * is significantly better than the baseline's, or the baseline's where all others are significantly worse.
 * @param alpha what a corrected p must be below
 */
export function tableOf(
  head: Pick<Table, 'id' | 'title' | 'caption' | 'stubs' | 'notes' | 'against'>,
  columns: readonly ColumnSpec[],
  rows: readonly RowSpec[],
  alpha: number,
): Table {
  const shown = columns.map(({ least, ...column }, c): TableColumn => {
    const estimates = rows.map((row) => row.cells[c]!.estimate);
    return { ...column, digits: digitsOf(column.unit, least, estimates) };
  });
  const marks = rows.map((row) =>
    row.cells.map((cell, c): TableCell['mark'] => {
      const { better } = shown[c]!;
      const sign = better === 'none' || !cell.versus ? '' : signOf({ better }, cell.versus, alpha);
      if (cell.void && sign === '✓') return null;
      return sign === '' ? null : MARKS[sign];
    }),
  );
  const { id, title, caption, stubs, notes, against } = head;
  const best = against === undefined ? bestOf(shown, rows, marks) : shown.map(() => new Set<number>());
  return {
    id,
    title,
    caption,
    stubs,
    notes,
    ...(against !== undefined && { against }),
    columns: shown,
    rows: rows.map((row, r) => ({
      ...row,
      cells: row.cells.map(({ estimate: { value, low, high }, versus }, c): TableCell => {
        return {
          value,
          low,
          high,
          p: versus?.adjusted ?? null,
          ...(versus && { difference: { value: versus.value, low: versus.low, high: versus.high } }),
          mark: marks[r]![c]!,
          best: best[c]!.has(r),
        };
      }),
    })),
  };
}

/**
 * Digits that the median half width of the intervals bears, by the Particle Data Group's rule (Review of Particle
 * Physics, Introduction §5.3): two significant digits of the half width where its first three are below 355, else one.
 * At least one digit of a percentage and three of other figures, so that methods can be told apart by eye; at most two
 * more.
 */
function digitsOf(
  unit: TableColumn['unit'],
  least: number = unit === '%' ? 1 : 3,
  estimates: readonly Estimate[],
): number {
  if (unit === 'count') return 0;
  const scale = unit === '%' ? 100 : 1;
  const widths = estimates
    .flatMap(({ low, high }) => (low === null || high === null ? [] : [(scale * (high - low)) / 2]))
    .filter((width) => width > 0)
    .sort((a, b) => a - b);
  if (widths.length === 0) return least;
  const width = widths[Math.floor(widths.length / 2)]!;
  const exponent = Math.floor(Math.log10(width));
  const first = width / 10 ** exponent;
  const digits = (first < 3.55 || first >= 9.5 ? 1 : 0) - exponent - (first >= 9.5 ? 1 : 0);
  return Math.min(least + 2, Math.max(least, digits));
}

const MARKS = { '✓': 'better', '✗': 'worse', '≠': 'differs' } as const;

/** Per column, the rows that are the best of their block as shown, where the tests of the block support it. */
function bestOf(
  columns: readonly TableColumn[],
  rows: readonly RowSpec[],
  marks: readonly (readonly TableCell['mark'][])[],
): ReadonlySet<number>[] {
  const starts = rows.flatMap((row, r) => (row.block || r === 0 ? [r] : []));
  return columns.map(({ better, unit, digits }, c) => {
    if (better === 'none' || unit === 'count') return new Set<number>();
    return new Set(
      starts.flatMap((from, b) => {
        const block = rows.slice(from, starts[b + 1] ?? rows.length);
        const values = block.map((row) => row.cells[c]!.estimate.value);
        const supported = (i: number) =>
          marks[from + i]![c] === 'better' ||
          (block[i]!.baseline === true && block.every((_, j) => j === i || marks[from + j]![c] === 'worse'));
        return [...bestAmong({ better, unit, digits }, values)]
          .filter((i) => supported(i) && block[i]!.cells[c]!.void !== true)
          .map((i) => from + i);
      }),
    );
  });
}

/** The value in the column's unit with the column's digits, with a plain minus sign. */
export function shownValue({ unit, digits }: TableColumn, value: number): string {
  const text = (unit === '%' ? 100 * value : value).toFixed(digits);
  return Number(text) === 0 ? text.replace('-', '') : text;
}

/** A column's name with its unit, where its group does not say it. */
export function columnHead({ label, unit, group = '' }: TableColumn): string {
  return (unit === '%' || unit === 'nats') && !group.endsWith(`(${unit})`) ? `${label} (${unit})` : label;
}

/** Places of columns that stand side by side: about equally many, at most `most`, and those of one group together. */
export function columnBlocks(columns: readonly TableColumn[], most: number): number[][] {
  const groups: number[][] = [];
  columns.forEach(({ group }, c) => {
    if (c > 0 && group !== undefined && columns[c - 1]!.group === group) groups.at(-1)!.push(c);
    else groups.push([c]);
  });
  const blocks = Math.ceil(columns.length / most);
  const target = columns.length / blocks;
  const result: number[][] = [];
  for (const group of groups) {
    const last = result.at(-1);
    if (last === undefined || last.length + group.length > Math.max(Math.ceil(target), group.length))
      result.push([...group]);
    else last.push(...group);
  }
  return result;
}

/** Whether a table reads better turned: a few methods side by side, and a line for each of many figures. */
export function isTurned({ stubs, rows, columns }: Table): boolean {
  return (
    stubs.length === 1 &&
    stubs[0] === 'Method' &&
    rows.length <= 4 &&
    columns.length > 8 &&
    columns.every(({ group }) => group === undefined)
  );
}

/** A row's names, without those that the row above has already. */
export function stubsShown({ rows }: Table, r: number): string[] {
  const { stubs, block } = rows[r]!;
  const above = block ? undefined : rows[r - 1]?.stubs;
  return stubs.map((stub, s) =>
    s < stubs.length - 1 && above !== undefined && stubs.slice(0, s + 1).every((own, i) => own === above[i])
      ? ''
      : stub,
  );
}
