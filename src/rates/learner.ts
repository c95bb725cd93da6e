/** What one step of training does, and how a network agrees with rows. */
import { Random } from '../random.ts';
import { type Section, spearman } from '../reports/index.ts';
import { aten, autocast, fromTypedArray, noGrad, type Tensor, tidy } from '../torch/index.ts';
import { type LossScale, scaledLoss } from '../torch/optim/index.ts';
import type { Mode } from '../training/index.ts';
import { type Pieces, tensorsOf, tokenBatch } from './batch.ts';
import type { RateConfig } from './config.ts';
import { piecesOf, type WordSentence } from './corpus.ts';
import type { RateData, RateExample } from './data.ts';
import type { FindingWords } from './finding-words.ts';
import type { RateFigures } from './folder.ts';
import type { LexiconSentences } from './lexicon-sentences.ts';
import type { RateNetwork, RateOutput } from './network.ts';
import { LARGEST_VARIANCE, LEAST_VARIANCE, sigmoid, varianceOf } from './outputs.ts';
import type { Carriers, CarrierWriter, Rankings } from './rankings.ts';
import type { TextTokenizer } from './text-tokenizer.ts';

/** Phrases that one step compares. */
const PHRASES_A_STEP = 8;
/** Weight of the variance beside the probability: it follows, and must not lead. */
const DOUBT_WEIGHT = 0.1;
/** Weight of where queries look. */
const LOOK_WEIGHT = 0.3;
/** Sections whose mentions assert something of the patient now. */
const ASSERTING: ReadonlySet<Section> = new Set(['body', 'findings', 'impression']);
/** Streams of random numbers. */
const TEXTS = 2;
const PHRASES = 3;
const LEXICON = 5;

/** A report as an epoch shows it. */
interface Shown {
  readonly pieces: readonly Pieces[];
  /** K each. */
  readonly said: Uint8Array;
  readonly unknown: Uint8Array;
  readonly probability: Float32Array;
  /** Where each finding of which something is said is named: pairs of finding and piece. */
  readonly named: readonly (readonly [finding: number, piece: number])[];
}

export interface LearnerParts {
  readonly data: RateData;
  readonly config: RateConfig;
  readonly tokenizer: TextTokenizer;
  readonly network: RateNetwork;
  readonly mode: Mode;
  /** Of float16. */
  readonly lossScale?: LossScale | undefined;
  /** Where reports name findings; without it no name is exchanged, and no query is shown where to look. */
  readonly names: FindingWords | undefined;
  /** The finding that means none of the others; −1 where there is none. */
  readonly noFinding: number;
  /** Sentences beside the reports, where the lexicon is asked. */
  readonly lexicon: LexiconSentences | undefined;
  readonly ranking: { readonly rankings: Rankings; readonly carriers: CarrierWriter } | undefined;
}

export class Learner {
  private readonly parts: LearnerParts;

  constructor(parts: LearnerParts) {
    this.parts = parts;
  }

  /**
   * Gradients of one batch, added to the network's.
   * @param members numbers of training reports
   * @returns the mean loss of the rows alone
   */
  addGradients(members: Int32Array, epoch: number, batch: number): number {
    const { config, ranking, names, lexicon } = this.parts;
    const shown = Array.from(members, (i) => this.shown(i, epoch));
    return tidy(() => {
      const output = this.read(shown.map(({ pieces }) => pieces));
      const loss = rowsLoss(output, shown);
      let whole = names === undefined ? loss : loss.add(lookLoss(output, shown).mul(LOOK_WEIGHT));
      if (lexicon !== undefined) {
        const random = new Random(config.seed, LEXICON, epoch, batch);
        const asked = Array.from({ length: config.lexiconSentences }, () => this.asked(lexicon, random));
        const sentences = asked.filter((one) => one !== undefined);
        if (sentences.length > 0) {
          const answers = this.read(sentences.map(({ pieces }) => pieces));
          whole = whole
            .add(rowsLoss(answers, sentences))
            .add(lookLoss(answers, sentences).mul(names === undefined ? 0 : LOOK_WEIGHT));
        }
      }
      if (ranking !== undefined) {
        const drawn = ranking.carriers.draw(PHRASES_A_STEP, new Random(config.seed, PHRASES, epoch, batch));
        const ranked = rankingLoss(this.read(drawn.reports), drawn, ranking.rankings);
        whole = whole.add(ranked.mul(config.rankingWeight));
      }
      scaledLoss(whole, this.parts.lossScale).backward();
      return loss.item();
    });
  }

  /** A training report with this epoch's changes. */
  private shown(i: number, epoch: number): Shown {
    const { data, config, names, tokenizer } = this.parts;
    const { targets, splits, corpus } = data;
    const k = targets.findings.length;
    const { row, sentences: original } = splits.train[i]!;
    const random = new Random(config.seed, TEXTS, epoch, i);
    const said = targets.said.slice(row * k, (row + 1) * k);
    const unknown = targets.unknown.slice(row * k, (row + 1) * k);
    const probability = targets.probability.slice(row * k, (row + 1) * k);
    let sentences: readonly WordSentence[] = original;
    if (names !== undefined && random.uniform() < config.findingSwap) {
      const swapped = names.exchange(sentences, said, random);
      if (swapped !== undefined) {
        const { from, to } = swapped;
        sentences = swapped.sentences;
        for (const values of [said, unknown, probability]) exchange(values, from, to);
      }
    }
    const { pieceDropout, wordDropout } = config;
    const augmentation = { pieceDropout, wordDropout, random };
    const { pieces, words } = piecesOf(sentences, corpus.words, tokenizer, augmentation);
    const named = names === undefined ? [] : namedPieces(names, sentences, words, said);
    return { pieces, said, unknown, probability, named };
  }

  /** A sentence of the lexicon as a report of its own. */
  private asked(lexicon: LexiconSentences, random: Random): Shown | undefined {
    const { data, config, names, tokenizer, noFinding } = this.parts;
    const drawn = lexicon.draw(random);
    if (drawn === undefined) return undefined;
    const k = data.targets.findings.length;
    const [said, unknown, probability] = [new Uint8Array(k), new Uint8Array(k), new Float32Array(k)];
    // A sentence does not say how all findings together stand.
    if (noFinding >= 0) unknown[noFinding] = 1;
    for (const [finding, p] of drawn.findings) {
      if (p === null) continue;
      said[finding] = 1;
      probability[finding] = p;
    }
    const { pieceDropout, wordDropout } = config;
    const sentences = [drawn.sentence];
    const { pieces, words } = piecesOf(sentences, data.corpus.words, tokenizer, {
      pieceDropout,
      wordDropout,
      random,
    });
    const named = names === undefined ? [] : namedPieces(names, sentences, words, said);
    return { pieces, said, unknown, probability, named };
  }

  private read(reports: readonly (readonly Pieces[])[]): RateOutput {
    const { network, mode } = this.parts;
    const inputs = tensorsOf(tokenBatch(reports), mode.device);
    if (mode.precision === 'float32') return network.read(inputs);
    return autocast(() => network.read(inputs), { device: mode.device, dtype: mode.precision });
  }

  /** How the network agrees with the rows of some reports, as they stand. */
  figures(examples: readonly RateExample[]): RateFigures {
    const { data, tokenizer } = this.parts;
    const { targets, corpus } = data;
    const k = targets.findings.length;
    const [mine, theirs]: [number[], number[]] = [[], []];
    let [both, onlyMine, onlyTheirs, far, squares] = [0, 0, 0, 0, 0];
    for (let at = 0; at < examples.length; at += 64) {
      const some = examples.slice(at, at + 64);
      const pieces = some.map(({ sentences }) => piecesOf(sentences, corpus.words, tokenizer).pieces);
      const [mentioned, certainty, doubt] = tidy(() =>
        noGrad(() => {
          const output = this.read(pieces);
          return [output.mentioned, output.certainty, output.doubt].map((x) => x.contiguous().toTypedArray());
        }),
      ) as [Float32Array, Float32Array, Float32Array];
      for (const [i, { row }] of some.entries()) {
        for (let f = 0; f < k; f++) {
          const cell = row * k + f;
          if (targets.unknown[cell] === 1) continue;
          const said = targets.said[cell] === 1;
          const heard = mentioned[i * k + f]! >= 0;
          if (said && heard) both++;
          else if (said) onlyTheirs++;
          else if (heard) onlyMine++;
          if (!said) continue;
          const p = sigmoid(certainty[i * k + f]!);
          const difference = p - targets.probability[cell]!;
          mine.push(p);
          theirs.push(targets.probability[cell]!);
          far += Math.abs(difference);
          squares += difference ** 2 / varianceOf(doubt[i * k + f]!);
        }
      }
    }
    const n = Math.max(1, mine.length);
    return {
      reports: examples.length,
      mentionedF1: (2 * both) / Math.max(1, 2 * both + onlyMine + onlyTheirs),
      spearman: spearman(mine, theirs),
      meanDifference: far / n,
      deviationRatio: Math.sqrt(squares / n),
    };
  }
}

/** The pieces of the words that name, in sentences that assert, a finding of which something is said. */
function namedPieces(
  names: FindingWords,
  sentences: readonly WordSentence[],
  words: readonly number[],
  said: Uint8Array,
): [finding: number, piece: number][] {
  const starts: number[] = [];
  let count = 0;
  for (const sentence of sentences) {
    starts.push(count);
    count += sentence.words.length;
  }
  const owners = new Map<number, number>();
  for (const { sentence, start, end, finding } of names.spans(sentences)) {
    if (said[finding] === 0 || !ASSERTING.has(sentences[sentence]!.section)) continue;
    for (let word = start; word < end; word++) owners.set(starts[sentence]! + word, finding);
  }
  return words.flatMap((word, piece): [number, number][] => {
    const finding = owners.get(word);
    return finding === undefined ? [] : [[finding, piece]];
  });
}

function exchange(values: Uint8Array | Float32Array, a: number, b: number): void {
  const kept = values[a]!;
  values[a] = values[b]!;
  values[b] = kept;
}

/**
 * Where queries look: −log of the share of a finding's attention that lies on the words that name it, over the findings of
 * which something is said and whose names are known. It says nothing of what stands there.
 */
function lookLoss({ attention }: RateOutput, shown: readonly Shown[]): Tensor {
  const [, k, length] = attention.shape as [number, number, number];
  const places = new Float32Array(attention.size);
  const spoken = new Float32Array(shown.length * k);
  shown.forEach(({ named }, i) => {
    for (const [finding, piece] of named) {
      places[(i * k + finding) * length + piece] = 1;
      spoken[i * k + finding] = 1;
    }
  });
  const like = (values: Float32Array, shape: readonly number[]) =>
    fromTypedArray(values, { shape }).to({ device: attention.device });
  const mask = like(spoken, [shown.length, k]);
  const share = attention.mul(like(places, attention.shape)).sum([2]);
  return share.add(1e-6).log().mul(mask).sum().neg().div(mask.sum().clamp_min(1));
}

/**
 * Three losses over cells: cross-entropy of "mentioned" over all that are known; cross-entropy of the certainty against p, and
 * the Gaussian negative log-likelihood of its error under the network's own variance, both where something is said. The
 * error counts as given there: the variance learns from it, and the probability not from the variance.
 */
function rowsLoss({ mentioned, certainty, doubt }: RateOutput, shown: readonly Shown[]): Tensor {
  const shape = mentioned.shape;
  const matrix = (of: (one: Shown) => Uint8Array | Float32Array) => {
    const values = new Float32Array(mentioned.size);
    shown.forEach((one, i) => {
      values.set(of(one), i * shape[1]!);
    });
    return fromTypedArray(values, { shape }).to({ device: mentioned.device });
  };
  const said = matrix((one) => one.said);
  const known = matrix((one) => one.unknown)
    .mul(-1)
    .add(1);
  const p = matrix((one) => one.probability);
  const mean = (losses: Tensor, mask: Tensor) => losses.mul(mask).sum().div(mask.sum().clamp_min(1));
  const cross = (logits: Tensor, target: Tensor) =>
    aten.binary_cross_entropy_with_logits(logits, target, null, null, NO_REDUCTION);
  const error = certainty.detach().sigmoid().sub(p).square();
  const variance = doubt
    .sigmoid()
    .mul(LARGEST_VARIANCE - LEAST_VARIANCE)
    .add(LEAST_VARIANCE);
  return mean(cross(mentioned, said), known)
    .add(mean(cross(certainty, p), said))
    .add(mean(variance.log().add(error.div(variance)), said).mul(DOUBT_WEIGHT / 2));
}

/** at::Reduction. */
const NO_REDUCTION = 0;

/** Bradley and Terry: cross-entropy of σ(cᵢ − cⱼ) against how often people put phrase i above phrase j, over all pairs. */
function rankingLoss({ certainty }: RateOutput, drawn: Carriers, { likelier, phrases }: Rankings): Tensor {
  const n = drawn.phrases.length;
  const said = certainty.select(1, drawn.finding);
  const above = new Float32Array(n * n);
  const compared = new Float32Array(n * n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      const p = likelier[drawn.phrases[i]! * phrases.length + drawn.phrases[j]!]!;
      if (Number.isNaN(p)) continue;
      above[i * n + j] = p;
      compared[i * n + j] = 1;
    }
  const matrix = (values: Float32Array) =>
    fromTypedArray(values, { shape: [n, n] }).to({ device: certainty.device });
  const mask = matrix(compared);
  const losses = aten.binary_cross_entropy_with_logits(
    said.unsqueeze(1).sub(said.unsqueeze(0)),
    matrix(above),
    null,
    null,
    NO_REDUCTION,
  );
  return losses.mul(mask).sum().div(mask.sum().clamp_min(1));
}
