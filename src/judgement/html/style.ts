import { DARK, LIGHT, pictureStyle } from '../draw/style.ts';

function variables(colours: Readonly<Record<string, string>>): string {
  return Object.entries(colours)
    .map(([name, value]) => `--${name}: ${value};`)
    .join(' ');
}

/** The report's style sheet: light and dark by the reader's setting, always light on paper (A4). */
export const STYLE = `
:root {
  color-scheme: light;
  ${variables(LIGHT)} --faint: #eef1f4; --best: #eaf2fb;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    color-scheme: dark;
    ${variables(DARK)} --faint: #20262d; --best: #1c3149;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 27px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; }
h2 { font-size: 19px; margin: 44px 0 6px; padding-top: 14px; border-top: 1px solid var(--line); }
h3 { font-size: 15px; margin: 0 0 2px; }
p { margin: 0 0 10px; max-width: 78ch; }
.lead, .note, .soft, figcaption, .meaning, footer { color: var(--soft); }
.note, figcaption, footer, .small { font-size: 13px; }
code, pre { font: 12.5px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { background: var(--faint); padding: 9px 12px; border-radius: 5px; margin: 12px 0 0; white-space: pre-wrap; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 18px; margin: 8px 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: 10px 0; }
.tall { max-height: 560px; overflow-y: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: 5px 10px; text-align: right; vertical-align: top; border-bottom: 1px solid var(--line); }
th { font-weight: 600; vertical-align: bottom; }
thead th { border-bottom: 1.5px solid var(--soft); background: var(--paper); }
.tall thead { position: sticky; top: 0; }
tbody th, th.left, td.left { text-align: left; } tbody th { vertical-align: top; }
th.group { text-align: center; } td { white-space: nowrap; } td.left { white-space: normal; }
td.first, th.first { padding-left: 26px; }
.meaning { display: block; font-weight: 400; font-size: 12px; line-height: 1.35; max-width: 62ch; }
td .ci { color: var(--soft); font-size: 12px; white-space: nowrap; display: block; }
td.best { background: var(--best); } td.best b { font-weight: 700; } td b { font-weight: 400; }
.good { color: var(--good); font-weight: 700; }
.bad { color: var(--bad); font-weight: 700; }
h4, h5 { font-size: 13.5px; margin: 18px 0 2px; } .panels h5 { margin: 0; }
article h3 { font-size: 17px; margin: 34px 0 6px; } article > h2 { font-size: 22px; } #reading h3 { margin-top: 14px; }
a { color: inherit; text-decoration-color: var(--soft); text-underline-offset: 2px; } .up { font-size: 12px; font-weight: 400; color: var(--soft); margin-left: 10px; }
nav ul { list-style: none; padding: 0; margin: 22px 0 0; } nav li { margin: 3px 0; } .parts { display: block; font-size: 12.5px; color: var(--soft); padding-left: 16px; }
.warning { border: 2px solid var(--bad); border-radius: 6px; padding: 4px 18px 8px; margin-top: 22px; } .warning h2 { border: 0; margin: 4px 0; padding: 0; color: var(--bad); }
.absent { color: var(--soft); font-style: italic; }
details { margin: 12px 0 0; } summary { cursor: pointer; font-size: 13.5px; font-weight: 600; }
ul.remarks { margin: 4px 0 0; padding: 0; list-style: none; font-variant-numeric: tabular-nums; max-width: 110ch; }
ul.remarks li { padding-left: 20px; position: relative; margin: 2px 0; } ul.remarks li > span:first-child { position: absolute; left: 2px; }
th.method-name { white-space: nowrap; } th svg, h5 svg { display: inline-block; width: 14px; height: 12px; vertical-align: -1px; margin-right: 6px; }
th .ci { display: block; font-weight: 400; font-size: 12px; color: var(--soft); }
.figure { margin: 10px 0 16px; } .wide { max-width: 1000px; } .panels.many { grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); } .panels.many figure { display: flex; flex-direction: column; } .panels.many figure > svg { margin-top: auto; }
.note { max-width: 110ch; } .tight table { font-size: 13px; } .tight th, .tight td { padding: 4px 6px; } .tight td.first, .tight th.first { padding-left: 18px; }
tbody th.method-name { position: sticky; left: 0; background: var(--paper); } tr.block > * { border-top: 1.5px solid var(--soft); }
figure { margin: 12px 0 0; break-inside: avoid; }
.panels { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 20px 18px; margin-top: 12px; }
.panels figure { margin: 0; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; font-size: 13px; margin: 10px 0 0; }
.legend svg { display: inline-block; width: 30px; height: 12px; vertical-align: -1px; margin-right: 6px; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
${pictureStyle((name) => `var(--${name})`)}
.defs { position: absolute; width: 0; height: 0; }
footer { margin-top: 40px; border-top: 1px solid var(--line); padding-top: 12px; }
@media (max-width: 720px) { .panels { grid-template-columns: minmax(0, 1fr); } main { padding: 20px 14px 40px; } }
@page { size: A4; margin: 14mm 13mm; }
@media print {
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { font-size: 9.5pt; line-height: 1.4; }
  main { max-width: none; padding: 0; }
  h1 { font-size: 17pt; } h2 { font-size: 12pt; margin-top: 20pt; break-after: avoid; } h3 { font-size: 10pt; break-after: avoid; }
  p { orphans: 3; widows: 3; } .note, figcaption, .small, footer, .legend,   table { font-size: 8.5pt; } th, td { padding: 2.5pt 5pt; } td .ci, .meaning { font-size: 7.5pt; }
  tr, .panels figure { break-inside: avoid; } thead { display: table-header-group; }
  nav, .up { display: none; } h4, h5, .figure > .note, .legend { break-after: avoid; }
  .tight th, .tight td { padding: 2pt 3pt; } .tight td.first, .tight th.first { padding-left: 7pt; } article:not(.only) { break-before: page; } .tight table { font-size: 7pt; }
  .scroll, .tall { overflow: visible; max-height: none; } .tall thead { position: static; }
  .panels { grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 12pt 8pt; }
  p { max-width: none; } .intro { break-inside: avoid; break-after: avoid; } td.first, th.first { padding-left: 9pt; }
}
`;
