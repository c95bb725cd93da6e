import { PenumbraError } from '../errors.ts';
import { engineInfo, getThreads, setThreads } from '../torch/index.ts';
import type { TrainConfig } from './config.ts';

/** How the network is computed; chosen once and saved with the run, because results are bit-exact only in one mode. */
export interface Mode {
  readonly device: string;
  readonly precision: 'float32' | 'bfloat16';
  readonly threads: number;
  /** Why, for people. */
  readonly reason: string;
}

/**
 * The fastest mode that is safe: a GPU where there is one, and bfloat16 autocast where it is computed in hardware.
 * @param localRank which GPU is this process's own, of several processes on one machine
 */
export function chooseMode(
  config: Pick<TrainConfig, 'device' | 'precision' | 'threads'>,
  localRank = 0,
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
  if (config.threads !== null) setThreads(config.threads);
  const threads = getThreads();
  if (config.precision !== 'auto')
    return { device, precision: config.precision, threads, reason: 'as configured' };
  if (device !== 'cpu')
    return { device, precision: 'bfloat16', threads, reason: 'GPU with bfloat16 autocast' };
  const { fast, reason } = info.bf16;
  return { device, precision: fast ? 'bfloat16' : 'float32', threads, reason };
}
