/** The report's style sheet: light and dark by the reader's setting, always light on paper (A4). */
export const STYLE = `
:root {
  color-scheme: light;
  --paper: #fff; --ink: #1b1f24; --soft: #59636e; --line: #d5dae0; --faint: #eef1f4; --best: #eaf2fb;
  --good: #00664a; --bad: #a33c00; --bar: #a9b6c4; --gap: #b3447a;
  --m0: #0072b2; --m1: #d55e00; --m2: #00805c; --m3: #b5578f; --m4: #a67400; --m5: #2a8fc7; --m6: #555;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    color-scheme: dark;
    --paper: #14181d; --ink: #e4e8ec; --soft: #9aa5b1; --line: #38414b; --faint: #20262d; --best: #1c3149;
    --good: #4cc79b; --bad: #ff9a5c; --bar: #5a6a7a; --gap: #ee86b7;
    --m0: #56a8e8; --m1: #ff8a3d; --m2: #2fc48d; --m3: #e79ac6; --m4: #e6b13d; --m5: #8ed0f5; --m6: #b7bec6;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1000px; margin: 0 auto; padding: 32px 24px 64px; }
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
tbody.pair tr:first-child th { padding-top: 16px; border-bottom: 1px solid var(--soft); }
.meaning { display: block; font-weight: 400; font-size: 12px; line-height: 1.35; max-width: 62ch; }
td .ci { color: var(--soft); font-size: 12px; white-space: nowrap; display: block; }
td.best { background: var(--best); } td.best b { font-weight: 700; } td b { font-weight: 400; }
.good, .mark.good { color: var(--good); fill: var(--good); font-weight: 700; }
.bad, .mark.bad { color: var(--bad); fill: var(--bad); font-weight: 700; }
figure { margin: 12px 0 0; break-inside: avoid; }
.panels { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 20px 18px; margin-top: 12px; }
.panels figure { margin: 0; }
.readings { display: grid; gap: 18px; margin-top: 14px; }
.readings ul { margin: 4px 0 0; padding-left: 0; list-style: none; font-size: 13.5px; font-variant-numeric: tabular-nums; }
.readings li { padding-left: 20px; position: relative; }
.readings li > span:first-child { position: absolute; left: 2px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; font-size: 13px; margin: 10px 0 0; }
.legend svg, h3 svg { display: inline-block; width: 30px; height: 12px; vertical-align: -1px; margin-right: 6px; }
h3 svg { width: 14px; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { fill: var(--ink); font-size: 11.5px; font-family: inherit; font-variant-numeric: tabular-nums; }
svg .tick, svg .axis { fill: var(--soft); font-size: 11px; }
svg .head { font-weight: 600; font-size: 12.5px; } svg .name { font-size: 12.5px; }
svg .grid { stroke: var(--line); stroke-width: 0.6; } svg .frame { stroke: var(--soft); stroke-width: 1; }
svg .diagonal { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 4 3; }
svg .reference { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 3 3; }
svg .bar { fill: var(--bar); fill-opacity: 0.55; } svg .count { fill: var(--bar); }
svg .gap { stroke: var(--gap); stroke-width: 0.8; } svg .over { fill: var(--gap); fill-opacity: 0.38; } svg .under { fill: url(#hatch); }
svg .few { opacity: 0.4; } svg .whisker { stroke: var(--ink); stroke-width: 1; } svg .point { fill: var(--ink); }
svg .mean.accuracy { stroke: var(--ink); stroke-width: 1.6; } svg .mean.confidence { stroke: var(--ink); stroke-width: 1.6; stroke-dasharray: 3 2; }
.m0 { --c: var(--m0); } .m1 { --c: var(--m1); } .m2 { --c: var(--m2); } .m3 { --c: var(--m3); } .m4 { --c: var(--m4); } .m5 { --c: var(--m5); } .m6 { --c: var(--m6); }
svg .method .dot { fill: var(--c); } svg .method .interval { stroke: var(--c); stroke-width: 2.4; stroke-linecap: round; }
svg .method path { fill: none; stroke: var(--c); } svg .method .run { stroke-width: 0.8; opacity: 0.45; } svg .method .mean { stroke-width: 2; }
.defs { position: absolute; width: 0; height: 0; }
footer { margin-top: 40px; border-top: 1px solid var(--line); padding-top: 12px; }
@media (max-width: 720px) { .panels { grid-template-columns: minmax(0, 1fr); } main { padding: 20px 14px 40px; } }
@page { size: A4; margin: 14mm 13mm; }
@media print {
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { font-size: 9.5pt; line-height: 1.4; }
  main { max-width: none; padding: 0; }
  h1 { font-size: 17pt; } h2 { font-size: 12pt; margin-top: 20pt; break-after: avoid; } h3 { font-size: 10pt; break-after: avoid; }
  p { orphans: 3; widows: 3; } .note, figcaption, .small, footer, .legend, .readings ul { font-size: 8.5pt; }
  table { font-size: 8.5pt; } th, td { padding: 2.5pt 5pt; } td .ci, .meaning { font-size: 7.5pt; }
  tr, .reading, .panels figure { break-inside: avoid; } thead { display: table-header-group; }
  .scroll, .tall { overflow: visible; max-height: none; } .tall thead { position: static; }
  .panels { grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 12pt 8pt; }
  p { max-width: none; } .intro { break-inside: avoid; break-after: avoid; } .panels h3 { font-size: 9pt; } td.first, th.first { padding-left: 9pt; }
}
`;
