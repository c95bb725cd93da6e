import type { JudgedReport, Place, Verdict } from '../rules/assess.ts';
import type { Evidence, FindingRow, Section } from '../types.ts';

/**
 * Rows as lines of JSON in UTF-8, keys in the order of `FindingRow`, one behind the other in a buffer.
 *
 * A report makes some 4,000 bytes, most of which were written before: a row that says only that a finding is not
 * mentioned is the same from report to report but for the id, what stands before the evidence is one of a few hundred,
 * and a sentence comes again with each word of evidence. So bytes are kept and copied, and short texts are written unit
 * by unit: joining strings and encoding them costs three times as much.
 */
export class RowLines {
  private bytes: Uint8Array = Buffer.allocUnsafe(1 << 19);
  /** `{"id":…`, the beginning of every line of a report. */
  private id: string | undefined;
  private idBytes = noBytes;
  /** What stands before the evidence, by finding and probability. */
  private readonly heads = new Map<string, Map<number | null, Head>>();
  /** What stands behind the evidence of a row without a reason, and its extractor and version. */
  private extractor: string | undefined;
  private version: string | undefined;
  private tail = noBytes;
  /** What stands between a phrase's place and its sentence. */
  private readonly sections = new Map<Section, Uint8Array>();
  private section: Section | undefined;
  private sectionBytes = noBytes;
  /** The sentence that was written last, with its quotation marks. */
  private sentence: string | undefined;
  private sentenceBytes = noBytes;
  /** Where in the buffer the beginning of the lines of a judged report lies, and of its sentence of the units [said, saidTo). */
  private idAt = -1;
  private idLength = 0;
  private said = -1;
  private saidTo = -1;
  private saidAt = 0;
  private saidLength = 0;
  /** The rows of what is not mentioned, for this stamp. */
  private stamp: JudgedStamp | undefined;
  private silent: readonly Uint8Array[] = [];
  /** By finding of the stamp: what was written last. */
  private lastHeads: Head[] = [];
  /** Bytes that were added since `clear`. */
  length = 0;

  add(rows: readonly FindingRow[]): void {
    for (let r = 0; r < rows.length; r++) {
      const row = rows[r]!;
      if (row.id !== this.id) {
        this.id = row.id;
        this.idBytes = utf8(`{"id":${JSON.stringify(row.id)}`);
      }
      this.copy(this.idBytes);
      this.copy(this.headOf(row.finding, row).bytes);
      const { evidence } = row;
      for (let i = 0; i < evidence.length; i++) {
        if (i > 0) this.put(comma);
        this.addEvidence(evidence[i]!);
      }
      if (row.reason !== undefined) this.encode(endOf(row));
      else this.copy(this.tailOf(row));
    }
  }

  /**
   * The same lines as `add` writes for the rows of a judged report, without the rows.
   * @param stamp what the rows share; the same object from report to report
   * @param mentionedOnly leaves out the rows of findings that are not mentioned; one row without a finding stands for none
   */
  addJudged(report: JudgedReport, stamp: JudgedStamp, mentionedOnly: boolean): void {
    const { verdicts } = report;
    const silent = this.silentOf(stamp);
    this.idAt = this.said = -1;
    let any = false;
    for (let f = 0; f < verdicts.length; f++) {
      const verdict = verdicts[f]!;
      if (verdict === null) {
        if (!mentionedOnly) this.addSilent(report.id, silent[f]!);
      } else {
        any = true;
        this.addVerdict(stamp, f, verdict, report);
      }
    }
    if (mentionedOnly && !any) this.addSilent(report.id, silent[verdicts.length]!);
  }

  /** What was added; valid until the next `add`. */
  view(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  clear(): void {
    this.length = 0;
    this.sentence = undefined; // its bytes lay in the buffer
    this.said = -1;
  }

  private addSilent(id: string, row: Uint8Array): void {
    this.addId(id);
    this.copy(row);
  }

  private addId(id: string): void {
    if (this.idAt >= 0) this.repeat(this.idAt, this.idLength);
    else {
      this.idAt = this.length;
      this.put(idKey);
      this.quoted(id);
      this.idLength = this.length - this.idAt;
    }
  }

  private addVerdict(stamp: JudgedStamp, f: number, verdict: Verdict, report: JudgedReport): void {
    this.addId(report.id);
    // A finding is often said as it was in the report before.
    let head = this.lastHeads[f];
    if (head === undefined || !says(head, verdict)) {
      this.lastHeads[f] = head = this.headOf(stamp.findings[f]!, verdict);
    }
    this.copy(head.bytes);
    const { places } = verdict;
    for (let i = 0; i < places.length; i++) {
      if (i > 0) this.put(comma);
      this.addPlace(places[i]!, report);
    }
    if (verdict.reason === undefined) this.copy(this.tailOf(stamp));
    else this.encode(endOf({ ...stamp, reason: verdict.reason }));
  }

  private addPlace(place: Place, report: JudgedReport): void {
    const { start, end, from, to } = place;
    const begin = report.begins[place.text]!;
    this.put(phraseKey);
    this.quotedUnits(report, place.text, start, end);
    this.put(startKey);
    this.integer(start);
    this.put(endKey);
    this.integer(end);
    this.copy(this.sectionOf(place.section));
    // The sentence that was written last: all words of a judgement stand in one.
    if (this.said === begin + from && this.saidTo === begin + to) {
      this.repeat(this.saidAt, this.saidLength);
    } else {
      this.saidAt = this.length;
      this.quotedUnits(report, place.text, from, to);
      this.saidLength = this.length - this.saidAt;
      this.said = begin + from;
      this.saidTo = begin + to;
    }
    this.put(brace);
  }

  /** The rows of findings that are not mentioned, behind their id; the last is without a finding. */
  private silentOf(stamp: JudgedStamp): readonly Uint8Array[] {
    if (stamp !== this.stamp) {
      this.stamp = stamp;
      this.lastHeads = [];
      this.silent = [...stamp.findings, ''].map((finding) => {
        const row = { finding, status: 'not_mentioned', ...nothing } as const;
        return utf8(beforeEvidence(row) + endOf(stamp));
      });
    }
    return this.silent;
  }

  private headOf(finding: string, said: Said): Head {
    let own = this.heads.get(finding);
    if (own === undefined) {
      own = new Map();
      if (this.heads.size < mostFindings) this.heads.set(finding, own);
    }
    const known = own.get(said.probability);
    if (known !== undefined && says(known, said)) return known;
    const { status, probability, deviation, label, rate } = said;
    const bytes = utf8(beforeEvidence({ finding, status, probability, deviation, label, rate }));
    const head = { status, probability, deviation, label, rate, bytes };
    if (own.size < mostProbabilities || known !== undefined) own.set(probability, head);
    return head;
  }

  private tailOf(row: Pick<FindingRow, 'extractor' | 'version'>): Uint8Array {
    if (row.version !== this.version || row.extractor !== this.extractor) {
      this.version = row.version;
      this.extractor = row.extractor;
      this.tail = utf8(endOf({ extractor: row.extractor, version: row.version }));
    }
    return this.tail;
  }

  private addEvidence(e: Evidence): void {
    this.put(phraseKey);
    this.quoted(e.phrase);
    this.put(startKey);
    this.integer(e.start);
    this.put(endKey);
    this.integer(e.end);
    this.copy(this.sectionOf(e.section));
    if (e.sentence === this.sentence) this.copy(this.sentenceBytes);
    else {
      const begin = this.length;
      this.quoted(e.sentence);
      this.sentence = e.sentence;
      this.sentenceBytes = this.bytes.subarray(begin, this.length);
    }
    this.put(brace);
  }

  private sectionOf(name: Section): Uint8Array {
    if (name === this.section) return this.sectionBytes;
    let section = this.sections.get(name);
    if (section === undefined) {
      section = utf8(`,"section":"${name}","sentence":`);
      this.sections.set(name, section);
    }
    this.section = name;
    this.sectionBytes = section;
    return section;
  }

  /** Many bytes. */
  private copy(part: Uint8Array): void {
    this.makeRoom(part.length);
    this.bytes.set(part, this.length);
    this.length += part.length;
  }

  /** A few bytes, for which a call costs more than a loop. */
  private put(part: Uint8Array): void {
    this.makeRoom(part.length);
    const { bytes } = this;
    let at = this.length;
    for (let i = 0; i < part.length; i++) bytes[at++] = part[i]!;
    this.length = at;
  }

  /** Bytes that lie in the buffer already. */
  private repeat(from: number, length: number): void {
    this.makeRoom(length);
    if (length > 32) this.bytes.copyWithin(this.length, from, from + length);
    else for (let i = 0; i < length; i++) this.bytes[this.length + i] = this.bytes[from + i]!;
    this.length += length;
  }

  /** `JSON.stringify` of a text; printable ASCII but for quotation marks and backslashes stands in it as it is. */
  private quoted(text: string): void {
    this.makeRoom(text.length + 2);
    const { bytes } = this;
    let at = this.length;
    bytes[at++] = 34;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit < 32 || unit > 126 || unit === 34 || unit === 92) {
        this.encode(JSON.stringify(text));
        return;
      }
      bytes[at++] = unit;
    }
    bytes[at++] = 34;
    this.length = at;
  }

  /** The same for the units [start, end) of a text of the report. */
  private quotedUnits(report: JudgedReport, text: number, start: number, end: number): void {
    const { units, begins } = report;
    const begin = begins[text]!;
    this.makeRoom(end - start + 2);
    const { bytes } = this;
    let at = this.length;
    bytes[at++] = 34;
    for (let i = begin + start; i < begin + end; i++) {
      const unit = units[i]!;
      if (unit < 32 || unit > 126 || unit === 34 || unit === 92) {
        this.encode(JSON.stringify(report.texts[text]!.slice(start, end)));
        return;
      }
      bytes[at++] = unit;
    }
    bytes[at++] = 34;
    this.length = at;
  }

  private integer(value: number): void {
    if (!(Number.isInteger(value) && value >= 0 && value < 1e9)) {
      this.encode(String(value));
      return;
    }
    this.makeRoom(9);
    const { bytes } = this;
    let digits = 1;
    for (let power = 10; power <= value; power *= 10) digits++;
    let rest = value;
    for (let at = this.length + digits - 1; at >= this.length; at--) {
      const tenth = Math.floor(rest / 10);
      bytes[at] = 48 + rest - tenth * 10;
      rest = tenth;
    }
    this.length += digits;
  }

  private encode(text: string): void {
    this.makeRoom(text.length * 3);
    this.length += encoder.encodeInto(text, this.bytes.subarray(this.length)).written;
  }

  private makeRoom(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const wider = Buffer.allocUnsafe((this.length + more) * 2);
    wider.set(this.view());
    this.bytes = wider;
  }
}

/** What the rows of judged reports share. */
export interface JudgedStamp extends Pick<FindingRow, 'extractor' | 'version'> {
  readonly findings: readonly string[];
}

type Said = Pick<FindingRow, 'status' | 'probability' | 'deviation' | 'label' | 'rate'>;

interface Head extends Said {
  readonly bytes: Uint8Array;
}

/** Do both say the same? */
function says(head: Said, said: Said): boolean {
  return (
    head.probability === said.probability &&
    head.status === said.status &&
    head.deviation === said.deviation &&
    head.label === said.label &&
    head.rate === said.rate
  );
}

const nothing = { probability: null, deviation: null, label: null, rate: null } as const;
const mostFindings = 10_000;
/** A language model may give any probability. */
const mostProbabilities = 100;

const encoder = new TextEncoder();
const noBytes: Uint8Array = new Uint8Array(0);
const idKey = utf8('{"id":');
const comma = utf8(',');
const brace = utf8('}');
const phraseKey = utf8('{"phrase":');
const startKey = utf8(',"start":');
const endKey = utf8(',"end":');

function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

function beforeEvidence(row: Said & Pick<FindingRow, 'finding'>): string {
  const { finding, status, probability, deviation, label, rate } = row;
  return `,"finding":${JSON.stringify(finding)},"status":"${status}","probability":${probability},"deviation":${deviation},"label":${label},"rate":${rate},"evidence":[`;
}

function endOf(row: Pick<FindingRow, 'extractor' | 'version' | 'reason'>): string {
  const end = `],"extractor":"${row.extractor}","version":"${row.version}"`;
  return row.reason === undefined ? `${end}}\n` : `${end},"reason":${JSON.stringify(row.reason)}}\n`;
}

/** The same lines as text. */
export function rowLines(rows: readonly FindingRow[]): string {
  const lines = new RowLines();
  lines.add(rows);
  return Buffer.from(lines.view()).toString('utf8');
}
