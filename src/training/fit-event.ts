import type { Mode } from './mode.ts';
import type { EpochMetrics, RunDescription } from './run-folder.ts';

/** What a training run tells while it goes on. */
export type FitEvent =
  | {
      readonly type: 'start';
      readonly description: RunDescription;
      readonly mode: Mode;
      readonly steps: number;
    }
  | { readonly type: 'resume'; readonly epoch: number; readonly step: number }
  | {
      readonly type: 'step';
      readonly step: number;
      readonly steps: number;
      readonly loss: number;
      readonly images: number;
    }
  | { readonly type: 'epoch'; readonly metrics: EpochMetrics; readonly epochs: number }
  /** Other programs, or something else, slow the run down: told once. */
  | { readonly type: 'busy'; readonly message: string }
  | { readonly type: 'notice'; readonly message: string };
