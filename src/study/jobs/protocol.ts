/** What the process of a study and those that train its runs say to each other. */
import type { OpenOptions } from '../../data/index.ts';
import { formatError, PenumbraError } from '../../errors.ts';
import { fileError, systemCode } from '../../files/index.ts';
import type { FitEvent, TrainConfig } from '../../training/index.ts';
import type { StudySpec } from '../study-file.ts';

/** From what another process opens the same data, methods and networks. */
export type JobSource =
  | {
      readonly kind: 'study';
      readonly study: StudySpec;
      /** Files of methods and networks of one's own. */
      readonly code: readonly string[];
    }
  | {
      readonly kind: 'dataset';
      /** The set's name in the plan. */
      readonly id: string;
      readonly path: string;
      readonly options: OpenOptions;
      /** Of the data set that the study has, see `datasetIdentity`: the runs must be of the same one. */
      readonly identity: string;
      /** As `importObjective` and `importModel` take them. */
      readonly objectives: readonly string[];
      readonly model?: string | undefined;
    };

/** One run, as another process needs it. */
export interface Job {
  readonly set: string;
  readonly config: TrainConfig;
  readonly folder: string;
}

export type Request =
  | { readonly type: 'open'; readonly source: JobSource }
  | { readonly type: 'train'; readonly job: Job }
  /** Times training steps for so many seconds. */
  | { readonly type: 'time'; readonly job: Job; readonly seconds: number }
  /** Stops the run under way at a checkpoint. */
  | { readonly type: 'stop' };

export type Reply =
  | { readonly type: 'opened' }
  | { readonly type: 'fit'; readonly event: FitEvent }
  | { readonly type: 'trained'; readonly finished: boolean }
  | { readonly type: 'timed'; readonly imagesPerSecond: number }
  | { readonly type: 'failed'; readonly error: ErrorData };

export interface ErrorData {
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly where: Readonly<Record<string, string | number>>;
}

/** An error as it crosses to another process: what was not raised on purpose is named by its kind, never quoted. */
export function errorData(error: unknown): ErrorData {
  const known =
    error instanceof PenumbraError || systemCode(error) === undefined
      ? error
      : fileError(error, (error as NodeJS.ErrnoException).path ?? 'a file', 'used');
  if (!(known instanceof PenumbraError)) {
    return {
      code: 'study/job',
      message: formatError(known).replace(/^error( \[internal\])?: /, ''),
      where: {},
    };
  }
  const { code, message, hint, where } = known;
  return { code, message, hint, where: { ...where } };
}

export function errorOf({ code, message, hint, where }: ErrorData): PenumbraError {
  return new PenumbraError(code, message, { ...(hint !== undefined && { hint }), where });
}
