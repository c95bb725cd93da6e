import { z } from 'zod';
import type { Targets } from '../data/index.ts';
import type { BinOptions, BootstrapOptions } from '../metrics/index.ts';
import type { Markup } from '../page/index.ts';
import type { Figure } from './draw/figure.ts';
import type { Judged } from './judged.ts';
import type { Table } from './tables/table.ts';
import type { Answer, View } from './view.ts';

/**
 * One part of a judgement (reliability, conformal sets …) in one place: what it measures, and how that is shown. A new
 * part is a file with one of these and `registerPart`; it is then measured, drawn, tabulated, read and written everywhere.
 */
export interface Part<R = unknown, S = unknown> {
  /** Its key in results, anchors and file names: `conformal`. */
  readonly name: string;
  /** Its heading: `Conformal sets`. */
  readonly title: string;
  readonly kinds: readonly Targets['kind'][];
  /** What may be set, with defaults; `false` leaves the part out. Absent: nothing can be. */
  readonly settings?: z.ZodType<S | false>;
  /** Plain JSON: rates are fractions, losses are in nats, an undefined figure is null. */
  measure(context: Context<S>): Promise<R | Absent> | R | Absent;
  /** Tables and figures in the order in which they are read, and sentences. Pure: it sees nothing but the result. */
  show(result: R, view: View): Shown;
}

/** Why a part was not measured. `quiet`: as nobody would expect it, nothing is said of it. */
export interface Absent {
  readonly absent: string;
  readonly quiet?: boolean;
}

export interface Context<S = unknown> {
  readonly judged: Judged;
  readonly settings: S;
  /** Bins, resamples, level and seed; with the groups of the judged samples where they are known. */
  readonly options: BinOptions & BootstrapOptions;
  /** Sample numbers of the judged rows. */
  readonly indices: Int32Array | undefined;
  readonly signal: AbortSignal | undefined;
  /** Says what is going on. @throws the signal's reason where it is aborted */
  readonly tell: (message: string) => void;
  /** The result of a part that was measured before. */
  readonly of: (part: Part<unknown, never> | string) => unknown;
}

export interface Shown {
  readonly blocks: readonly Block[];
  /** Questions and what the numbers answer, for the reading at the head of a cell. */
  readonly answers?: readonly Answer[];
}

/** A piece of a part's section. */
export type Block =
  | { readonly figure: Figure; readonly fold?: string }
  | {
      readonly table: Table;
      /** Folded away under this title. */
      readonly fold?: string;
      /** `page`: stands in the page alone, not among the files of tables. */
      readonly only?: 'page';
    }
  | { readonly notes: readonly string[] }
  /** What stands in the page alone, such as images. */
  | { readonly html: Markup };

const registered: Part<never, never>[] = [];

/** Adds a part; `before` names the one that it stands in front of, else it is the last. */
export function registerPart<R, S>(part: Part<R, S>, before?: string): void {
  const twice = registered.findIndex(({ name }) => name === part.name);
  if (twice >= 0) registered.splice(twice, 1);
  const at = registered.findIndex(({ name }) => name === before);
  registered.splice(at < 0 ? registered.length : at, 0, part as unknown as Part<never, never>);
}

/** All parts, in the order in which they are measured and read. */
export function partList(): readonly Part[] {
  return registered as unknown as readonly Part[];
}

/**
 * The name of something that is registered, also after this was written: looked up when settings are read. The schema for
 * editors lists those that come with the package.
 */
export function registeredName(names: () => readonly string[]): z.ZodType<string> {
  return z
    .string()
    .superRefine((name, context) => {
      if (!names().includes(name))
        context.addIssue({ code: 'invalid_value', values: [...names()], input: name });
    })
    .meta({ enum: [...names()] });
}
