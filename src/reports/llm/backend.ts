import type { Messages } from './prompt.ts';

/** What is asked of a model. */
export interface CompletionRequest extends Messages {
  readonly temperature: number;
  readonly seed: number;
  /** The most tokens of the answer. */
  readonly maxTokens: number;
  readonly signal?: AbortSignal | undefined;
}

/** What it answered. Nothing of it is trusted. */
export interface Completion {
  readonly text: string;
  /** The answer ended because `maxTokens` was reached. */
  readonly cutOff: boolean;
  /** Tokens as the server counts them; null where it does not say. */
  readonly promptTokens: number | null;
  readonly completionTokens: number | null;
}

/** A way to a model: a server, or a child process. */
export interface Backend {
  /**
   * One attempt, without retries.
   * @throws Failure when there is no answer; the signal's reason when it was aborted; PenumbraError for what no
   *   other report could get past either (a missing package, a file that is no model)
   */
  complete(request: CompletionRequest): Promise<Completion>;
  /** What the run turned out to use, for statistics. */
  readonly mode: string;
  close(): Promise<void>;
}
