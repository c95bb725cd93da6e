import { PenumbraError } from '../errors.ts';
import { engineInfo, getThreads, setCuda, setDeterministic, setThreads } from '../torch/index.ts';
import { canFuse } from '../torch/nn/index.ts';
import type { TrainConfig } from './config.ts';

/** How the network is computed; chosen once and saved with the run, because results are bit-exact only in one mode. */
export interface Mode {
  readonly device: string;
  readonly precision: 'float32' | 'bfloat16' | 'float16';
  readonly threads: number;
  /** Whether training uses the fused kernels of batch norm where they fit: see `fusing`. */
  readonly fused: boolean;
  /** Why, for people. */
  readonly reason: string;
}

/**
 * The fastest mode that is safe: a GPU where there is one, and bfloat16 autocast where it is computed in hardware.
 * @param options.localRank which GPU is this process's own, of several processes on one machine
 * @param options.begun how the run was begun that is to be gone on with: it goes on with fused kernels or without as it
 * began, and runs of before there were any have none
 */
export function chooseMode(
  config: Pick<TrainConfig, 'device' | 'precision' | 'threads'> &
    Partial<Pick<TrainConfig, 'fused' | 'tf32' | 'cudnnBenchmark'>>,
  {
    localRank = 0,
    begun,
  }: { readonly localRank?: number; readonly begun?: { readonly fused?: boolean } | undefined } = {},
): Mode {
  const info = engineInfo();
  if (config.device.startsWith('cuda') && !info.cuda.available) {
    throw new PenumbraError(
      'training/device',
      `device '${config.device}' was asked for, and LibTorch sees no CUDA device`,
      {
        hint: info.cuda.problem || 'use device auto or cpu; `npx penumbra doctor` shows what was found',
      },
    );
  }
  const device =
    config.device === 'auto' ? (info.cuda.available ? `cuda:${localRank}` : 'cpu') : config.device;
  if (typeof config.threads === 'number') setThreads(config.threads);
  const threads = getThreads();
  const { precision, reason } = choosePrecision(config.precision, device, info.cuda.capabilities);
  if (device !== 'cpu') {
    setCuda(config);
    // Sums by index (OLS) have no order on a GPU otherwise.
    setDeterministic(!config.cudnnBenchmark);
  }
  const fused = config.fused !== 'off' && device === 'cpu' && canFuse(precision);
  return { device, precision, threads, fused: begun === undefined ? fused : (begun.fused ?? false), reason };
}

/** @param capabilities of the GPUs: 90 for compute capability 9.0; 0 where it is not known */
export function choosePrecision(
  asked: TrainConfig['precision'],
  device: string,
  capabilities: readonly number[],
): Pick<Mode, 'precision' | 'reason'> {
  if (asked !== 'auto') return { precision: asked, reason: 'as configured' };
  if (device !== 'cpu') {
    const capability = capabilities[Number(device.split(':')[1] ?? 0)] ?? 0;
    const known = `compute capability ${(capability / 10).toFixed(1)}`;
    if (capability >= 80) return { precision: 'bfloat16', reason: `the GPU has bfloat16: ${known}` };
    // Tensor cores of float16 alone: the loss is scaled.
    if (capability >= 70) return { precision: 'float16', reason: `the GPU has no bfloat16: ${known}` };
    return { precision: 'float32', reason: capability === 0 ? 'the GPU does not say what it has' : known };
  }
  const { fast, reason } = engineInfo().bf16;
  return { precision: fast ? 'bfloat16' : 'float32', reason };
}
