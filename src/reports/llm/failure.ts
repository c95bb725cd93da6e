/**
 * Why a report has no answer, or why one attempt had none.
 *
 * - `timeout`, `connection`, `rate-limited`, `server`, `crashed`: the way to the model failed; another try may not.
 * - `unauthorized`, `not-found`, `redirect`, `refused`: the server does not want the request as it is.
 * - `too-long`: the report does not fit into the model or over `longestText`.
 * - `empty`, `too-large`, `cut-off`, `white-space`, `not-json`, `schema`: there was an answer, and it was none.
 */
export type FailureKind =
  | 'timeout'
  | 'connection'
  | 'rate-limited'
  | 'server'
  | 'crashed'
  | 'unauthorized'
  | 'not-found'
  | 'redirect'
  | 'refused'
  | 'too-long'
  | 'empty'
  | 'too-large'
  | 'cut-off'
  | 'white-space'
  | 'not-json'
  | 'schema';

/** A failed attempt. `detail` holds our own words and numbers only: never text of a report or of an answer. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly kind: FailureKind;
  readonly detail: string;
  /** Milliseconds that the server asked us to wait. */
  readonly retryAfter: number | undefined;

  constructor(kind: FailureKind, detail: string, retryAfter?: number) {
    super(`${kind}: ${detail}`);
    this.kind = kind;
    this.detail = detail;
    this.retryAfter = retryAfter;
  }
}

/** Kinds that say something about the server, not about one report. */
export const transportKinds: ReadonlySet<FailureKind> = new Set([
  'timeout',
  'connection',
  'rate-limited',
  'server',
  'crashed',
  'unauthorized',
  'not-found',
  'redirect',
]);

/** Kinds after which the same request may succeed. */
export const retryableKinds: ReadonlySet<FailureKind> = new Set([
  'timeout',
  'connection',
  'rate-limited',
  'server',
  'crashed',
  'empty',
  'too-large',
  'cut-off',
  'white-space',
  'not-json',
  'schema',
]);
