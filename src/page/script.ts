/**
 * What a page does for who has scripts; everything can be read without. Read-outs of marks for pointer and keyboard, methods
 * on and off, tables sorted by a click on a head. Static text: nothing from data is ever in it, and it asks for nothing.
 */
export const SCRIPT = `
'use strict';
(() => {
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const make = (name, attributes = {}, text = '') => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.textContent = text;
    return element;
  };
  // Read-outs: a mark's title is shown at once, for the pointer and for arrow keys alike.
  const tip = make('div', { id: 'tip', role: 'status', 'aria-live': 'polite', hidden: '' });
  document.body.append(tip);
  let shown;
  const hide = () => {
    shown?.classList.remove('told');
    shown = undefined;
    tip.hidden = true;
  };
  const tell = (mark, x, y) => {
    if (mark !== shown) {
      hide();
      shown = mark;
      mark.classList.add('told');
      tip.textContent = mark.dataset.tip;
      tip.hidden = false;
    }
    const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = Math.max(8, Math.min(x + 12, room)) + 'px';
    const above = y - tip.offsetHeight - 12;
    tip.style.top = (above > 4 ? above : y + 16) + 'px';
  };
  for (const svg of all('figure svg[role=img], .wide svg[role=img]')) {
    const marks = all('title', svg).flatMap((title) => {
      const mark = title.parentNode;
      if (mark === svg || !title.textContent) return [];
      mark.dataset.tip = title.textContent;
      title.remove();
      return [mark];
    });
    if (marks.length === 0) continue;
    svg.tabIndex = 0;
    const visible = () => marks.filter((mark) => !mark.closest('.off'));
    const at = (mark) => {
      const box = mark.getBoundingClientRect();
      tell(mark, box.left + box.width / 2, box.top);
    };
    svg.addEventListener('pointermove', (event) => {
      const mark = event.target.closest('[data-tip]');
      if (mark) tell(mark, event.clientX, event.clientY);
      else hide();
    });
    svg.addEventListener('pointerleave', hide);
    svg.addEventListener('blur', hide);
    svg.addEventListener('keydown', (event) => {
      const some = visible();
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === 'Escape') hide();
      if (step === undefined || some.length === 0) return;
      event.preventDefault();
      const now = some.indexOf(shown);
      at(some[now < 0 ? (step > 0 ? 0 : some.length - 1) : (now + step + some.length) % some.length]);
    });
  }
  document.addEventListener('scroll', hide, { passive: true });
  // Methods on and off, wherever they stand.
  const box = document.getElementById('methods');
  if (box) {
    for (const item of all('span[data-m]', box)) {
      const label = make('label');
      const input = make('input', { type: 'checkbox' });
      input.checked = true;
      input.addEventListener('change', () => {
        for (const one of all('[data-m="' + item.dataset.m + '"]'))
          if (!box.contains(one)) one.classList.toggle('off', !input.checked);
      });
      label.append(input, ...item.childNodes);
      item.replaceWith(label);
    }
    box.hidden = false;
  }
  // Tables sorted by a head: ascending, descending, as they were.
  for (const table of all('table[data-sort]')) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const heads = all('thead tr:last-child th', table);
    heads.forEach((head, column) => {
      const button = make('button', { type: 'button', title: 'sort' });
      button.append(...head.childNodes);
      head.append(button);
      let state = 0;
      button.addEventListener('click', () => {
        state = (state + 1) % 3;
        for (const other of heads) other.removeAttribute('aria-sort');
        if (state > 0) head.setAttribute('aria-sort', state === 1 ? 'ascending' : 'descending');
        const key = (row) => {
          const cell = row.cells[column];
          return cell.dataset.v === undefined ? cell.textContent.trim() : cell.dataset.v === '' ? NaN : Number(cell.dataset.v);
        };
        const order = (a, b) => {
          const [x, y] = [key(a), key(b)];
          if (typeof x === 'string') return x.localeCompare(y);
          return Number.isNaN(x) - Number.isNaN(y) || x - y;
        };
        const sorted = state === 0 ? rows : [...rows].sort((a, b) => (state === 1 ? order(a, b) : order(b, a)));
        body.append(...sorted);
      });
    });
  }
})();
`;
