import { PenumbraError } from '../errors.ts';
import type { CsvRow } from './csv.ts';
import { BLANK, type FindingsOptions, findingsOf, UNCERTAIN } from './findings-options.ts';
import { checkAsked } from './joined-labels.ts';
import type { Findings } from './targets.ts';

/** Floats of 32 bits, as many as come. */
class FloatList {
  length = 0;
  private values = new Float32Array(1024);

  push(value: number): void {
    if (this.length === this.values.length) {
      const grown = new Float32Array(this.values.length * 2);
      grown.set(this.values);
      this.values = grown;
    }
    this.values[this.length++] = value;
  }

  view(): Float32Array {
    return this.values.subarray(0, this.length);
  }
}

/** The columns of one finding, by their positions; −1 where there is none. */
interface Columns {
  readonly name: string;
  readonly value: number;
  readonly rate: number;
}

/**
 * Columns that are numbers and no findings. Others are told by their first value: what is neither blank, −1 nor in
 * [0, 1] there is no finding.
 */
const NO_FINDING =
  /^(|unnamed: \d+|index|row|id|.*[ _]id|age|patient age|sex|gender|patient gender|view|view position|frontal\/lateral|ap\/pa|report|study|fold|follow-up #|follow_up|offset|date|year|height|width|weight)$/i;

/**
 * Collects findings from tables with a column for each: 1 present, 0 absent, −1 uncertain, a fraction for a
 * probability, blank (or NaN) where nothing is known. Beside the column `<finding>` (or `<finding> y`) may stand its
 * smoothing rate, `<finding> r`, in [−1, 1], and a probability, `<finding> p`; instead of the space may stand `_`, and
 * instead of the letter `label`, `rate` or `probability`.
 */
export class FindingColumns {
  /** Columns that were taken neither for a finding nor for anything else. */
  leftAside: readonly string[] = [];
  private readonly asked: readonly string[] | undefined;
  private readonly options: FindingsOptions;
  private readonly blanks: ReadonlySet<string>;
  /** Per candidate column, in the order of the first table. */
  private found: { name: string; values: FloatList; rates: FloatList | undefined; isFinding: boolean }[] = [];
  private rows = 0;

  /**
   * @param asked the findings that are wanted, in order. Default: all that look like one.
   * @param blankIsAbsent findings whose blank means absent, whatever the options say.
   */
  constructor(
    asked: readonly string[] | undefined,
    options: FindingsOptions = {},
    blankIsAbsent: readonly string[] = [],
  ) {
    this.asked = asked;
    this.options = options;
    this.blanks = new Set(blankIsAbsent.map((name) => name.toLowerCase()));
  }

  /**
   * What takes the values of a table's rows.
   *
   * @param taken positions of columns that are something else.
   * @throws {PenumbraError} `data/unknown-finding` for one that is asked for and has no column, `data/columns` where
   * there is none at all or where a later table has other findings than the first.
   */
  open(header: readonly string[], path: string, taken: ReadonlySet<number>): (row: CsvRow) => void {
    const all = columnsOf(header, taken, this.options.values ?? 'labels', path);
    if (this.asked !== undefined)
      checkAsked(
        this.asked,
        all.map(({ name }) => name),
        path,
      );
    const byName = new Map(all.map((columns) => [columns.name.toLowerCase(), columns]));
    const wanted =
      this.asked?.map((name) => ({ ...byName.get(name.toLowerCase())!, name })) ??
      all.filter(({ name }) => !NO_FINDING.test(name));
    if (this.found.length === 0) {
      this.found = wanted.map(({ name, rate }) => ({
        name,
        values: new FloatList(),
        rates: rate < 0 ? undefined : new FloatList(),
        isFinding: this.asked !== undefined,
      }));
      const kept = new Set(wanted.map(({ name }) => name));
      this.leftAside = all.filter(({ name }) => !kept.has(name)).map(({ name }) => name);
    } else if (
      wanted.length !== this.found.length ||
      wanted.some(({ name, rate }, i) => {
        const first = this.found[i];
        return name !== first.name || rate < 0 !== (first.rates === undefined);
      })
    ) {
      throw new PenumbraError('data/columns', `${path} has other columns of findings than the first table`, {
        where: { file: path },
        hint: 'give every table the same columns, or name the findings that they share as `classes`',
      });
    }
    const { found } = this;
    return (row) => {
      for (let f = 0; f < found.length; f++) this.take(row, wanted[f], found[f], path);
      this.rows++;
    };
  }

  /** @throws {PenumbraError} `data/columns` where no column is a finding. */
  build(path: string): Findings {
    const findings = this.found.filter(({ isFinding }) => isFinding);
    if (findings.length === 0) {
      throw new PenumbraError('data/columns', `${path} has no label and no column of findings`, {
        where: { file: path, column: 'label' },
        hint: 'name a column `label`, or give each finding a column of 1, 0, −1 (uncertain), fractions and blanks',
      });
    }
    if (findings.length === 1 && this.asked === undefined && findings[0].rates === undefined) {
      throw new PenumbraError(
        'data/columns',
        `${path} has no column for the label (looked for: label, class)`,
        {
          where: { file: path, column: 'label' },
          hint: `name the label column; if ${findings[0].name} is a finding, name it as \`classes\``,
        },
      );
    }
    const aside = this.found.filter(({ isFinding }) => !isFinding);
    this.leftAside = [...this.leftAside, ...aside.map(({ name }) => name)];
    const k = findings.length;
    const raw = new Float32Array(this.rows * k);
    const hasRates =
      findings.some(({ rates }) => rates !== undefined) && this.options.values !== 'probabilities';
    const smooth = hasRates ? new Float32Array(this.rows * k).fill(BLANK) : undefined;
    findings.forEach(({ name, values, rates }, column) => {
      const own = values.view();
      const blank = this.blanks.has(name.toLowerCase()) ? 0 : BLANK;
      for (let i = 0, at = column; i < own.length; i++, at += k) raw[at] = own[i] >= -1 ? own[i] : blank;
      if (smooth === undefined || rates === undefined) return;
      const given = rates.view();
      for (let i = 0, at = column; i < given.length; i++, at += k) smooth[at] = given[i];
    });
    return findingsOf(
      findings.map(({ name }) => name),
      raw,
      smooth,
      this.options,
    );
  }

  private take(
    row: CsvRow,
    { name, value, rate }: Columns,
    into: (typeof this.found)[number],
    path: string,
  ): void {
    // A column whose first value showed that it is none is not read on: it is not even as long as the others.
    if (!into.isFinding && into.values.length < this.rows) return;
    const y = numberAt(row, value);
    if (y === UNCERTAIN || (y !== undefined && y >= 0 && y <= 1)) into.isFinding = true;
    else if (y !== undefined) {
      if (!into.isFinding) return;
      throw new PenumbraError(
        'data/finding-value',
        `${path}, line ${row.line}: the value of ${name} is neither 1, 0, −1, blank nor a fraction of [0, 1]`,
        {
          where: { file: path, line: row.line, finding: name },
          hint: 'correct it; if the column is no finding, name those that are as `classes`',
        },
      );
    }
    into.values.push(y ?? BLANK);
    if (into.rates === undefined) return;
    const r = numberAt(row, rate);
    if (r === undefined || (r >= -1 && r <= 1)) into.rates.push(r ?? BLANK);
    else {
      throw new PenumbraError(
        'data/finding-value',
        `${path}, line ${row.line}: the rate of ${name} is not in [−1, 1]`,
        { where: { file: path, line: row.line, finding: name } },
      );
    }
  }
}

/** What a value's column, a rate's and a probability's are called after the finding. */
const ROLES = {
  value: /^(.+)[ _](?:y|label)$/i,
  rate: /^(.+)[ _](?:r|rate)$/i,
  p: /^(.+)[ _](?:p|probability)$/i,
};

/** The findings of a header with their columns, in order. */
function columnsOf(
  header: readonly string[],
  taken: ReadonlySet<number>,
  values: 'labels' | 'probabilities',
  path: string,
): Columns[] {
  const names = header.map((name) => name.trim());
  const free = names.map((_, i) => i).filter((i) => !taken.has(i));
  const find = (role: keyof typeof ROLES) =>
    new Map(
      free.flatMap((i) => {
        const base = ROLES[role].exec(names[i])?.[1].toLowerCase();
        return base === undefined ? [] : [[base, i] as const];
      }),
    );
  const suffixed = { value: find('value'), rate: find('rate'), p: find('p') };
  const plain = new Map(free.map((i) => [names[i].toLowerCase(), i]));
  const columns: Columns[] = [];
  const used = new Set<number>();
  for (const i of free) {
    if (used.has(i)) continue;
    const role = (Object.keys(ROLES) as (keyof typeof ROLES)[]).find((key) => ROLES[key].test(names[i]));
    const base = (role && ROLES[role].exec(names[i])![1]) ?? names[i];
    const key = base.toLowerCase();
    const at = {
      value: suffixed.value.get(key) ?? plain.get(key) ?? -1,
      rate: suffixed.rate.get(key) ?? -1,
      p: suffixed.p.get(key) ?? -1,
    };
    const there = [at.value, at.rate, at.p].filter((position) => position >= 0);
    // A name that only ends like a role, with nothing that it belongs to, is a finding's own.
    if (there.length < 2) {
      used.add(i);
      columns.push({ name: names[i], value: i, rate: -1 });
      continue;
    }
    for (const position of there) used.add(position);
    const value = at.p >= 0 && (values === 'probabilities' || at.value < 0) ? at.p : at.value;
    const name = at.value >= 0 && plain.get(key) === at.value ? names[at.value] : base;
    columns.push({ name, value, rate: at.rate });
  }
  const twice = columns.find(({ name }, i) => columns.findIndex((other) => other.name === name) < i);
  if (twice === undefined || twice.name === '') return columns;
  throw new PenumbraError('data/columns', `${path} has two columns ${twice.name}`, {
    where: { file: path, column: twice.name },
    hint: 'give every column a name of its own',
  });
}

const DOT = 0x2e;
const MINUS = 0x2d;
const ZERO = 0x30;
const ONE = 0x31;

/** The number in a field: undefined where it is blank, NaN where it is none. */
function numberAt({ bytes, starts, ends }: CsvRow, i: number): number | undefined {
  const start = starts[i];
  const length = ends[i] - start;
  if (length === 0) return undefined;
  // `0`, `1`, `0.0`, `1.0`, `-1` and `-1.0` are nearly all there are.
  const first = bytes[start];
  if (first === ZERO || first === ONE) {
    const tail = length === 1 || (length === 3 && bytes[start + 1] === DOT && bytes[start + 2] === ZERO);
    if (tail) return first - ZERO;
  } else if (first === MINUS && bytes[start + 1] === ONE) {
    if (length === 2 || (length === 4 && bytes[start + 2] === DOT && bytes[start + 3] === ZERO)) return -1;
  }
  const text = bytes.toString('latin1', start, ends[i]).trim();
  if (text === '' || /^(nan|na|n\/a|null|none)$/i.test(text)) return undefined;
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) ? Number(text) : NaN;
}
