import { PenumbraError } from '../errors.ts';
import { printable, shapeOf } from '../files/index.ts';
import type { ColumnProfile } from './table.ts';

/** Which column is what, as the user says; what is not said is found out. */
export interface ColumnFlags {
  readonly id?: string;
  /** One of K: the column of labels. */
  readonly label?: string;
  /** Names, or one pattern with `*` for the class: `p_*`. */
  readonly probabilityColumns?: readonly string[];
  /** Findings: names or one pattern of the columns that say what is there. */
  readonly labelColumns?: readonly string[];
  readonly group?: string;
  readonly stratum?: string;
}

/** A column and the class or finding that it is of. */
export interface NamedColumn {
  readonly column: string;
  readonly name: string;
}

/** Which columns of a file are what. */
export interface Roles {
  readonly id: string | undefined;
  readonly group: string | undefined;
  readonly stratum: string | undefined;
  readonly probabilities: readonly NamedColumn[];
  /** Whether the columns' names say that they hold logits. */
  readonly namedLogits: boolean;
  /** One of K. */
  readonly label: string | undefined;
  /** Findings; empty where there are none. */
  readonly findings: readonly NamedColumn[];
}

const IDS = [
  'id',
  'ids',
  'name',
  'file',
  'filename',
  'file_name',
  'image',
  'image_id',
  'imageid',
  'image_name',
  'image index',
  'image_index',
  'sample',
  'sample_id',
  'path',
  'study_id',
  'dicom_id',
  'uid',
  'sopinstanceuid',
  'key',
  'case',
  'case_id',
]; // prettier-ignore
const LABELS = [
  'label',
  'labels',
  'target',
  'targets',
  'y',
  'y_true',
  'true',
  'truth',
  'true_label',
  'ground_truth',
  'gt',
  'class',
]; // prettier-ignore
/** Columns that hold texts, whatever they look like. */
export const TEXTS: readonly string[] = [...IDS, ...LABELS];
const IGNORED = [
  '',
  'predicted',
  'prediction',
  'predictions',
  'predicted_label',
  'predicted_class',
  'pred',
  'pred_label',
  'y_pred',
  'split',
  'fold',
  'index',
  'column0',
  'unnamed: 0',
  'confidence',
  'calibrated_confidence',
  'set_size',
  'correct',
  'loss',
]; // prettier-ignore
/** How columns of predictions and of truths are named around the class; `*` is the class. */
const PROBABILITIES = [
  'p_*',
  'prob_*',
  'probs_*',
  'probability_*',
  'probabilities_*',
  'pred_*',
  'score_*',
  'softmax_*',
  'sigmoid_*',
  'y_prob_*',
  'y_score_*',
  'y_pred_*',
  '*_p',
  '*_prob',
  '*_probability',
  '*_pred',
  '*_score',
]; // prettier-ignore
const LOGITS = ['logit_*', 'logits_*', 'z_*', '*_logit', '*_logits'];
const TRUTHS = [
  'y_*',
  'y_true_*',
  'label_*',
  'labels_*',
  'target_*',
  'targets_*',
  'true_*',
  'truth_*',
  'gt_*',
  '*_y',
  '*_true',
  '*_label',
  '*_target',
  '*_gt',
]; // prettier-ignore

/**
 * Finds out what the columns of a file of predictions are.
 * @param truthElsewhere labels come from a file of their own: plain columns of numbers may then be predictions
 * @throws PenumbraError `judge/columns` saying which are missing
 */
export function predictionRoles(
  columns: readonly ColumnProfile[],
  flags: ColumnFlags,
  file: string,
  truthElsewhere: boolean,
): Roles {
  const common = commonRoles(columns, flags, file);
  const { label } = common;
  const rest = common.rest;
  const chosen = flags.probabilityColumns;
  const wanted = chosen === undefined ? undefined : choose(columns, chosen, file, '--probability-columns');
  const byForm = wanted === undefined ? bestForm(rest, [...PROBABILITIES, ...LOGITS]) : undefined;
  const taken = wanted ?? byForm?.columns;
  const isTaken = (name: string) => taken?.some(({ column }) => column === name) ?? false;
  const open = rest.filter(({ name }) => !isTaken(name));
  // Findings: a truth for every prediction, by a form or by the finding's own name.
  const truths =
    flags.labelColumns !== undefined
      ? choose(columns, flags.labelColumns, file, '--label-columns')
      : label !== undefined || truthElsewhere
        ? []
        : truthColumns(
            open,
            taken?.map(({ name }) => name),
          );
  const plain = () =>
    open
      .filter(
        ({ name, filled, numeric }) =>
          filled > 0 && filled === numeric && !truths.some((t) => t.column === name),
      )
      .map(({ name }) => ({ column: name, name }));
  const probabilities = taken ?? plain();
  if (probabilities.length === 0) {
    throw noColumns(
      file,
      'no columns of probabilities or logits were found',
      columns,
      'name them p_<class> or logit_<class>, or say --probability-columns a,b,c (or a pattern: "prob *")',
    );
  }
  if (!truthElsewhere && label === undefined && truths.length === 0) {
    throw noColumns(
      file,
      'no labels were found',
      columns,
      'name a column label, or columns y_<finding> beside p_<finding>; or say --label, --label-columns, or --labels FILE',
    );
  }
  const names = probabilities.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw noColumns(
      file,
      `two columns of probabilities are of the class ${printable(twice)}`,
      columns,
      'say which with --probability-columns',
    );
  }
  return {
    ...common.roles,
    probabilities,
    namedLogits: byForm !== undefined && LOGITS.includes(byForm.form),
    label: truths.length > 0 && flags.labelColumns !== undefined ? undefined : label,
    findings:
      truthElsewhere || label !== undefined
        ? flags.labelColumns === undefined
          ? []
          : truths
        : paired(names, truths, file),
  };
}

/**
 * Finds out what the columns of a file of labels are: one column of labels, or one for each finding.
 * @param names the classes or findings that are predicted
 */
export function labelRoles(
  columns: readonly ColumnProfile[],
  flags: ColumnFlags,
  file: string,
  names: readonly string[],
): Roles {
  const common = commonRoles(columns, flags, file);
  const chosen = flags.labelColumns;
  const truths =
    chosen !== undefined
      ? choose(columns, chosen, file, '--label-columns')
      : common.label !== undefined && flags.label !== undefined
        ? []
        : truthColumns(common.rest, names);
  const base = { ...common.roles, probabilities: [], namedLogits: false };
  const all = names.every((name) => truths.some((truth) => truth.name === name));
  if (truths.length > 0 && (chosen !== undefined || all)) {
    return { ...base, label: undefined, findings: paired(names, truths, file) };
  }
  const only = common.rest.filter(({ filled }) => filled > 0);
  const label = common.label ?? (only.length === 1 ? only[0]!.name : undefined);
  if (label === undefined) {
    throw noColumns(
      file,
      'no labels were found',
      columns,
      'name a column label, or one for each finding that is predicted; or say --label or --label-columns',
    );
  }
  return { ...base, label, findings: [] };
}

function commonRoles(columns: readonly ColumnProfile[], flags: ColumnFlags, file: string) {
  const named = (flag: string, name: string): string => {
    if (columns.some((column) => column.name === name)) return name;
    throw noColumns(
      file,
      `there is no column ${printable(name)} (${flag})`,
      columns,
      'names are case-sensitive',
    );
  };
  const known = (names: readonly string[]): string | undefined => {
    for (const name of names) {
      const found = columns.find((column) => column.name.trim().toLowerCase() === name);
      if (found !== undefined) return found.name;
    }
    return undefined;
  };
  const id = flags.id === undefined ? known(IDS) : named('--id', flags.id);
  const group = flags.group === undefined ? undefined : named('--group', flags.group);
  const stratum = flags.stratum === undefined ? undefined : named('--stratum', flags.stratum);
  const label = flags.label === undefined ? known(LABELS) : named('--label', flags.label);
  const used = new Set([id, group, stratum, label]);
  const rest = columns.filter(
    ({ name }) =>
      !used.has(name) &&
      !IGNORED.includes(name.trim().toLowerCase()) &&
      !IDS.includes(name.trim().toLowerCase()),
  );
  return { roles: { id, group, stratum }, label, rest };
}

/** The form that names the most columns; those before it in the list win a tie. */
function bestForm(columns: readonly ColumnProfile[], forms: readonly string[]) {
  let best: { form: string; columns: NamedColumn[] } | undefined;
  for (const form of forms) {
    const found = columns.flatMap(({ name, filled, numeric }) => {
      const inner = innerName(form, name);
      return inner === undefined || (filled > 0 && numeric === 0) ? [] : [{ column: name, name: inner }];
    });
    if (found.length > (best?.columns.length ?? 0)) best = { form, columns: found };
  }
  return best;
}

function truthColumns(
  columns: readonly ColumnProfile[],
  names: readonly string[] | undefined,
): NamedColumn[] {
  if (names !== undefined) {
    for (const form of ['*', ...TRUTHS]) {
      const found = names.flatMap((name) => {
        const column = columns.find((one) => innerName(form, one.name) === name);
        return column === undefined ? [] : [{ column: column.name, name }];
      });
      if (found.length > 0) return found;
    }
    return [];
  }
  return bestForm(columns, TRUTHS)?.columns ?? [];
}

/** `p_*` and `p_edema` → `edema`; any of `_`, `-`, `.`, `:` and space may stand for the `_`. */
function innerName(form: string, name: string): string | undefined {
  if (form === '*') return name.trim();
  const [before, after] = form.split('*') as [string, string];
  const text = name.trim();
  const plain = text.replace(/[-.: ]/g, '_').toLowerCase();
  if (plain.length <= before.length + after.length || !plain.startsWith(before) || !plain.endsWith(after))
    return undefined;
  return text.slice(before.length, text.length - after.length).trim();
}

/** Columns by name, or by one pattern. */
function choose(
  columns: readonly ColumnProfile[],
  wanted: readonly string[],
  file: string,
  flag: string,
): NamedColumn[] {
  return wanted.flatMap((pattern) => {
    const exact = columns.find(({ name }) => name === pattern);
    if (exact !== undefined) return [{ column: exact.name, name: exact.name }];
    const [before, after] = pattern.split('*');
    const found =
      after === undefined
        ? []
        : columns
            .filter(
              ({ name }) =>
                name.length > before!.length + after.length &&
                name.startsWith(before!) &&
                name.endsWith(after),
            )
            .map(({ name }) => ({
              column: name,
              name: name.slice(before!.length, name.length - after.length),
            }));
    if (found.length > 0) return found;
    throw noColumns(
      file,
      `no column is called ${printable(pattern)} (${flag})`,
      columns,
      'give names, or one pattern with * for the class',
    );
  });
}

/** The truths in the order of the predictions. */
function paired(names: readonly string[], truths: readonly NamedColumn[], file: string): NamedColumn[] {
  return names.map((name, k) => {
    const truth =
      truths.find((one) => one.name === name) ??
      // Columns that the user listed one by one may be called anything.
      (truths.length === names.length && truths.every((one) => one.name === one.column)
        ? truths[k]
        : undefined);
    if (truth !== undefined) return { column: truth.column, name };
    throw new PenumbraError('judge/columns', `${file} predicts ${printable(name)} and has no labels of it.`, {
      hint: 'Every finding that is predicted needs a column of labels; blank cells are not known.',
      where: { file },
    });
  });
}

function noColumns(
  file: string,
  what: string,
  columns: readonly ColumnProfile[],
  hint: string,
): PenumbraError {
  // A file without a header: what look like numbers of patients are not printed.
  const names = columns.map(({ name }) =>
    /\d{4}/.test(name) ? shapeOf(name) : printable(name).slice(0, 40),
  );
  const listed = `${names.slice(0, 12).join(', ')}${names.length > 12 ? ` … (${names.length})` : ''}`;
  return new PenumbraError('judge/columns', `${file}: ${what}; its columns are ${listed}.`, {
    hint: `${hint}.`,
    where: { file },
  });
}
