import type { Section } from '../types.ts';

const sections: Readonly<Record<string, Section>> = {
  COMPARISON: 'comparison',
  INDICATION: 'history',
  FINDINGS: 'findings',
  IMPRESSION: 'impression',
};

/**
 * The report in one of Open-i's XML files: the `AbstractText` elements by their `Label`, and the `uId`.
 * This is no general XML reader: it knows elements, attributes, comments, CDATA and the predefined entities, which is
 * all that these files use; document types are refused, so that no entity can be made to grow. It looks at each
 * character once, whatever the file holds.
 */
export function readOpenIXml(
  xml: string,
):
  | { readonly id: string | undefined; readonly sections: { section: Section; text: string }[] }
  | { readonly failure: string } {
  const found: { section: Section; text: string }[] = [];
  let id: string | undefined;
  let elements = 0;
  /** The section that is being read, and its text so far. */
  let open: { section: Section | undefined; text: string[] } | undefined;
  for (const piece of pieces(xml)) {
    if (piece.kind === 'failure') return { failure: piece.text };
    if (piece.kind === 'text') open?.text.push(decoded(piece.text));
    else if (piece.kind === 'cdata') open?.text.push(piece.text);
    else if (piece.kind === 'end') {
      if (open !== undefined && piece.name === 'AbstractText') {
        if (open.section !== undefined) found.push({ section: open.section, text: open.text.join('') });
        open = undefined;
      } else open?.text.push(' ');
    } else {
      elements++;
      if (open !== undefined) open.text.push(' ');
      else if (piece.name === 'AbstractText' && !piece.empty) {
        open = { section: sections[(attribute(piece.text, 'Label') ?? '').toUpperCase()], text: [] };
      } else if (piece.name === 'uId') id ??= attribute(piece.text, 'id');
    }
  }
  if (elements === 0) return { failure: 'the file is not XML' };
  if (found.length === 0) return { failure: 'the XML holds no AbstractText with a known Label' };
  return { id: id === '' ? undefined : id, sections: found };
}

type Piece =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'cdata'; readonly text: string }
  | { readonly kind: 'failure'; readonly text: string }
  /** `text` is what stands behind the name: the attributes. */
  | { readonly kind: 'start'; readonly name: string; readonly text: string; readonly empty: boolean }
  | { readonly kind: 'end'; readonly name: string };

function* pieces(xml: string): Generator<Piece> {
  const failure = (text: string): Piece => ({ kind: 'failure', text });
  for (let at = 0; at < xml.length; ) {
    const begin = xml.indexOf('<', at);
    if (begin !== at) yield { kind: 'text', text: xml.slice(at, begin < 0 ? xml.length : begin) };
    if (begin < 0) return;
    if (xml.startsWith('<!--', begin)) {
      const end = xml.indexOf('-->', begin + 4);
      if (end < 0) return yield failure('a comment of the XML never ends');
      at = end + 3;
    } else if (xml.startsWith('<![CDATA[', begin)) {
      const end = xml.indexOf(']]>', begin + 9);
      if (end < 0) return yield failure('a CDATA section of the XML never ends');
      yield { kind: 'cdata', text: xml.slice(begin + 9, end) };
      at = end + 3;
    } else if (xml[begin + 1] === '!') {
      return yield failure('the XML declares a document type, which is not read');
    } else if (xml[begin + 1] === '?') {
      const end = xml.indexOf('?>', begin + 2);
      if (end < 0) return yield failure('an instruction of the XML never ends');
      at = end + 2;
    } else {
      NAME.lastIndex = begin + 1;
      const name = NAME.exec(xml)?.[0];
      if (name === undefined) {
        // No XML, but what people write: "< 5 mm".
        yield { kind: 'text', text: '<' };
        at = begin + 1;
        continue;
      }
      const from = begin + 1 + name.length;
      const end = endOfTag(xml, from);
      if (end < 0) return yield failure('a tag of the XML never ends');
      if (name[0] === '/') yield { kind: 'end', name: name.slice(1) };
      else {
        const empty = xml[end - 1] === '/';
        yield { kind: 'start', name, text: xml.slice(from, empty ? end - 1 : end), empty };
      }
      at = end + 1;
    }
  }
}

const NAME = /\/?[A-Za-z_][\w:.-]{0,200}/y;

/** The next `>` outside quotes; -1 where there is none, or another tag begins before it. */
function endOfTag(xml: string, from: number): number {
  let quote = 0;
  for (let i = from; i < xml.length; i++) {
    const c = xml.charCodeAt(i);
    if (quote !== 0) {
      if (c === quote) quote = 0;
    } else if (c === 34 || c === 39) quote = c;
    else if (c === 62) return i;
    else if (c === 60) return -1;
  }
  return -1;
}

function attribute(text: string, name: string): string | undefined {
  ATTRIBUTE.lastIndex = 0;
  for (let match = ATTRIBUTE.exec(text); match !== null; match = ATTRIBUTE.exec(text)) {
    if (match[1] === name) return decoded(match[2] ?? match[3] ?? '');
  }
  return undefined;
}

/** From one attribute to the next; what is none is passed over by its first character. */
const ATTRIBUTE = /([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')|[^\s"'=]+|\s+|["'=]/g;

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function decoded(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(#x[0-9a-fA-F]{1,6}|#\d{1,7}|\w{1,10});/g, (whole, name: string) => {
    if (!name.startsWith('#')) return entities[name] ?? whole;
    const code = name[1] === 'x' ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
    return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff)
      ? String.fromCodePoint(code)
      : whole;
  });
}
