import type { Difference, Estimate } from '../../metrics/index.ts';

/** A table of figures as data: what Markdown, LaTeX, CSV and JSON are written from. */
export interface ReportTable {
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
}

export interface TableColumn {
  /** Unique in the table: `ece_temperature`. */
  readonly id: string;
  readonly label: string;
  /** A common head over neighbouring columns. */
  readonly group?: string;
  /** `%`: values are fractions, shown times 100. `count`: whole numbers. */
  readonly unit: '%' | 'nats' | 'count' | '';
  /** `none`: no value is called best. */
  readonly better: 'higher' | 'lower' | 'none';
  /** Digits after the point that are shown: as many as the intervals bear. */
  readonly digits: number;
}

export interface TableRow {
  readonly stubs: readonly string[];
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
  /** Significantly better or worse than the baseline. */
  readonly mark: 'better' | 'worse' | null;
  readonly best: boolean;
}

/** A column before its digits are known. */
export type ColumnSpec = Omit<TableColumn, 'digits'>;

/** A cell before it is compared with the others of its block. */
export interface CellSpec {
  readonly estimate: Estimate;
  /** Its difference from the baseline's, where that was tested. */
  readonly versus?: (Difference & { readonly corrected: number | null }) | null;
}

export interface RowSpec {
  readonly stubs: readonly string[];
  readonly block: boolean;
  readonly cells: readonly CellSpec[];
}

/** A number without an interval. */
export function plain(value: number | null): CellSpec {
  return { estimate: { value, low: null, high: null } };
}

/** Works out digits, marks and the best of each block. @param alpha what a corrected p must be below */
export function tableOf(
  head: Pick<ReportTable, 'id' | 'title' | 'caption' | 'stubs' | 'notes'>,
  columns: readonly ColumnSpec[],
  rows: readonly RowSpec[],
  alpha: number,
): ReportTable {
  const shown = columns.map(
    (column, c): TableColumn => ({
      ...column,
      digits: digitsOf(
        column,
        rows.map((row) => row.cells[c]!.estimate),
      ),
    }),
  );
  const best = bestOf(shown, rows);
  return {
    ...head,
    columns: shown,
    rows: rows.map((row, r) => ({
      stubs: row.stubs,
      block: row.block,
      cells: row.cells.map(({ estimate, versus }, c): TableCell => {
        const p = versus?.corrected ?? null;
        const difference = versus?.value ?? 0;
        const { better } = shown[c]!;
        const significant = p !== null && p < alpha && difference !== 0 && better !== 'none';
        return {
          ...pick(estimate),
          p,
          mark: significant ? (difference > 0 === (better === 'higher') ? 'better' : 'worse') : null,
          best: best[c]!.has(r),
        };
      }),
    })),
  };
}

function pick({ value, low, high }: Estimate): Pick<TableCell, 'value' | 'low' | 'high'> {
  return { value, low, high };
}

/**
 * Digits that the median half width of the intervals bears, by the Particle Data Group's rule (Review of Particle
 * Physics, Introduction §5.3): two significant digits of the half width where its first three are below 355, else one.
 * At least one digit of a percentage and three of other figures, so that methods can be told apart by eye; at most two
 * more.
 */
function digitsOf(column: ColumnSpec, estimates: readonly Estimate[]): number {
  if (column.unit === 'count') return 0;
  const least = column.unit === '%' ? 1 : 3;
  const scale = column.unit === '%' ? 100 : 1;
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

/** Per column, the rows that are the best of their block as shown; none where a block shows all alike. */
function bestOf(columns: readonly TableColumn[], rows: readonly RowSpec[]): ReadonlySet<number>[] {
  const starts = rows.flatMap((row, r) => (row.block || r === 0 ? [r] : []));
  return columns.map((column, c) => {
    const best = new Set<number>();
    if (column.better === 'none') return best;
    starts.forEach((from, b) => {
      const block = rows.slice(from, starts[b + 1] ?? rows.length);
      const scores = block.map((row) => {
        const { value } = row.cells[c]!.estimate;
        if (value === null) return null;
        const shown = Number(shownValue(column, value));
        return column.better === 'higher' ? shown : -shown;
      });
      const known = scores.filter((score) => score !== null);
      const most = Math.max(...known);
      if (known.length < 2 || known.every((score) => score === most)) return;
      scores.forEach((score, i) => {
        if (score === most) best.add(from + i);
      });
    });
    return best;
  });
}

/** The value in the column's unit with the column's digits, with a plain minus sign. */
export function shownValue({ unit, digits }: TableColumn, value: number): string {
  const text = (unit === '%' ? 100 * value : value).toFixed(digits);
  return Number(text) === 0 ? text.replace('-', '') : text;
}
