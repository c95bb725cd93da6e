import { DARK, LIGHT, pictureStyle } from './colours.ts';

function variables(colours: Readonly<Record<string, string>>): string {
  return Object.entries(colours)
    .map(([name, value]) => `--${name}: ${value};`)
    .join(' ');
}

/** The style sheet of every page: light and dark by the reader's setting, always light on paper (A4). */
export const STYLE = `
:root {
  color-scheme: light;
  ${variables(LIGHT)} --faint: #f1f4f7; --best: #e6ebf1; --tip: #1b1f24; --tipink: #fff;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    color-scheme: dark;
    ${variables(DARK)} --faint: #1e242b; --best: #2b343e; --tip: #e4e8ec; --tipink: #14181d;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 24px 64px; }
h1 { font-size: 16px; line-height: 1.3; margin: 0 0 4px; font-weight: 600; color: var(--soft); }
h2 { font-size: 19px; margin: 40px 0 6px; padding-top: 14px; border-top: 1px solid var(--line); }
h3 { font-size: 15px; margin: 0 0 2px; }
p { margin: 0 0 10px; max-width: 78ch; }
.lead, .note, .soft, figcaption, .meaning, footer { color: var(--soft); }
.note, figcaption, footer, .small { font-size: 13px; }
code, pre { font: 12.5px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { background: var(--faint); padding: 9px 12px; border-radius: 5px; margin: 12px 0 0; white-space: pre-wrap; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 2px 18px; margin: 8px 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.answer { font-size: 24px; line-height: 1.3; font-weight: 650; letter-spacing: -0.01em; margin: 6px 0 10px; max-width: 46ch; text-wrap: pretty; }
article .answer { font-size: 19px; max-width: 62ch; }
.reasons { margin: 0 0 16px; grid-template-columns: 7.5em minmax(0, 1fr); max-width: 88ch; font-size: 15px; }
.banner { border-left: 5px solid var(--bad); background: var(--faint); padding: 8px 14px; margin: 10px 0; max-width: 88ch; } .banner p { margin: 2px 0; }
.tag { white-space: nowrap; font-weight: 600; } .tag.good { color: var(--good); } .tag.bad { color: var(--bad); } .tag.open { color: var(--soft); }
.thumbs { display: grid; grid-template-columns: repeat(auto-fill, minmax(190px, 1fr)); gap: 14px 18px; margin: 14px 0 4px; } .thumbs figure { margin: 0; max-width: 260px; }
#methods { display: flex; flex-wrap: wrap; gap: 4px 16px; align-items: center; font-size: 13px; margin: 14px 0 0; } #methods label { cursor: pointer; } #methods input { margin: 0 5px 0 0; vertical-align: -1px; }
#methods svg { display: inline-block; width: 14px; height: 12px; vertical-align: -1px; margin-right: 5px; }
.off { display: none; } svg .off { display: inline; visibility: hidden; }
#tip { position: fixed; z-index: 9; background: var(--tip); color: var(--tipink); font-size: 12.5px; line-height: 1.4; padding: 6px 9px; border-radius: 5px; max-width: 320px; white-space: pre-line; pointer-events: none; }
svg[tabindex]:focus-visible { outline: 2px solid var(--ink); outline-offset: 3px; } .told { filter: brightness(0.8); } .told .bar, .told.bar, .told .heat, .told .box { stroke: var(--ink); stroke-width: 1.5; }
th button { all: unset; cursor: pointer; } th.chart button { display: block; width: 100%; } th button:focus-visible { outline: 2px solid var(--ink); } th[aria-sort=ascending] button::after { content: " ▲"; font-size: 9px; } th[aria-sort=descending] button::after { content: " ▼"; font-size: 9px; }
.scroll { overflow-x: auto; margin: 10px 0; }
.tall { max-height: 560px; overflow-y: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: 5px 10px; text-align: right; vertical-align: top; border-bottom: 1px solid var(--line); }
th { font-weight: 600; vertical-align: bottom; }
thead th { border-bottom: 1.5px solid var(--soft); background: var(--paper); }
.tall thead { position: sticky; top: 0; z-index: 1; }
tbody th, th.left, td.left { text-align: left; } tbody th { vertical-align: top; }
th.group { text-align: center; } td { white-space: nowrap; } td.left { white-space: normal; }
td.first, th.first { padding-left: 26px; }
table.fit { width: auto; } tr.apart > * { color: var(--soft); } tr.apart th { font-weight: 400; }
.meaning { display: block; font-weight: 400; font-size: 12px; line-height: 1.35; max-width: 62ch; }
td .ci { color: var(--soft); font-size: 12px; white-space: nowrap; display: block; }
td.best { background: var(--best); } td.best b { font-weight: 700; } td b { font-weight: 400; }
.good { color: var(--good); font-weight: 700; }
.bad { color: var(--bad); font-weight: 700; }
.differs { font-weight: 700; }
h4, h5 { font-size: 13.5px; margin: 18px 0 2px; } .panels h5, .thumbs h5 { margin: 0; }
article h3 { font-size: 17px; margin: 34px 0 6px; } article > h2 { font-size: 22px; } #reading h3, #reading h4 { margin-top: 14px; font-size: 15px; }
a { color: inherit; text-decoration-color: var(--soft); text-underline-offset: 2px; } .up { font-size: 12px; font-weight: 400; color: var(--soft); margin-left: 10px; }
nav ul { list-style: none; padding: 0; margin: 22px 0 0; } nav li { margin: 3px 0; } .parts { display: block; font-size: 12.5px; color: var(--soft); padding-left: 16px; } nav .note { margin: 3px 0 0; }
.warning { border: 2px solid var(--bad); border-radius: 6px; padding: 4px 18px 8px; margin-top: 22px; } .warning h2 { border: 0; margin: 4px 0; padding: 0; color: var(--bad); }
details { margin: 12px 0 0; } summary { cursor: pointer; font-size: 13.5px; font-weight: 600; }
ul.remarks { margin: 4px 0 0; padding: 0; list-style: none; font-variant-numeric: tabular-nums; max-width: 110ch; }
ul.remarks li { padding-left: 20px; position: relative; margin: 2px 0; } ul.remarks li > span:first-child { position: absolute; left: 2px; }
th.method-name { white-space: nowrap; } th svg, h5 svg { display: inline-block; width: 14px; height: 12px; vertical-align: -1px; margin-right: 6px; }
th .ci { display: block; font-weight: 400; font-size: 12px; color: var(--soft); }
.figure { margin: 10px 0 16px; } .wide { max-width: 1000px; } .panels.many { grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); } .panels.many figure { display: flex; flex-direction: column; max-width: 420px; } .panels.many figure > svg { margin-top: auto; }
.note { max-width: 110ch; } .tight table { font-size: 13px; } .tight th, .tight td { padding: 4px 6px; } .tight td.first, .tight th.first { padding-left: 18px; }
tbody th.method-name { position: sticky; left: 0; background: var(--paper); } tr.block > * { border-top: 1.5px solid var(--soft); }
figure { margin: 12px 0 0; break-inside: avoid; }
.panels { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 20px 18px; margin-top: 12px; }
.panels figure { margin: 0; }
.images { display: grid; grid-template-columns: repeat(auto-fill, minmax(170px, 1fr)); gap: 18px; margin: 12px 0; } .images figure { margin: 0; } .images figcaption svg { display: inline-block; width: 12px; height: 10px; vertical-align: -1px; margin-right: 3px; } .images img { width: 100%; max-width: 200px; height: auto; image-rendering: auto; background: #000; display: block; border-radius: 3px; }
.bars { display: flex; height: 16px; background: var(--faint); border-radius: 2px; overflow: hidden; min-width: 180px; } .bars.thin { height: 8px; margin: 1px 0; } .bars span { display: block; height: 100%; }
.bins { display: flex; align-items: flex-end; gap: 2px; height: 30px; border-bottom: 1px solid var(--soft); min-width: 150px; } .bins span { flex: 1; }
.f0 { background: var(--k3); } .f1 { background: var(--k4); } .f2 { background: var(--bar); } .f3 { background: var(--k7); } .f4 { background: var(--k5); } .f5 { background: var(--k6); }
.ticks { display: flex; justify-content: space-between; gap: 8px; font-weight: 400; font-size: 12px; color: var(--soft); } th.chart, td.chart { width: 38%; }
.chip { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 7px; } dl.key { grid-template-columns: 8.5em minmax(0, 1fr); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; font-size: 13px; margin: 10px 0 0; }
.legend svg { display: inline-block; width: 30px; height: 12px; vertical-align: -1px; margin-right: 6px; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
${pictureStyle((name) => `var(--${name})`)}
.defs { position: absolute; width: 0; height: 0; }
footer { margin-top: 40px; border-top: 1px solid var(--line); padding-top: 12px; }
@media screen and (max-width: 720px) {
  main { padding: 18px 14px 40px; }
  .answer { font-size: 20px; }
  .reasons { grid-template-columns: minmax(0, 1fr); } .reasons dt { margin-top: 6px; } dl { grid-template-columns: minmax(0, 1fr); }
  .panels, .panels.many, .thumbs { grid-template-columns: minmax(0, 1fr); } .thumbs { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .scroll, .tall { overflow: visible; max-height: none; }
  .cards, .cards tbody, .cards tr, .cards th, .cards td { display: block; width: 100%; }
  .cards thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .cards tr { border-top: 1.5px solid var(--soft); padding: 6px 0; }
  .cards th, .cards td { border: 0; padding: 2px 0; text-align: left; position: static; white-space: normal; }
  .cards td { display: flex; justify-content: space-between; gap: 14px; } .cards td::before { content: attr(data-head); color: var(--soft); flex: 0 0 auto; max-width: 55%; } .cards td > div { text-align: right; }
  .cards td.chart { display: block; } .cards th.chart, .cards td.chart { width: 100%; } .cards td.chart::before { content: none; } dl.key { grid-template-columns: 8.5em minmax(0, 1fr); }
  .cards td.first { padding-left: 0; } .cards td.empty { display: none; }
}
@page { size: A4; margin: 14mm 13mm; }
@media print {
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { font-size: 9.5pt; line-height: 1.4; }
  main { max-width: none; padding: 0; }
  h1 { font-size: 11pt; } .answer { font-size: 15pt; } h2 { font-size: 12pt; margin-top: 16pt; break-after: avoid; } h3 { font-size: 10pt; break-after: avoid; }
  p { orphans: 3; widows: 3; } .note, figcaption, .small, footer, .legend, table { font-size: 8.5pt; } th, td { padding: 2.5pt 5pt; } td .ci, .meaning { font-size: 7.5pt; }
  tr, .panels figure, .thumbs figure, .images figure { break-inside: avoid; } thead { display: table-header-group; }
  nav, .up, #methods, #tip { display: none !important; } h4, h5, .figure > .note, .legend { break-after: avoid; }
  .tight th, .tight td { padding: 2pt 3pt; } .tight td.first, .tight th.first { padding-left: 7pt; } .tight table { font-size: 7pt; }
  .scroll, .tall { overflow: visible; max-height: none; } .tall thead { position: static; }
  .panels, .panels.many { grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 10pt 8pt; } .thumbs { grid-template-columns: repeat(4, minmax(0, 1fr)); } .images { grid-template-columns: repeat(6, minmax(0, 1fr)); gap: 8pt; }
  p { max-width: none; } td.first, th.first { padding-left: 9pt; }
  #differences details::details-content { content-visibility: visible; }
}
`;
