import { PenumbraError } from './errors.ts';

/** How errors speak of what is registered. */
export interface Words {
  /** `model` of `models/name`. */
  readonly area: string;
  /** `a network`. */
  readonly one: string;
  /** How to write a definition. */
  readonly hint: string;
  /** What the error of an unknown name says: `there is no ${unknown} 'x'`. */
  readonly unknown: string;
  /** After the list of names. */
  readonly more?: string;
}

/** Definitions that configurations and command lines name, from within and from outside; in the order of registration. */
export class Named<D extends { readonly name: string }> {
  private readonly registered = new Map<string, D>();
  private readonly words: Words;
  private readonly good: (definition: D) => boolean;

  /** @param good whether something is a definition at all */
  constructor(words: Words, good: (definition: D) => boolean) {
    this.words = words;
    this.good = good;
  }

  /** @throws `<area>/name` for a name that another has, or that cannot be written in a list; `<area>/<what>` for no definition */
  register(definition: D): void {
    const { area, one, hint } = this.words;
    const what = area.replace(/s$/, '');
    if (!this.good(definition))
      throw new PenumbraError(`${area}/${what}`, `this is no definition of ${one}`, { hint });
    const { name } = definition;
    if (!/^[\w.-]+$/.test(name)) {
      throw new PenumbraError(`${area}/name`, `'${name}' is no name for ${one}`, {
        hint: 'letters, digits, _, . and -',
      });
    }
    const known = this.registered.get(name);
    if (known !== undefined && known !== definition) {
      throw new PenumbraError(`${area}/name`, `there already is ${one} '${name}'`, {
        hint: 'give yours another name',
      });
    }
    this.registered.set(name, definition);
  }

  names(): readonly string[] {
    return [...this.registered.keys()];
  }

  all(): readonly D[] {
    return [...this.registered.values()];
  }

  /** @throws `<area>/unknown` */
  get(name: string): D {
    const definition = this.registered.get(name);
    if (definition !== undefined) return definition;
    const { area, unknown, more = '' } = this.words;
    throw new PenumbraError(`${area}/unknown`, `there is no ${unknown} '${name}'`, {
      hint: `one of: ${this.names().join(', ')}${more}`,
    });
  }
}
