/** A study's tables: as data, and as Markdown, LaTeX, CSV and JSON. */
export { studyTables } from './build.ts';
export { escapeLatex, tableCsv, tableJson, tableLatex, tableMarkdown, tableText } from './render.ts';
export type { ReportTable, TableCell, TableColumn, TableRow } from './table.ts';
