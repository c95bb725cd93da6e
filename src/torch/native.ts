import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { addonFile } from '../../scripts/lib/paths.mjs';
import { PenumbraError } from '../errors.ts';

/** The native half of a tensor or generator; opaque to JavaScript. */
export type Handle = { readonly __handle: never };
/** What keeps the memory of an array over a tensor; opaque. */
export type Keeper = { readonly __keeper: never };
/** A memory-mapped file; opaque. */
export type FileMap = { readonly __map: never };

export interface NativeSlot {
  name: string;
  type: string;
  kind: string;
  length: number;
  optional: boolean;
  list: boolean;
  optionalElements: boolean;
  keywordOnly: boolean;
  written: boolean;
  hasDefault: boolean;
}

export interface NativeSchema {
  name: string;
  overload: string;
  schema: string;
  random: boolean;
  arguments: NativeSlot[];
  returns: NativeSlot[];
}

/** What batch norm takes. */
export type BatchNormValues = [
  input: Handle,
  weight: Handle,
  bias: Handle,
  runningMean: Handle,
  runningVar: Handle,
  momentum: number,
  eps: number,
];

export interface NativeInfo {
  version: string;
  path: string;
  cpuCapability: string;
  mkl: boolean;
  mkldnn: boolean;
  configuration: string;
  threads: number;
  interopThreads: number;
  cudaDevices: number;
  cudaProblem: string;
  /** 90 for compute capability 9.0, by device; 0 where it cannot be asked. */
  cudaCapabilities: number[];
}

export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** What `native/` registers, one line a function. */
interface Binding {
  setErrorFactory(factory: (code: string, message: string, hint?: string) => Error): void;
  /** Takes a function that collects all garbage at once. */
  setCollector(run: () => void): void;
  operator(name: string): (...args: unknown[]) => unknown;
  schemas(): NativeSchema[];
  /** The handle must not be used again: it may come to hold another tensor. */
  release(handle: Handle): void;
  /** What a tensor holds after its release: every use is an error that says so. */
  readonly released: Handle;
  handleStatistics(): { tensors: number; bytes: number; created: number; collected: number };
  backward(tensor: Handle, gradient: Handle | null, retainGraph: boolean, createGraph: boolean): void;
  grad(
    outputs: Handle[],
    inputs: Handle[],
    gradOutputs: Handle[] | null,
    retainGraph: boolean,
    createGraph: boolean,
    allowUnused: boolean,
  ): (Handle | null)[];
  gradient(tensor: Handle): Handle | null;
  setGradient(tensor: Handle, gradient: Handle | null): void;
  setData(tensor: Handle, other: Handle): void;
  gradEnabled(): boolean;
  setGradEnabled(enabled: boolean): void;
  enterAutocast(device: string, dtype: string): object;
  leaveAutocast(token: object): void;
  /** Takes images and a weight, both of one type once autocast has seen them. */
  convolve(input: Handle, weight: Handle, bias: Handle | null, stride: number, padding: number): Handle;
  /** Null where the kernels do not fit the tensors or the processor. */
  batchNorm(...given: [...BatchNormValues, activation: string, added: Handle | null]): Handle | null;
  /** Whether the processor has those kernels for a type. */
  fusesBatchNorm(dtype: string): boolean;
  share(data: TypedArray, shape: readonly number[], dtype: string): Handle;
  data(tensor: Handle): [array: TypedArray, keeper: Keeper | null];
  /** Ends an array of `data` and gives its memory back. */
  detach(array: TypedArray, keeper: Keeper): void;
  copy(tensor: Handle): TypedArray;
  mapFile(path: string): { map: FileMap; size: number };
  mappedBytes(map: FileMap, offset: number, length: number): Buffer;
  mappedTensor(map: FileMap, offset: number, shape: readonly number[], dtype: string): Handle;
  shape(tensor: Handle): number[];
  strides(tensor: Handle): number[];
  dtype(tensor: Handle): string;
  device(tensor: Handle): string;
  requiresGrad(tensor: Handle): boolean;
  item(tensor: Handle): number | bigint | boolean;
  isContiguous(tensor: Handle, memoryFormat: string): boolean;
  allocatorStatistics(): { allocated: number; peak: number; reserved: number };
  trimAllocator(): void;
  resetPeak(): void;
  setMemoryLimit(bytes: number): void;
  info(): NativeInfo;
  setThreads(threads: number): void;
  threads(): number;
  setDeterministic(enabled: boolean): void;
  setCuda(tf32: boolean, benchmark: boolean): void;
  generator(seed: number | bigint, device: string): Handle;
  generatorState(generator: Handle): Handle;
  setGeneratorState(generator: Handle, state: Handle): void;
  /** Absent where this LibTorch was built without c10d and Gloo, as `makeReducer` and all of `NativeDistributed` are. */
  readonly openStore?: NativeDistributed['openStore'];
}

/** Stores, process groups and reducers are numbers. Each call throws `distributed/peer` where another process is not there. */
export interface NativeDistributed {
  openStore(host: string, port: number, serves: boolean, prefix: string, timeout: number): number;
  closeStore(store: number): void;
  storeSet(store: number, key: string, text: string): void;
  storeGet(store: number, key: string): string | null;
  storeAdd(store: number, key: string, by: number): number;
  joinGroup(
    store: { store: number; host: string; port: number; prefix: string; hosted: boolean },
    rank: number,
    who: readonly string[],
    address: string,
    timeout: number,
  ): number;
  leaveGroup(group: number): void;
  allReduce(group: number, tensor: Handle, operation: string): void;
  broadcast(group: number, tensor: Handle, root: number): void;
  allGather(group: number, tensor: Handle): Handle[];
  verifyParameters(group: number, tensors: readonly Handle[]): void;
  askWatch(group: number): void;
  watchVerdict(group: number): string | null;
  lostStore(group: number): string;
  exitNow(code: number): never;
  makeReducer(
    group: number,
    parameters: readonly Handle[],
    names: readonly string[],
    findUnused: boolean,
  ): number;
  reduceBackward(reducer: number, loss: Handle): void;
  releaseReducer(reducer: number): void;
  reachesAll(loss: Handle, parameters: readonly Handle[]): boolean;
  syncBatchNorm(group: number, ...norm: BatchNormValues): Handle;
}

function load(): Binding {
  const path = process.env.PENUMBRA_ADDON ?? builtAddon();
  try {
    const binding = createRequire(import.meta.url)(path) as Binding;
    binding.setErrorFactory((code, message, hint) => new PenumbraError(code, message, { hint }));
    binding.setCollector(collector());
    return binding;
  } catch (cause) {
    if (cause instanceof PenumbraError) throw cause;
    throw new PenumbraError('torch/addon', `the engine could not be loaded: ${(cause as Error).message}`, {
      hint: 'run `npx penumbra setup`; `npx penumbra doctor` shows what is missing',
      cause,
    });
  }
}

function builtAddon(): string {
  if (existsSync(addonFile)) return addonFile;
  throw new PenumbraError('torch/addon', 'the engine is not built', {
    hint: 'run `npx penumbra setup`: it finds or fetches LibTorch and builds the engine, once',
  });
}

/** V8's own collection, which a program cannot call unless it is exposed. */
function collector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

export const native: Binding = load();
