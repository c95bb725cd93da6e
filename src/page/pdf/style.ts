import type { Element } from './parse.ts';

/** Properties by name, as attributes and style sheets give them. */
export type Style = Readonly<Record<keyof typeof INITIAL, string>>;

/** What SVG takes where nothing is said. */
export const INITIAL = {
  fill: '#000',
  stroke: 'none',
  'stroke-width': '1',
  'stroke-linecap': 'butt',
  'stroke-dasharray': '',
  'font-size': '16px',
  'font-weight': '400',
  'text-anchor': 'start',
  'fill-opacity': '1',
  opacity: '1',
};

export interface Rule {
  /** From the outermost to the element itself: its name where it is given, and its classes. */
  readonly selector: readonly { readonly name: string; readonly classes: readonly string[] }[];
  readonly weight: number;
  readonly style: Partial<Style>;
}

/** The rules of a picture's style sheet, the weakest first. */
export function styleRules(root: Element): Rule[] {
  const sheet = root.children.find(({ name }) => name === 'style')?.text ?? '';
  const rules = [...sheet.matchAll(/([^{}]+)\{([^}]*)\}/g)].flatMap(([, selectors, body]) => {
    const style = Object.fromEntries(
      body!.split(';').flatMap((line) => {
        const [key, value] = line.split(':').map((side) => side.trim());
        return key !== undefined && value !== undefined && key in INITIAL ? [[key, value]] : [];
      }),
    );
    return selectors!.split(',').map((text): Rule => {
      const selector = text
        .trim()
        .split(/\s+/)
        .map((part) => {
          const [name = '', ...classes] = part.split('.');
          return { name, classes };
        });
      const weight = selector.reduce(
        (sum, { name, classes }) => sum + 100 * classes.length + (name === '' ? 0 : 1),
        0,
      );
      return { selector, weight, style };
    });
  });
  return rules.sort((a, b) => a.weight - b.weight);
}

/**
 * The style of the last of a line of elements.
 * @param inherited that of the one before it
 */
export function styleOf(line: readonly Element[], inherited: Style, rules: readonly Rule[]): Style {
  const { attributes } = line.at(-1)!;
  const given = Object.entries(attributes).filter(([key]) => key in INITIAL);
  const own: Partial<Style> = Object.assign(
    {},
    Object.fromEntries(given),
    ...rules.filter((rule) => fits(rule, line)).map(({ style }) => style),
  );
  // A group's opacity is of the group as a whole: the same as that of each of its shapes where these do not overlap.
  const opacity = String(Number(inherited.opacity) * Number(own.opacity ?? 1));
  return { ...inherited, ...own, opacity };
}

function fits({ selector }: Rule, line: readonly Element[]): boolean {
  let left = selector.length - 1;
  if (!isLike(line.at(-1)!, selector[left]!)) return false;
  left--;
  for (let i = line.length - 2; i >= 0 && left >= 0; i--) if (isLike(line[i]!, selector[left]!)) left--;
  return left < 0;
}

function isLike(element: Element, { name, classes }: Rule['selector'][number]): boolean {
  const own = (element.attributes.class ?? '').split(' ');
  return (name === '' || name === element.name) && classes.every((one) => own.includes(one));
}
