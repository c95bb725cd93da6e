/**
 * The colours on white paper, by name. Each means one thing in a report: `m0` to `m6` are methods, `k0` to `k8` classes,
 * `good` and `bad` what a test or a verdict says; what is neither is grey. Text and marks stand out from the paper by at
 * least 4.5 to 1.
 */
export const LIGHT = {
  paper: '#fff',
  ink: '#1b1f24',
  soft: '#57606a',
  line: '#d5dae0',
  good: '#14692f',
  bad: '#b3261e',
  bar: '#a9b6c4',
  gap: '#b3261e',
  heat: '#57606a',
  muted: '#6b7580',
  m0: '#0b63a5',
  m1: '#a85400',
  m2: '#6a45b8',
  m3: '#00727a',
  m4: '#7a6200',
  m5: '#b0256f',
  m6: '#4a4f55',
  k0: '#332288',
  k1: '#117733',
  k2: '#882255',
  k3: '#2f6f95',
  k4: '#6b6a12',
  k5: '#a5435a',
  k6: '#1f7a6d',
  k7: '#7a3f98',
  k8: '#6e4a1f',
} as const;

export type ColourName = keyof typeof LIGHT;

/** The same on a dark screen. */
export const DARK: Readonly<Record<ColourName, string>> = {
  paper: '#14181d',
  ink: '#e4e8ec',
  soft: '#a3adb8',
  line: '#38414b',
  good: '#5fd08a',
  bad: '#ff8a80',
  bar: '#5a6a7a',
  gap: '#ff8a80',
  heat: '#9aa5b1',
  muted: '#8b97a3',
  m0: '#5fb0f0',
  m1: '#f0a04b',
  m2: '#b79cf2',
  m3: '#4cc4cc',
  m4: '#d8c04e',
  m5: '#f283ba',
  m6: '#bcc3ca',
  k0: '#9a8cf0',
  k1: '#6cc487',
  k2: '#e080ad',
  k3: '#88c4e8',
  k4: '#cfcd66',
  k5: '#ec9aa9',
  k6: '#6fd0c0',
  k7: '#cf9ae8',
  k8: '#d0a878',
};

/** How much lighter one colour is than another (WCAG 2.2, relative luminance): 1 to 21. @param a, b `#rgb` or `#rrggbb` */
export function contrast(a: string, b: string): number {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

function luminance(hex: string): number {
  const digits = hex.length === 4 ? [...hex.slice(1)].map((d) => d + d) : hex.slice(1).match(/../g)!;
  const [r, g, b] = digits.map((pair) => {
    const v = Number.parseInt(pair, 16) / 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

const METHODS = ['m0', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6'] as const;
const CLASSES = ['k0', 'k1', 'k2', 'k3', 'k4', 'k5', 'k6', 'k7', 'k8'] as const;

/** Sizes of letters in px: of names and heads, of axes, of small columns. */
const SIZES = { text: 11.5, tick: 11, column: 10.5, head: 12.5, name: 12.5 } as const;

/**
 * The style sheet of all pictures. In a page a colour is a variable, which follows the reader's setting; in a file it
 * is a literal, because few programs that place an SVG on paper know variables.
 * @param least no letter is smaller, in px
 */
export function pictureStyle(colour: (name: ColourName) => string, least = 0): string {
  const size = (name: keyof typeof SIZES) => `${Number(Math.max(least, SIZES[name]).toFixed(2))}px`;
  const series = (name: string, c: string) =>
    `.${name} .dot, .${name}.points .filled { fill: ${c}; } .${name} .dot.hollow { fill: ${colour('paper')}; stroke: ${c}; stroke-width: 1.6; }
.${name} .interval, .${name} .run, .${name} .mean, .${name}.points .stroked { stroke: ${c}; }`;
  return `svg text { fill: ${colour('ink')}; font-size: ${size('text')}; font-family: inherit; font-variant-numeric: tabular-nums; }
svg .tick, svg .axis { fill: ${colour('soft')}; font-size: ${size('tick')}; }
svg .column { fill: ${colour('soft')}; font-size: ${size('column')}; }
svg .head { font-weight: 600; font-size: ${size('head')}; } svg .name { font-size: ${size('name')}; }
svg .grid { stroke: ${colour('line')}; stroke-width: 0.6; } svg .frame { stroke: ${colour('soft')}; stroke-width: 1; }
svg .box { fill: none; stroke: ${colour('line')}; stroke-width: 1; }
svg .diagonal { stroke: ${colour('ink')}; stroke-width: 1; stroke-dasharray: 4 3; }
svg .reference { fill: none; stroke: ${colour('soft')}; stroke-width: 1; stroke-dasharray: 3 3; }
svg .other { fill: none; stroke: ${colour('line')}; stroke-width: 1; }
svg .bar { fill: ${colour('bar')}; fill-opacity: 0.55; } svg .count { fill: ${colour('bar')}; }
svg .gap { stroke: ${colour('gap')}; stroke-width: 0.8; } svg .over { fill: ${colour('gap')}; fill-opacity: 0.3; } svg .under { fill: url(#hatch); }
.hatch { stroke: ${colour('gap')}; stroke-width: 1.6; }
svg .few { opacity: 0.4; } svg .whisker { stroke: ${colour('ink')}; stroke-width: 1; } svg .point { fill: ${colour('ink')}; }
svg line.mean { stroke: ${colour('ink')}; stroke-width: 1.6; } svg line.mean.confidence { stroke-dasharray: 3 2; }
svg .heat { fill: ${colour('heat')}; } svg .paper { fill: ${colour('paper')}; }
svg .mark { font-weight: 700; } svg .mark.good { fill: ${colour('good')}; } svg .mark.bad { fill: ${colour('bad')}; }
svg .interval { stroke-width: 2.4; stroke-linecap: round; } svg .interval.thin { stroke-width: 1.4; }
svg path.run { fill: none; stroke-width: 0.8; opacity: 0.45; } svg path.mean { fill: none; stroke-width: 2; }
svg .plain .dot { fill: ${colour('soft')}; }
${METHODS.map((name) => series(name, colour(name))).join('\n')}
${CLASSES.map((name) => series(name, colour(name))).join('\n')}
${series('muted', colour('muted'))}`;
}
