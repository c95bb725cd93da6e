import { setImmediate } from 'node:timers/promises';
import { Identity } from '../files/index.ts';
import { Random } from '../random.ts';
import { defaultLexicon, type FindingSet, type Language, type Lexicon } from '../reports/index.ts';
import { engineInfo, Generator } from '../torch/index.ts';
import {
  AdamW,
  cosine,
  LossScale,
  type ParameterGroup,
  type Schedule,
  stepScaled,
  warmUp,
} from '../torch/optim/index.ts';
import { chooseMode, diverged, freshProgress, type Mode, RunState } from '../training/index.ts';
import { Bert } from './bert.ts';
import type { BertFiles } from './bert-files.ts';
import { type RateConfig, type RateOptions, resolveRateConfig } from './config.ts';
import { countWords } from './corpus.ts';
import type { RateData } from './data.ts';
import { FindingWords } from './finding-words.ts';
import { makeNetwork, type RateDescription, type RateEpoch, RateFolder, saveWeights } from './folder.ts';
import { Learner } from './learner.ts';
import { LexiconSentences } from './lexicon-sentences.ts';
import { ENCODER, type RateNetwork } from './network.ts';
import { CarrierWriter, type Rankings } from './rankings.ts';
import { trainTokenizer } from './tokenizer.ts';

export type RateEvent =
  | {
      readonly type: 'start';
      readonly description: RateDescription;
      readonly mode: Mode;
      readonly steps: number;
    }
  | { readonly type: 'resume'; readonly epoch: number; readonly step: number }
  | { readonly type: 'step'; readonly step: number; readonly loss: number; readonly reports: number }
  | { readonly type: 'epoch'; readonly metrics: RateEpoch; readonly epochs: number }
  | { readonly type: 'notice'; readonly message: string };

export interface TrainRatesOptions {
  readonly data: RateData;
  /** The reports as the user named them; kept in the description. */
  readonly dataPath: string;
  /** One with an unfinished training of the same settings is gone on with. */
  readonly folder: string;
  readonly options?: RateOptions;
  /** A trained encoder to begin with; the texts were cut by its tokenizer (`RateDataOptions.split`). Default: a compact one from nothing. */
  readonly encoder?: BertFiles;
  /** Words that name the findings: see `FindingWords`; without it, and in carrier sentences, they have none. */
  readonly findings?: FindingSet;
  /** Its language has split the texts into sentences, and its examples are further texts. Default: the shipped lexicon. */
  readonly lexicon?: Lexicon;
  readonly rankings?: Rankings;
  /** Abort leaves a checkpoint after the step under way. */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: RateEvent) => void;
}

export interface TrainRatesResult {
  /** False where it was aborted; the folder then holds the checkpoint to go on from. */
  readonly finished: boolean;
  readonly folder: string;
  readonly epochs: readonly RateEpoch[];
}

/** Streams of random numbers. */
const ORDER = 1;
const DRAWS = 4;

/**
 * Trains a rate generation network on reports and their rows. A loop of its own and not `fit`: texts are written anew every
 * epoch, a finding has three numbers and three losses, and pairs of phrases stand beside the rows. Modes, checkpoints, locks and
 * resuming are those of `fit`: a run that was stopped ends bit for bit as if it had not been (on the CPU, with as many threads).
 * @throws `rates/other-run`, `files/exists`, `training/diverged`, `training/locked`
 */
export async function trainRates(given: TrainRatesOptions): Promise<TrainRatesResult> {
  const { data, signal, onEvent = () => {} } = given;
  const { encoder } = given;
  const config = resolveRateConfig(given.options ?? {}, encoder?.sizes);
  const folder = new RateFolder(given.folder);
  using lock = folder.lock();
  const mode = chooseMode(config);
  const { corpus, targets, splits } = data;
  if (encoder !== undefined && corpus.split !== encoder.tokenizer.split)
    throw new TypeError("the texts were not cut by the encoder's tokenizer");
  const { findings, rankings, lexicon = defaultLexicon() } = given;
  const asked =
    findings && config.lexiconSentences > 0
      ? new LexiconSentences(lexicon, findings, targets.findings, corpus, data.heldOut)
      : undefined;
  const tokenizer = encoder?.tokenizer ?? trainTokenizer(countsOf(data, asked), { size: config.vocabulary });
  const generator = new Generator(new Random(config.seed, DRAWS).uint32(), mode.device);
  const made = {
    config,
    findings: targets.findings,
    ...(encoder && {
      encoder: { family: 'bert', sizes: encoder.sizes, weights: encoder.identity } as const,
    }),
  };
  const network = makeNetwork(made, tokenizer, new Generator(config.seed), generator);
  if (network.encoder instanceof Bert) encoder!.load(network.encoder);
  network.to({ device: mode.device });
  const { learningRate, weightDecay } = config;
  const optimizer = new AdamW(groupsOf(network, config), { learningRate, weightDecay });
  const lossScale = mode.precision === 'float16' ? new LossScale(mode.device) : undefined;
  try {
    const description: RateDescription = {
      kind: 'rates',
      ...made,
      tokenizer: tokenizer.version,
      language: languageIdentity(lexicon.language),
      data: {
        reports: given.dataPath,
        train: splits.train.length,
        val: splits.val.length,
        fingerprint: data.fingerprint,
        ...(rankings && { rankings: rankings.fingerprint }),
        ...(asked && { lexicon: new Identity().add(lexicon.text).digest() }),
      },
      parameters: network.parameterCount,
      mode: { device: mode.device, precision: mode.precision, threads: mode.threads },
      software: { node: process.version, libtorch: engineInfo().version },
    };
    folder.begin(description, tokenizer, data.splitOf);
    if (folder.finished) return { finished: true, folder: folder.path, epochs: folder.metrics<RateEpoch>() };
    const batches = Math.ceil(splits.train.length / config.batchSize);
    onEvent({ type: 'start', description, mode, steps: batches * config.epochs });
    for (const message of encoder?.notices ?? []) onEvent({ type: 'notice', message: `encoder: ${message}` });
    const state = new RunState(
      folder,
      { model: network, optimizer, ...(lossScale && { lossScale }) },
      generator,
    );
    const resumed = state.resume((path, reason) =>
      onEvent({ type: 'notice', message: `checkpoint passed over: ${path}: ${reason}` }),
    );
    if (resumed !== null) onEvent({ type: 'resume', epoch: resumed.epoch, step: resumed.step });
    const progress = resumed ?? freshProgress();
    const epochs = folder.metrics<RateEpoch>(progress.epoch);
    folder.resetMetrics(epochs);
    const learner = new Learner({
      data,
      config,
      tokenizer,
      network,
      mode,
      lossScale,
      names: findings && new FindingWords(findings, targets.findings, corpus),
      noFinding: targets.findings.indexOf(findings?.noFinding ?? ''),
      lexicon: asked,
      ranking:
        findings && rankings && config.rankingWeight > 0
          ? { rankings, carriers: new CarrierWriter(rankings, findings, targets.findings, corpus, tokenizer) }
          : undefined,
    });
    const schedule = scheduleOf(config);
    let savedAt = performance.now();
    while (progress.epoch < config.epochs) {
      network.train();
      const order = new Random(config.seed, ORDER, progress.epoch).shuffle(
        Int32Array.from(splits.train.keys()),
      );
      let began = performance.now();
      while (progress.batch < batches) {
        const { batch, epoch } = progress;
        const members = order.subarray(batch * config.batchSize, (batch + 1) * config.batchSize);
        optimizer.learningRate = learningRate * schedule(epoch + batch / batches);
        optimizer.zeroGrad();
        const loss = learner.addGradients(members, epoch, batch);
        if (!Number.isFinite(loss)) throw diverged(`the loss became ${loss} at step ${progress.step + 1}`);
        stepScaled(optimizer, lossScale);
        const now = performance.now();
        progress.batch++;
        progress.step++;
        progress.lossSum += loss * members.length;
        progress.seen += members.length;
        progress.seconds += (now - began) / 1000;
        began = now;
        onEvent({ type: 'step', step: progress.step, loss, reports: members.length });
        await setImmediate(); // Signals are heard between steps.
        const due = config.checkpointSeconds > 0 && now - savedAt > config.checkpointSeconds * 1000;
        if (signal?.aborted || (due && progress.batch < batches)) {
          state.save(progress);
          savedAt = began = performance.now();
        }
        if (signal?.aborted) {
          lock.check();
          return { finished: false, folder: folder.path, epochs };
        }
      }
      network.eval();
      const val = splits.val.length > 0 ? learner.figures(splits.val) : undefined;
      const metrics: RateEpoch = {
        epoch: progress.epoch + 1,
        step: progress.step,
        learningRate: optimizer.learningRate,
        trainLoss: progress.lossSum / progress.seen,
        ...(val && { val }),
        seconds: progress.seconds,
        reportsPerSecond: progress.seen / Math.max(1e-9, progress.seconds),
      };
      epochs.push(metrics);
      folder.appendMetrics(metrics);
      Object.assign(progress, freshProgress(), { epoch: progress.epoch + 1, step: progress.step });
      state.save(progress);
      savedAt = performance.now();
      onEvent({ type: 'epoch', metrics, epochs: config.epochs });
    }
    // The network says how far off it is; held-out rows say how true that is.
    const ratio = epochs.at(-1)?.val?.deviationRatio ?? 0;
    saveWeights(folder, network, {
      kind: 'rates',
      tokenizer: tokenizer.version,
      deviationScale: String(ratio > 0 ? ratio : 1),
    });
    const seconds = epochs.reduce((sum, epoch) => sum + epoch.seconds, 0);
    folder.finish({ finished: new Date().toISOString(), steps: progress.step, seconds });
    folder.dropCheckpoints();
    lock.check();
    return { finished: true, folder: folder.path, epochs };
  } finally {
    lossScale?.dispose();
    optimizer.dispose();
    network.dispose();
  }
}

/** Words of the training reports and of the lexicon. */
function countsOf({ splits, corpus }: RateData, asked: LexiconSentences | undefined): Map<string, number> {
  const counts = countWords(
    splits.train.map(({ sentences }) => sentences),
    corpus.words,
  );
  for (const [word, count] of asked?.words() ?? []) counts.set(word, (counts.get(word) ?? 0) + count);
  return counts;
}

/** A trained encoder learns at its own rate, or, at 0, is no part of it. */
function groupsOf(network: RateNetwork, config: RateConfig): ParameterGroup[] {
  const { learningRate, encoderLearningRate: slow } = config;
  const all = [...network.namedParameters()];
  if (slow === null) return [{ parameters: new Map(all) }];
  const isEncoder = ([name]: readonly [string, unknown]) => name.startsWith(`${ENCODER}.`);
  const head = { parameters: new Map(all.filter((one) => !isEncoder(one))) };
  if (slow === 0) return [head];
  return [head, { parameters: new Map(all.filter(isEncoder)), learningRateFactor: slow / learningRate }];
}

function scheduleOf({ epochs, warmUp: rise }: { epochs: number; warmUp: number }): Schedule {
  return rise > 0 ? warmUp(cosine(epochs), Math.min(rise, epochs)) : cosine(epochs);
}

/** Identifies what splits texts into sentences. */
export function languageIdentity(language: Language): string {
  return new Identity().add(language.text).digest();
}
