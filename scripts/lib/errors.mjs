/** What a set-up step says when it cannot go on: one line with what is missing and how to get it. */
export class SetupError extends Error {
  name = 'SetupError';

  /** @param {string} message one line  @param {string} [details] more lines: the end of a log */
  constructor(message, details) {
    super(message);
    this.details = details;
  }
}
