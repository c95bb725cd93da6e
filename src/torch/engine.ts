import { readFileSync } from 'node:fs';
import { native } from './native.ts';

export interface EngineInfo {
  /** LibTorch's version. */
  version: string;
  /** The folder of the loaded library. */
  path: string;
  /** `AVX512`, `AVX2`, `DEFAULT`, … */
  cpuCapability: string;
  blas: string;
  mkldnn: boolean;
  /** `capabilities`: 90 for compute capability 9.0, by device; 0 where it cannot be asked. */
  cuda: { available: boolean; devices: number; capabilities: readonly number[]; problem: string };
  threads: number;
  interopThreads: number;
  /** Whether bfloat16 is faster than float32 on this CPU, and how that is known. */
  bf16: { fast: boolean; reason: string };
}

export function engineInfo(): EngineInfo {
  const info = native.info();
  return {
    version: info.version,
    path: info.path,
    cpuCapability: info.cpuCapability,
    blas: info.mkl ? 'mkl' : (/BLAS_INFO=(\w+)/.exec(info.configuration)?.[1] ?? 'unknown'),
    mkldnn: info.mkldnn,
    cuda: {
      available: info.cudaDevices > 0,
      devices: info.cudaDevices,
      capabilities: info.cudaCapabilities,
      problem: info.cudaProblem,
    },
    threads: info.threads,
    interopThreads: info.interopThreads,
    bf16: fastBf16(),
  };
}

/** Without these instructions LibTorch emulates bfloat16, and it is slower than float32. */
function fastBf16(): { fast: boolean; reason: string } {
  let flags: Set<string>;
  try {
    const text = readFileSync('/proc/cpuinfo', 'utf8');
    flags = new Set(/^(?:flags|Features)\s*:\s*(.*)$/m.exec(text)?.[1]?.split(/\s+/) ?? []);
  } catch {
    return { fast: false, reason: 'the processor does not say what it can do' };
  }
  if (flags.has('amx_bf16')) return { fast: true, reason: 'the processor has AMX' };
  if (flags.has('avx512_bf16')) return { fast: true, reason: 'the processor has AVX512-BF16' };
  return { fast: false, reason: 'the processor has neither AMX nor AVX512-BF16' };
}

/** Number of threads that one operator may use. Stored with checkpoints: results are bit-exact only at equal counts. */
export function getThreads(): number {
  return native.threads();
}

/** @param threads at least 1 */
export function setThreads(threads: number): void {
  native.setThreads(threads);
}

/** Asks operators for their deterministic variants; matters on CUDA. */
export function setDeterministic(enabled: boolean): void {
  native.setDeterministic(enabled);
}

export interface CudaSwitches {
  /** Products and convolutions of float32 in TF32, with 10 bits of mantissa; of compute capability 8.0 and above. Default: false. */
  readonly tf32?: boolean;
  /** cuDNN tries its algorithms for every new shape: faster, and not the same algorithms every time. Default: false. */
  readonly cudnnBenchmark?: boolean;
}

/** How GPUs compute. Not to be called for a run on the processor: it would change oneDNN's products. */
export function setCuda({ tf32 = false, cudnnBenchmark = false }: CudaSwitches): void {
  native.setCuda(tf32, cudnnBenchmark);
}

export interface MemoryStatistics {
  /** Tensors not yet released, and their bytes (a view counts with its own size). */
  tensors: number;
  bytes: number;
  /** Tensors made since the process started, and how many of them the garbage collector had to release. */
  created: number;
  collected: number;
  /** Bytes of large CPU blocks in use now and at most, and taken from the system. */
  allocated: number;
  peak: number;
  reserved: number;
}

export function memoryStatistics(): MemoryStatistics {
  return { ...native.handleStatistics(), ...native.allocatorStatistics() };
}

/** Gives cached memory back to the system. */
export function trimMemory(): void {
  native.trimAllocator();
}

/** Begins a new measurement of `peak`. */
export function resetPeak(): void {
  native.resetPeak();
}

/** Makes larger requests for CPU memory fail with `torch/out-of-memory`; 0 removes the limit. */
export function setMemoryLimit(bytes: number): void {
  native.setMemoryLimit(bytes);
}
