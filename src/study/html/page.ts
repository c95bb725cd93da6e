import { HATCH } from '../draw/figure.ts';
import { type Child, Markup, markup, tag } from '../draw/svg.ts';
import { STYLE } from './style.ts';

/** A whole document: no scripts, no requests. Everything that comes from data is escaped. */
export function page(title: string, kind: 'comparison' | 'study', ...children: Child[]): string {
  const head = tag(
    'head',
    {},
    tag('meta', { charset: 'utf-8' }),
    tag('meta', { name: 'viewport', content: 'width=device-width, initial-scale=1' }),
    tag('title', {}, title),
    tag('style', {}, new Markup(STYLE)),
  );
  const patterns = tag('svg', { class: 'defs', 'aria-hidden': 'true' }, HATCH);
  const body = tag('body', {}, patterns, tag('main', { class: kind }, ...children));
  return `<!doctype html>\n${tag('html', { lang: 'en' }, head, body)}\n`;
}

/** A part of a comparison under its heading. */
export function section(title: string, intro: string | undefined, ...children: Child[]): Markup {
  return tag(
    'section',
    {},
    tag('h2', {}, title),
    intro === undefined ? undefined : tag('p', { class: 'note intro' }, prose(intro)),
    markup(children),
  );
}

/** A table that scrolls in itself where it is wider than the page. */
export function table(head: Child, body: Child, kind = 'scroll'): Markup {
  return tag('div', { class: kind }, tag('table', {}, tag('thead', {}, head), body));
}

/** A number and its unit stay on one line. */
export function prose(text: string): string {
  return text
    .replace(/(\d) (%|points|nats|px|seeds?)/g, '$1\u00a0$2')
    .replace(/\bp ([=<]) (?=\d)/g, 'p\u00a0$1\u00a0');
}

/** `✓` or `✗` in its colour, saying what it means to whoever points at it. */
export function signSpan(sign: '✓' | '✗' | '', baseline: string): Child {
  if (sign === '') return undefined;
  const [kind, word] = sign === '✓' ? ['good', 'better'] : ['bad', 'worse'];
  return [' ', tag('span', { class: kind, title: `significantly ${word} than ${baseline}` }, sign)];
}
