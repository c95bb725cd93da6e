import { PenumbraError } from '../../errors.ts';
import { readRegular } from '../../files/index.ts';
import { parseCsv, separatorOf } from '../io/csv.ts';
import { type GoldLabel, type GoldMention, goldStatuses } from './score.ts';

/** How the fields of a gold file are called, where they are not called as in `GoldMention` and `GoldLabel`. */
export interface GoldFields {
  /** Field that holds the status; default `status`. */
  status?: string;
  /** Field that holds the finding; default `finding`. */
  finding?: string;
  /** Only lines where field equals value, such as `section=Impression`. */
  where?: readonly (readonly [field: string, value: string])[];
}

export type Gold =
  | {
      readonly kind: 'mentions';
      readonly mentions: GoldMention[];
      readonly leftOut: Readonly<Record<string, number>>;
    }
  | { readonly kind: 'reports'; readonly labels: GoldLabel[] };

/**
 * Reads a gold file. Mentions: JSON lines `{id, text, span: [start, end], finding, status}`; lines with another status
 * than positive, negated and uncertain are left out and counted. Reports: JSON lines or CSV `report,finding,label`, or a
 * CSV with one row per report (`report`, or the first column, its id) and one column per finding (`image`, `patient`,
 * `split` and `view` are none); empty cells are not scored.
 * Labels: 1 present, 0 absent or not coded, −1 uncertain, or a probability.
 * @throws PenumbraError `reports/gold` naming file and line.
 */
export function readGold(path: string, fields: GoldFields = {}): Gold {
  const text = readRegular(path)
    .toString('utf8')
    .replace(/^\uFEFF/, '');
  if (text.trim() === '')
    throw goldError(path, 1, 'the file is empty', 'Give a gold file with at least one line.');
  if (!text.trimStart().startsWith('{')) return { kind: 'reports', labels: readTable(text, path) };
  const lines = text.split(/\r?\n/);
  const objects: { line: number; value: Record<string, unknown> }[] = [];
  lines.forEach((content, i) => {
    if (content.trim() === '') return;
    let value: unknown;
    try {
      value = JSON.parse(content);
    } catch {
      throw goldError(path, i + 1, 'the line is not JSON', 'Write one JSON object per line.');
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw goldError(path, i + 1, 'the line is no JSON object', 'Write one JSON object per line.');
    }
    const object = value as Record<string, unknown>;
    if ((fields.where ?? []).every(([field, wanted]) => String(object[field]) === wanted)) {
      objects.push({ line: i + 1, value: object });
    }
  });
  if (objects.length === 0) throw goldError(path, 1, 'no line meets the conditions', 'Check --where.');
  return 'span' in objects[0]!.value
    ? readMentions(objects, path, fields)
    : readLabels(objects, path, fields);
}

function readMentions(
  objects: readonly { line: number; value: Record<string, unknown> }[],
  path: string,
  fields: GoldFields,
): Gold {
  const statusField = fields.status ?? 'status';
  const findingField = fields.finding ?? 'finding';
  const leftOut: Record<string, number> = {};
  const mentions: GoldMention[] = [];
  for (const { line, value } of objects) {
    const { text, span } = value;
    const status = value[statusField];
    if (typeof status !== 'string') {
      throw goldError(
        path,
        line,
        `"${statusField}" is missing`,
        `Name the field of the status with --status-field.`,
      );
    }
    if (!(goldStatuses as readonly string[]).includes(status)) {
      leftOut[status] = (leftOut[status] ?? 0) + 1;
      continue;
    }
    const valid =
      typeof text === 'string' &&
      Array.isArray(span) &&
      span.length === 2 &&
      span.every((x) => Number.isInteger(x));
    if (!valid)
      throw goldError(path, line, '"text" or "span" is wrong', 'Expected text and span: [start, end].');
    mentions.push({
      id: String(value.id ?? value.doc_id ?? line),
      text,
      span: [span[0] as number, span[1] as number],
      finding: String(value[findingField] ?? ''),
      status: status as GoldMention['status'],
      ...(typeof value.probability === 'number' ? { probability: value.probability } : {}),
    });
  }
  return { kind: 'mentions', mentions, leftOut };
}

function readLabels(
  objects: readonly { line: number; value: Record<string, unknown> }[],
  path: string,
  fields: GoldFields,
): Gold {
  const labels = objects.map(({ line, value }): GoldLabel => {
    const report = value.report ?? value.id;
    const finding = value[fields.finding ?? 'finding'];
    if (report === undefined || finding === undefined) {
      throw goldError(
        path,
        line,
        'there is no "span", and no "report" and "finding" either',
        'Expected {id, text, span, finding, status} or {report, finding, label}.',
      );
    }
    return {
      report: String(report),
      finding: String(finding),
      label: labelOf(String(value.label ?? ''), path, line),
    };
  });
  return { kind: 'reports', labels };
}

/** Columns of a table of images that stand beside its findings. */
const NO_FINDINGS = new Set(['image', 'patient', 'split', 'view']);

function readTable(text: string, path: string): GoldLabel[] {
  const rows = parseCsv(text, separatorOf(text));
  const header = rows[0]!.map((name) => name.trim());
  const labels: GoldLabel[] = [];
  const at = {
    report: header.indexOf('report'),
    finding: header.indexOf('finding'),
    label: header.indexOf('label'),
  };
  rows.slice(1).forEach((row, i) => {
    const line = i + 2;
    if (row.length === 1 && row[0] === '') return;
    if (at.finding >= 0 && at.label >= 0) {
      const report = row[Math.max(at.report, 0)] ?? '';
      labels.push({
        report,
        finding: row[at.finding] ?? '',
        label: labelOf(row[at.label] ?? '', path, line),
      });
      return;
    }
    const id = Math.max(at.report, 0);
    for (let c = 0; c < header.length; c++) {
      const cell = (row[c] ?? '').trim();
      if (c !== id && cell !== '' && !NO_FINDINGS.has(header[c]!))
        labels.push({ report: row[id]!, finding: header[c]!, label: labelOf(cell, path, line) });
    }
  });
  return labels;
}

function labelOf(cell: string, path: string, line: number): number {
  const label = Number(cell);
  if (cell.trim() === '' || !(label === -1 || (label >= 0 && label <= 1))) {
    throw goldError(path, line, 'the label is none', 'Expected 1, 0, -1 or a probability.');
  }
  return label;
}

function goldError(path: string, line: number, what: string, hint: string): PenumbraError {
  return new PenumbraError('reports/gold', `${path}, line ${line}: ${what}.`, {
    hint,
    where: { file: path, line },
  });
}
