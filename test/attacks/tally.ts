/** What came of one kind of attack. */
export class Tally {
  readonly name: string;
  tries = 0;
  /** Each in a few words. */
  readonly failures: string[] = [];
  private readonly began = performance.now();
  private ended: number | undefined;

  constructor(name: string) {
    this.name = name;
  }

  check(good: boolean, otherwise: () => string): void {
    if (!good) this.failures.push(otherwise());
  }

  /** The attack is over. */
  end(): this {
    this.ended = performance.now();
    return this;
  }

  /** A row of the table in docs/attacks.md. */
  row(): string {
    const seconds = Math.round(((this.ended ?? performance.now()) - this.began) / 1000);
    const count = this.tries.toLocaleString('en-US');
    return `| ${this.name} | ${count} | ${this.failures.length} | ${seconds} s |`;
  }
}
