/** BERT's files as they are published: weights with Hugging Face's names, a configuration, and a tokenizer of their own. */
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PenumbraError } from '../errors.ts';
import { fileIdentity, readRegular } from '../files/index.ts';
import { sectionNames } from '../reports/index.ts';
import { aten, noGrad, readSafetensors, Scope, type Tensor } from '../torch/index.ts';
import type { StateDict } from '../torch/nn/index.ts';
import { LONGEST_SENTENCE } from './batch.ts';
import type { Bert, BertSizes } from './bert.ts';
import { SERVED, WordPiece } from './word-piece.ts';

/** A BERT to start from. */
export interface BertFiles {
  /** The weights' file. */
  readonly path: string;
  /** With room for our own ids, those that open the sections. */
  readonly sizes: BertSizes;
  readonly tokenizer: WordPiece;
  /** Identifies the weights. */
  readonly identity: string;
  /** What was left out or supposed. */
  readonly notices: readonly string[];
  /** Puts the weights into a network of these sizes. What opens a section begins as [CLS]. */
  load(network: Bert): void;
}

/**
 * Opens a BERT: a folder with `model.safetensors`, or such a file; `config.json` and the tokenizer (`tokenizer.json` or
 * `vocab.txt`) stand beside it, or the tokenizer is named.
 * @throws `rates/encoder` for what is no BERT, which it names, for pickled weights, and for weights and tokenizers that do not fit
 */
export function openBert(path: string, tokenizerPath?: string): BertFiles {
  const weights = weightsOf(path);
  const folder = dirname(weights);
  const settings = readSettings(join(folder, 'config.json'));
  checkFamily(settings, weights);
  const tokenizer = openTokenizer(folder, tokenizerPath);
  using _scope = new Scope();
  const { state, depth, left } = bertState(readSafetensors(weights).tensors, weights);
  const rows = (name: string) => state.get(name)!.shape[0]!;
  const width = state.get('word_embeddings.weight')!.shape[1]!;
  const notices: string[] = [];
  if (left.length > 0)
    notices.push(`${left.length} tensors that an encoder does without are left out, the first is ${left[0]}`);
  if (settings === undefined && width % HEAD_WIDTH === 0)
    notices.push(
      `no config.json beside the weights: ${width / HEAD_WIDTH} heads are supposed, of ${HEAD_WIDTH} numbers each`,
    );
  const fail = (what: string, hint: string) =>
    new PenumbraError('rates/encoder', `${weights} ${what}`, { hint, where: { file: weights } });
  if (tokenizer.vocabulary > rows('word_embeddings.weight'))
    throw fail(
      `knows ${rows('word_embeddings.weight')} pieces, and its tokenizer has ${tokenizer.vocabulary}`,
      'give the tokenizer that was published with these weights: --tokenizer FILE',
    );
  if (settings === undefined && rows('position_embeddings.weight') === ROBERTA_POSITIONS)
    throw fail(`has ${ROBERTA_POSITIONS} positions, as RoBERTa has and no BERT`, SERVED);
  if (rows('position_embeddings.weight') < LONGEST_SENTENCE)
    throw fail(
      `has ${rows('position_embeddings.weight')} positions, and sentences here have up to ${LONGEST_SENTENCE} pieces`,
      'give a BERT with more positions; published ones have 512',
    );
  const heads = settings?.num_attention_heads ?? width / HEAD_WIDTH;
  if (!Number.isInteger(heads) || heads < 1 || width % heads !== 0)
    throw fail(
      `has a width of ${width}, which does not divide into heads: nothing says how many there are`,
      'put the config.json that was published with the weights beside them',
    );
  const sizes: BertSizes = {
    vocabulary: tokenizer.size,
    positions: rows('position_embeddings.weight'),
    types: rows('token_type_embeddings.weight'),
    width,
    depth,
    heads,
    hidden: rows('transformer.layers.0.linear1.weight'),
    eps: settings?.layer_norm_eps ?? 1e-12,
  };
  return {
    path: weights,
    sizes,
    tokenizer,
    identity: fileIdentity(weights).hash,
    notices,
    load(network) {
      using _own = new Scope();
      const { state } = bertState(readSafetensors(weights).tensors, weights);
      network.loadStateDict(noGrad(() => withSections(state, tokenizer)));
    },
  };
}

/** In every published BERT a head has so many numbers. */
const HEAD_WIDTH = 64;
/** Its tensors are named as BERT's; its positions begin at 2. */
const ROBERTA_POSITIONS = 514;

interface Settings {
  readonly model_type?: unknown;
  readonly num_attention_heads?: number;
  readonly hidden_act?: unknown;
  readonly layer_norm_eps?: number;
  readonly position_embedding_type?: unknown;
  readonly is_decoder?: unknown;
}

function weightsOf(path: string): string {
  const fail = (what: string, hint: string) =>
    new PenumbraError('rates/encoder', `${path} ${what}`, { hint, where: { file: path } });
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined)
    throw fail('is not there', 'name a folder with model.safetensors, or the .safetensors file itself');
  const convert =
    'weights are read as safetensors only, never unpickled: convert them with save_pretrained(…, safe_serialization=True)';
  if (!stat.isDirectory()) {
    if (!/\.safetensors$/i.test(path)) throw fail('is no .safetensors file', convert);
    return path;
  }
  const file = join(path, 'model.safetensors');
  if (existsSync(file)) return file;
  const pickled = ['pytorch_model.bin', 'tf_model.h5', 'flax_model.msgpack'].find((name) =>
    existsSync(join(path, name)),
  );
  throw fail(
    `has no model.safetensors${pickled === undefined ? '' : `, only ${pickled}`}`,
    pickled === undefined ? 'name the folder that holds the weights, or the file' : convert,
  );
}

function readSettings(path: string): Settings | undefined {
  if (!existsSync(path)) return undefined;
  try {
    const settings: unknown = JSON.parse(readRegular(path).toString('utf8'));
    if (typeof settings === 'object' && settings !== null) return settings;
  } catch (cause) {
    throw new PenumbraError('rates/encoder', `${path} cannot be read as JSON`, {
      hint: 'put back the config.json that was published with the weights',
      where: { file: path },
      cause,
    });
  }
  return undefined;
}

/** Other families have like layers, and read positions or texts otherwise: they would give nonsense without a word. */
function checkFamily(settings: Settings | undefined, path: string): void {
  const { model_type, hidden_act, position_embedding_type, is_decoder } = settings ?? {};
  const fail = (what: string) =>
    new PenumbraError('rates/encoder', `${path} ${what}`, { hint: SERVED, where: { file: path } });
  if (model_type !== undefined && model_type !== 'bert')
    throw fail(`is of the family ${String(model_type)}, by its config.json`);
  if (hidden_act !== undefined && hidden_act !== 'gelu')
    throw fail(`has the activation ${String(hidden_act)}, and only exact GELU is served`);
  if (position_embedding_type !== undefined && position_embedding_type !== 'absolute')
    throw fail(`has ${String(position_embedding_type)} positions, and only learned absolute ones are served`);
  if (is_decoder === true) throw fail('is a decoder');
}

function openTokenizer(folder: string, path: string | undefined): WordPiece {
  const open = (file: string) =>
    /\.txt$/i.test(file) ? WordPiece.loadVocabulary(file, lowercaseOf(dirname(file))) : WordPiece.load(file);
  if (path !== undefined) return open(path);
  const found = ['tokenizer.json', 'vocab.txt'].find((name) => existsSync(join(folder, name)));
  if (found !== undefined) return open(join(folder, found));
  const other = ['merges.txt', 'vocab.json', 'spiece.model', 'sentencepiece.bpe.model'].find((name) =>
    existsSync(join(folder, name)),
  );
  throw new PenumbraError(
    'rates/encoder',
    `${folder} has no tokenizer.json and no vocab.txt${other === undefined ? '' : `, but ${other}`}`,
    {
      hint: other === undefined ? 'name the tokenizer of these weights: --tokenizer FILE' : SERVED,
      where: { file: folder },
    },
  );
}

/** What `tokenizer_config.json` says of a bare vocabulary. */
function lowercaseOf(folder: string): boolean | undefined {
  const path = join(folder, 'tokenizer_config.json');
  if (!existsSync(path)) return undefined;
  try {
    const { do_lower_case } = JSON.parse(readRegular(path).toString('utf8')) as { do_lower_case?: unknown };
    return typeof do_lower_case === 'boolean' ? do_lower_case : undefined;
  } catch {
    // Beside a vocabulary the file is a help and no need.
    return undefined;
  }
}

/** Names of a layer here, and in `BertModel`. */
const LAYER = [
  ['self_attn.out_proj', 'attention.output.dense'],
  ['norm1', 'attention.output.LayerNorm'],
  ['linear1', 'intermediate.dense'],
  ['linear2', 'output.dense'],
  ['norm2', 'output.LayerNorm'],
] as const;

/**
 * Weights by the names of `Bert`: queries, keys and values are one matrix there. With or without the prefix `bert.`, and with
 * TensorFlow's gamma and beta.
 */
export function bertState(
  tensors: ReadonlyMap<string, Tensor>,
  path: string,
): { readonly state: StateDict; readonly depth: number; readonly left: readonly string[] } {
  const named = new Map<string, Tensor>();
  for (const [name, tensor] of tensors)
    named.set(
      name
        .replace(/^bert\./, '')
        .replace(/\.gamma$/, '.weight')
        .replace(/\.beta$/, '.bias'),
      tensor,
    );
  const fail = (what: string) =>
    new PenumbraError('rates/encoder', `${path} ${what}`, { hint: SERVED, where: { file: path } });
  if (!named.has('embeddings.word_embeddings.weight')) {
    const family = [...tensors.keys()]
      .map((name) => /^([a-z_]+)\.(?:embeddings|transformer|encoder)\./.exec(name)?.[1])
      .find((prefix) => prefix !== undefined);
    throw fail(
      `holds no BERT: ${family === undefined ? 'it has no embeddings.word_embeddings.weight' : `its tensors are named ${family}.…`}`,
    );
  }
  const used = new Set<string>();
  const take = (name: string): Tensor => {
    const tensor = named.get(name);
    if (tensor === undefined) throw fail(`is no whole BERT: it has no ${name}`);
    used.add(name);
    return tensor;
  };
  const state: StateDict = new Map();
  const both = (own: string, theirs: string) => {
    for (const kind of ['weight', 'bias'] as const) state.set(`${own}.${kind}`, take(`${theirs}.${kind}`));
  };
  for (const table of ['word', 'position', 'token_type'] as const)
    state.set(`${table}_embeddings.weight`, take(`embeddings.${table}_embeddings.weight`));
  both('norm', 'embeddings.LayerNorm');
  let depth = 0;
  for (; depth === 0 || named.has(`encoder.layer.${depth}.output.dense.weight`); depth++) {
    const [own, theirs] = [`transformer.layers.${depth}`, `encoder.layer.${depth}`];
    for (const kind of ['weight', 'bias'] as const) {
      const parts = (['query', 'key', 'value'] as const).map((part) =>
        take(`${theirs}.attention.self.${part}.${kind}`),
      );
      state.set(
        `${own}.self_attn.in_proj_${kind}`,
        noGrad(() => aten.cat(parts, 0)),
      );
    }
    for (const [mine, name] of LAYER) both(`${own}.${mine}`, `${theirs}.${name}`);
  }
  const left = [...named.keys()].filter((name) => !used.has(name) && name !== 'embeddings.position_ids');
  return { state, depth, left };
}

/** The table of pieces without rows that no piece has, and with one for each section behind it, which begins as [CLS]. */
function withSections(state: StateDict, { vocabulary, first }: WordPiece): StateDict {
  const name = 'word_embeddings.weight';
  const table = state.get(name)!;
  const sections = table.narrow(0, first, 1).expand([sectionNames.length, -1]);
  return new Map([...state, [name, aten.cat([table.narrow(0, 0, vocabulary), sections], 0)]]);
}
