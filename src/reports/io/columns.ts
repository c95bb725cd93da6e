import { PenumbraError } from '../../errors.ts';
import type { Section } from '../types.ts';
import { type InputItem, type InputOptions, tooLong } from './item.ts';

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

/** Where in a row the parts of a report stand. */
export interface Columns {
  readonly id: number;
  readonly text: number;
  readonly sections: readonly { readonly index: number; readonly section: Section }[];
  /** Columns that are read as text: `text`, or those of the sections. */
  readonly texts: readonly number[];
}

/**
 * Finds the columns of a table of reports by its header.
 * @throws PenumbraError `reports/columns` where none holds reports, or a named one is missing.
 */
export function findColumns(header: readonly string[], options: InputOptions, path: string): Columns {
  const names = header.map((name) => name.trim());
  const lower = names.map((name) => name.toLowerCase());
  const named = (column: string | undefined, flag: string): number | undefined => {
    if (column === undefined) return undefined;
    const index = names.indexOf(column);
    if (index >= 0) return index;
    // The names themselves are not told: without a header, the first line is a patient's.
    throw new PenumbraError(
      'reports/columns',
      `${path} has no column "${column}" among its ${names.length}.`,
      {
        hint: `Its first line must name the columns; ${flag} takes a name as it stands there.`,
        where: { file: path },
      },
    );
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
      hint: `Its first line (${names.length} columns) must name them. Looked for: ${textColumns.join(', ')}, findings, impression; name another with --text-column.`,
      where: { file: path },
    });
  }
  if (text >= 0) return { id, text, sections: [], texts: [text] };
  return { id, text, sections, texts: sections.map(({ index }) => index) };
}

/** The report in one row of a table; `row` counts from 1. */
export function fromCells(
  cells: readonly unknown[],
  columns: Columns,
  row: number,
  longest: number,
): InputItem {
  const id = columns.id >= 0 ? textOf(cells[columns.id]).trim() : '';
  const name = id === '' ? `row-${row}` : id;
  let length = 0;
  for (const index of columns.texts) length += textOf(cells[index]).length;
  if (length > longest) return { id: name, failure: tooLong(length, longest) };
  if (columns.text >= 0) return { report: { id: name, text: textOf(cells[columns.text]) } };
  return {
    report: {
      id: name,
      sections: columns.sections.map(({ index, section }) => ({ section, text: textOf(cells[index]) })),
    },
  };
}

function textOf(cell: unknown): string {
  if (typeof cell === 'string') return cell;
  return cell === null || cell === undefined ? '' : String(cell);
}
