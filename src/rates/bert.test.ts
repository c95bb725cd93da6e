/** BERT against Hugging Face's, by the fixtures of test/oracle/rates_bert.py, and a rate network that begins with one. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { distance, type Summary, summary, uniform } from '../../test/oracle/fill.ts';
import { PenumbraError } from '../errors.ts';
import { Random } from '../random.ts';
import { createAssessor, extract, findingSet, openExtractor, rulesExtractor } from '../reports/index.ts';
import './register.ts';
import {
  aten,
  fromTypedArray,
  Generator,
  grad,
  noGrad,
  readSafetensors,
  Scope,
  setThreads,
  type Tensor,
  writeSafetensors,
} from '../torch/index.ts';
import { Bert } from './bert.ts';
import { bertState, openBert } from './bert-files.ts';
import { type RateOptions, resolveRateConfig } from './config.ts';
import { PlacedReader } from './corpus.ts';
import { readRateData } from './data.ts';
import { loadRates } from './folder.ts';
import { type RateEvent, trainRates } from './train.ts';
import { WordPiece } from './word-piece.ts';
import { Words } from './words.ts';

const tiny = fileURLToPath(new URL('../../test/fixtures/rates/bert/', import.meta.url));
const oracle = JSON.parse(readFileSync(join(tiny, 'oracle.json'), 'utf8')) as {
  texts: string[];
  uncased: number[][];
  cased: number[][];
  sentences: number[][];
  outputs: number[][][];
  gradients: Record<string, Summary>;
};
const folder = mkdtempSync(join(tmpdir(), 'rates-bert-'));
const at = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));
beforeAll(() => setThreads(1));

const uncased = WordPiece.load(join(tiny, 'tokenizer.json'));
const cased = WordPiece.load(join(tiny, 'cased.json'));

/** Expects an error of this code whose message and hint say that. */
function refuses(body: () => unknown, code: string, message: RegExp): void {
  let caught: unknown;
  try {
    body();
  } catch (error) {
    caught = error;
  }
  expect(caught).toBeInstanceOf(PenumbraError);
  const error = caught as PenumbraError;
  expect(error.code).toBe(code);
  expect(`${error.message}\n${error.hint}`).toMatch(message);
}

function wordsOf(tokenizer: WordPiece, text: string): Words {
  const words = new Words();
  tokenizer.split(text, 0, text.length, words);
  return words;
}

function idsOf(tokenizer: WordPiece, text: string): number[] {
  const words = wordsOf(tokenizer, text);
  return words.text.slice(0, words.count).flatMap((word) => tokenizer.encode(word));
}

describe('WordPiece', () => {
  test.each(oracle.texts.map((text, i) => [text, i] as const))(
    'gives the ids of Hugging Face’s: %j',
    (text, i) => {
      expect(idsOf(uncased, text)).toEqual(oracle.uncased[i]);
      expect(idsOf(cased, text)).toEqual(oracle.cased[i]);
    },
  );

  test('reads a bare vocabulary, and tells a cased one by its capitals or by what is said', () => {
    const bare = WordPiece.loadVocabulary(join(tiny, 'vocab.txt'));
    expect(bare.version).toBe(uncased.version);
    writeFileSync(at('cased.txt'), '[UNK]\r\n[CLS]\r\n[SEP]\r\nNo\r\nno\r\n');
    expect(idsOf(WordPiece.loadVocabulary(at('cased.txt')), 'No no')).toEqual([3, 4]);
    expect(idsOf(WordPiece.loadVocabulary(at('cased.txt'), true), 'No no')).toEqual([4, 4]);
  });

  test('comes back from its file as it was', () => {
    for (const tokenizer of [uncased, cased]) {
      tokenizer.save(at('saved.json'));
      const again = WordPiece.load(at('saved.json'));
      expect(again.version).toBe(tokenizer.version);
      for (const text of oracle.texts) expect(idsOf(again, text)).toEqual(idsOf(tokenizer, text));
    }
    expect(cased.version).not.toBe(uncased.version);
  });

  test('says where its words stand, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const { count, start, end } = wordsOf(uncased, text);
        for (let i = 0; i < count; i++) {
          expect(start[i]).toBeLessThan(end[i]!);
          // A character may become several words, and they all stand where it does.
          if (i > 0) expect(start[i]! >= end[i - 1]! || start[i] === start[i - 1]).toBe(true);
        }
        expect(count === 0 || end[count - 1]! <= text.length).toBe(true);
      }),
    );
    const text = 'Smàll e\u0301dema, ef\u00adfusion';
    const { text: words, count, start, end } = wordsOf(uncased, text);
    expect(words.slice(0, count)).toEqual(['small', 'edema', ',', 'effusion']);
    expect(words.slice(0, count).map((_, i) => text.slice(start[i], end[i]))).toEqual([
      'Smàll',
      'e\u0301dema',
      ',',
      'ef\u00adfusion',
    ]);
  });

  test('with dropout writes words in smaller pieces that are the same word, and never makes one unknown', () => {
    const random = new Random(3);
    const pieces = readFileSync(join(tiny, 'vocab.txt'), 'utf8').split('\n');
    const written = Array.from({ length: 40 }, () => uncased.encodeWithDropout('pneumothorax', 0.5, random));
    for (const ids of written)
      expect(ids.map((id) => pieces[id]!.replace('##', '')).join('')).toBe('pneumothorax');
    expect(new Set(written.map((ids) => ids.length)).size).toBe(3);
    expect(uncased.encodeWithDropout('pneumothorax', 0, random)).toEqual(uncased.encode('pneumothorax'));
  });

  test('opens the sentences of each section, and closes all; long ones are cut and closed', () => {
    const text = `HISTORY: Cough.\nFINDINGS: ${'No effusion '.repeat(120)}`;
    const { pieces, words } = new PlacedReader(uncased).read({ id: '1', text }, 4096);
    expect(pieces.map((sentence) => sentence[0])).toEqual(
      (['history', 'findings', 'findings', 'findings'] as const).map((section) => uncased.opening(section)),
    );
    for (const sentence of pieces) {
      expect(Array.from(sentence).at(-1)).toBe(uncased.closing);
      expect(sentence.length).toBeLessThanOrEqual(96);
    }
    expect(words).toHaveLength(pieces.reduce((sum, { length }) => sum + length, 0));
    expect(words.filter((word) => word === undefined)).toHaveLength(8);
  });

  test('refuses what is of another family, and says what is served', () => {
    const good = JSON.parse(readFileSync(join(tiny, 'tokenizer.json'), 'utf8'));
    const { '[SEP]': _, ...open } = good.model.vocab as Record<string, number>;
    const bad: [unknown, RegExp][] = [
      [{ ...good, model: { ...good.model, type: 'BPE' } }, /BPE, not WordPiece.*RoBERTa/s],
      [{ ...good, pre_tokenizer: { type: 'ByteLevel' } }, /ByteLevel/],
      [{ ...good, normalizer: { type: 'Sequence' } }, /Sequence/],
      [{ ...good, model: { ...good.model, vocab: ['a'] } }, /damaged/],
      [{ ...good, model: { ...good.model, vocab: { a: 1e9 } } }, /damaged/],
      [{ ...good, model: { ...good.model, vocab: open } }, /no \[SEP\]/],
      [null, /another family/],
    ];
    for (const [content, message] of bad) {
      writeFileSync(at('bad.json'), JSON.stringify(content));
      refuses(() => WordPiece.load(at('bad.json')), 'rates/tokenizer', message);
    }
    refuses(() => WordPiece.load(at('nothing.json')), 'rates/tokenizer', /cannot be read/);
  });
});

describe('a BERT', () => {
  const opened = openBert(tiny);
  const make = (dropout = 0, frozen = false) => {
    const generator = new Generator(0);
    const bert = new Bert({ ...opened.sizes, dropout, frozen, generator, dropoutGenerator: generator });
    opened.load(bert);
    return bert;
  };
  /** The sentences as we write them: what opens a section stands where [CLS] does. */
  const batch = () => {
    const own = oracle.sentences.map((ids) => [uncased.opening('findings'), ...ids.slice(1)]);
    const longest = Math.max(...own.map((ids) => ids.length));
    const ids = new Int32Array(own.length * longest).fill(-1);
    own.forEach((sentence, i) => {
      ids.set(sentence, i * longest);
    });
    return fromTypedArray(ids, { shape: [own.length, longest] }).to({ dtype: 'int64' });
  };

  test('is of the sizes that its tensors and its configuration say', () => {
    expect(opened.sizes).toEqual({
      ...{ vocabulary: 150 + 7, positions: 100, types: 2, width: 32, depth: 2, heads: 4, hidden: 48 },
      eps: 1e-12,
    });
    expect(opened.notices).toEqual([
      '2 tensors that an encoder does without are left out, the first is pooler.dense.bias',
    ]);
  });

  test('says what Hugging Face’s says of each sentence alone, and learns the same', () => {
    using _scope = new Scope();
    const bert = make();
    const output = bert.forward(batch());
    let total: Tensor = aten.zeros([]);
    oracle.outputs.forEach((rows, i) => {
      const own = output.select(0, i).narrow(0, 0, rows.length);
      const mine = Array.from(own.contiguous().toTypedArray() as Float32Array);
      const apart = rows.flat().map((x, at) => Math.abs(x - mine[at]!));
      expect(Math.max(...apart)).toBeLessThan(1e-5);
      const direction = uniform(`direction ${i}`, mine.length);
      total = total.add(own.mul(fromTypedArray(direction, { shape: own.shape })).sum());
    });
    const names = [...bert.namedParameters()];
    const found = grad(
      [total],
      names.map(([, tensor]) => tensor),
    );
    const mine = new Map(names.map(([name], i) => [name, found[i]!]));
    // Our sections' rows are [CLS]'s there.
    const table = mine.get('word_embeddings.weight')!;
    const rows = readSafetensors(join(tiny, 'model.safetensors')).tensors.get(
      'embeddings.word_embeddings.weight',
    )!;
    const theirs = rows.zeros_like();
    noGrad(() => {
      theirs.narrow(0, 0, 150).copy_(table.narrow(0, 0, 150));
      theirs.select(0, uncased.first).add_(table.narrow(0, 150, 7).sum([0]));
    });
    mine.set('word_embeddings.weight', theirs);
    const packed = (layer: number, part: 'weight' | 'bias') =>
      mine.get(`transformer.layers.${layer}.self_attn.in_proj_${part}`)!.chunk(3, 0);
    const ours = new Map([
      ...[...mine].flatMap(([name, tensor]): [string, Tensor][] =>
        name.includes('in_proj') ? [] : [[theirName(name), tensor]],
      ),
      ...[0, 1].flatMap((layer) =>
        (['weight', 'bias'] as const).flatMap((part) =>
          packed(layer, part).map((tensor, i): [string, Tensor] => [
            `encoder.layer.${layer}.attention.self.${['query', 'key', 'value'][i]}.${part}`,
            tensor,
          ]),
        ),
      ),
    ]);
    expect([...ours.keys()].sort()).toEqual(Object.keys(oracle.gradients).sort());
    for (const [name, tensor] of ours) {
      const own = summary(name, tensor.contiguous().toTypedArray() as Float32Array);
      // A bias of keys changes no attention: its gradient is rounding.
      expect(distance(own, oracle.gradients[name]!, 1e-2), name).toBeLessThan(1e-4);
    }
  });

  test('that is frozen computes no gradient and drops nothing', () => {
    using _scope = new Scope();
    const bert = make(0.5, true).train();
    const output = bert.forward(batch());
    expect(output.requiresGrad).toBe(false);
    expect(output.equal(bert.forward(batch()))).toBe(true);
    expect(output.equal(make(0.5).train().forward(batch()))).toBe(false);
  });

  test('is read with and without its prefix, with old names of norms, and with half the bits', () => {
    using _scope = new Scope();
    const { tensors } = readSafetensors(join(tiny, 'model.safetensors'));
    const old = new Map(
      [...tensors].map(([name, tensor]) => [
        `bert.${name.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta')}`,
        tensor,
      ]),
    );
    const { state, depth } = bertState(old, 'old');
    const now = bertState(tensors, 'now').state;
    expect(depth).toBe(2);
    expect([...state.keys()]).toEqual([...now.keys()]);
    for (const [name, tensor] of state) expect(tensor.equal(now.get(name)!), name).toBe(true);
    mkdirSync(at('half'));
    const half = [...tensors].map(([name, tensor]): [string, Tensor] => [
      name,
      tensor.to({ dtype: 'float16' }),
    ]);
    writeSafetensors(at('half/model.safetensors'), new Map(half));
    for (const name of ['tokenizer.json', 'config.json']) cpSync(join(tiny, name), at(`half/${name}`));
    const generator = new Generator(0);
    const again = openBert(at('half/model.safetensors'));
    const bert = new Bert({
      ...again.sizes,
      dropout: 0,
      frozen: false,
      generator,
      dropoutGenerator: generator,
    });
    again.load(bert);
    const apart = bert.forward(batch()).sub(make().forward(batch())).select(0, 0).abs().max().item();
    expect(apart).toBeGreaterThan(0);
    expect(apart).toBeLessThan(0.02);
  });

  test('is refused where it is none, is pickled, or does not fit its tokenizer', () => {
    const { tensors } = readSafetensors(join(tiny, 'model.safetensors'));
    const config = JSON.parse(readFileSync(join(tiny, 'config.json'), 'utf8'));
    let count = 0;
    const with_ = (
      change: (tensors: Map<string, Tensor>) => Map<string, Tensor>,
      settings: object | null = config,
      tokenizer = 'tokenizer.json',
    ) => {
      const path = at(`bad${count++}`);
      mkdirSync(path);
      writeSafetensors(join(path, 'model.safetensors'), change(new Map(tensors)));
      if (settings !== null) writeFileSync(join(path, 'config.json'), JSON.stringify(settings));
      cpSync(join(tiny, tokenizer), join(path, 'tokenizer.json'));
      return () => openBert(path);
    };
    const same = (all: Map<string, Tensor>) => all;
    const renamed = (to: string) => (all: Map<string, Tensor>) =>
      new Map([...all].map(([name, tensor]) => [`${to}.${name}`, tensor]));
    const cut = (name: string, rows: number) => (all: Map<string, Tensor>) =>
      all.set(name, all.get(name)!.narrow(0, 0, 1).expand([rows, -1]).contiguous());
    const refused: [() => unknown, RegExp][] = [
      [with_(same, { ...config, model_type: 'roberta' }), /family roberta.*BERT's own.*RoBERTa.*are not/s],
      [with_(renamed('roberta')), /named roberta\.….*RoBERTa/s],
      [with_(renamed('distilbert')), /named distilbert/],
      [with_(cut('embeddings.position_embeddings.weight', 514), null), /514 positions, as RoBERTa/],
      [with_(cut('embeddings.position_embeddings.weight', 64)), /64 positions.*up to 96/],
      [with_(cut('embeddings.word_embeddings.weight', 20)), /knows 20 pieces.*150.*--tokenizer/s],
      [with_(same, null), /width of 32.*config\.json/s],
      [with_(same, { ...config, hidden_act: 'gelu_new' }), /activation gelu_new/],
      [with_(same, { ...config, position_embedding_type: 'relative_key' }), /relative_key positions/],
      [with_(same, { ...config, num_attention_heads: 5 }), /does not divide/],
      [
        with_(
          (all) => new Map([...all].filter(([name]) => name !== 'encoder.layer.1.output.LayerNorm.bias')),
        ),
        /no whole BERT.*encoder\.layer\.1\.output\.LayerNorm\.bias/,
      ],
      [() => openBert(at('nowhere')), /not there/],
      [() => openBert(join(tiny, 'config.json')), /no \.safetensors.*never unpickled/s],
    ];
    for (const [body, message] of refused) refuses(body, 'rates/encoder', message);
    mkdirSync(at('pickled'));
    writeFileSync(at('pickled/pytorch_model.bin'), '');
    refuses(() => openBert(at('pickled')), 'rates/encoder', /only pytorch_model\.bin.*never unpickled/s);
    mkdirSync(at('bare'));
    cpSync(join(tiny, 'model.safetensors'), at('bare/model.safetensors'));
    refuses(
      () => openBert(at('bare')),
      'rates/encoder',
      /no tokenizer\.json and no vocab\.txt.*--tokenizer/s,
    );
    writeFileSync(at('bare/merges.txt'), '');
    refuses(() => openBert(at('bare')), 'rates/encoder', /but merges\.txt.*RoBERTa/s);
  });
});

/** The name in `BertModel` of a parameter of ours. */
function theirName(name: string): string {
  return name
    .replace(/^(\w+_embeddings)/, 'embeddings.$1')
    .replace(/^norm\./, 'embeddings.LayerNorm.')
    .replace(/^transformer\.layers/, 'encoder.layer')
    .replace('self_attn.out_proj', 'attention.output.dense')
    .replace('norm1', 'attention.output.LayerNorm')
    .replace('linear1', 'intermediate.dense')
    .replace('linear2', 'output.dense')
    .replace('norm2', 'output.LayerNorm');
}

describe('a rate network that begins with a BERT', () => {
  const set = findingSet();
  const names = ['pneumothorax', 'pleural effusion', 'edema', 'consolidation'];
  const wordings = ['No {}.', 'Possible {}.', 'Probable {}.', 'There is {}.', '{} cannot be excluded.'];
  const options: RateOptions = {
    epochs: 6,
    batchSize: 16,
    threads: 1,
    lexiconSentences: 4,
    learningRate: 0.01,
  };
  const encoder = openBert(tiny);

  beforeAll(async () => {
    const lines = Array.from({ length: 120 }, (_, i) => {
      const random = new Random(4, i);
      const text = random
        .shuffle([...names])
        .slice(0, 2)
        .map((name) => wordings[random.below(wordings.length)]!.replace('{}', name));
      return `r${i},p${i >> 1},"FINDINGS: ${text.join(' ')}"`;
    });
    writeFileSync(at('reports.csv'), `id,patient,text\n${lines.join('\n')}\n`);
    await extract(at('reports.csv'), at('rows.jsonl'), rulesExtractor(createAssessor()));
  }, 300_000);

  async function train(name: string, more: RateOptions = {}, stopAt?: number) {
    const stop = new AbortController();
    const events: RateEvent[] = [];
    const data = await readRateData(at('reports.csv'), at('rows.jsonl'), { split: encoder.tokenizer.split });
    const result = await trainRates({
      ...{ data, dataPath: 'reports.csv', folder: at(name), findings: set, encoder, signal: stop.signal },
      options: { ...options, ...more },
      onEvent: (event) => {
        events.push(event);
        if (event.type === 'step' && event.step === stopAt) stop.abort();
      },
    });
    return { result, events };
  }
  const weights = (name: string) => readFileSync(join(at(name), 'model.safetensors'));

  test('learns, says what it began with, and reads reports as an extractor like any other', async () => {
    const { result, events } = await train('net', {
      epochs: 16,
      lexiconSentences: 0,
      encoderLearningRate: 0.003,
    });
    expect(events.filter(({ type }) => type === 'notice')).toMatchObject([{ message: /encoder: 2 tensors/ }]);
    const { epochs } = result;
    expect(epochs.at(-1)!.trainLoss).toBeLessThan(0.6 * epochs[0]!.trainLoss);
    expect(epochs.at(-1)!.val!.mentionedF1).toBeGreaterThan(0.8);
    const rates = loadRates(at('net'));
    expect(rates.description).toMatchObject({
      config: { width: 32, depth: 2, heads: 4, vocabulary: 157, encoderLearningRate: 0.003 },
      encoder: { family: 'bert', weights: encoder.identity },
      tokenizer: encoder.tokenizer.version,
    });
    rates.network.dispose();
    const { extractor, close } = await openExtractor('rgn', {
      ...{ findings: set, assessor: createAssessor(), flags: { network: at('net') } },
    });
    await extract(at('reports.csv'), at('rgn.jsonl'), extractor);
    await close();
    const rows = readFileSync(at('rgn.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(rows).toHaveLength(120 * set.findings.length);
    expect(rows.every(({ rate }) => rate === null || Math.abs(rate) < 1)).toBe(true);
    const effusion = rows.filter(
      ({ finding, evidence }) => finding === 'Pleural Effusion' && evidence.length > 0,
    );
    const named = effusion.filter(({ evidence }) => /pleural|effusion/.test(evidence[0].phrase));
    expect(named.length).toBeGreaterThan(effusion.length / 2);
  }, 300_000);

  test('that is stopped in the middle of an epoch ends bit for bit as one that is not', async () => {
    const short = { epochs: 2, dropout: 0.2 };
    await train('whole', short);
    expect((await train('parts', short, 9)).result.finished).toBe(false);
    const { events } = await train('parts', short);
    expect(events.find(({ type }) => type === 'resume')).toMatchObject({ step: 9 });
    expect(weights('parts').equals(weights('whole'))).toBe(true);
  }, 300_000);

  test('moves the encoder by its own learning rate, and at 0 not at all', async () => {
    using _scope = new Scope();
    await train('frozen', { epochs: 1, encoderLearningRate: 0 });
    await train('slow', { epochs: 1, encoderLearningRate: 1e-5 });
    await train('fast', { epochs: 1, encoderLearningRate: 1e-3 });
    const generator = new Generator(0);
    const start = new Bert({
      ...encoder.sizes,
      dropout: 0,
      frozen: false,
      generator,
      dropoutGenerator: generator,
    });
    encoder.load(start);
    const apart = (name: string) => {
      const { tensors } = readSafetensors(join(at(name), 'model.safetensors'));
      return Math.max(
        ...[...start.stateDict()].map(([own, tensor]) =>
          tensor
            .detach()
            .sub(tensors.get(`encoder.${own}`)!)
            .abs()
            .max()
            .item(),
        ),
      );
    };
    const [frozen, slow, fast] = [apart('frozen'), apart('slow'), apart('fast')];
    expect(frozen).toBe(0);
    expect(slow).toBeGreaterThan(0);
    expect(fast / slow).toBeGreaterThan(20);
  }, 300_000);

  test('is refused with texts that another tokenizer cut, another BERT’s tokenizer, and settings that it has itself', async () => {
    const data = await readRateData(at('reports.csv'), at('rows.jsonl'));
    await expect(
      trainRates({ data, dataPath: 'r', folder: at('other'), findings: set, encoder, options }),
    ).rejects.toThrow(/not cut/);
    refuses(() => resolveRateConfig({ width: 64 }, encoder.sizes), 'rates/config', /its own width: 32/);
    refuses(() => resolveRateConfig({ encoderLearningRate: 1e-5 }), 'rates/config', /--encoder/);
    expect(resolveRateConfig({}, encoder.sizes)).toMatchObject({
      learningRate: 0.001,
      encoderLearningRate: 3e-5,
    });
    await train('mixed', { epochs: 1 });
    cased.save(join(at('mixed'), 'tokenizer.json'));
    refuses(() => loadRates(at('mixed')), 'rates/tokenizer', /tokenizer of another corpus/);
  }, 300_000);
});
