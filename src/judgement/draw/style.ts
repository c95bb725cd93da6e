/** The colours of pictures on white paper, by name: `m0` to `m6` are the methods' (Okabe and Ito's, darkened for lines). */
export const LIGHT = {
  paper: '#fff',
  ink: '#1b1f24',
  soft: '#59636e',
  line: '#d5dae0',
  good: '#00664a',
  bad: '#a33c00',
  bar: '#a9b6c4',
  gap: '#b3447a',
  heat: '#0072b2',
  m0: '#0072b2',
  m1: '#d55e00',
  m2: '#00805c',
  m3: '#b5578f',
  m4: '#a67400',
  m5: '#2a8fc7',
  m6: '#555',
} as const;

export type ColourName = keyof typeof LIGHT;

/** The same on a dark screen. */
export const DARK: Readonly<Record<ColourName, string>> = {
  paper: '#14181d',
  ink: '#e4e8ec',
  soft: '#9aa5b1',
  line: '#38414b',
  good: '#4cc79b',
  bad: '#ff9a5c',
  bar: '#5a6a7a',
  gap: '#ee86b7',
  heat: '#56a8e8',
  m0: '#56a8e8',
  m1: '#ff8a3d',
  m2: '#2fc48d',
  m3: '#e79ac6',
  m4: '#e6b13d',
  m5: '#8ed0f5',
  m6: '#b7bec6',
};

/**
 * The style sheet of all pictures. In a page a colour is a variable, which follows the reader's setting; in a file it
 * is a literal, because few programs that place an SVG on paper know variables.
 */
export function pictureStyle(colour: (name: ColourName) => string): string {
  const methods = (['m0', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6'] as const).map((m) => {
    const c = colour(m);
    return `.${m} .dot, .${m}.points .filled { fill: ${c}; } .${m} .dot.hollow { fill: ${colour('paper')}; stroke: ${c}; stroke-width: 1.6; }
.${m} .interval, .${m} .run, .${m} .mean, .${m}.points .stroked { stroke: ${c}; }`;
  });
  return `svg text { fill: ${colour('ink')}; font-size: 11.5px; font-family: inherit; font-variant-numeric: tabular-nums; }
svg .tick, svg .axis { fill: ${colour('soft')}; font-size: 11px; }
svg .column { fill: ${colour('soft')}; font-size: 10.5px; }
svg .head { font-weight: 600; font-size: 12.5px; } svg .name { font-size: 12.5px; }
svg .grid { stroke: ${colour('line')}; stroke-width: 0.6; } svg .frame { stroke: ${colour('soft')}; stroke-width: 1; }
svg .box { fill: none; stroke: ${colour('line')}; stroke-width: 1; }
svg .diagonal { stroke: ${colour('ink')}; stroke-width: 1; stroke-dasharray: 4 3; }
svg .reference { fill: none; stroke: ${colour('soft')}; stroke-width: 1; stroke-dasharray: 3 3; }
svg .other { fill: none; stroke: ${colour('line')}; stroke-width: 1; }
svg .bar { fill: ${colour('bar')}; fill-opacity: 0.55; } svg .count { fill: ${colour('bar')}; }
svg .gap { stroke: ${colour('gap')}; stroke-width: 0.8; } svg .over { fill: ${colour('gap')}; fill-opacity: 0.38; } svg .under { fill: url(#hatch); }
.hatch { stroke: ${colour('gap')}; stroke-width: 1.6; }
svg .few { opacity: 0.4; } svg .whisker { stroke: ${colour('ink')}; stroke-width: 1; } svg .point { fill: ${colour('ink')}; }
svg line.mean { stroke: ${colour('ink')}; stroke-width: 1.6; } svg line.mean.confidence { stroke-dasharray: 3 2; }
svg .heat { fill: ${colour('heat')}; } svg .paper { fill: ${colour('paper')}; }
svg .mark.good { fill: ${colour('good')}; font-weight: 700; } svg .mark.bad { fill: ${colour('bad')}; font-weight: 700; }
svg .interval { stroke-width: 2.4; stroke-linecap: round; } svg .interval.thin { stroke-width: 1.4; }
svg path.run { fill: none; stroke-width: 0.8; opacity: 0.45; } svg path.mean { fill: none; stroke-width: 2; }
svg .plain .dot { fill: ${colour('soft')}; }
${methods.join('\n')}`;
}
