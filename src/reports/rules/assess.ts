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
  /** Every cue of the lexicon that stands in the text, judging or not: for checking a lexicon. */
  cuesIn(text: string): (AppliedCue & { readonly line: number })[];
}

/** Sections whose mentions assert something about the patient now. */
const asserting = new Set<Section>(['findings', 'impression', 'body']);

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
  evidence: Evidence[];
}

/** What a report says about nothing in particular, for "No Finding". */
interface Overall {
  /** The first words that say that all is normal. */
  normality: Evidence[] | undefined;
  /** Something abnormal that is none of the findings. */
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
    const report: Report = typeof given === 'string' ? { id: '', text: given } : given;
    const { findings } = this.findings;
    const candidates: Candidate[][] = findings.map(() => []);
    const state: Overall = { normality: undefined, abnormality: false };
    let denied = 0;
    if (report.text !== undefined) this.collect(report.text, 'body', candidates, state);
    for (const { section, text } of report.sections ?? []) {
      if (text !== '') this.collect(text, section, candidates, state);
    }
    const { id } = report;
    const { version } = this;
    const rows: FindingRow[] = new Array(findings.length);
    let others = 0;
    for (let f = 0; f < findings.length; f++) {
      const finding = findings[f]!;
      const decided = decide(candidates[f]!);
      if (decided === null) {
        rows[f] = {
          id,
          finding,
          status: 'not_mentioned',
          probability: null,
          deviation: null,
          label: null,
          rate: null,
          evidence: none,
          extractor: 'rules',
          version,
        };
        continue;
      }
      if (!this.devices[f] && decided.probability !== null) {
        if (decided.status !== 'absent') others = Math.max(others, decided.probability);
        else if (decided.probability <= nearlySure) denied++;
      }
      if (decided.stable) {
        rows[f] = {
          id,
          finding,
          status: decided.status,
          probability: null,
          deviation: null,
          label: null,
          rate: null,
          evidence: decided.evidence,
          extractor: 'rules',
          version,
          reason: stableReason,
        };
        continue;
      }
      const { label, rate } = probabilityToRate(decided.probability);
      rows[f] = {
        id,
        finding,
        status: decided.status,
        probability: decided.probability,
        deviation: decided.deviation,
        label,
        rate,
        evidence: decided.evidence,
        extractor: 'rules',
        version,
      };
    }
    const noFinding = this.findings.noFinding === undefined ? -1 : findings.indexOf(this.findings.noFinding);
    if (noFinding >= 0) {
      const said = state.normality !== undefined || denied >= this.enoughDenied;
      if (said && others === 0 && !state.abnormality) {
        rows[noFinding] = {
          ...rows[noFinding]!,
          status: 'present',
          probability: 1,
          deviation: 0,
          label: 1,
          rate: 0,
          evidence: state.normality ?? none,
        };
      }
    }
    return rows;
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

  private split(text: string, section: Section = 'body'): void {
    if (text.length > this.longest) {
      throw new PenumbraError(
        'reports/too-long',
        `The text has ${text.length} characters; the limit is ${this.longest}.`,
        { hint: 'A radiology report has some thousands. Is this one report? Raise `longestText` if it is.' },
      );
    }
    tokenize(text, this.rules.vocabulary, this.tokens);
    this.rules.segmenter.segment(this.tokens, this.sentences, section);
  }

  private collect(text: string, field: Section, candidates: Candidate[][], state: Overall): void {
    this.split(text, field);
    const { tokens, sentences, sentence, rules } = this;
    for (let s = 0; s < sentences.count; s++) {
      const section = sectionNames[sentences.section[s]!]!;
      if (!asserting.has(section)) continue;
      const from = sentences.from[s]!;
      const to = sentences.to[s]!;
      if (!sentence.matches.mayMention(tokens, from, to)) continue;
      sentence.read(tokens, from, to);
      if (sentence.matches.mentions === 0) continue;
      const around = this.words(text, from, to);
      const weight = section === 'impression' ? 2 : 1;
      for (let m = 0; m < sentence.matches.mentions; m++) {
        const meanings = rules.meanings[sentence.matches.mentionMeaning[m]!]!;
        for (let k = 0; k < meanings.length; k++) {
          const { role, finding } = meanings[k]!;
          if (role === 'ignore' || role === 'spelling') continue;
          if (role === 'normality') {
            state.normality ??= this.evidenceOf(text, m, null, section, around);
            continue;
          }
          const judgement = sentence.judge(m, namedBy(role));
          if (judgement === null) continue;
          if (role === 'abnormality') {
            if (judgement.status === 'present' || judgement.status === 'uncertain') state.abnormality = true;
            else if (judgement.status === 'absent') {
              state.normality ??= this.evidenceOf(text, m, judgement, section, around);
            }
            continue;
          }
          const evidence = this.evidenceOf(text, m, judgement, section, around);
          candidates[finding]!.push({
            status: judgement.status,
            probability: judgement.probability,
            deviation: judgement.deviation,
            weight,
            // "No change in the effusion" is the one judgement that is present and negated.
            stable:
              this.maskStable &&
              judgement.status === 'present' &&
              (judgement.polarity === 'negated' || sentence.isStable(m)),
            partial: judgement.status === 'absent' && judgement.probability! > 0,
            evidence,
          });
        }
      }
    }
  }

  /** The words of mention `m`, then those of the cues that judged it. */
  private evidenceOf(
    text: string,
    m: number,
    judgement: Judgement | null,
    section: Section,
    around: string,
  ): Evidence[] {
    const { tokens, sentence } = this;
    const words = (from: number, to: number): Evidence => {
      const start = tokens.start[from]!;
      const end = tokens.end[to - 1]!;
      return { phrase: text.slice(start, end), start, end, section, sentence: around };
    };
    const evidence = [words(sentence.matches.mentionStart[m]!, sentence.matches.mentionEnd[m]!)];
    if (judgement !== null) {
      for (const c of judgement.cues)
        evidence.push(words(sentence.matches.cueStart[c]!, sentence.matches.cueEnd[c]!));
    }
    return evidence;
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

const none: readonly Evidence[] = Object.freeze([]);

/**
 * One judgement from all mentions of a finding. The rule:
 *
 * 1. Mentions that express a probability go before those that do not (history, conditions, other people).
 * 2. The impression outweighs the findings: where it speaks of the finding, only it counts. A partial denial there
 *    ("no new effusion", "no large effusion", "no definite effusion") leaves a statement of the findings standing.
 * 3. Among the mentions that count, the highest probability decides: one lesion is enough for the finding to be there.
 */
function decide(candidates: Candidate[]): Candidate | null {
  if (candidates.length === 0) return null;
  let best: Candidate | null = null;
  for (const candidate of candidates) {
    if (best === null || rank(candidate, best) > 0) best = candidate;
  }
  const chosen = best!;
  if (candidates.length === 1) return chosen;
  // One plain statement of the same weight is enough: then it is not only said to be stable.
  const stable = chosen.stable && candidates.every((c) => c.stable || rank(c, chosen) < 0);
  const evidence = [...chosen.evidence];
  for (const candidate of candidates) if (candidate !== chosen) evidence.push(...candidate.evidence);
  return { ...chosen, stable, evidence };
}

/** Positive where `a` decides rather than `b`. */
function rank(a: Candidate, b: Candidate): number {
  if ((a.probability === null) !== (b.probability === null)) return a.probability === null ? -1 : 1;
  if (a.probability === null || b.probability === null) return a.weight - b.weight;
  const weigh = (x: Candidate): number => (x.partial ? 1 : x.weight);
  if (weigh(a) !== weigh(b)) return weigh(a) - weigh(b);
  return a.probability - b.probability;
}
