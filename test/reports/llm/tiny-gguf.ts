import { Random } from '../../../src/random.ts';

/**
 * A language model that knows nothing, as the bytes of a GGUF file (version 3): llama's architecture with one block,
 * random weights and one token per byte. About 130 kB. What comes out of it is noise unless decoding is constrained.
 */
export function tinyGguf(seed: number, options: { contextLength?: number } = {}): Uint8Array {
  const random = new Random(seed);
  const width = 32;
  const feedForward = 64;
  const tokens = ['<unk>', '<s>', '</s>', '▁'];
  const types = [TOKEN_UNKNOWN, TOKEN_CONTROL, TOKEN_CONTROL, TOKEN_NORMAL];
  for (let byte = 0; byte < 256; byte++) {
    tokens.push(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
    types.push(TOKEN_BYTE);
  }
  const tensors: { name: string; shape: number[]; data: Float32Array }[] = [];
  const matrix = (name: string, columns: number, rows: number): void => {
    const data = Float32Array.from({ length: columns * rows }, () => random.normal() / Math.sqrt(columns));
    tensors.push({ name: `${name}.weight`, shape: [columns, rows], data });
  };
  const ones = (name: string): void => {
    tensors.push({ name: `${name}.weight`, shape: [width], data: new Float32Array(width).fill(1) });
  };
  matrix('token_embd', width, tokens.length);
  ones('blk.0.attn_norm');
  for (const name of ['attn_q', 'attn_k', 'attn_v', 'attn_output']) matrix(`blk.0.${name}`, width, width);
  ones('blk.0.ffn_norm');
  matrix('blk.0.ffn_gate', width, feedForward);
  matrix('blk.0.ffn_up', width, feedForward);
  matrix('blk.0.ffn_down', feedForward, width);
  ones('output_norm');
  matrix('output', width, tokens.length);

  const head = new Writer();
  const settings: [string, () => void][] = [
    ['general.architecture', () => head.text('llama')],
    ['general.name', () => head.text('knows nothing')],
    ['llama.context_length', () => head.uint32(options.contextLength ?? 16384)],
    ['llama.embedding_length', () => head.uint32(width)],
    ['llama.block_count', () => head.uint32(1)],
    ['llama.feed_forward_length', () => head.uint32(feedForward)],
    ['llama.attention.head_count', () => head.uint32(2)],
    ['llama.attention.head_count_kv', () => head.uint32(2)],
    ['llama.attention.layer_norm_rms_epsilon', () => head.float32(1e-5)],
    ['llama.rope.dimension_count', () => head.uint32(width / 2)],
    ['llama.vocab_size', () => head.uint32(tokens.length)],
    ['tokenizer.ggml.model', () => head.text('llama')],
    ['tokenizer.ggml.tokens', () => head.array(STRING, tokens, (token) => head.rawText(token))],
    ['tokenizer.ggml.scores', () => head.array(FLOAT32, tokens, () => head.rawFloat32(0))],
    ['tokenizer.ggml.token_type', () => head.array(INT32, types, (type) => head.rawUint32(type))],
    ['tokenizer.ggml.unknown_token_id', () => head.uint32(0)],
    ['tokenizer.ggml.bos_token_id', () => head.uint32(1)],
    ['tokenizer.ggml.eos_token_id', () => head.uint32(2)],
  ];
  head.rawUint32(0x46554747); // "GGUF"
  head.rawUint32(3);
  head.rawUint64(tensors.length);
  head.rawUint64(settings.length);
  for (const [key, write] of settings) {
    head.rawText(key);
    write();
  }
  let offset = 0;
  for (const { name, shape, data } of tensors) {
    head.rawText(name);
    head.rawUint32(shape.length);
    for (const length of shape) head.rawUint64(length);
    head.rawUint32(0); // F32
    head.rawUint64(offset);
    offset = align(offset + data.byteLength);
  }
  const start = align(head.length);
  const file = new Uint8Array(start + offset);
  file.set(head.bytes());
  let at = start;
  for (const { data } of tensors) {
    file.set(new Uint8Array(data.buffer), at);
    at = align(at + data.byteLength);
  }
  return file;
}

const TOKEN_NORMAL = 1;
const TOKEN_UNKNOWN = 2;
const TOKEN_CONTROL = 3;
const TOKEN_BYTE = 6;
const UINT32 = 4;
const INT32 = 5;
const FLOAT32 = 6;
const STRING = 8;
const ARRAY = 9;

/** Data begins at, and tensors are padded to, multiples of 32 bytes: GGUF's default alignment. */
function align(offset: number): number {
  return Math.ceil(offset / 32) * 32;
}

/** Little-endian values one after the other; the methods without `raw` write their type first. */
class Writer {
  private readonly parts: Buffer[] = [];
  length = 0;

  bytes(): Uint8Array {
    return Buffer.concat(this.parts);
  }

  uint32(value: number): void {
    this.rawUint32(UINT32);
    this.rawUint32(value);
  }

  float32(value: number): void {
    this.rawUint32(FLOAT32);
    this.rawFloat32(value);
  }

  text(value: string): void {
    this.rawUint32(STRING);
    this.rawText(value);
  }

  array<T>(type: number, items: readonly T[], write: (item: T) => void): void {
    this.rawUint32(ARRAY);
    this.rawUint32(type);
    this.rawUint64(items.length);
    for (const item of items) write(item);
  }

  rawUint32(value: number): void {
    const part = Buffer.alloc(4);
    part.writeUInt32LE(value);
    this.push(part);
  }

  rawUint64(value: number): void {
    const part = Buffer.alloc(8);
    part.writeBigUInt64LE(BigInt(value));
    this.push(part);
  }

  rawFloat32(value: number): void {
    const part = Buffer.alloc(4);
    part.writeFloatLE(value);
    this.push(part);
  }

  rawText(value: string): void {
    const bytes = Buffer.from(value, 'utf8');
    this.rawUint64(bytes.length);
    this.push(bytes);
  }

  private push(part: Buffer): void {
    this.parts.push(part);
    this.length += part.length;
  }
}
