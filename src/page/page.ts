import { createHash } from 'node:crypto';
import { SCRIPT } from './script.ts';
import { STYLE } from './sheet.ts';
import { type Child, HATCH, Markup, tag } from './svg.ts';

/**
 * A whole document that asks for nothing: style, pictures and its one script are inside, and the policy in its head lets
 * no other script run and nothing be fetched. Everything that comes from data is escaped.
 */
export function page(title: string, ...children: Child[]): string {
  const head = tag(
    'head',
    {},
    tag('meta', { charset: 'utf-8' }),
    tag('meta', { 'http-equiv': 'Content-Security-Policy', content: POLICY }),
    tag('meta', { name: 'viewport', content: 'width=device-width, initial-scale=1' }),
    tag('title', {}, title),
    tag('style', {}, new Markup(STYLE)),
  );
  const patterns = tag('svg', { class: 'defs', 'aria-hidden': 'true' }, HATCH);
  const body = tag('body', {}, patterns, tag('main', {}, ...children), tag('script', {}, new Markup(SCRIPT)));
  return `<!doctype html>\n${tag('html', { lang: 'en' }, head, body)}\n`;
}

const POLICY = [
  "default-src 'none'",
  "style-src 'unsafe-inline'",
  'img-src data:',
  `script-src 'sha256-${createHash('sha256').update(SCRIPT).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

/** A number and its unit stay on one line. */
export function prose(text: string): string {
  return text
    .replace(/(\d) (%|points|nats|px|seeds?)/g, '$1\u00a0$2')
    .replace(/\bp ([=<≤]) (?=\d)/g, 'p\u00a0$1\u00a0');
}
