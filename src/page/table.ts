import { type Child, type Markup, tag } from './svg.ts';

/** Said aloud also where a phone shows rows as cards, which are no table to a browser. */
export const ROW = { role: 'row' } as const;
export const HEAD = { scope: 'col', role: 'columnheader' } as const;
export const ROW_HEAD = { scope: 'row', role: 'rowheader' } as const;

export interface TableFrameOptions {
  /** Classes of the frame. Default `scroll`. */
  readonly kind?: string;
  /** Whether its heads sort it, where scripts run. */
  readonly sortable?: boolean;
}

/**
 * A table that scrolls in itself where it is wider than the page, and whose rows are cards on a phone.
 * @param head `tr` elements of the head
 * @param rows `tr` elements of the body; a cell's `data-head` names its column on a card
 */
export function tableFrame(head: Child, rows: Child, options: TableFrameOptions = {}): Markup {
  return tag(
    'div',
    { class: options.kind ?? 'scroll' },
    tag(
      'table',
      { class: 'cards', role: 'table', 'data-sort': options.sortable === true ? '' : undefined },
      tag('thead', { role: 'rowgroup' }, head),
      tag('tbody', { role: 'rowgroup' }, rows),
    ),
  );
}
