import type { FindingSet } from '../findings/findings.ts';
import type { Language } from '../lexicon/language.ts';
import type { CueKind, Lexicon } from '../lexicon/lexicon.ts';
import { round } from '../round.ts';
import { IS_ADJECTIVE, IS_STARTER } from '../rules/compile.ts';
import type { Report } from '../types.ts';
import { CorpusReader } from './corpus.ts';

/** An expression that the lexicon does not have, for a person to accept or refuse. */
export interface Candidate {
  readonly phrase: string;
  /** How often it stands beside a mention, and in how many reports. */
  readonly count: number;
  readonly reports: number;
  /** Does it stand before the mention or after it? */
  readonly direction: 'forward' | 'backward';
  /** What it seems to be, from its neighbours. */
  readonly kind: CueKind;
  /** Suggested P(finding): mean of the neighbouring hedges, weighted by likeness; null where none is near. */
  readonly probability: number | null;
  /** Lexicon phrases that are used alike, most alike first. */
  readonly neighbours: readonly {
    readonly phrase: string;
    readonly likeness: number;
    readonly probability: number | null;
  }[];
  /** Findings that it attaches to, most frequent first. */
  readonly findings: readonly string[];
  /** Up to three sentences. They hold text of the reports. */
  readonly contexts: readonly string[];
  /** Frequency × likeness to hedges; candidates are sorted by it. */
  readonly score: number;
  /** Where a language model compared it with known phrases: the deviation of logit(p), and how many comparisons. */
  readonly comparison?: { readonly deviation: number; readonly comparisons: number };
}

export interface MineOptions {
  /** Least number of places; default 1 for fewer than 5,000 reports, 2 for fewer than 50,000, else 3. */
  minCount?: number;
  /** At most so many candidates; default 200. */
  limit?: number;
}

const longestPhrase = 4;
/** A phrase belongs to a mention that begins at most so many words behind it. */
const reach = 3;

/** What is known of an n-gram (a candidate, or a phrase that the lexicon has). */
interface Usage {
  count: number;
  reports: number;
  lastReport: number;
  forward: number;
  readonly features: Map<string, number>;
  readonly findings: Map<string, number>;
  readonly contexts: string[];
  /** The lexicon entry, or -1 for a candidate. */
  readonly entry: number;
}

/**
 * Finds expressions of doubt that the lexicon lacks.
 *
 * Every run of one to four words beside a mention that no cue covers is a candidate if one of its words looks like
 * doubt (its stem), or if it is used like the lexicon's hedges. How an expression is used is a vector of its
 * surroundings: the words before and behind it, the distance and the side of the mention, and the stems of its own
 * words. Likeness is the cosine of two such vectors, weighted by how much a feature tells (inverse frequency); the
 * five nearest phrases of the lexicon vote for the kind and give the probability. Deterministic.
 */
export async function mineLexicon(
  reports: AsyncIterable<readonly Report[]>,
  lexicon: Lexicon,
  findings: FindingSet,
  options: MineOptions = {},
): Promise<Candidate[]> {
  const reader = new CorpusReader(lexicon, findings);
  const { language } = lexicon;
  const { wordClass, vocabulary } = reader.rules;
  const usages = new Map<string, Usage>();
  let report = 0;

  const isDescribing = new Set<string>();
  vocabulary.words.forEach((word, id) => {
    if (wordClass[id]! & (IS_ADJECTIVE | IS_STARTER)) isDescribing.add(word);
  });

  for await (const batch of reports) {
    for (const one of batch) {
      report++;
      for (const sentence of reader.read(one)) {
        const { words, cue, mentions } = sentence;
        const inMention = new Uint8Array(words.length);
        for (const { start, end } of mentions) inMention.fill(1, start, end);
        for (const { start, end, finding } of mentions) {
          const note = (from: number, to: number, entry: number, forward: boolean): void => {
            const phrase = words.slice(from, to).join(' ');
            let usage = usages.get(phrase);
            if (usage === undefined) {
              usage = {
                count: 0,
                reports: 0,
                lastReport: 0,
                forward: 0,
                features: new Map(),
                findings: new Map(),
                contexts: [],
                entry,
              };
              usages.set(phrase, usage);
            }
            usage.count++;
            if (forward) usage.forward++;
            if (usage.lastReport !== report) {
              usage.reports++;
              usage.lastReport = report;
              if (usage.contexts.length < 3)
                usage.contexts.push(sentence.text.replace(/\s+/g, ' ').slice(0, 300));
            }
            bump(usage.findings, finding);
            const distance = forward ? start - to : from - end;
            bump(usage.features, `side ${forward ? 'before' : 'behind'}`);
            bump(usage.features, `distance ${distance}`);
            bump(usage.features, `left ${words[from - 1] ?? '^'}`);
            bump(usage.features, `right ${inMention[to] ? '<mention>' : (words[to] ?? '$')}`);
            bump(usage.features, `last ${words[to - 1]}`);
            for (const word of words.slice(from, to))
              if (word.length > 4) bump(usage.features, `stem ${word.slice(0, 5)}`);
          };
          // Phrases of the lexicon in the same places are the neighbours that candidates are compared with.
          for (const forward of [true, false]) {
            const known = new Set<number>();
            const first = forward ? Math.max(0, start - longestPhrase - reach) : end;
            const last = forward ? start : Math.min(words.length, end + reach + longestPhrase);
            for (let i = first; i < last; i++) {
              const entry = cue[i]!;
              if (entry < 0 || known.has(i) || (i > 0 && cue[i - 1] === entry && i > first)) continue;
              let to = i + 1;
              while (to < words.length && cue[to] === entry) to++;
              const distance = forward ? start - to : i - end;
              if (distance >= 0 && distance <= reach) note(i, to, entry, forward);
            }
            for (let i = first; i < last; i++) {
              for (let to = i + 1; to <= Math.min(last, i + longestPhrase); to++) {
                const distance = forward ? start - to : i - end;
                if (distance < 0 || distance > reach) continue;
                let clean = true;
                for (let k = i; k < to; k++) {
                  if (cue[k]! >= 0 || inMention[k] || !isWord(words[k]!)) clean = false;
                }
                // Between the expression and the mention only describing words may stand.
                for (let k = forward ? to : end; clean && k < (forward ? start : i); k++) {
                  if (!isDescribing.has(words[k]!)) clean = false;
                }
                if (
                  clean &&
                  !words
                    .slice(i, to)
                    .every((word) => isDescribing.has(word) || language.functionWords.has(word))
                ) {
                  note(i, to, -1, forward);
                }
              }
            }
          }
        }
      }
    }
  }

  const minCount = options.minCount ?? (report < 5000 ? 1 : report < 50_000 ? 2 : 3);
  const near = new Set(knownVerbs(lexicon));
  const isPlain = (phrase: string): boolean =>
    phrase.includes(' ') && phrase.split(' ').every((word) => near.has(word));
  const weights = inverseFrequencies(usages.values());
  const known = [...usages].filter(([, u]) => u.entry >= 0);
  const knownVectors = known.map(([phrase, usage]) => ({ phrase, usage, vector: vectorOf(usage, weights) }));
  const candidates: Candidate[] = [];
  for (const [phrase, usage] of usages) {
    if (usage.entry >= 0 || usage.count < minCount) continue;
    const doubt = phrase.split(' ').some(language.looksLikeDoubt);
    const vector = vectorOf(usage, weights);
    const near = knownVectors
      .map((other) => ({ other, likeness: cosine(vector, other.vector) }))
      .sort((a, b) => b.likeness - a.likeness || (a.other.phrase < b.other.phrase ? -1 : 1))
      .slice(0, 5)
      .filter(({ likeness }) => likeness > 0.05);
    const votes = new Map<CueKind, number>();
    for (const { other, likeness } of near) {
      const kind = reader.kindOf(other.usage.entry);
      votes.set(kind, (votes.get(kind) ?? 0) + likeness);
    }
    const all = [...votes.values()].reduce((a, b) => a + b, 0);
    const hedging = all === 0 ? 0 : (votes.get('hedge') ?? 0) / all;
    // A run of words without one that looks like doubt is a place or a patient ("lobe with"), whatever it is used like,
    // unless it is used like nothing but hedges and holds no describing word.
    if (!doubt && (hedging < 0.95 || !isPlain(phrase))) continue;
    const strongest = [...votes].sort((a, b) => b[1] - a[1])[0]?.[0] ?? 'hedge';
    const hedges = near.filter(({ other }) => reader.kindOf(other.usage.entry) === 'hedge');
    const weight = hedges.reduce((sum, { likeness }) => sum + likeness, 0);
    const mean = hedges.reduce(
      (sum, { other, likeness }) => sum + likeness * reader.rules.probability[other.usage.entry]!,
      0,
    );
    candidates.push({
      phrase,
      count: usage.count,
      reports: usage.reports,
      direction: usage.forward * 2 >= usage.count ? 'forward' : 'backward',
      kind: doubt ? 'hedge' : strongest,
      probability: weight > 0 ? round(Math.round((mean / weight) * 1000) / 1000) : null,
      neighbours: near.map(({ other, likeness }) => ({
        phrase: other.phrase,
        likeness: Math.round(likeness * 1000) / 1000,
        probability: lexicon.entries[other.usage.entry]!.probability,
      })),
      findings: [...usage.findings]
        .sort((a, b) => b[1] - a[1])
        .slice(0, 5)
        .map(([finding]) => finding),
      contexts: usage.contexts,
      score: round(usage.count * (doubt ? 1 : 0.25) * (0.2 + hedging)),
    });
  }
  candidates.sort((a, b) => b.score - a.score || (a.phrase < b.phrase ? -1 : 1));
  return withoutParts(candidates, language).slice(0, options.limit ?? 200);
}

/**
 * One phrase of several that were seen in the same places: "suspicion for" and not "suspicion" (what follows belongs
 * to it), "suspicion for" and not "density suspicion for" (what stands before and shows no doubt does not).
 */
function withoutParts(candidates: readonly Candidate[], language: Language): Candidate[] {
  const doubts = (phrase: string): boolean => phrase.split(' ').some(language.looksLikeDoubt);
  return candidates.filter(
    (one) =>
      !candidates.some((other) => {
        if (other === one) return false;
        // "representing subsegmental", "represents a": what follows the word of doubt describes the finding.
        if (one.phrase.startsWith(`${other.phrase} `) && doubts(other.phrase)) {
          const rest = one.phrase.slice(other.phrase.length + 1);
          const word = rest.split(' ').at(-1)!;
          // "may represent areas of": one of many ways in which it goes on.
          const content = rest.split(' ').some((w) => !language.functionWords.has(w));
          if (!doubts(rest) && content && one.count * 20 < other.count) return true;
          if (!doubts(rest) && (!language.functionWords.has(word) || articles.has(word))) return true;
        }
        if (` ${other.phrase} `.includes(` ${one.phrase} `)) {
          const before = other.phrase.slice(0, other.phrase.indexOf(one.phrase));
          if (!doubts(one.phrase)) return doubts(other.phrase) || other.score >= one.score;
          return (before === '' || doubts(before)) && other.count * 10 >= one.count * 9;
        }
        const at = one.phrase.indexOf(other.phrase);
        return (
          at > 0 &&
          one.phrase.endsWith(` ${other.phrase}`) &&
          doubts(other.phrase) &&
          !doubts(one.phrase.slice(0, at))
        );
      }),
  );
}

/** Letters only, and no mark for a word that was removed (Open-i writes XXXX, MIMIC-CXR ___). */
function isWord(word: string): boolean {
  return /^[a-z][a-z'-]*$/.test(word) && !/^x{3,}$/.test(word);
}

/** Words that belong to what follows them. */
const articles = new Set(['a', 'an', 'the', 'some', 'any']);

/** Words that stand in hedges of the lexicon: what is made of them alone may be a hedge that it lacks. */
function knownVerbs(lexicon: Lexicon): string[] {
  return lexicon.entries
    .filter(({ kind }) => kind === 'hedge')
    .flatMap(({ phrases }) => phrases.flatMap((phrase) => phrase.split(' ')))
    .filter((word) => !lexicon.language.functionWords.has(word));
}

type Vector = Map<string, number>;

function inverseFrequencies(usages: Iterable<Usage>): Map<string, number> {
  const documents = new Map<string, number>();
  let n = 0;
  for (const { features } of usages) {
    n++;
    for (const feature of features.keys()) bump(documents, feature);
  }
  return new Map([...documents].map(([feature, count]) => [feature, Math.log(1 + n / count)]));
}

function vectorOf(usage: Usage, weights: ReadonlyMap<string, number>): Vector {
  const vector: Vector = new Map();
  let norm = 0;
  for (const [feature, count] of usage.features) {
    const value = Math.sqrt(count / usage.count) * weights.get(feature)!;
    vector.set(feature, value);
    norm += value * value;
  }
  for (const [feature, value] of vector) vector.set(feature, value / Math.sqrt(norm));
  return vector;
}

function cosine(a: Vector, b: Vector): number {
  let dot = 0;
  const [small, large] = a.size < b.size ? [a, b] : [b, a];
  for (const [feature, value] of small) dot += value * (large.get(feature) ?? 0);
  return dot;
}

function bump(map: Map<string, number>, key: string): void {
  map.set(key, (map.get(key) ?? 0) + 1);
}

/** Candidates as lines of a lexicon file: what a person accepts stays, the rest is struck out. */
export function candidatesAsLexicon(candidates: readonly Candidate[]): string {
  const lines = [
    '# Candidates of `penumbra lexicon mine`. Strike out what is no cue, set right what is one, give each entry a test',
    '# sentence of your own with the [mention] in brackets, and use the file with --extend-lexicon.',
    '# The remarks above an entry: how often it was seen, what it is used like, and where. They hold text of the reports.',
    'phrase\tkind\tdirection\tscope\tprobability\tsource\texample\texpected',
  ];
  for (const c of candidates) {
    lines.push(
      '',
      `# ${c.count} times in ${c.reports} reports; ${c.findings.join(', ')}`,
      ...(c.comparison === undefined
        ? []
        : [
            `# by ${c.comparison.comparisons} comparisons; deviation of logit(p) ${c.comparison.deviation.toFixed(2)}`,
          ]),
      `# used like: ${c.neighbours.map((n) => `${n.phrase} (${n.likeness}${n.probability === null ? '' : `, p ${n.probability}`})`).join('; ') || 'nothing in the lexicon'}`,
      ...c.contexts.map((context) => `#   ${context.replaceAll('\t', ' ')}`),
      [
        c.phrase,
        'hedge',
        c.direction,
        'list',
        c.probability ?? 0.5,
        `mined: ${c.neighbours[0]?.phrase ?? 'none'}`,
        c.direction === 'forward' ? `Findings ${c.phrase} [pneumonia].` : `A [pneumonia] ${c.phrase}.`,
        'uncertain',
      ].join('\t'),
    );
  }
  return `${lines.join('\n')}\n`;
}
