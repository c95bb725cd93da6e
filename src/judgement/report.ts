import { type Figure, figureSvg } from './draw/figure.ts';
import { fileName } from './format.ts';
import type { Judgement } from './judge.ts';
import { type Block, type Part, partList } from './part.ts';
import { afterOf, calibratorText } from './parts/calibrators.ts';
import { type FigureResults, figuresOf, type Leads, leadsOf } from './parts/figures.ts';
import type { Measured, ShownFigure } from './shown.ts';
import type { Table } from './tables/table.ts';
import { cautions, decide, type Facts, factsOf, type Verdict } from './verdict/index.ts';
import { type Answer, cellOf, columnOf, methodTable, View } from './view.ts';

/** One or several judgements with what people have to know of them: all that pages, tables and files are written from. */
export interface Report {
  readonly version: 2;
  readonly title: string;
  /** ISO time at which it was judged. */
  readonly finished: string;
  /** The command line that made it, as a user would type it. */
  readonly command: string;
  /** What was judged, in order: `['Judged on', 'knee, test: 602 images']`. */
  readonly facts: readonly (readonly [string, string])[];
  /** Every method, in order, and what it is beside its name: `ols:variant=paper, seeds 0, 1`. */
  readonly methods: readonly { readonly id: string; readonly label: string; readonly about: string }[];
  /** At least one. */
  readonly cells: readonly ReportCell[];
  /** What was planned and is not in this result, one sentence each. */
  readonly missing: readonly string[];
  /** How it was made, one sentence each. */
  readonly notes: readonly string[];
  readonly software: Readonly<Record<string, string>>;
}

/** One judgement of a report: one network on one data set. */
export interface ReportCell {
  /** The set's name; empty where the report is of one cell. */
  readonly set: string;
  readonly network: string;
  /** For people: what the judged samples are. */
  readonly about: string;
  readonly judgement: Judgement;
}

/** A cell as it is read: its view, and what each part has to say. */
export interface ShownCell {
  readonly facts: Facts;
  readonly verdict: Verdict;
  readonly view: View;
  readonly cell: ReportCell;
  readonly parts: readonly ShownPart[];
  readonly answers: readonly Answer[];
}

export interface ShownPart {
  readonly part: Part;
  readonly blocks: readonly Block[];
  /** Why there is nothing. */
  readonly absent?: string;
}

export function cellName({ set, network }: ReportCell): string {
  return [set, network].filter((name) => name !== '').join(' · ');
}

/** What all parts of a cell show. Parts that nobody would expect are left out; others say why they are missing. */
export function showCell(
  report: Report,
  cell: ReportCell,
  medium: 'page' | 'file',
  subject = cellName(cell),
): ShownCell {
  const order = report.methods.map(({ id }) => id);
  const view = new View(cell.judgement, subject, medium, order);
  const answers: Answer[] = [];
  const parts = partList().flatMap((part): ShownPart[] => {
    const result = cell.judgement.parts[part.name];
    const absent = cell.judgement.absent[part.name];
    if (result === undefined)
      return absent === undefined || absent.quiet ? [] : [{ part, blocks: [], absent: absent.absent }];
    const shown = part.show(result, view);
    answers.push(...(shown.answers ?? []).filter(({ remarks }) => remarks.length > 0));
    return [{ part, blocks: shown.blocks.filter((block) => !('notes' in block) || block.notes.length > 0) }];
  });
  const facts = factsOf(view);
  return { view, cell, parts, answers, facts, verdict: decide(facts) };
}

/** The verdict on every cell, as data. */
export function reportVerdicts(
  report: Report,
): { readonly cell: string; readonly verdict: Verdict; readonly cautions: readonly string[] }[] {
  return report.cells.map((cell) => {
    const { verdict, facts } = showCell(report, cell, 'file');
    return { cell: cellName(cell), verdict, cautions: cautions(facts) };
  });
}

/** All tables of a report: those of one set together, with a column for the network where there are several. */
export function reportTables(report: Report): Table[] {
  return [...new Set(report.cells.map(({ set }) => set))].flatMap((set) => {
    const cells = report.cells.filter((cell) => cell.set === set);
    const merged = new Map<string, Table>();
    for (const cell of cells)
      for (const { blocks } of showCell(report, cell, 'file', set).parts)
        for (const block of blocks) {
          if (!('table' in block) || block.only === 'page') continue;
          const table = within(block.table, cell, set);
          const before = merged.get(table.id);
          merged.set(table.id, before === undefined ? table : joined(before, table));
        }
    return [...merged.values()];
  });
}

function within(table: Table, { network }: ReportCell, set: string): Table {
  const id = set === '' ? table.id : `${table.id}-${fileName(set)}`;
  if (network === '' || set === '') return { ...table, id };
  return {
    ...table,
    id,
    stubs: ['Network', ...table.stubs],
    rows: table.rows.map((row) => ({ ...row, stubs: [network, ...row.stubs] })),
  };
}

/** Two networks' tables of one kind. Columns that only one has are left out. */
function joined(first: Table, second: Table): Table {
  const shared = first.columns.filter(({ id }) => second.columns.some((column) => column.id === id));
  const rows = [first, second].flatMap((table) => {
    const places = shared.map(({ id }) => table.columns.findIndex((column) => column.id === id));
    return table.rows.map((row) => ({ ...row, cells: places.map((c) => row.cells[c]!) }));
  });
  const columns = shared.map((column) => {
    const other = second.columns.find(({ id }) => id === column.id)!;
    return { ...column, digits: Math.max(column.digits, other.digits) };
  });
  return { ...first, columns, rows, notes: [...new Set([...first.notes, ...second.notes])] };
}

/**
 * Every figure as an SVG that stands alone: white, sized in millimetres for a page's text width, with title and
 * description, generic fonts, and no reference to anything outside.
 * @returns file names (`figures-knee-resnet10.svg`, safe on every system) and their texts, in the order of the cells
 */
export function reportFigures(report: Report): Map<string, string> {
  const files = new Map<string, string>();
  const taken = new Set<string>();
  for (const cell of report.cells)
    for (const { blocks } of showCell(report, cell, 'file').parts)
      for (const block of blocks) {
        if (!('figure' in block)) continue;
        const base = [block.figure.file, cell.set, cell.network]
          .filter((name) => name !== '')
          .map(fileName)
          .join('-');
        let name = base;
        // Different names can become one where characters are replaced, or where a file system ignores case.
        for (let n = 2; taken.has(name.toLowerCase()); n++) name = `${base}-${n}`;
        taken.add(name.toLowerCase());
        files.set(`${name}.svg`, figureSvg(block.figure as Figure));
      }
  return files;
}

/** A column of an overview: one figure of one cell, before or after calibration. */
export interface OverviewColumn {
  readonly figure: ShownFigure;
  readonly calibrator: string;
  readonly methods: readonly Measured[];
}

/** What everybody asks of a cell first: the leading calibration error before and after a calibrator, and accuracies. */
export function overviewColumns(view: View): OverviewColumn[] {
  const plain = view.judgement.parts.figures as FigureResults;
  const after = afterOf(view);
  const figures = figuresOf(view, plain);
  const { calibration, accuracy }: Leads = leadsOf(figures);
  const second = figures
    .filter(({ better, sort }) => better === 'higher' && sort === 'statistic')
    .find((one) => one !== accuracy);
  const column = (
    figure: ShownFigure | undefined,
    results = plain as { methods: readonly Measured[] },
    calibrator = 'none',
  ) => (figure === undefined ? [] : [{ figure, calibrator, methods: results.methods }]);
  return [
    ...column(calibration),
    ...(after === undefined ? [] : column(calibration, after, after.calibrator)),
    ...column(accuracy),
    ...column(second),
  ];
}

/** Method × cell, what everybody asks for first. */
export function overviewTable(report: Report, cells: readonly ShownCell[]): Table {
  const columns = cells.flatMap(({ view, cell }) =>
    overviewColumns(view).map((column) => ({
      ...column,
      cell,
      id: `${cellName(cell)}_${column.figure.name}_${column.calibrator}`,
    })),
  );
  return methodTable(
    cells[0]!.view,
    { id: 'overview', title: 'Overview', caption: '' },
    columns.map(({ figure, calibrator, cell, id }) =>
      columnOf(figure, {
        id,
        group: cellName(cell),
        label: calibrator === 'none' ? figure.label : `${figure.label}, ${calibratorText(calibrator)}`,
      }),
    ),
    report.methods.map(({ id }) => ({
      method: id,
      cells: columns.map(({ figure, methods }) =>
        cellOf(
          methods.find(({ method }) => method === id),
          figure.name,
        ),
      ),
    })),
  );
}
