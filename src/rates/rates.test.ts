/** From reports and rows to a trained network and its rows; small. */
import { copyFileSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { unreleased } from '../../test/unreleased.ts';
import { Random } from '../random.ts';
import {
  createAssessor,
  extract,
  type FindingRow,
  findingSet,
  openExtractor,
  parseFindings,
  readRows,
  rulesExtractor,
} from '../reports/index.ts';
import './register.ts';
import { Scope, setThreads } from '../torch/index.ts';
import { tensorsOf, tokenBatch } from './batch.ts';
import { type RateOptions, resolveRateConfig } from './config.ts';
import { type RateDataOptions, readRateData } from './data.ts';
import { joinRates } from './ensemble.ts';
import { evaluateRates, readTruth } from './evaluate.ts';
import { ratesExtractor } from './extractor.ts';
import { type LoadedRates, loadRates, readSplits } from './folder.ts';
import { readRankings } from './rankings.ts';
import { readChoice } from './table.ts';
import { Tokenizer } from './tokenizer.ts';
import { type RateEvent, type TrainRatesResult, trainRates } from './train.ts';

const folder = mkdtempSync(join(tmpdir(), 'rates-'));
const at = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

const set = findingSet();
const assessor = createAssessor();
const names = ['pneumothorax', 'pleural effusion', 'pneumonia', 'edema', 'atelectasis', 'rib fracture'];
const wordings = [
  'No {}.',
  'No evidence of {}.',
  'Possible {}.',
  '{} cannot be excluded.',
  'Probable {}.',
  'Likely {}.',
  '{} is present.',
  'Definite {}.',
];

/** Invented reports: three or four statements each, by patients of two reports. */
function writeReports(n: number): void {
  const lines = ['id,patient,text'];
  for (let i = 0; i < n; i++) {
    const random = new Random(9, i);
    const spoken = random.shuffle([...names]).slice(0, 3 + random.below(2));
    const text = spoken.map((name) => wordings[random.below(wordings.length)]!.replace('{}', name)).join(' ');
    lines.push(`r${i},p${i >> 1},"FINDINGS: ${text}"`);
  }
  writeFileSync(at('reports.csv'), `${lines.join('\n')}\n`);
}

const small: RateOptions = {
  epochs: 10,
  batchSize: 16,
  width: 32,
  heads: 2,
  depth: 1,
  learningRate: 0.01,
  threads: 1,
  precision: 'float32',
  findingSwap: 0,
  lexiconSentences: 0,
  wordDropout: 0.05,
  pieceDropout: 0.05,
};
const read = (options: RateDataOptions = {}) => readRateData(at('reports.csv'), at('rows.jsonl'), options);

let trained: TrainRatesResult;
let rates: LoadedRates;

beforeAll(async () => {
  setThreads(1);
  writeReports(240);
  await extract(at('reports.csv'), at('rows.jsonl'), rulesExtractor(assessor));
  trained = await trainRates({
    data: await read(),
    dataPath: 'reports.csv',
    folder: at('rgn'),
    options: small,
    findings: set,
  });
  rates = loadRates(at('rgn'));
}, 300_000);

describe('training', () => {
  test('learns what the rows say, and how far off it is', () => {
    expect(trained.finished).toBe(true);
    const { val } = trained.epochs.at(-1)!;
    expect(val!.mentionedF1).toBeGreaterThan(0.9);
    expect(val!.spearman).toBeGreaterThan(0.8);
    expect(trained.epochs.at(-1)!.trainLoss).toBeLessThan(trained.epochs[0]!.trainLoss);
    expect(rates.deviationScale).toBeCloseTo(val!.deviationRatio, 6);
  });

  test('leaves plain files, without a word of a report', () => {
    for (const name of [
      'config.json',
      'tokenizer.json',
      'splits.csv',
      'metrics.jsonl',
      'model.safetensors',
      'done.json',
    ])
      expect(existsSync(join(at('rgn'), name)), name).toBe(true);
    expect(existsSync(join(at('rgn'), 'checkpoints'))).toBe(false);
    const { findings, data } = rates.description;
    expect(findings).toEqual(set.findings);
    expect(data.train + data.val).toBeLessThan(240);
    expect(readFileSync(join(at('rgn'), 'config.json'), 'utf8')).not.toContain('pneumothorax cannot');
  });

  test('puts no patient on two sides, and keeps the splits', async () => {
    const { splits, notes } = await read();
    const sides = new Map<string, string>();
    for (const [split, examples] of Object.entries(splits))
      for (const { id } of examples) {
        const patient = `p${Number(id.slice(1)) >> 1}`;
        expect(sides.get(patient) ?? split).toBe(split);
        sides.set(patient, split);
      }
    expect(Object.values(splits).every((examples) => examples.length > 5)).toBe(true);
    expect(notes.filter((note) => note.startsWith('no patients'))).toEqual([]);
    const kept = readSplits(at('rgn'));
    for (const [split, examples] of Object.entries(splits))
      for (const { id } of examples) expect(kept.get(id)).toBe(split);
  });

  test('that is stopped in the middle of an epoch ends bit for bit as one that is not', async () => {
    const options = { ...small, lexiconSentences: 6, epochs: 2, findingSwap: 0.5, dropout: 0.2 };
    writeFileSync(at('ranking.csv'), 'higher,lower\nprobable,possible\nlikely,cannot be excluded\n');
    const rankings = readRankings(at('ranking.csv'), assessor.lexicon);
    const run = async (name: string, stopAt?: number) => {
      const stop = new AbortController();
      const events: RateEvent[] = [];
      const onEvent = (event: RateEvent) => {
        events.push(event);
        if (event.type === 'step' && event.step === stopAt) stop.abort();
      };
      const data = await read();
      const result = await trainRates({
        data,
        dataPath: 'reports.csv',
        folder: at(name),
        options,
        findings: set,
        rankings,
        signal: stop.signal,
        onEvent,
      });
      return { result, events };
    };
    await run('whole');
    const first = await run('parts', 17);
    expect(first.result.finished).toBe(false);
    expect(first.events.some(({ type }) => type === 'epoch')).toBe(true);
    const second = await run('parts');
    expect(second.events.find(({ type }) => type === 'resume')).toMatchObject({ step: 17 });
    expect(second.result.finished).toBe(true);
    const weights = (name: string) => readFileSync(join(at(name), 'model.safetensors')).toString('base64');
    expect(weights('parts')).toBe(weights('whole'));
    const again = await run('parts');
    expect(again.events).toEqual([]);
    expect(again.result.epochs).toHaveLength(2);
  }, 300_000);

  test.each(['bfloat16', 'float16'] as const)(
    'in %s learns as well, and goes on where it was stopped',
    async (precision) => {
      const options = { ...small, precision, epochs: 3 };
      const data = await read();
      const run = async (name: string, stopAt?: number) => {
        const stop = new AbortController();
        const onEvent = (event: RateEvent) => {
          if (event.type === 'step' && event.step === stopAt) stop.abort();
        };
        const folder = at(`${name}-${precision}`);
        const where = { dataPath: 'reports.csv', folder, findings: set };
        const { epochs } = await trainRates({ data, options, ...where, signal: stop.signal, onEvent });
        return { epochs, folder };
      };
      const { epochs, folder } = await run('whole');
      expect(epochs[2]!.trainLoss).toBeLessThan(0.8 * epochs[0]!.trainLoss);
      await run('parts', 14);
      const again = await run('parts');
      const weights = (path: string) => readFileSync(join(path, 'model.safetensors'));
      expect(weights(again.folder).equals(weights(folder))).toBe(true);
    },
    300_000,
  );

  test('of several networks makes one that answers with their mean, and refuses others', async () => {
    const data = await read();
    const train = (name: string, options: RateOptions) =>
      trainRates({
        data,
        dataPath: 'r',
        folder: at(name),
        options: { ...small, epochs: 1, ...options },
        findings: set,
      });
    await train('seed0', { seed: 0 });
    await train('seed1', { seed: 1 });
    await train('wide', { width: 16 });
    expect(joinRates([at('seed0'), at('seed1')], at('joined'))).toEqual({ folder: at('joined'), members: 2 });
    const loaded = [at('seed0'), at('seed1'), at('joined')].map(loadRates);
    expect(loaded[2]!.network.parameterCount).toBe(2 * loaded[0]!.network.parameterCount);
    const batch = tokenBatch([
      [
        [4, 20, 21, 22],
        [5, 30],
      ],
      [[4, 40]],
    ]);
    using _scope = new Scope();
    const said = loaded.map(({ network }) => network.read(tensorsOf(batch, 'cpu')));
    for (const name of ['mentioned', 'certainty', 'doubt', 'attention'] as const) {
      const mean = said[0]![name].add(said[1]![name]).div(2);
      expect(mean.sub(said[2]![name]).abs().max().item(), name).toBeLessThan(1e-6);
    }
    const rows = await ratesExtractor(loaded[2]!).extract({ id: '1', text: 'Possible edema.' });
    expect(rows).toHaveLength(set.findings.length);
    for (const { network } of loaded) network.dispose();
    const join = (...names: string[]) => joinRates(names.map(at), at('refused'));
    expect(() => join('seed0')).toThrow(/no ensemble/);
    expect(() => join('seed0', 'seed0')).toThrow(/same network again/);
    expect(() => join('seed0', 'wide')).toThrow(/other sizes/);
    expect(() => join('seed0', 'joined')).toThrow(/ensemble itself/);
    expect(existsSync(at('refused'))).toBe(false);
    expect(joinRates([at('seed0'), at('seed1')], at('joined')).members).toBe(2);
    expect(() => joinRates([at('seed1'), at('seed0')], at('joined'))).toThrow(
      expect.objectContaining({ code: 'rates/other-run' }),
    );
    await expect(train('joined', { seed: 0 })).rejects.toMatchObject({ code: 'rates/other-run' });
  }, 300_000);

  test('refuses the folder of another network, and of anything else', async () => {
    const data = await read();
    const go = (options: RateOptions, name: string) =>
      trainRates({ data, dataPath: 'reports.csv', folder: at(name), options, findings: set });
    await expect(go({ ...small, width: 16 }, 'rgn')).rejects.toThrow(/config.width is 32 there and 16 now/);
    cpSync(at('rgn'), at('foreign'), { recursive: true });
    rmSync(join(at('foreign'), 'config.json'));
    await expect(go(small, 'foreign')).rejects.toMatchObject({ code: 'files/exists' });
  });

  test('holds out the reports with a phrase, and all others of their patients', async () => {
    const { splits } = await read({ holdOutHedges: ['Probable'], test: 0 });
    const text = readFileSync(at('reports.csv'), 'utf8').split('\n');
    const holds = (id: string) => text[Number(id.slice(1)) + 1]!.includes('Probable');
    expect([...splits.train, ...splits.val].filter(({ id }) => holds(id))).toEqual([]);
    const other = (id: string) => `r${Number(id.slice(1)) ^ 1}`;
    expect(splits.test.every(({ id }) => holds(id) || holds(other(id)))).toBe(true);
    expect(splits.train.length).toBeGreaterThan(20);
  });

  test('holds out the reports of some readers by a column, and all others of their patients', async () => {
    const readers = Array.from({ length: 240 }, (_, i) => `r${i},p${i >> 1},R${(i * 7 + (i >> 4)) % 5}`);
    writeFileSync(at('readers.csv'), `report,patient,reader\n${readers.join('\n')}\n`);
    const table = { splits: at('readers.csv') };
    const { splits } = await read({ ...table, holdOut: readChoice('reader = R1, R4') });
    const theirs = (id: string) => /R[14]$/.test(readers[Number(id.slice(1))]!);
    const other = (id: string) => `r${Number(id.slice(1)) ^ 1}`;
    expect([...splits.train, ...splits.val].some(({ id }) => theirs(id) || theirs(other(id)))).toBe(false);
    expect(splits.test.every(({ id }) => theirs(id) || theirs(other(id)))).toBe(true);
    expect(splits.train.length).toBeGreaterThan(20);
    expect(splits.val.length).toBeGreaterThan(0);
    const refused: [RateDataOptions, string][] = [
      [{ ...table, holdOut: { column: 'reader', values: ['R9'] } }, 'rates/no-match'],
      [{ ...table, holdOut: { column: 'hospital', values: ['A'] } }, 'rates/columns'],
      [{ ...table, holdOut: { column: 'reader', values: ['R0', 'R1', 'R2', 'R3', 'R4'] } }, 'rates/splits'],
    ];
    for (const [options, code] of refused) await expect(read(options)).rejects.toMatchObject({ code });
    for (const text of ['reader', '=R1', 'reader=', 'reader=R1,'])
      expect(() => readChoice(text)).toThrow(expect.objectContaining({ code: 'usage/choice' }));
  });

  test('refuses rows of other reports, splits that do not hold, and wrong settings', async () => {
    const file = (name: string, content: string) => {
      writeFileSync(at(name), content);
      return at(name);
    };
    writeFileSync(at('other.jsonl'), readFileSync(at('rows.jsonl'), 'utf8').replaceAll('"id":"r', '"id":"x'));
    await expect(readRateData(at('reports.csv'), at('other.jsonl'))).rejects.toMatchObject({
      code: 'rates/no-match',
    });
    const half = file(
      'half.csv',
      `report,split\n${Array.from({ length: 100 }, (_, i) => `r${i},train`).join('\n')}\n`,
    );
    await expect(read({ splits: half })).rejects.toMatchObject({ code: 'rates/splits' });
    const some = await read({ splits: half, unlisted: 'leave out' });
    const kept = Object.values(some.splits).flat();
    expect(kept.length).toBe(some.splitOf.size);
    expect(kept.length).toBeLessThan((await read()).splitOf.size);
    expect(some.notes.join()).toMatch(/\d+ reports without a split are not learnt from/);
    const torn = file(
      'torn.csv',
      `report,patient,split\n${Array.from({ length: 240 }, (_, i) => `r${i},p${i >> 1},${i % 2 ? 'test' : 'train'}`).join('\n')}\n`,
    );
    await expect(read({ splits: torn })).rejects.toThrow(/on two sides/);
    const none = file(
      'none.csv',
      `report,split\n${Array.from({ length: 240 }, (_, i) => `r${i},test`).join('\n')}\n`,
    );
    await expect(read({ splits: none })).rejects.toThrow(/no report is left to train on/);
    await expect(read({ splits: file('bad.csv', 'report,split\nr1,maybe\n') })).rejects.toMatchObject({
      code: 'rates/splits',
    });
    await expect(read({ splits: file('cols.csv', 'report,side\nr1,train\n') })).rejects.toMatchObject({
      code: 'rates/columns',
    });
    await expect(read({ val: 0.6, test: 0.5 })).rejects.toMatchObject({ code: 'rates/splits' });
    expect(() => resolveRateConfig({ epochs: 0 })).toThrow(expect.objectContaining({ code: 'rates/config' }));
    expect(() => resolveRateConfig({ widht: 3 } as never)).toThrow(
      expect.objectContaining({ hint: "did you mean 'width'?" }),
    );
    expect(() => resolveRateConfig({ width: 30, heads: 4 })).toThrow(/30 does not divide into 4/);
  });
});

describe('rows', () => {
  test('say what is said, with its words and their places', () => {
    const { extract: read } = ratesExtractor(rates);
    const text = 'FINDINGS: No pneumothorax. Pleural effusion is present. Possible pneumonia.';
    const rows = read({ id: '7', text }) as Awaited<ReturnType<typeof read>>;
    const row = (finding: string) => rows.find((one) => one.finding === finding)!;
    expect(rows.map(({ finding }) => finding)).toEqual(set.findings);
    expect(row('Pneumothorax').probability).toBeLessThan(row('Pneumonia').probability!);
    expect(row('Pneumonia').probability).toBeLessThan(row('Pleural Effusion').probability!);
    expect(row('Edema')).toMatchObject({
      status: 'not_mentioned',
      probability: null,
      rate: null,
      evidence: [],
    });
    expect(row('Pleural Effusion')).toMatchObject({
      id: '7',
      label: 1,
      extractor: 'rgn',
      version: rates.version,
    });
    // Its query has learnt to look at its name.
    expect(row('Pleural Effusion').evidence[0]!.phrase).toMatch(/effusion/i);
    expect(row('Pleural Effusion').evidence[0]).toMatchObject({
      section: 'findings',
      sentence: 'Pleural effusion is present.',
    });
    for (const { evidence } of rows)
      for (const { phrase, start, end, sentence } of evidence) {
        expect(text.slice(start, end)).toBe(phrase);
        expect(sentence).toContain(phrase);
      }
  });

  test('have offsets into the field of a report that came in fields', () => {
    const sections = [
      { section: 'findings', text: 'No edema.' },
      { section: 'impression', text: 'Definite rib fracture.' },
    ] as const;
    const rows = ratesExtractor(rates).extractBatch!([{ id: '1', sections }]) as ReturnType<
      typeof Array.of
    >[];
    const found = (
      rows[0] as {
        finding: string;
        evidence: { phrase: string; start: number; end: number; section: string }[];
      }[]
    ).flatMap(({ evidence }) => evidence);
    expect(found.length).toBeGreaterThan(0);
    for (const { phrase, start, end, section } of found)
      expect(sections.find((one) => one.section === section)!.text.slice(start, end)).toBe(phrase);
  });

  test('stay inside (−1, 1) with right offsets, whatever the text', () => {
    const { extract: readOne } = ratesExtractor(rates);
    const hostile = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 80 }),
      fc
        .array(
          fc.constantFrom(
            'no',
            'pneumothorax',
            'probable',
            '.',
            '\n',
            'IMPRESSION:',
            '💩',
            '\ud800',
            '___',
            '1.5',
          ),
          { maxLength: 40 },
        )
        .map((words) => words.join(' ')),
    );
    fc.assert(
      fc.property(hostile, (text) => {
        using _scope = new Scope();
        const rows = readOne({ id: '', text }) as FindingRow[];
        return (
          rows.length === set.findings.length &&
          rows.every(
            ({ rate, label, probability, evidence }) =>
              (rate === null
                ? probability === null && label === null
                : rate > -1 && rate < 1 && Math.abs((1 - rate) * label! + rate / 2 - probability!) < 1e-9) &&
              evidence.every(({ phrase, start, end }) => text.slice(start, end) === phrase && end > start),
          )
        );
      }),
      { numRuns: 25 },
    );
  });

  test('of nothing, of too much, and of a book', () => {
    const { extractBatch } = ratesExtractor(rates, { longest: 200_000 });
    const rows = extractBatch!([
      { id: 'empty', text: '' },
      { id: 'long', text: 'x'.repeat(200_001) },
      { id: 'book', text: 'No pneumothorax. '.repeat(3000) },
      { id: 'nothing' },
    ]) as FindingRow[][];
    expect(rows.map((own) => own.length)).toEqual([14, 1, 14, 14]);
    expect(rows[1]![0]).toMatchObject({
      status: 'failed',
      reason: 'the report has 200001 characters, and 200000 are read at most',
    });
    expect(rows[2]![0]!.reason).toMatch(/^long report: the last \d+ of \d+ pieces were not read$/);
    expect(rows[0]!.every(({ reason }) => reason === undefined)).toBe(true);
  });

  test('do not depend on what is beside a report, and leave no tensor', () => {
    const { extractBatch } = ratesExtractor(rates);
    const reports = Array.from({ length: 30 }, (_, i) => ({
      id: String(i),
      text: `FINDINGS: ${names
        .slice(i % 5)
        .map((name, j) => wordings[(i + j) % wordings.length]!.replace('{}', name))
        .join(' ')}`,
    }));
    const together = extractBatch!(reports);
    const before = unreleased();
    const alone = reports.flatMap((report) => extractBatch!([report]) as never[]);
    expect(unreleased()).toBe(before);
    expect(alone).toEqual(together);
  });

  test('come by the extractor’s name from extract, resumable', async () => {
    const { extractor, close } = await openExtractor('rgn', {
      findings: set,
      assessor,
      flags: { network: at('rgn') },
    });
    const first = await extract(at('reports.csv'), at('rgn.jsonl'), extractor);
    expect(first).toMatchObject({ extracted: 240, failed: 0 });
    const lines = readFileSync(at('rgn.jsonl'), 'utf8');
    const second = await extract(at('reports.csv'), at('rgn.jsonl'), extractor);
    expect(second).toMatchObject({ extracted: 0, skipped: 240 });
    expect(readFileSync(at('rgn.jsonl'), 'utf8')).toBe(lines);
    expect((await readRows(at('rgn.jsonl'))).ids).toHaveLength(240);
    await close();
  });
});

describe('a network is refused', () => {
  const open = (network: string | undefined, findings = set) =>
    openExtractor('rgn', { findings, assessor, flags: { network } });

  test('for another set of findings, saying which', async () => {
    const other = parseFindings(
      'finding\trole\tphrase\nPneumonia\tmention\tpneumonia\nScoliosis\tmention\tscoliosis\n',
      'other',
    );
    await expect(open(at('rgn'), other)).rejects.toMatchObject({
      code: 'rates/findings',
      message: expect.stringMatching(/does not know Scoliosis; it knows No Finding/),
    });
  });

  test('with the tokenizer of another corpus', async () => {
    cpSync(at('rgn'), at('mixed'), { recursive: true });
    const tokenizer = Tokenizer.load(join(at('rgn'), 'tokenizer.json'));
    new Tokenizer(tokenizer.pieces, tokenizer.merges.slice(0, -1)).save(join(at('mixed'), 'tokenizer.json'));
    await expect(open(at('mixed'))).rejects.toMatchObject({
      code: 'rates/tokenizer',
      message: expect.stringMatching(/tokenizer of another corpus/),
    });
  });

  test('that is not there, not finished, or none', async () => {
    await expect(open(undefined)).rejects.toMatchObject({ code: 'usage/network' });
    await expect(open(at('nowhere'))).rejects.toMatchObject({ code: 'rates/network' });
    cpSync(at('rgn'), at('half'), { recursive: true });
    rmSync(join(at('half'), 'done.json'));
    await expect(open(at('half'))).rejects.toThrow(/not trained to its end/);
    cpSync(at('rgn'), at('run'), { recursive: true });
    writeFileSync(join(at('run'), 'config.json'), '{"config":{}}');
    await expect(open(at('run'))).rejects.toThrow(/of another kind/);
    cpSync(at('rgn'), at('gone'), { recursive: true });
    rmSync(join(at('gone'), 'model.safetensors'));
    await expect(open(at('gone'))).rejects.toMatchObject({ code: 'training/lost' });
  });

  test('with other headings than it was trained with', async () => {
    const lexicon = { ...assessor.lexicon, language: { ...assessor.lexicon.language, text: 'andere' } };
    await expect(
      openExtractor('rgn', {
        findings: set,
        assessor: { ...assessor, lexicon },
        flags: { network: at('rgn') },
      }),
    ).rejects.toMatchObject({ code: 'rates/language' });
  });
});

describe('judging', () => {
  test('beside its teacher, and beside the truth', async () => {
    // The truth is what the teacher says, but for two findings that are turned round.
    const rows = await readRows(at('rows.jsonl'));
    const k = rows.findings.length;
    const columns = ['Pneumothorax', 'Edema'];
    const lines = [`report,${columns.flatMap((name) => [`${name} reader_p`, `${name} said`]).join()}`];
    rows.ids.forEach((id, i) => {
      const cells = columns.flatMap((name) => {
        const p = rows.probability[i * k + rows.findings.indexOf(name)]!;
        return Number.isNaN(p)
          ? ['0.5', '']
          : [String(name === 'Edema' ? 1 - p : p), String(Math.round(8 * p))];
      });
      lines.push([id, ...cells].join());
    });
    writeFileSync(at('truth.csv'), `${lines.join('\n')}\n`);
    const truth = readTruth(at('truth.csv'), rows.findings);
    const found = await evaluateRates(ratesExtractor(rates), at('reports.csv'), at('rows.jsonl'), { truth });
    expect(found.reports).toBe(240);
    const of = (name: string) => found.findings.find(({ finding }) => finding === name)!;
    expect(of('Pneumothorax').truth!.teacher).toBeCloseTo(1, 9);
    expect(of('Pneumothorax').truth!.network).toBeCloseTo(of('Pneumothorax').spearman!, 9);
    expect(of('Pneumothorax').truth!.teacherError).toBeCloseTo(0, 6);
    expect(of('Pneumothorax').truth!.bound).toBeGreaterThan(0.95);
    expect(of('Pneumothorax').truth!.teacherReads).toBeCloseTo(of('Pneumothorax').truth!.bound!, 9);
    expect(of('Edema').truth!.bound).toBeLessThan(-0.95);
    expect(of('Edema').truth!.network).toBeLessThan(-0.5);
    expect(of('Pneumonia').truth).toBeUndefined();
    expect(found.all.sameLabel).toBeGreaterThan(0.9);
    const { disagreements } = found;
    const apart = disagreements.map(({ teacher, network }) =>
      teacher === null || network === null ? 1 : Math.abs(teacher - network),
    );
    expect(apart).toEqual(apart.toSorted((a, b) => b - a));
    expect(Math.min(1, ...apart)).toBeGreaterThan(0.25);
  });

  test('of some wording, of some reports, and against people', async () => {
    const gold = Array.from({ length: 240 }, (_, i) => ({ report: `r${i}`, finding: 'Edema', label: i % 2 }));
    const options = {
      gold,
      hedges: ['cannot be excluded'],
      assessor,
      only: (id: string) => Number(id.slice(1)) < 100,
    };
    const found = await evaluateRates(ratesExtractor(rates), at('reports.csv'), at('rows.jsonl'), options);
    expect(found.reports).toBe(100);
    const text = readFileSync(at('reports.csv'), 'utf8').split('\n').slice(1, 101).join('\n');
    const said = text.match(/cannot be excluded/g)!.length;
    const { both, onlyTeacher } = found.all;
    expect(both + onlyTeacher).toBe(said);
    expect(found.gold!.network.reports).toBe(found.gold!.teacher.reports);
    const own = found.findings.find(({ finding }) => finding === 'Edema')!;
    expect(own.gold!.networkRight + own.gold!.teacherRight).toBe(Math.round((1 - own.sameLabel!) * own.both));
  });

  test('refuses what cannot be judged', async () => {
    const go = (options: Parameters<typeof evaluateRates>[3]) =>
      evaluateRates(ratesExtractor(rates), at('reports.csv'), at('rows.jsonl'), options);
    await expect(go({ only: () => false })).rejects.toMatchObject({ code: 'rates/no-match' });
    await expect(go({ gold: [{ report: 'r1', finding: 'Scoliosis', label: 1 }] })).rejects.toMatchObject({
      code: 'rates/gold',
    });
    writeFileSync(at('bad-truth.csv'), 'report,Edema\nr1,1.5\n');
    expect(() => readTruth(at('bad-truth.csv'), set.findings)).toThrow(
      expect.objectContaining({ code: 'rates/truth' }),
    );
    copyFileSync(at('reports.csv'), at('no-truth.csv'));
    expect(() => readTruth(at('no-truth.csv'), set.findings)).toThrow(
      expect.objectContaining({ code: 'rates/truth' }),
    );
  });
});
