/**
 * Mutated inputs for every parser of files that others wrote. Whatever the bytes, a parser answers with values or with
 * an error that is data, in time and memory that the size of its input bounds.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parseCsv as parseDataCsv } from '../../src/data/csv.ts';
import { BrokenImage, readHeader } from '../../src/data/decode.ts';
import { encodeIdx, parseIdx } from '../../src/data/idx.ts';
import { parseNpy } from '../../src/data/npy.ts';
import { openDataset } from '../../src/data/open.ts';
import { PenumbraError } from '../../src/errors.ts';
import { openRegular } from '../../src/files/index.ts';
import { readPredictions } from '../../src/judge/index.ts';
import type { Random } from '../../src/random.ts';
import { parseFindings } from '../../src/reports/findings/findings.ts';
import { CsvReader } from '../../src/reports/io/csv.ts';
import { fromJsonLines } from '../../src/reports/io/jsonl-in.ts';
import { readOpenIXml } from '../../src/reports/io/openi.ts';
import { readAnswer } from '../../src/reports/llm/answer.ts';
import { Failure } from '../../src/reports/llm/failure.ts';
import { checkGguf } from '../../src/reports/llm/gguf.ts';
import { answerSchema } from '../../src/reports/llm/schema.ts';
import { readGold } from '../../src/reports/score/gold.ts';
import { readSafetensors, tidy } from '../../src/torch/index.ts';
import { readZipEntries } from '../../src/zip.ts';
import { tinyGguf } from '../reports/llm/tiny-gguf.ts';
import { makeZip } from '../reports/zip-maker.ts';
import { Tally } from './tally.ts';

interface Parser {
  readonly name: string;
  readonly seeds: readonly Uint8Array[];
  readonly parse: (bytes: Buffer, file: string) => unknown;
  /** Whether it reads a file, which costs more. */
  readonly fromFile?: boolean;
}

/** Milliseconds of processor time that one input may take. */
const SLOWEST = 2000;
/** Bytes that memory may grow by, over all inputs of a parser: they are small, so nothing may pile up. */
const MOST_MEMORY = 600e6;

const bytes = (text: string) => Buffer.from(text);

export function parsers(): Parser[] {
  const xml = `<eCitation><uId id="CXR1"/><AbstractText Label="FINDINGS">a &lt; b <![CDATA[c]]><!-- d --></AbstractText></eCitation>`;
  const idx = encodeIdx([2, 3, 3], new Uint8Array(18));
  const npyOf = (type: string, shape: string, data: Buffer) => {
    const head = `{'descr': '${type}', 'fortran_order': False, 'shape': ${shape}, }`;
    const magic = Buffer.from('\x93NUMPY\x01\x00\x76\x00', 'latin1');
    return Buffer.concat([magic, bytes(`${head.padEnd(117)}\n`), data]);
  };
  const npy = npyOf('|u1', '(2, 3)', Buffer.alloc(6));
  const floats = npyOf('<f4', '(2, 2)', Buffer.from(new Float32Array([0.9, 0.1, 0.4, 0.6]).buffer));
  const schema = answerSchema(['Edema', 'Pneumonia']);
  const npz = makeZip([
    { name: 'train_images.npy', bytes: npy },
    { name: 'train_labels.npy', bytes: npy },
  ]);
  const header = `{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"BOOL","shape":[3],"data_offsets":[16,19]}}`;
  const safetensors = Buffer.concat([Buffer.alloc(8), bytes(header.padEnd(136)), Buffer.alloc(19)]);
  safetensors.writeUInt32LE(136, 0);
  const png = Buffer.alloc(64);
  png.writeUInt32BE(0x89504e47, 0);
  png.writeUInt32BE(8, 16);
  png.writeUInt32BE(8, 20);
  png[24] = 8;
  const jpeg = Buffer.from([
    0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 1, 0xff, 0xc0, 0, 11, 8, 0, 8, 0, 8, 1, 0, 0, 0,
  ]);
  return [
    { name: 'Open-i XML', seeds: [bytes(xml)], parse: (b) => readOpenIXml(b.toString('utf8')) },
    {
      name: 'CSV of reports',
      seeds: [bytes('id,text\n1,"a ""b"" c\nd"\r\n2,x\n')],
      parse: (b) => {
        const reader = new CsvReader({ longestField: 1000 });
        reader.push(b.toString('utf8'));
        reader.end();
      },
    },
    {
      name: 'CSV of data',
      seeds: [bytes('file,label\na.png,x\n"b,c.png",y\r\n')],
      parse: (b) => parseDataCsv(b.toString('utf8'), 'a.csv', () => {}),
    },
    { name: 'image header', seeds: [png, jpeg], parse: (b) => readHeader(b) },
    { name: 'IDX', seeds: [idx, gzipSync(idx)], parse: (b) => parseIdx(b, 'a') },
    { name: 'npy', seeds: [npy], parse: (b) => parseNpy(b, 'a') },
    {
      name: 'findings table',
      seeds: [bytes('finding\trole\tphrase\nEdema\tmention\t(pulmonary )?edema\n')],
      parse: (b) => parseFindings(b.toString('utf8'), 'a'),
    },
    {
      name: 'answer of a language model',
      seeds: [bytes('{"Edema":{"status":"present","probability":0.5,"evidence":["x"]}}')],
      parse: (b) => readAnswer(b.toString('utf8'), schema, false),
    },
    {
      name: 'zip',
      seeds: [
        makeZip([
          { name: 'a.txt', bytes: bytes('No effusion.') },
          { name: 'b.xml', bytes: bytes(xml) },
        ]),
      ],
      fromFile: true,
      parse: (_, file) => [...readZipEntries(file, { longest: 1e6, code: 'reports/zip' })],
    },
    { name: 'npz', seeds: [npz], fromFile: true, parse: (_, file) => openDataset(file) },
    {
      name: 'GGUF header',
      seeds: [Buffer.from(tinyGguf(1)).subarray(0, 9000)],
      fromFile: true,
      parse: (_, file) => {
        using opened = openRegular(file);
        return checkGguf(opened);
      },
    },
    {
      name: 'safetensors',
      seeds: [safetensors],
      fromFile: true,
      parse: (_, file) =>
        tidy(() => {
          for (const tensor of readSafetensors(file).tensors.values()) tensor.toArray();
        }),
    },
    {
      name: 'predictions in npz',
      seeds: [
        makeZip([
          { name: 'probabilities.npy', bytes: floats },
          { name: 'labels.npy', bytes: npyOf('|u1', '(2,)', Buffer.from([0, 1])) },
        ]),
      ],
      fromFile: true,
      parse: (_, file) => readPredictions(file),
    },
    {
      name: 'gold',
      seeds: [
        bytes('{"id":"1","text":"a","span":[0,1],"finding":"Edema","status":"positive"}\n'),
        bytes('report,finding,label\n1,Edema,1\n'),
      ],
      fromFile: true,
      parse: (_, file) => readGold(file),
    },
    {
      name: 'JSON lines of reports',
      seeds: [bytes('{"id":"1","text":"No effusion."}\n{"id":"2","text":"x"}\n')],
      fromFile: true,
      parse: async (_, file) => {
        for await (const _batch of fromJsonLines(file, {}, 1000));
      },
    },
  ];
}

/** So many inputs, divided over all parsers. */
export async function* mutateAll(inputs: number, folder: string, random: Random): AsyncGenerator<Tally> {
  mkdirSync(folder, { recursive: true });
  const all = parsers();
  // What reads a file takes some ten times as long.
  const weights = all.map(({ fromFile }) => (fromFile === true ? 1 : 6));
  const sum = weights.reduce((a, b) => a + b, 0);
  for (const [i, parser] of all.entries()) {
    yield await mutateFor(parser, Math.ceil((inputs * weights[i]!) / sum), folder, random);
  }
  rmSync(folder, { recursive: true, force: true });
}

async function mutateFor(parser: Parser, inputs: number, folder: string, random: Random): Promise<Tally> {
  const tally = new Tally(`mutated inputs: ${parser.name}`);
  const file = join(folder, parser.name.endsWith('npz') ? 'a.npz' : 'a.jsonl');
  const before = process.memoryUsage().rss;
  for (; tally.tries < inputs; tally.tries++) {
    const input = mutated(parser.seeds[random.below(parser.seeds.length)]!, random);
    if (parser.fromFile === true) writeFileSync(file, input);
    const began = process.cpuUsage();
    try {
      const answer = parser.parse(input, file);
      if (answer instanceof Promise) await answer;
    } catch (error) {
      const isData = [PenumbraError, BrokenImage, Failure].some((kind) => error instanceof kind);
      tally.check(
        isData,
        () => `${String(error).slice(0, 120)} for ${input.toString('base64').slice(0, 400)}`,
      );
    }
    const { user, system } = process.cpuUsage(began);
    tally.check(
      user + system < SLOWEST * 1000,
      () => `${(user + system) / 1000} ms for ${input.length} bytes`,
    );
    if (tally.tries % 2000 === 0) {
      const grown = process.memoryUsage().rss - before;
      tally.check(grown < MOST_MEMORY, () => `memory grew by ${Math.round(grown / 1e6)} MB`);
    }
  }
  return tally.end();
}

const odd = [0, 1, 0x22, 0x27, 0x2c, 0x3c, 0x3e, 0x7f, 0x80, 0xff];

/** A few changes: bytes, pieces doubled, taken out or repeated many times, numbers made huge, the end cut off. */
export function mutated(seed: Uint8Array, random: Random): Buffer {
  let input = Buffer.from(seed);
  for (let changes = 1 + random.below(4); changes > 0 && input.length > 0; changes--) {
    const at = random.below(input.length);
    const length = Math.min(input.length - at, 1 + random.below(16));
    switch (random.below(8)) {
      case 0:
        input[at] = random.below(256);
        break;
      case 1:
        input[at] = odd[random.below(odd.length)]!;
        break;
      case 2:
        input[at]! ^= 1 << random.below(8);
        break;
      case 3:
        input = Buffer.concat([input.subarray(0, at), input.subarray(at + length)]);
        break;
      case 4: {
        const times = random.below(20) === 0 ? 2000 : 1 + random.below(8);
        const piece = Buffer.concat(Array.from({ length: times }, () => input.subarray(at, at + length)));
        input = Buffer.concat([input.subarray(0, at), piece, input.subarray(at)]);
        break;
      }
      case 5:
        input = input.subarray(0, at);
        break;
      case 6:
        input.fill(0xff, at, Math.min(input.length, at + 4));
        break;
      default:
        input.fill(0, at, Math.min(input.length, at + 4));
    }
  }
  return input;
}

/** Few bytes that claim to be many: each must be answered, with memory that its size bounds. */
export async function bombAll(folder: string): Promise<Tally> {
  mkdirSync(folder, { recursive: true });
  const tally = new Tally('files that would grow (npz, zip over itself, IDX, XML)');
  const zeros = Buffer.alloc(64 << 20);
  const put = (name: string, content: Buffer) => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const npz = put('bomb.npz', makeZip([{ name: 'train_images.npy', bytes: Buffer.concat([zeros, zeros]) }]));
  const same = { bytes: zeros.subarray(0, 4 << 20), claimOffset: 0 };
  const zip = put(
    'bomb.zip',
    makeZip(Array.from({ length: 1000 }, (_, i) => ({ name: `${i}.txt`, ...same }))),
  );
  const idxHead = Buffer.from([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 4]);
  const idx = gzipSync(Buffer.concat([idxHead, zeros]));
  const attacks: Record<string, () => unknown> = {
    npz: () => openDataset(npz),
    zip: () =>
      [...readZipEntries(zip, { longest: 4e6, code: 'reports/zip' })].every((e) => 'failure' in e) || 0,
    idx: () => parseIdx(idx, 'bomb'),
    xml: () => readOpenIXml('<AbstractText Label="FINDINGS">'.repeat(100_000)),
    open: () => readOpenIXml('<'.repeat(2_000_000)),
    comment: () => readOpenIXml('<!--'.repeat(500_000)),
  };
  for (const [name, attack] of Object.entries(attacks)) {
    tally.tries++;
    const began = process.cpuUsage();
    const before = process.memoryUsage().rss;
    try {
      tally.check(attack() !== 0, () => `${name}: believed`);
    } catch (error) {
      tally.check(error instanceof PenumbraError, () => `${name}: ${error}`);
    }
    const { user, system } = process.cpuUsage(began);
    tally.check(user + system < SLOWEST * 1000, () => `${name}: ${(user + system) / 1000} ms`);
    const grown = process.memoryUsage().rss - before;
    tally.check(grown < 300e6, () => `${name}: ${Math.round(grown / 1e6)} MB`);
  }
  rmSync(folder, { recursive: true, force: true });
  return tally;
}
