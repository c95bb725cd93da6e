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
 * all that these files use; document types are refused, so that no entity can be made to grow.
 */
export function readOpenIXml(
  xml: string,
):
  | { readonly id: string | undefined; readonly sections: { section: Section; text: string }[] }
  | { readonly failure: string } {
  if (/<!DOCTYPE|<!ENTITY/i.test(xml))
    return { failure: 'the XML declares a document type, which is not read' };
  if (!/<[A-Za-z]/.test(xml)) return { failure: 'the file is not XML' };
  const found: { section: Section; text: string }[] = [];
  const plain = xml.replace(/<!--[\s\S]*?-->/g, '');
  const element = /<AbstractText\b([^>]*?)(?:\/>|>([\s\S]*?)<\/AbstractText\s*>)/g;
  for (const [, attributes, content] of plain.matchAll(element)) {
    const label = /\bLabel\s*=\s*(?:"([^"]*)"|'([^']*)')/.exec(attributes!);
    const section = sections[(label?.[1] ?? label?.[2] ?? '').toUpperCase()];
    if (section !== undefined && content !== undefined) found.push({ section, text: textOf(content) });
  }
  if (found.length === 0) return { failure: 'the XML holds no AbstractText with a known Label' };
  const id = /<uId\b[^>]*\bid\s*=\s*(?:"([^"]*)"|'([^']*)')/.exec(plain);
  const uid = id?.[1] ?? id?.[2];
  return { id: uid === undefined || uid === '' ? undefined : uid, sections: found };
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function textOf(content: string): string {
  return content
    .split(/(<!\[CDATA\[[\s\S]*?\]\]>)/)
    .map((part) => {
      if (part.startsWith('<![CDATA[')) return part.slice(9, -3);
      return part
        .replace(/<[^>]*>/g, ' ')
        .replace(/&(#x[0-9a-fA-F]{1,6}|#\d{1,7}|\w+);/g, (whole, name: string) => {
          if (!name.startsWith('#')) return entities[name] ?? whole;
          const code = name[1] === 'x' ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
          return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff)
            ? String.fromCodePoint(code)
            : whole;
        });
    })
    .join('');
}
