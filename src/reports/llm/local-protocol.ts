/** What the extractor and the process that holds the model say to each other. */
export type ToModel =
  | {
      readonly type: 'load';
      readonly gguf: string;
      readonly schema: unknown;
      readonly sequences: number;
      readonly contextSize: number | undefined;
      readonly threads: number;
      readonly gpu: boolean;
      readonly thinking: boolean;
    }
  | {
      readonly type: 'complete';
      readonly id: number;
      readonly system: string;
      readonly user: string;
      readonly temperature: number;
      readonly seed: number;
      readonly maxTokens: number;
    }
  | { readonly type: 'cancel'; readonly id: number };

export type FromModel =
  | { readonly type: 'ready' }
  /** The package is not there, or the file is no model. `detail` speaks of the file, never of a report. */
  | { readonly type: 'unusable'; readonly what: 'package' | 'model'; readonly detail: string }
  | {
      readonly type: 'done';
      readonly id: number;
      readonly text: string;
      readonly cutOff: boolean;
      readonly promptTokens: number;
      readonly completionTokens: number;
    }
  | {
      readonly type: 'failed';
      readonly id: number;
      readonly kind: 'too-long' | 'crashed';
      readonly detail: string;
    };
