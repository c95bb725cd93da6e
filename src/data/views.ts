import { PenumbraError } from '../errors.ts';

/** Which positions a word stands for; other words stand for themselves. */
const MEANINGS: Readonly<Record<string, readonly string[]>> = {
  frontal: [
    'frontal',
    'pa',
    'ap',
    'ap axial',
    'ap supine',
    'ap erect',
    'pa lld',
    'ap lld',
    'ap rld',
    'pa rld',
  ],
  lateral: ['lateral', 'll', 'l', 'rl', 'xtable lateral', 'swimmers'],
};

/** Which of a table's columns names the view; −1 where none does. */
export function viewColumn(header: readonly string[]): number {
  return header.findIndex((name) => /^(view|view[ _]?position|frontal\/lateral|ap\/pa)$/i.test(name.trim()));
}

/** What a data set is told that names no view. */
export function noViews(path: string): PenumbraError {
  return new PenumbraError('data/view', `${path} does not say which view an image is of`, {
    where: { file: path, argument: 'views' },
    hint: 'leave views out, or give the table a column view',
  });
}

/** Keeps images of wanted views, and remembers which views there are. */
export class ViewFilter {
  private readonly views: readonly string[];
  private readonly wanted: ReadonlySet<string>;
  private readonly seen = new Map<string, boolean>();

  /** @param views as `DatasetOptions.views`; undefined wants all. */
  constructor(views: readonly string[] | undefined) {
    this.views = views ?? [];
    this.wanted = new Set(
      this.views.map((view) => view.trim().toLowerCase()).flatMap((v) => MEANINGS[v] ?? [v]),
    );
  }

  /** Whether an image is wanted whose view is any of these, as tables spell them. */
  has(...spellings: string[]): boolean {
    const key = spellings.join('/');
    let known = this.seen.get(key);
    if (known === undefined) {
      known = this.views.length === 0 || spellings.some((text) => this.wanted.has(text.trim().toLowerCase()));
      this.seen.set(key, known);
    }
    return known;
  }

  /** @throws {PenumbraError} `data/view` where no image was wanted. */
  check(table: string): void {
    const all = [...this.seen];
    if (all.length === 0 || all.some(([, known]) => known)) return;
    const names = all.map(([key]) => key || '(blank)');
    throw new PenumbraError('data/view', `no image of ${table} has the view ${this.views.join(' or ')}`, {
      where: { file: table, argument: 'views' },
      hint: `its views are ${names.slice(0, 12).join(', ')}${names.length > 12 ? ', …' : ''}`,
    });
  }
}
