/**
 * A small assembler of WebAssembly, for the few inner loops where JavaScript has neither vector instructions nor a maximum
 * without a branch. An expression is the bytes that leave its value on the stack, a statement those that leave nothing
 * (webassembly.github.io/spec/core/binary). Two double numbers are computed at a time, each rounded as JavaScript rounds it.
 */
export type Code = readonly number[];

/** A variable of a function: a whole number (an address), or two double numbers. */
export interface Local {
  readonly get: Code;
  readonly set: (value: Code) => Code;
}

/** What Node has of it; the types of browsers, which would declare it, are not those of this project. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: Readonly<Record<string, unknown>> };
};

/** A memory that can grow; its buffer is another one then. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
  /** @param pages of 64 KiB */
  grow(pages: number): number;
}

type LocalType = 'i32' | 'f64x2';
const TYPES = { i32: 0x7f, f64x2: 0x7b } as const;

export const i32 = {
  of: (value: number): Code => [0x41, ...signed(value)],
  load: (address: Code, offset = 0): Code => [...address, 0x28, 2, ...unsigned(offset)],
  add: (a: Code, b: Code): Code => [...a, ...b, 0x6a],
  shiftLeft: (a: Code, bits: number): Code => [...a, ...i32.of(bits), 0x74],
  /** Whether a < b, without signs. */
  less: (a: Code, b: Code): Code => [...a, ...b, 0x49],
};

export const f64x2 = {
  zero: [0xfd, 12, ...new Array<number>(16).fill(0)] as Code,
  load: (address: Code, offset = 0): Code => [...address, 0xfd, 0, 3, ...unsigned(offset)],
  /** One number, twice. */
  loadTwice: (address: Code, offset = 0): Code => [...address, 0xfd, 10, 3, ...unsigned(offset)],
  store: (address: Code, value: Code, offset = 0): Code => [
    ...address,
    ...value,
    0xfd,
    11,
    3,
    ...unsigned(offset),
  ],
  add: (a: Code, b: Code): Code => [...a, ...b, 0xfd, ...unsigned(240)],
  sub: (a: Code, b: Code): Code => [...a, ...b, 0xfd, ...unsigned(241)],
  mul: (a: Code, b: Code): Code => [...a, ...b, 0xfd, ...unsigned(242)],
  /** b < a ? b : a: one instruction, no branch. */
  min: (a: Code, b: Code): Code => [...a, ...b, 0xfd, ...unsigned(246)],
  /** a < b ? b : a. */
  max: (a: Code, b: Code): Code => [...a, ...b, 0xfd, ...unsigned(247)],
};

/** Runs the statements once, and again for as long as `again` is not 0. */
export function loop(again: Code, ...body: readonly Code[]): Code {
  return [0x03, 0x40, ...body.flat(), ...again, 0x0d, 0, 0x0b];
}

/** A function of whole numbers that returns nothing. */
export interface WasmFunction {
  readonly name: string;
  readonly parameters: number;
  /** Its statements. @param locals makes variables, which begin at 0 */
  readonly body: (
    parameters: readonly Local[],
    locals: (type: LocalType, many: number) => Local[],
  ) => readonly Code[];
}

/** Compiles functions that share a memory, which begins with 64 KiB. */
export function assemble(functions: readonly WasmFunction[]): {
  readonly memory: WasmMemory;
  readonly calls: Readonly<Record<string, (...values: number[]) => void>>;
} {
  const signatures = functions.map(({ parameters }) => [
    0x60,
    ...vector(new Array<Code>(parameters).fill([TYPES.i32])),
    0,
  ]);
  const bodies = functions.map(({ parameters, body }) => {
    const types: LocalType[] = [];
    const statements = body(localsFrom(0, parameters), (type, many) => {
      const from = parameters + types.length;
      types.push(...new Array<LocalType>(many).fill(type));
      return localsFrom(from, many);
    });
    const code = [...vector(types.map((type) => [1, TYPES[type]])), ...statements.flat(), 0x0b];
    return [...unsigned(code.length), ...code];
  });
  const exports = functions.map(({ name }, i) => [...text(name), 0, ...unsigned(i)]);
  const module = new WebAssembly.Module(
    Uint8Array.from([
      ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...section(1, signatures),
      ...section(
        3,
        functions.map((_, i) => unsigned(i)),
      ),
      ...section(5, [[0, 1]]),
      ...section(7, [...exports, [...text('memory'), 2, 0]]),
      ...section(10, bodies),
    ]),
  );
  const { memory, ...calls } = new WebAssembly.Instance(module).exports;
  return { memory: memory as WasmMemory, calls: calls as Record<string, () => void> };
}

function localsFrom(from: number, many: number): Local[] {
  return Array.from({ length: many }, (_, i) => ({
    get: [0x20, ...unsigned(from + i)],
    set: (value) => [...value, 0x21, ...unsigned(from + i)],
  }));
}

function section(id: number, items: readonly Code[]): Code {
  const content = vector(items);
  return [id, ...unsigned(content.length), ...content];
}

function vector(items: readonly Code[]): Code {
  return [...unsigned(items.length), ...items.flat()];
}

function text(name: string): Code {
  return vector([...new TextEncoder().encode(name)].map((byte) => [byte]));
}

/** LEB128. */
function unsigned(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)];
}

function signed(value: number): number[] {
  const low = value & 127;
  const rest = value >> 7;
  const ends = (rest === 0 && low < 64) || (rest === -1 && low >= 64);
  return ends ? [low] : [low | 128, ...signed(rest)];
}
