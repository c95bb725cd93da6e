import { betterArrow, formatFigure, formatInterval, UNDEFINED } from '../../figures/index.ts';
import { type Child, type Markup, markup, tag } from '../../page/svg.ts';
import { HEAD, ROW, ROW_HEAD, tableFrame } from '../../page/table.ts';
import { swatch } from '../draw/marker.ts';
import { pText } from '../format.ts';
import { versusText } from '../shown.ts';
import {
  columnBlocks,
  columnHead,
  isTurned,
  stubsShown,
  type Table,
  type TableCell,
  type TableColumn,
  type TableRow,
} from '../tables/table.ts';
import type { View } from '../view.ts';

/** Columns that fit a page side by side. */
const ACROSS = 8;
/** A table for people: value, mark and interval, the best shaded; a mark's difference for who points at it. */
export function tableHtml(table: Table, view: View): Markup {
  if (isTurned(table)) return turned(table, view);
  return markup(
    columnBlocks(table.columns, ACROSS - (table.stubs.length - 1)).map((places) =>
      frame(
        heads(table, places),
        bodies(table, (row) =>
          places.map((c, i) =>
            valueCell(table.columns[c]!, row.cells[c]!, view, starts(table, places, i), table.against),
          ),
        ),
        places.length > 7 ? 'scroll tight' : 'scroll',
        table.rows.length,
        table.rows.every(({ block }, r) => r === 0 || !block),
      ),
    ),
  );
}

/** Every difference of a table from the baseline: value, interval (not corrected) and corrected p. */
export function differencesHtml(table: Table, view: View): Child {
  const tested = table.columns.flatMap((_, c) =>
    table.rows.some(({ cells }) => cells[c]!.difference) ? [c] : [],
  );
  const rows = table.rows.filter(({ cells }) => cells.some(({ difference }) => difference !== undefined));
  if (rows.length === 0) return undefined;
  const some = { ...table, rows };
  return [
    tag(
      'p',
      { class: 'note' },
      `Method − ${table.against ?? view.baseline}; below it the ${view.level} interval (not corrected) and the Holm-corrected p.`,
    ),
    columnBlocks(
      tested.map((c) => table.columns[c]!),
      ACROSS,
    ).map((block) => {
      const places = block.map((i) => tested[i]!);
      return frame(
        heads(some, places),
        bodies(some, (row) =>
          places.map((c, i) =>
            differenceCell(table.columns[c]!, row.cells[c]!, view, starts(table, places, i), table.against),
          ),
        ),
        'scroll',
        rows.length,
      );
    }),
  ];
}

function turned({ columns, rows, against }: Table, view: View): Markup {
  const head = tag(
    'tr',
    ROW,
    tag('th', { ...HEAD, class: 'left' }, 'Figure'),
    rows.map((row) => tag('th', { ...HEAD, 'data-m': row.series }, methodMark(row), row.stubs.at(-1)!)),
  );
  const body = columns.map((column, c) =>
    tag(
      'tr',
      ROW,
      tag(
        'th',
        ROW_HEAD,
        arrowed(column),
        column.meaning === undefined ? undefined : tag('span', { class: 'meaning' }, column.meaning),
      ),
      rows.map((row) =>
        valueCell(column, row.cells[c]!, view, false, against, {
          head: row.stubs.at(-1)!,
          series: row.series,
        }),
      ),
    ),
  );
  return frame(head, body, 'scroll', columns.length);
}

/** A very long table scrolls in itself, too. */
function frame(head: Child, body: Child, kind: string, rows: number, sortable = false): Markup {
  return tableFrame(head, body, { kind: rows > 30 ? `${kind} tall` : kind, sortable });
}

function heads({ stubs, columns }: Table, places: readonly number[]): Child {
  const names = stubs.map((stub) => tag('th', { ...HEAD, class: 'left' }, stub));
  const shown = places.map((c) => columns[c]!);
  const own = shown.map((column, i) =>
    tag(
      'th',
      {
        ...HEAD,
        title: column.meaning,
        class: i > 0 && column.group !== shown[i - 1]!.group ? 'first' : undefined,
      },
      arrowed(column),
    ),
  );
  if (shown.every(({ group }) => group === undefined)) return tag('tr', ROW, names, own);
  const groups: Child[] = [];
  for (let from = 0; from < shown.length; ) {
    const { group } = shown[from]!;
    let to = from + 1;
    while (to < shown.length && shown[to]!.group === group) to++;
    groups.push(
      tag('th', { class: 'group', colspan: to - from, scope: 'colgroup', role: 'columnheader' }, group ?? ''),
    );
    from = to;
  }
  return [
    tag(
      'tr',
      ROW,
      stubs.map(() => tag('td', {})),
      groups,
    ),
    tag('tr', ROW, names, own),
  ];
}

function bodies(table: Table, cellsOf: (row: TableRow) => Child): Child {
  return table.rows.map((row, r) =>
    tag(
      'tr',
      { ...ROW, class: row.block && r > 0 ? 'block' : undefined, 'data-m': row.series },
      stubCells(table, row, r),
      cellsOf(row),
    ),
  );
}

function stubCells(table: Table, row: TableRow, r: number): Child {
  return stubsShown(table, r).map((stub, s) => {
    const isMethod = table.stubs[s] === 'Method' && stub !== '';
    return tag(
      'th',
      { ...ROW_HEAD, class: s < table.stubs.length - 1 || isMethod ? 'method-name' : undefined },
      isMethod ? methodMark(row) : undefined,
      stub,
      isMethod && row.baseline ? tag('span', { class: 'soft' }, ' (baseline)') : undefined,
    );
  });
}

function methodMark({ series }: TableRow): Child {
  return series === undefined ? undefined : swatch(series);
}

function starts({ columns }: Table, places: readonly number[], i: number): boolean {
  return i > 0 && columns[places[i]!]!.group !== columns[places[i - 1]!]!.group;
}

function shownBy({ unit, digits }: TableColumn) {
  return { unit: unit === 'count' ? '' : unit, digits } as const;
}

function valueCell(
  column: TableColumn,
  cell: TableCell,
  view: View,
  first: boolean,
  against = view.baseline,
  turned: { readonly head: string; readonly series?: number | undefined } = { head: cardHead(column) },
): Markup {
  const by = shownBy(column);
  const interval = formatInterval(by, cell);
  const names = [...(cell.best ? ['best'] : []), ...(first ? ['first'] : [])].join(' ');
  const difference = versusText(by, testedOf(cell), view.alpha);
  return tag(
    'td',
    {
      role: 'cell',
      class: names === '' ? undefined : names,
      'data-head': turned.head,
      'data-m': turned.series,
      'data-v': cell.value === null ? '' : String(cell.value),
      title: difference === undefined ? undefined : `against ${against}: ${difference}`,
    },
    tag(
      'div',
      {},
      tag('b', {}, formatFigure(by, cell.value)),
      markSpan(cell, against),
      interval === undefined ? undefined : tag('span', { class: 'ci' }, `[${interval}]`),
    ),
  );
}

function differenceCell(
  column: TableColumn,
  cell: TableCell,
  view: View,
  first: boolean,
  against = view.baseline,
): Markup {
  const { difference } = cell;
  if (!difference || difference.value === null)
    return tag('td', { role: 'cell', 'data-head': cardHead(column) }, UNDEFINED);
  const by = shownBy(column);
  const interval = formatInterval(by, difference, true);
  const p = cell.p === null ? 'not tested' : pText(cell.p, view.alpha);
  return tag(
    'td',
    { role: 'cell', class: first ? 'first' : undefined, 'data-head': cardHead(column) },
    tag(
      'div',
      {},
      formatFigure(by, difference.value, true),
      markSpan(cell, against),
      tag('span', { class: 'ci' }, [interval === undefined ? '' : `[${interval}] `, p].join('')),
    ),
  );
}

/** The difference as it was tested. */
function testedOf({ difference, p }: TableCell) {
  return difference && { ...difference, p, adjusted: p };
}

function markSpan({ mark }: TableCell, against: string): Child {
  if (mark === null) return undefined;
  const [kind, sign, text] = {
    better: ['good', '✓', 'significantly better than'],
    worse: ['bad', '✗', 'significantly worse than'],
    differs: ['differs', '≠', 'significantly different from'],
  }[mark];
  return [' ', tag('span', { class: kind, title: `${text} ${against}` }, sign)];
}

/** A column's name in a card, where its group does not stand over it. */
function cardHead(column: TableColumn): string {
  return [column.group ?? '', arrowed(column)].filter((text) => text !== '').join(': ');
}

function arrowed(column: TableColumn): string {
  return column.better === 'none'
    ? columnHead(column)
    : `${columnHead(column)}\u00a0${betterArrow({ better: column.better })}`;
}
