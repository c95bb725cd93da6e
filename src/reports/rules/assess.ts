import { createHash } from 'node:crypto';
import { PenumbraError } from '../../errors.ts';
import { type FindingSet, findingSet, type Role } from '../findings/findings.ts';
import { type CueKind, cueKinds, defaultLexicon, type Lexicon } from '../lexicon/lexicon.ts';
import { probabilityToRate } from '../rate.ts';
import { Sentences } from '../text/segment.ts';
import { Tokens, tokenize } from '../text/tokenize.ts';
import {
  type Evidence,
  type FindingRow,
  type Report,
  type Section,
  type Status,
  sectionNames,
} from '../types.ts';
import { type CompiledRules, compileRules } from './compile.ts';
import { Judge, type Judgement, type Named } from './judge.ts';

/** Options of `createAssessor`; everything has a default. */
export interface AssessorOptions {
  /** Default: the shipped lexicon. */
  lexicon?: Lexicon;
  /** Default: CheXpert's 14. */
  findings?: FindingSet;
  /** Longer texts (in UTF-16 units) are refused with `reports/too-long`. Default 1,000,000. */
  longestText?: number;
  /**
   * What is said only to be stable, unchanged or slightly less is present (`keep`, the default), or present without a
   * probability (`mask`), as MAPLEZ leaves it out (arXiv 2403.04024): it says more of the earlier report than of this
   * image.
   */
  stable?: 'keep' | 'mask';
}

/** A cue that judged a mention, with offsets into the text. */
export interface AppliedCue {
  readonly phrase: string;
  readonly start: number;
  readonly end: number;
  readonly kind: CueKind;
  /** P(finding) of the cue; null for kinds that have none. */
  readonly probability: number | null;
}

/** What the text says about one mention. */
export interface MentionAssessment {
  readonly status: Exclude<Status, 'not_mentioned' | 'failed'>;
  /** P(finding) in [0, 1]; null where the status expresses none. */
  readonly probability: number | null;
  /** Its standard deviation, as in `FindingRow`. */
  readonly deviation: number | null;
  readonly label: 0 | 1 | null;
  readonly rate: number | null;
  /** The cues that decided, in the order of the text; empty for a plain assertion. */
  readonly cues: readonly AppliedCue[];
  /** Where the mention names a structure ("heart size"), the state that decided; otherwise null. */
  readonly state: 'normal' | 'abnormal' | null;
  /** How the phrase itself stands by scopes of negation and speculation; see `Judgement`. */
  readonly polarity: 'positive' | 'negated' | 'uncertain';
  readonly section: Section;
  readonly sentence: string;
}

/** Words of a report that carry a judgement, as offsets: `Evidence` before any string is made. */
export interface Place {
  /** Which of the report's texts. */
  readonly text: number;
  /** UTF-16 offsets [start, end) of the words in it. */
  readonly start: number;
  readonly end: number;
  readonly section: Section;
  /** The same of the sentence around them. */
  readonly from: number;
  readonly to: number;
}

/** What a report says about one finding that it mentions; fields as in `FindingRow`. */
export interface Verdict {
  readonly status: Status;
  readonly probability: number | null;
  readonly deviation: number | null;
  readonly label: 0 | 1 | null;
  readonly rate: number | null;
  readonly places: readonly Place[];
  readonly reason: string | undefined;
}

/** A judged report. The assessor uses it again: it is good until the next report is judged. */
export interface JudgedReport {
  readonly id: string;
  /** By finding, in the order of the findings file; null where nothing asserts it. */
  readonly verdicts: readonly (Verdict | null)[];
  readonly texts: readonly string[];
  /** The UTF-16 units of the texts that were read; text `t` begins at `begins[t]`. */
  readonly units: Uint16Array;
  readonly begins: readonly number[];
}

/** Rules compiled once, ready to assess many texts. Synchronous, deterministic, and without any I/O. */
export interface Assessor {
  readonly findings: FindingSet;
  readonly lexicon: Lexicon;
  /** Fingerprint of lexicon, findings and code. */
  readonly version: string;
  /** Assesses the mention at [start, end) (UTF-16 offsets) of `text`, whatever word it is. */
  assessMention(text: string, span: readonly [number, number]): MentionAssessment;
  /** One row per finding, in the order of the findings file. A text alone is a report with an empty id. */
  assessReport(report: Report | string): FindingRow[];
  /** The same judgement without rows and strings, for who writes many reports. */
  judgeReport(report: Report): JudgedReport;
  /** Every cue of the lexicon that stands in the text, judging or not: for checking a lexicon. */
  cuesIn(text: string): (AppliedCue & { readonly line: number })[];
}

/** Sections whose mentions assert something about the patient now. */
const asserting = new Set<Section>(['findings', 'impression', 'body']);
/** The same by the number of the section. */
const asserts = sectionNames.map((name) => asserting.has(name));

/**
 * Compiles the rules.
 * @example
 * const assessor = createAssessor();
 * assessor.assessMention('No focal pneumonia.', [9, 18]).status; // 'absent'
 */
export function createAssessor(options: AssessorOptions = {}): Assessor {
  return new RulesAssessor(
    compileRules(options.lexicon ?? defaultLexicon(), options.findings ?? findingSet()),
    options.longestText ?? 1_000_000,
    options.stable === 'mask',
  );
}

let standard: Assessor | undefined;

/** `createAssessor().assessMention` with the default rules. */
export function assessMention(text: string, span: readonly [number, number]): MentionAssessment {
  return (standard ??= createAssessor()).assessMention(text, span);
}

/** `createAssessor().assessReport` with the default rules. */
export function assessReport(report: Report | string): FindingRow[] {
  standard ??= createAssessor();
  return standard.assessReport(report);
}

/** A judged mention that waits for its report to end. */
interface Candidate {
  status: Status;
  probability: number | null;
  deviation: number | null;
  /** 2 in the impression, 1 elsewhere. */
  weight: number;
  /** Present, and said only not to have changed much; looked at only where that is masked. */
  stable: boolean;
  /** "No new …" and the like deny only a part; they overturn nothing. */
  partial: boolean;
  places: readonly Place[];
  /** The next mention of the same finding. */
  next: Candidate | null;
}

/** What is gathered from a report; used again for the next. */
interface Gathered {
  id: string;
  readonly verdicts: (Verdict | null)[];
  readonly texts: string[];
  units: Uint16Array;
  readonly begins: number[];
  /** By finding: its mentions. */
  readonly first: (Candidate | null)[];
  readonly last: (Candidate | null)[];
  /** For "No Finding": the first words that say that all is normal. */
  normality: readonly Place[] | undefined;
  /** For "No Finding": something abnormal that is none of the findings. */
  abnormality: boolean;
}

class RulesAssessor implements Assessor {
  readonly findings: FindingSet;
  readonly lexicon: Lexicon;
  readonly version: string;
  private readonly rules: CompiledRules;
  private readonly longest: number;
  private readonly maskStable: boolean;
  /** By finding: is it something that was put in? */
  private readonly devices: readonly boolean[];
  private readonly enoughDenied: number;
  private readonly tokens = new Tokens();
  private readonly sentences = new Sentences();
  private readonly sentence: Judge;
  private readonly noFinding: number;
  private readonly gathered: Gathered;

  constructor(rules: CompiledRules, longest: number, maskStable: boolean) {
    this.maskStable = maskStable;
    this.rules = rules;
    this.findings = rules.findings;
    this.lexicon = rules.lexicon;
    this.version = maskStable ? maskedVersion(rules.version) : rules.version;
    this.longest = longest;
    const { findings, phrases, noFinding } = rules.findings;
    const devices = new Set(phrases.filter(({ role }) => role === 'device').map(({ finding }) => finding));
    this.devices = findings.map((finding) => devices.has(finding));
    const others = findings.filter((finding, f) => finding !== noFinding && !this.devices[f]).length;
    this.enoughDenied = Math.min(deniedForNoFinding, others);
    this.sentence = new Judge(rules);
    this.noFinding = noFinding === undefined ? -1 : findings.indexOf(noFinding);
    this.gathered = {
      id: '',
      verdicts: findings.map(() => null),
      texts: [],
      units: this.tokens.units,
      begins: [],
      first: findings.map(() => null),
      last: findings.map(() => null),
      normality: undefined,
      abnormality: false,
    };
  }

  assessMention(text: string, span: readonly [number, number]): MentionAssessment {
    const [start, end] = span;
    if (
      !(Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start < end && end <= text.length)
    ) {
      throw new PenumbraError(
        'reports/span',
        `The span [${start}, ${end}) is not inside the text of length ${text.length}.`,
        {
          hint: 'Give [start, end) as UTF-16 offsets, start < end.',
        },
      );
    }
    this.split(text);
    const { tokens, sentences, sentence } = this;
    let first = 0;
    while (first < tokens.count && tokens.end[first]! <= start) first++;
    let last = first;
    while (last < tokens.count && tokens.start[last]! < end) last++;
    if (last === first) {
      throw new PenumbraError('reports/span', `The span [${start}, ${end}) holds no word.`, {
        hint: 'Give the offsets of the mention itself.',
      });
    }
    let s = 0;
    while (s + 1 < sentences.count && sentences.to[s]! <= first) s++;
    const from = Math.min(sentences.from[s] ?? 0, first);
    const to = Math.max(sentences.to[s] ?? tokens.count, last);
    // Is it a structure by the findings file? Then its state decides; otherwise the span is read as it stands.
    sentence.read(tokens, from, to);
    let judgement: Judgement | null = null;
    let device = false;
    for (let m = 0; m < sentence.matches.mentions; m++) {
      if (sentence.matches.mentionStart[m]! > first || sentence.matches.mentionEnd[m]! < last) continue;
      const meaning = this.rules.meanings[sentence.matches.mentionMeaning[m]!]!;
      if (meaning.some((x) => x.role === 'structure')) judgement = sentence.judge(m, 'structure');
      device ||= meaning.some((x) => x.role === 'device');
    }
    if (judgement === null) {
      sentence.read(tokens, from, to, first, last);
      judgement = sentence.judge(0, device ? 'device' : 'finding')!;
    }
    return {
      status: judgement.status as MentionAssessment['status'],
      probability: judgement.probability,
      deviation: judgement.deviation,
      ...probabilityToRate(judgement.probability),
      cues: judgement.cues.map((c) => this.cue(text, c)),
      state: judgement.state,
      polarity: judgement.polarity,
      section: sectionNames[sentences.section[s] ?? 0]!,
      sentence: this.words(text, from, to),
    };
  }

  assessReport(given: Report | string): FindingRow[] {
    const { id, verdicts, texts } = this.judgeReport(
      typeof given === 'string' ? { id: '', text: given } : given,
    );
    const { findings } = this.findings;
    const { version } = this;
    const rows: FindingRow[] = new Array(findings.length);
    for (let f = 0; f < rows.length; f++) {
      const { status, probability, deviation, label, rate, places, reason } = verdicts[f] ?? notMentioned;
      const row = {
        id,
        finding: findings[f]!,
        status,
        probability,
        deviation,
        label,
        rate,
        evidence: places.length === 0 ? noEvidence : evidenceAt(places, texts),
        extractor: 'rules',
        version,
      };
      rows[f] = reason === undefined ? row : { ...row, reason };
    }
    return rows;
  }

  judgeReport(report: Report): JudgedReport {
    const { gathered, noFinding } = this;
    const { verdicts, first, last } = gathered;
    gathered.id = report.id;
    gathered.texts.length = gathered.begins.length = 0;
    gathered.normality = undefined;
    gathered.abnormality = false;
    first.fill(null);
    last.fill(null);
    let length = 0;
    if (report.text !== undefined) length = this.collect(report.text, 'body', length);
    if (report.sections !== undefined) {
      for (const { section, text } of report.sections) length = this.collect(text, section, length);
    }
    gathered.units = this.tokens.units;
    let denied = 0;
    let others = 0;
    for (let f = 0; f < verdicts.length; f++) {
      const candidate = first[f]!;
      if (candidate === null) {
        verdicts[f] = null;
        continue;
      }
      const decided = decide(candidate);
      const { status, probability } = decided;
      if (!this.devices[f] && probability !== null) {
        if (status !== 'absent') others = Math.max(others, probability);
        else if (probability <= nearlySure) denied++;
      }
      verdicts[f] = decided.stable
        ? { status, ...unknown, places: decided.places, reason: stableReason }
        : {
            status,
            probability,
            deviation: decided.deviation,
            ...probabilityToRate(probability),
            places: decided.places,
            reason: undefined,
          };
    }
    if (noFinding >= 0) {
      const said = gathered.normality !== undefined || denied >= this.enoughDenied;
      if (said && others === 0 && !gathered.abnormality) {
        verdicts[noFinding] = {
          status: 'present',
          probability: 1,
          deviation: 0,
          label: 1,
          rate: 0,
          places: gathered.normality ?? none,
          reason: verdicts[noFinding]?.reason,
        };
      }
    }
    return gathered;
  }

  cuesIn(text: string): (AppliedCue & { readonly line: number })[] {
    this.split(text);
    const { sentences, sentence, tokens } = this;
    const found: (AppliedCue & { readonly line: number })[] = [];
    for (let s = 0; s < sentences.count; s++) {
      sentence.read(tokens, sentences.from[s]!, sentences.to[s]!);
      for (let c = 0; c < sentence.matches.cues; c++) {
        found.push({ ...this.cue(text, c), line: this.lexicon.entries[sentence.matches.cueEntry[c]!]!.line });
      }
    }
    return found;
  }

  private split(text: string, section: Section = 'body', base = 0): void {
    this.checkLength(text);
    tokenize(text, this.rules.vocabulary, this.tokens, base);
    this.rules.segmenter.segment(this.tokens, this.sentences, section);
  }

  private checkLength(text: string): void {
    if (text.length <= this.longest) return;
    throw new PenumbraError(
      'reports/too-long',
      `The text has ${text.length} characters; the limit is ${this.longest}.`,
      { hint: 'A radiology report has some thousands. Is this one report? Raise `longestText` if it is.' },
    );
  }

  /** Gathers what a text says, keeping the `base` units of the texts before it; gives how many there are now. */
  private collect(text: string, field: Section, base: number): number {
    const { tokens, sentences, sentence, rules, gathered } = this;
    const number = gathered.texts.push(text) - 1;
    gathered.begins.push(base);
    if (text === '') return base;
    if (!asserting.has(field) && !rules.segmenter.mayChangeSection(text)) {
      this.checkLength(text);
      return base;
    }
    this.split(text, field, base);
    const { matches } = sentence;
    for (let s = 0; s < sentences.count; s++) {
      if (!asserts[sentences.section[s]!]) continue;
      const section = sectionNames[sentences.section[s]!]!;
      const from = sentences.from[s]!;
      const to = sentences.to[s]!;
      if (!matches.mayMention(tokens, from, to)) continue;
      sentence.read(tokens, from, to);
      const weight = section === 'impression' ? 2 : 1;
      for (let m = 0; m < matches.mentions; m++) {
        const meanings = rules.meanings[matches.mentionMeaning[m]!]!;
        for (let k = 0; k < meanings.length; k++) {
          const { role, finding } = meanings[k]!;
          if (role === 'ignore' || role === 'spelling') continue;
          if (role === 'normality') {
            gathered.normality ??= this.placesOf(m, [], number, section);
            continue;
          }
          const judgement = sentence.judge(m, namedBy(role));
          if (judgement === null) continue;
          const { status, probability, deviation, cues } = judgement;
          if (role === 'abnormality') {
            if (status === 'present' || status === 'uncertain') gathered.abnormality = true;
            else if (status === 'absent') gathered.normality ??= this.placesOf(m, cues, number, section);
            continue;
          }
          const candidate: Candidate = {
            status,
            probability,
            deviation,
            weight,
            // "No change in the effusion" is the one judgement that is present and negated.
            stable:
              this.maskStable &&
              status === 'present' &&
              (judgement.polarity === 'negated' || sentence.isStable(m)),
            partial: status === 'absent' && probability! > 0,
            places: this.placesOf(m, cues, number, section),
            next: null,
          };
          const before = gathered.last[finding]!;
          if (before === null) gathered.first[finding] = candidate;
          else before.next = candidate;
          gathered.last[finding] = candidate;
        }
      }
    }
    return base + text.length;
  }

  /** The words of mention `m`, then those of the cues that judged it. */
  private placesOf(m: number, cues: readonly number[], text: number, section: Section): readonly Place[] {
    const { matches } = this.sentence;
    const mention = this.place(matches.mentionStart[m]!, matches.mentionEnd[m]!, text, section);
    if (cues.length === 0) return [mention];
    const first = this.place(matches.cueStart[cues[0]!]!, matches.cueEnd[cues[0]!]!, text, section);
    if (cues.length === 1) return [mention, first];
    return [mention, ...cues.map((c) => this.place(matches.cueStart[c]!, matches.cueEnd[c]!, text, section))];
  }

  /** The tokens [from, to) of the sentence that was read last. */
  private place(from: number, to: number, text: number, section: Section): Place {
    const { tokens } = this;
    const { matches } = this.sentence;
    return {
      text,
      start: tokens.start[from]!,
      end: tokens.end[to - 1]!,
      section,
      from: tokens.start[matches.from]!,
      to: tokens.end[matches.to - 1]!,
    };
  }

  private cue(text: string, c: number): AppliedCue {
    const { tokens, sentence, rules } = this;
    const entry = sentence.matches.cueEntry[c]!;
    const start = tokens.start[sentence.matches.cueStart[c]!]!;
    const end = tokens.end[sentence.matches.cueEnd[c]! - 1]!;
    return {
      phrase: text.slice(start, end),
      start,
      end,
      kind: cueKinds[rules.kind[entry]!]!,
      probability: this.lexicon.entries[entry]!.probability,
    };
  }

  private words(text: string, from: number, to: number): string {
    return text.slice(this.tokens.start[from]!, this.tokens.end[to - 1]!);
  }
}

function evidenceAt(places: readonly Place[], texts: readonly string[]): Evidence[] {
  const evidence: Evidence[] = new Array(places.length);
  for (let i = 0; i < places.length; i++) {
    const { text, start, end, section, from, to } = places[i]!;
    const whole = texts[text]!;
    evidence[i] = { phrase: whole.slice(start, end), start, end, section, sentence: whole.slice(from, to) };
  }
  return evidence;
}

/** Why a row is masked, as `dataset build` counts it. */
const stableReason = 'stable: said only not to have changed much';

function maskedVersion(version: string): string {
  return createHash('sha256').update(`${version} stable masked`).digest('hex').slice(0, 16);
}

/** What a mention of this role names, as judging asks. */
function namedBy(role: Role): Named {
  return role === 'structure' || role === 'device' ? role : 'finding';
}

/**
 * "No Finding" without a word that all is well needs so many findings denied ("no consolidation, effusion, or
 * pneumothorax"): one or two denials answer a question, and say nothing of the rest.
 */
const deniedForNoFinding = 3;
/** Up to this probability a finding is denied as a whole, not in part ("no large …", "no new …"). */
const nearlySure = 0.05;

const none: readonly Place[] = Object.freeze([]);
const noEvidence: readonly Evidence[] = Object.freeze([]);

/** What stands in a row that has no probability. */
const unknown = { probability: null, deviation: null, label: null, rate: null } as const;
const notMentioned: Verdict = { status: 'not_mentioned', ...unknown, places: none, reason: undefined };

/**
 * One judgement from all mentions of a finding. The rule:
 *
 * 1. Mentions that express a probability go before those that do not (history, conditions, other people).
 * 2. The impression outweighs the findings: where it speaks of the finding, only it counts. A partial denial there
 *    ("no new effusion", "no large effusion", "no definite effusion") leaves a statement of the findings standing.
 * 3. Among the mentions that count, the highest probability decides: one lesion is enough for the finding to be there.
 */
function decide(first: Candidate): Candidate {
  if (first.next === null) return first;
  let chosen = first;
  for (let c = first.next as Candidate | null; c !== null; c = c.next) if (rank(c, chosen) > 0) chosen = c;
  // One plain statement of the same weight is enough: then it is not only said to be stable.
  let { stable } = chosen;
  const places = [...chosen.places];
  for (let c: Candidate | null = first; c !== null; c = c.next) {
    if (!c.stable && rank(c, chosen) >= 0) stable = false;
    if (c !== chosen) places.push(...c.places);
  }
  return { ...chosen, stable, places };
}

/** Positive where `a` decides rather than `b`. */
function rank(a: Candidate, b: Candidate): number {
  if ((a.probability === null) !== (b.probability === null)) return a.probability === null ? -1 : 1;
  if (a.probability === null || b.probability === null) return a.weight - b.weight;
  const weigh = (x: Candidate): number => (x.partial ? 1 : x.weight);
  if (weigh(a) !== weigh(b)) return weigh(a) - weigh(b);
  return a.probability - b.probability;
}
