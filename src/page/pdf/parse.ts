/** An element of a figure's SVG. */
export interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly Element[];
  readonly text: string;
}

interface Growing extends Element {
  readonly children: Growing[];
  text: string;
}

/** Reads what `tag` writes: every element closed, attributes in double quotes. */
export function parseSvg(svg: string): Element {
  const root: Growing = { name: '', attributes: {}, children: [], text: '' };
  const open = [root];
  for (const [, slash, name, attributes, end, text] of svg.matchAll(
    /<(\/?)([a-z][\w-]*)((?:\s+[\w:-]+="[^"]*")*)\s*(\/?)>|([^<]+)/gi,
  )) {
    const here = open.at(-1)!;
    if (text !== undefined) here.text += unescaped(text);
    else if (slash === '/') open.pop();
    else {
      const pairs = [...attributes!.matchAll(/([\w:-]+)="([^"]*)"/g)];
      const element: Growing = {
        name: name!,
        attributes: Object.fromEntries(pairs.map(([, key, value]) => [key, unescaped(value!)])),
        children: [],
        text: '',
      };
      here.children.push(element);
      if (end === '') open.push(element);
    }
  }
  const found = root.children.find(({ name }) => name === 'svg');
  if (found === undefined) throw new RangeError('This is no SVG.');
  return found;
}

const NAMED: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', amp: '&', '#39': "'" };

function unescaped(text: string): string {
  return text.replace(/&(#39|\w+);/g, (all, name) => NAMED[name] ?? all);
}

/** The numbers of an attribute. */
export function numbers(text: string): number[] {
  return (text.match(/-?(?:\d+\.?\d*|\.\d+)(?:e-?\d+)?/gi) ?? []).map(Number);
}
