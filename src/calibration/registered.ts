import { PenumbraError } from '../errors.ts';

/** What is known by name, from within and from outside: calibrators, kinds of sets, risks. */
export class Registered<T> {
  private readonly items = new Map<string, T>();
  private readonly order: string[] = [];
  private readonly what: string;

  /** @param what what one of them is, for errors: `calibrator` */
  constructor(what: string) {
    this.what = what;
  }

  /** In the order of registration; what is registered later is in it, too. */
  get names(): readonly string[] {
    return this.order;
  }

  /** @throws PenumbraError `calibration/registered` where the name is taken */
  add(name: string, item: T): void {
    if (this.items.has(name)) {
      throw new PenumbraError('calibration/registered', `There is already a ${this.what} "${name}".`, {
        hint: 'Register it once, under another name.',
        where: { name },
      });
    }
    this.items.set(name, item);
    this.order.push(name);
  }

  find(name: unknown): T | undefined {
    return typeof name === 'string' ? this.items.get(name) : undefined;
  }

  /** @throws PenumbraError `calibration/unknown` */
  get(name: string): T {
    const item = this.items.get(name);
    if (item !== undefined) return item;
    throw new PenumbraError('calibration/unknown', `There is no ${this.what} "${name}".`, {
      hint: `One of: ${this.order.join(', ')}.`,
    });
  }
}

/** @throws PenumbraError `calibration/option` for an option that a method does not have */
export function checkNames(method: string, options: object, known: readonly string[]): void {
  for (const option of Object.keys(options)) {
    if (known.includes(option)) continue;
    throw new PenumbraError('calibration/option', `${method} has no option "${option}".`, {
      hint: known.length === 0 ? 'It has none.' : `Its options are ${known.join(', ')}.`,
      where: { option },
    });
  }
}
