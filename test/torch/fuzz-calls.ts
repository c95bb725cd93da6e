/**
 * The child process of fuzz.ts: calls operators with random arguments, as its one job describes it. Before each call
 * its index goes to the progress file, so that the parent knows which call a crash or a hang belongs to.
 */
import { openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { PenumbraError } from '../../src/errors.ts';
import { Random } from '../../src/random.ts';
import {
  aten,
  type DType,
  Generator,
  setMemoryLimit,
  setThreads,
  type Tensor,
  tensor,
  tidy,
} from '../../src/torch/index.ts';
import { type NativeSchema, type NativeSlot, native } from '../../src/torch/native.ts';

export interface Job {
  seed: number;
  first: number;
  /** Exclusive. */
  end: number;
  /** Every how many-th call is this child's. */
  step: number;
  excluded: string[];
  progress: string;
  result: string;
}

export interface Outcome {
  returned: number;
  /** By code of the error. */
  refused: Record<string, number>;
  /** Errors that are not PenumbraErrors, or show C++ to the caller. */
  improper: string[];
}

const DTYPES: readonly DType[] = [
  'float32',
  'float32',
  'float32',
  'float64',
  'bfloat16',
  'float16',
  'int64',
  'int64',
  'int32',
  'int16',
  'int8',
  'uint8',
  'bool',
  'complex64',
];
const STRINGS = [
  '',
  'mean',
  'sum',
  'none',
  'constant',
  'reflect',
  'linear',
  'fro',
  'nuc',
  'trunc',
  'floor',
  'amax',
  'left',
  'ij',
  'L',
  'no such thing',
];
const INTEGERS = [-2, -1, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5, 7];
const EXTREME_INTEGERS = [-(2 ** 53 - 1), 2 ** 31, -(2 ** 31), 2 ** 53 - 1, 2n ** 62n, -(2n ** 62n), 1000];
const FLOATS = [0, 0.5, 1, -1, 2, 1e-5, 1e30, -0, Number.NaN, Number.POSITIVE_INFINITY];
const DEVICES = ['cpu', 'cpu', 'cpu', 'meta', 'cuda', 'cuda:1', 'nowhere'];

/** The schemas that JavaScript can call, without the excluded operators; in a fixed order. */
export function fuzzedSchemas(excluded: readonly string[]): NativeSchema[] {
  const out = new Set(excluded);
  return native
    .schemas()
    .filter((schema) => !out.has(schema.name))
    .filter((schema) =>
      schema.arguments.every((slot) => slot.kind !== 'unsupported' || slot.hasDefault || slot.optional),
    )
    .sort((a, b) => (a.schema < b.schema ? -1 : 1));
}

/** The call of an index: a pure function of its arguments. */
export function describeCall(schemas: readonly NativeSchema[], seed: number, index: number): NativeSchema {
  return schemas[new Random(seed, index).below(schemas.length)]!;
}

class Arguments {
  readonly #random: Random;
  /** Most calls are meant to get past the checks, so the tensors of one call agree in most things. */
  readonly #shape: number[];
  readonly #dtype: DType;

  constructor(random: Random) {
    this.#random = random;
    this.#shape = Array.from({ length: random.below(5) }, () =>
      random.below(12) === 0 ? 0 : 1 + random.below(4),
    );
    this.#dtype = this.#pick(DTYPES);
  }

  ofSchema(schema: NativeSchema): unknown[] {
    const positional: unknown[] = [];
    const options: Record<string, unknown> = {};
    let skipped = false;
    for (const slot of schema.arguments) {
      if (slot.kind === 'unsupported') {
        skipped = true;
        continue;
      }
      const omissible = slot.hasDefault || slot.optional;
      const given =
        !omissible || this.#random.below(3) > 0 || (slot.kind === 'Generator' && this.#random.below(8) > 0);
      if (slot.keywordOnly || skipped || !given) {
        skipped = true;
        if (given) options[slot.name] = this.#value(slot);
      } else {
        positional.push(this.#value(slot));
      }
    }
    if (Object.keys(options).length > 0) positional.push(options);
    return positional;
  }

  /** Too few, too many, or of other types. */
  spoil(values: unknown[]): unknown[] {
    const at = this.#random.below(values.length + 1);
    switch (this.#random.below(4)) {
      case 0:
        return values.slice(0, at);
      case 1:
        return [...values.slice(0, at), this.#anything(), ...values.slice(at)];
      default: {
        const spoilt = [...values];
        spoilt[at] = this.#anything();
        return spoilt;
      }
    }
  }

  #value(slot: NativeSlot): unknown {
    if (slot.optional && this.#random.below(4) === 0) return null;
    if (!slot.list) return this.#single(slot.kind);
    if (slot.length > 0 && this.#random.below(3) === 0) return this.#single(slot.kind);
    const length = slot.length > 0 && this.#random.below(4) > 0 ? slot.length : this.#random.below(5);
    return Array.from({ length }, () =>
      slot.optionalElements && this.#random.below(3) === 0 ? null : this.#single(slot.kind),
    );
  }

  #single(kind: string): unknown {
    switch (kind) {
      case 'Tensor':
        return this.#tensor();
      case 'int':
        return this.#random.below(12) === 0 ? this.#pick(EXTREME_INTEGERS) : this.#pick(INTEGERS);
      case 'float':
        return this.#pick(FLOATS);
      case 'bool':
        return this.#random.below(2) === 1;
      case 'Scalar':
        return this.#random.below(2) === 0 ? this.#pick(INTEGERS) : this.#pick(FLOATS);
      case 'str':
        return this.#pick(STRINGS);
      case 'ScalarType':
        return this.#pick(DTYPES);
      case 'Layout':
        return this.#random.below(6) === 0 ? 'sparse' : 'strided';
      case 'MemoryFormat':
        return this.#pick(['contiguous_format', 'preserve_format', 'channels_last', 'channels_last_3d']);
      case 'Device':
        return this.#pick(DEVICES);
      case 'Generator':
        return new Generator(this.#random.below(1000));
      default:
        return this.#anything();
    }
  }

  #tensor(): Tensor {
    const random = this.#random;
    const shape =
      random.below(4) === 0 ? Array.from({ length: random.below(5) }, () => random.below(5)) : this.#shape;
    const dtype = random.below(5) === 0 ? this.#pick(DTYPES) : this.#dtype;
    const count = shape.reduce((product, size) => product * size, 1);
    const values = Float32Array.from({ length: count }, () => Math.fround(random.normal() * 3));
    let made = tensor(values).view(shape).to({ dtype });
    if (shape.length >= 2 && random.below(6) === 0) made = made.transpose(0, 1);
    if (random.below(6) === 0 && (dtype === 'float32' || dtype === 'float64')) made.requires_grad_();
    return made;
  }

  #anything(): unknown {
    switch (this.#random.below(14)) {
      case 0:
        return undefined;
      case 1:
        return null;
      case 2:
        return this.#tensor();
      case 3:
        return [this.#tensor(), 1];
      case 4:
        return this.#pick(EXTREME_INTEGERS);
      case 5:
        return 0.5;
      case 6:
        return 'float32';
      case 7:
        return [1, 'two', null];
      case 8:
        return { self: 1, nonsense: this.#tensor() };
      case 9:
        return () => 1;
      case 10:
        return Symbol('s');
      case 11:
        return new Float32Array(3);
      case 12:
        return [[[]]];
      default:
        return true;
    }
  }

  #pick<T>(values: readonly T[]): T {
    return values[this.#random.below(values.length)]!;
  }
}

/** Draws, as `describeCall` does, first the operator and then everything else from the stream of the index. */
function callOne(schemas: readonly NativeSchema[], job: Job, index: number, outcome: Outcome): void {
  const random = new Random(job.seed, index);
  const schema = schemas[random.below(schemas.length)]!;
  tidy(() => {
    const maker = new Arguments(random);
    let values = maker.ofSchema(schema);
    if (random.below(4) === 0) values = maker.spoil(values);
    try {
      (aten as unknown as Record<string, (...args: unknown[]) => unknown>)[schema.name]!(...values);
      outcome.returned++;
    } catch (error) {
      const code = error instanceof PenumbraError ? error.code : 'other';
      outcome.refused[code] = (outcome.refused[code] ?? 0) + 1;
      const message = String((error as Error)?.message);
      // The stack of C++ frames that c10 adds to its messages.
      const improper =
        code === 'other' || !message.includes(schema.name) || /Exception raised from|frame #\d/.test(message);
      if (improper && outcome.improper.length < 20)
        outcome.improper.push(`${schema.name} [${index}]: ${String(error)}`);
    }
  });
}

if (process.argv[2] !== undefined && process.argv[1]?.endsWith('fuzz-calls.ts')) {
  const job = JSON.parse(readFileSync(process.argv[2], 'utf8')) as Job;
  setThreads(1);
  setMemoryLimit(512 * 2 ** 20);
  const schemas = fuzzedSchemas(job.excluded);
  const outcome: Outcome = { returned: 0, refused: {}, improper: [] };
  const progress = openSync(job.progress, 'w');
  const mark = Buffer.alloc(8);
  for (let index = job.first; index < job.end; index += job.step) {
    mark.writeDoubleLE(index);
    writeSync(progress, mark, 0, 8, 0);
    callOne(schemas, job, index, outcome);
  }
  writeFileSync(job.result, JSON.stringify(outcome));
}
