import { HATCH } from '../draw/figure.ts';
import { type Child, Markup, tag } from '../draw/svg.ts';
import { STYLE } from './style.ts';

/** A whole document: no scripts, no requests. Everything that comes from data is escaped. */
export function page(title: string, ...children: Child[]): string {
  const head = tag(
    'head',
    {},
    tag('meta', { charset: 'utf-8' }),
    tag('meta', { name: 'viewport', content: 'width=device-width, initial-scale=1' }),
    tag('title', {}, title),
    tag('style', {}, new Markup(STYLE)),
  );
  const patterns = tag('svg', { class: 'defs', 'aria-hidden': 'true' }, HATCH);
  const body = tag('body', {}, patterns, tag('main', {}, ...children));
  return `<!doctype html>\n${tag('html', { lang: 'en' }, head, body)}\n`;
}

/** A number and its unit stay on one line. */
export function prose(text: string): string {
  return text
    .replace(/(\d) (%|points|nats|px|seeds?)/g, '$1\u00a0$2')
    .replace(/\bp ([=<≤]) (?=\d)/g, 'p\u00a0$1\u00a0');
}
