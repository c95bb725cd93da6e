/** The folder of a rate generation network: plain files that other tools read. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { csvLine } from '../data/csv.ts';
import { PenumbraError } from '../errors.ts';
import { readRegular, writeWhole } from '../files/index.ts';
import { Generator, readSafetensors, Scope, tidy, writeSafetensors } from '../torch/index.ts';
import { RunFolder } from '../training/index.ts';
import { firstDifference } from '../training/run-folder.ts';
import { Bert, type BertSizes } from './bert.ts';
import type { RateConfig } from './config.ts';
import type { RateSplit } from './data.ts';
import { RateEnsemble, RateNetwork, type RateReader } from './network.ts';
import { CompactEncoder } from './sentence-encoder.ts';
import { readTable } from './table.ts';
import { loadTokenizer, type TextTokenizer } from './text-tokenizer.ts';

/** `config.json`: what a network was made of. */
export interface RateDescription {
  readonly kind: 'rates';
  readonly config: RateConfig;
  /** K findings, in the order of the network's queries. */
  readonly findings: readonly string[];
  /** The trained encoder that it began with, where it did. */
  readonly encoder?: {
    readonly family: 'bert';
    readonly sizes: BertSizes;
    /** Identifies the weights that it began with. */
    readonly weights: string;
  };
  /** Version of `tokenizer.json`. */
  readonly tokenizer: string;
  /** Identifies headings and abbreviations, by which texts fall into sentences. */
  readonly language: string;
  readonly data: {
    readonly reports: string;
    readonly train: number;
    readonly val: number;
    /** Identifies reports, rows and splits; see `RateData`. */
    readonly fingerprint: string;
    /** Of the ranking of phrases, where there is one. */
    readonly rankings?: string;
    /** Of the lexicon whose sentences were added, where it was asked. */
    readonly lexicon?: string;
  };
  readonly parameters: number;
  /** Networks whose answers are averaged, where it is of several. */
  readonly members?: readonly { readonly seed: number; readonly version: string }[];
  readonly mode: { readonly device: string; readonly precision: string; readonly threads: number };
  readonly software: Readonly<Record<string, string>>;
}

/** One epoch: a line of `metrics.jsonl`. */
export interface RateEpoch {
  readonly epoch: number;
  readonly step: number;
  readonly learningRate: number;
  readonly trainLoss: number;
  readonly val?: RateFigures;
  readonly seconds: number;
  readonly reportsPerSecond: number;
}

/** How a network agrees with the rows of a split. */
export interface RateFigures {
  readonly reports: number;
  /** F1 of "something is said of it". */
  readonly mentionedF1: number;
  /** Spearman's correlation of probabilities where something is said. */
  readonly spearman: number | null;
  /** Mean |p − p of the row| there. */
  readonly meanDifference: number;
  /** Root of the mean squared difference in units of the network's own deviation: 1 where it knows itself. */
  readonly deviationRatio: number;
}

/**
 *     config.json          settings, findings, identity of the data, versions
 *     tokenizer.json       pieces, as Hugging Face's tokenizers reads them
 *     splits.csv           report, split: what it has been trained on
 *     metrics.jsonl        a line an epoch
 *     checkpoints/         the two newest states to go on from, until it is finished
 *     model.safetensors    the weights; their metadata name the tokenizer and the scale of the deviations
 *     done.json            written last
 */
export class RateFolder extends RunFolder {
  /**
   * Starts the folder, or checks that an existing one is of the same run.
   * @throws `rates/other-run` naming the first thing that differs; `files/exists` for a folder of something else
   */
  begin(
    description: RateDescription,
    tokenizer: TextTokenizer,
    splits: ReadonlyMap<string, RateSplit>,
  ): void {
    const path = this.file('config.json');
    if (existsSync(path)) {
      const there = this.rates();
      const difference = firstDifference(essence(there), essence(description));
      if (difference === null) return;
      throw new PenumbraError('rates/other-run', `${this.path} holds another network: ${difference}`, {
        hint: 'choose another --out folder, or the settings and data of the first run to go on with it',
        where: { file: path },
      });
    }
    this.checkForeign(['model.safetensors', 'tokenizer.json', 'splits.csv', 'metrics.jsonl', 'done.json']);
    writeWhole(path, `${JSON.stringify(description, null, 2)}\n`);
    tokenizer.save(this.file('tokenizer.json'));
    writeWhole(
      this.file('splits.csv'),
      [['report', 'split'], ...splits].map((row) => csvLine(row)),
    );
  }

  /** @throws `rates/network` where the folder holds no such network */
  rates(): RateDescription {
    const path = this.file('config.json');
    const fail = (what: string, cause?: unknown) =>
      new PenumbraError('rates/network', `${this.path} ${what}`, {
        hint: 'name the folder that `penumbra rates train` wrote',
        where: { file: path },
        cause,
      });
    if (!existsSync(path)) throw fail('is no rate generation network: it has no config.json');
    let description: RateDescription;
    try {
      description = JSON.parse(readRegular(path).toString('utf8')) as RateDescription;
    } catch (cause) {
      throw fail('has a config.json that is not readable as JSON', cause);
    }
    if (description.kind !== 'rates') throw fail('is no rate generation network: it is of another kind');
    return description;
  }
}

function essence({
  config,
  findings,
  encoder,
  tokenizer,
  language,
  data,
  mode,
  members,
}: RateDescription): object {
  const { checkpointSeconds: _, ...settings } = config;
  const { reports: __, ...identity } = data;
  return {
    config: settings,
    findings,
    ...(encoder && { encoder }),
    tokenizer,
    language,
    data: identity,
    mode,
    ...(members && { members }),
  };
}

/** What stands in the metadata of the weights. */
export interface WeightsMetadata {
  readonly kind: string;
  readonly tokenizer: string;
  readonly deviationScale: string;
}

export function saveWeights(folder: RateFolder, network: RateReader, metadata: WeightsMetadata): void {
  tidy(() => {
    const weights = new Map(
      [...network.stateDict()].map(([name, tensor]) => [name, tensor.detach().to({ device: 'cpu' })]),
    );
    writeSafetensors(folder.file('model.safetensors'), weights, { ...metadata });
  });
}

/** A trained network, ready to read. */
export interface LoadedRates {
  readonly description: RateDescription;
  readonly tokenizer: TextTokenizer;
  readonly network: RateReader;
  readonly deviationScale: number;
  /** Identifies the weights, and all that turns a text into their input. */
  readonly version: string;
}

/** What changes rows without changing weights; part of the version. */
const READING = 'rates-1';

/**
 * @throws `rates/network` for a folder that holds none, or one whose training is not finished
 * @throws `rates/tokenizer` where the tokenizer is not the one that the weights were trained with
 */
export function loadRates(path: string): LoadedRates {
  const folder = new RateFolder(path);
  const description = folder.rates();
  if (!folder.finished) {
    throw new PenumbraError('rates/network', `${path} is not trained to its end`, {
      hint: 'the command that began it goes on with it',
      where: { file: path },
    });
  }
  const tokenizer = loadTokenizer(folder.file('tokenizer.json'));
  using _scope = new Scope();
  const weights = folder.file('model.safetensors');
  const { tensors, metadata } = readSafetensors(weights);
  if (metadata.kind !== 'rates') {
    throw new PenumbraError('rates/network', `${weights} holds no weights of a rate generation network`, {
      hint: 'put back the file that `penumbra rates train` wrote',
      where: { file: weights },
    });
  }
  if (metadata.tokenizer !== tokenizer.version) {
    throw new PenumbraError(
      'rates/tokenizer',
      `${path} has the tokenizer of another corpus: the weights were trained with ${metadata.tokenizer}, and tokenizer.json is ${tokenizer.version}`,
      {
        hint: 'put back the tokenizer.json that was trained with these weights, or train anew',
        where: { file: folder.file('tokenizer.json') },
      },
    );
  }
  const make = () => makeNetwork(description, tokenizer, new Generator(0));
  const network = description.members ? new RateEnsemble(description.members.map(make)) : make();
  network.loadStateDict(tensors);
  network.eval();
  const version = createHash('sha256')
    .update(`${READING} ${folder.weightsIdentity()} ${tokenizer.version} ${description.language}`)
    .digest('hex')
    .slice(0, 16);
  return { description, tokenizer, network, deviationScale: Number(metadata.deviationScale), version };
}

/** A network with fresh weights. */
export function makeNetwork(
  { config, findings, encoder }: Pick<RateDescription, 'config' | 'findings' | 'encoder'>,
  tokenizer: TextTokenizer,
  generator: Generator,
  dropoutGenerator: Generator = generator,
): RateNetwork {
  const { width, depth, heads, dropout } = config;
  const drawn = { dropout, generator, dropoutGenerator };
  return tidy(
    () =>
      new RateNetwork({
        encoder:
          encoder === undefined
            ? new CompactEncoder({ vocabulary: tokenizer.size, width, depth, heads, ...drawn })
            : new Bert({ ...encoder.sizes, frozen: config.encoderLearningRate === 0, ...drawn }),
        findings: findings.length,
        heads,
        ...drawn,
      }),
  );
}

/** Which reports a network has been trained on: the split of each by `splits.csv`. */
export function readSplits(path: string): Map<string, RateSplit> {
  const table = readTable(new RateFolder(path).file('splits.csv'));
  const [report, split] = [table.needColumn('report'), table.needColumn('split')];
  return new Map(table.rows.map((row) => [row[report]!, row[split] as RateSplit]));
}
