import { PenumbraError } from '../../errors.ts';
import { readRegular } from '../../files/index.ts';
import { expandPattern } from '../lexicon/pattern.ts';
import { parseTable, readAsset } from '../lexicon/table.ts';

/**
 * What a phrase of a findings file is.
 *
 * - `mention`: names the finding.
 * - `device`: names something that was put in; the same, but "status post" does not make it a thing of the past.
 * - `structure`: names a part of the body; only with a state word ("enlarged", "normal") does it say something.
 * - `ignore`: looks like a mention and is none ("pericardial effusion" for pleural effusion).
 * - `abnormality`: something else that is abnormal; it speaks against "No Finding".
 * - `normality`: says that nothing was found ("no acute cardiopulmonary abnormality"); it speaks for it.
 * - `spelling`: the word is a word of its own and no misspelling of one of the others.
 */
export const roles = [
  'mention',
  'device',
  'structure',
  'ignore',
  'abnormality',
  'normality',
  'spelling',
] as const;
export type Role = (typeof roles)[number];

export interface FindingPhrase {
  /** Empty for the roles that belong to no finding. */
  readonly finding: string;
  readonly role: Role;
  readonly pattern: string;
  readonly phrases: readonly string[];
  readonly line: number;
}

export interface FindingSet {
  readonly name: string;
  /** The file's text, for fingerprints. */
  readonly text: string;
  /** The findings in the order in which rows are written. */
  readonly findings: readonly string[];
  /** The finding that means "none of the others", if the set has one. */
  readonly noFinding: string | undefined;
  readonly phrases: readonly FindingPhrase[];
}

const columns = ['finding', 'role', 'phrase'] as const;
const shipped: Readonly<Record<string, string>> = {
  chexpert14: 'findings/chexpert14.tsv',
  chestxray14: 'findings/chestxray14.tsv',
  radimagenet: 'findings/radimagenet.tsv',
};

/** Names of the sets that ship with the package; the first is the default. */
export const findingSetNames: readonly string[] = Object.keys(shipped);

/**
 * A shipped set by its name, or a findings file by its path.
 * @throws PenumbraError `reports/findings` for an unknown name or a wrong file.
 */
export function findingSet(nameOrPath = 'chexpert14'): FindingSet {
  const asset = shipped[nameOrPath];
  if (asset !== undefined) return parseFindings(readAsset(asset), nameOrPath);
  let text: string;
  try {
    text = readRegular(nameOrPath).toString('utf8');
  } catch (cause) {
    if (cause instanceof PenumbraError && cause.code === 'files/not-regular') throw cause;
    throw new PenumbraError('reports/findings', `There is no set of findings "${nameOrPath}".`, {
      hint: `Give one of ${findingSetNames.join(', ')}, or the path of a tab-separated file with the columns ${columns.join(', ')}.`,
      cause,
    });
  }
  return parseFindings(text, nameOrPath);
}

/** `base` with the phrases of `extra` added; findings that `base` lacks come last. */
export function extendFindings(base: FindingSet, extra: FindingSet): FindingSet {
  return {
    name: `${base.name}+${extra.name}`,
    text: base.text + '\n' + extra.text,
    findings: [...new Set([...base.findings, ...extra.findings])],
    noFinding: base.noFinding ?? extra.noFinding,
    phrases: [...extra.phrases, ...base.phrases],
  };
}

/** Reads the tab-separated text of a findings file (`finding`, `role`, `phrase`). */
export function parseFindings(text: string, name: string): FindingSet {
  const findings = new Set<string>();
  let noFinding: string | undefined;
  const phrases = parseTable(text, columns, name).map(({ line, cells }): FindingPhrase => {
    const role = cells.role as Role;
    const fail = (what: string, hint: string): never => {
      throw new PenumbraError('reports/findings', `${name}, line ${line}: ${what}.`, {
        hint,
        where: { file: name, line },
      });
    };
    if (!roles.includes(role)) fail(`the role is "${role}"`, `Expected one of: ${roles.join(', ')}.`);
    const finding = cells.finding === '-' ? '' : cells.finding!;
    if ((role === 'mention' || role === 'device' || role === 'structure') && finding === '') {
      fail(`a ${role} belongs to no finding`, 'Name the finding in the first column.');
    }
    if (finding !== '') findings.add(finding);
    if (role === 'normality' && finding !== '') noFinding = finding;
    return { finding, role, pattern: cells.phrase!, phrases: expandPattern(cells.phrase!), line };
  });
  if (findings.size === 0) {
    throw new PenumbraError('reports/findings', `${name} names no finding.`, { where: { file: name } });
  }
  return { name, text, findings: [...findings], noFinding, phrases };
}
