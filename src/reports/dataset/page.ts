import type { DatasetSummary, FindingSummary } from './summary.ts';

/** Statuses from sure to silent, with colours that stay apart for colour-blind readers (Okabe and Ito, 2008). */
const statuses = [
  ['present', '#0072b2', 'present'],
  ['uncertain', '#e69f00', 'uncertain'],
  ['absent', '#56b4e9', 'absent'],
  ['historical', '#999999', 'historical'],
  ['conditional', '#cc79a7', 'conditional'],
  ['other', '#666666', 'someone else'],
] as const;

/** One HTML page with the data set's charts; styles and pictures are inside, nothing is fetched. */
export function datasetPage(s: DatasetSummary): string {
  const n = (x: number): string => x.toLocaleString('en');
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(s.name)}: uncertainty data set</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; color: #1c2733; background: #fff; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
  h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .3rem; }
  p { margin: .3rem 0 .8rem; } .small { color: #5a6875; font-size: .9rem; }
  svg { width: 100%; height: auto; display: block; } svg text { font: 12px system-ui, sans-serif; fill: #1c2733; }
  svg .faint { fill: #5a6875; } .key span { display: inline-block; margin-right: 1.2rem; }
  .key i { display: inline-block; width: .8rem; height: .8rem; margin-right: .35rem; vertical-align: -1px; }
  table { border-collapse: collapse; } td, th { padding: .15rem .8rem .15rem 0; text-align: right; } td:first-child, th:first-child { text-align: left; }
</style>
<h1>${escapeHtml(s.name)}</h1>
<p class="small">version ${s.version} · ${n(s.images)} images, ${n(s.reports)} reports, ${n(s.patients)} patients · extractor ${escapeHtml(s.extractors.map((e) => `${e.extractor} ${e.version}`).join(', '))}</p>
<table><tr><th>split<th>images<th>reports<th>patients</tr>${s.splits.map((x) => `<tr><td>${escapeHtml(x.split)}<td>${n(x.images)}<td>${n(x.reports)}<td>${n(x.patients)}</tr>`).join('')}</table>

<h2>What the reports say of each finding</h2>
<p>Share of the ${n(s.reports)} reports; where a bar ends, the others do not mention the finding.</p>
<p class="key">${statuses.map(([, colour, name]) => `<span><i style="background:${colour}"></i>${name}</span>`).join('')}</p>
${statusChart(s)}

<h2>How sure the wording is</h2>
<p>Reports by the probability that they express, ten bins from 0 to 1 (absent on the left, present on the right); each row has its own scale for the bins between, since statements without doubt outnumber the rest.</p>
${probabilityChart(s.findings)}

<h2>Class imbalance</h2>
<p>Reports labelled y = 1 (p ≥ 0.5) and y = 0, on a logarithmic scale.</p>
<p class="key"><span><i style="background:#0072b2"></i>y = 1</span><span><i style="background:#56b4e9"></i>y = 0</span></p>
${imbalanceChart(s.findings)}

<h2>Words of doubt</h2>
<p>How often each hedge decides an uncertain finding, and the probability it stands for.</p>
${hedgeChart(s.hedges.slice(0, 30))}
</html>
`;
}

const left = 190;
const width = 900;
const line = 24;

function svg(height: number, label: string, body: string): string {
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(label)}">${body}</svg>`;
}

function rowLabel(text: string, y: number, room = left): string {
  return `<text x="${room - 10}" y="${y + 15}" text-anchor="end">${escapeHtml(text)}</text>`;
}

function statusChart(s: DatasetSummary): string {
  const room = width - left - 60;
  const body = s.findings.map((f, i) => {
    let x = left;
    const y = i * line;
    const bars = statuses.map(([status, colour, name]) => {
      const count = f.statuses[status] ?? 0;
      const w = (count / Math.max(1, s.reports)) * room;
      const bar =
        count === 0
          ? ''
          : `<rect x="${x.toFixed(1)}" y="${y + 3}" width="${w.toFixed(1)}" height="${line - 6}" fill="${colour}"><title>${escapeHtml(f.finding)}, ${name}: ${count}</title></rect>`;
      x += w;
      return bar;
    });
    const mentioned = s.reports - (f.statuses.not_mentioned ?? 0);
    return `${rowLabel(f.finding, y)}${bars.join('')}<text class="faint" x="${(x + 6).toFixed(1)}" y="${y + 16}">${((100 * mentioned) / Math.max(1, s.reports)).toFixed(1)} %</text>`;
  });
  return svg(s.findings.length * line + 4, 'Status per finding', body.join(''));
}

function probabilityChart(findings: readonly FindingSummary[]): string {
  const height = 34;
  const bin = (width - left - 150) / 10;
  const body = findings.map((f, i) => {
    const y = i * (height + 6);
    const between = Math.max(1, ...f.histogram.slice(1, 9));
    const ends = Math.max(1, f.histogram[0]!, f.histogram[9]!);
    const bars = f.histogram.map((count, b) => {
      const scale = b === 0 || b === 9 ? ends : between;
      const h = count === 0 ? 0 : Math.max(1, (count / scale) * height);
      const colour = b === 0 ? '#56b4e9' : b === 9 ? '#0072b2' : '#e69f00';
      return `<rect x="${(left + b * bin + 1).toFixed(1)}" y="${(y + height - h).toFixed(1)}" width="${(bin - 2).toFixed(1)}" height="${h.toFixed(1)}" fill="${colour}"><title>${escapeHtml(f.finding)}, p from ${b / 10} to ${(b + 1) / 10}: ${count}</title></rect>`;
    });
    const axis = `<line x1="${left}" x2="${left + 10 * bin}" y1="${y + height}" y2="${y + height}" stroke="#c4ccd4"/>`;
    const doubtful = f.histogram.slice(1, 9).reduce((a, b) => a + b, 0);
    return `${rowLabel(f.finding, y + 10)}${axis}${bars.join('')}<text class="faint" x="${left + 10 * bin + 10}" y="${y + 26}">${doubtful} in between</text>`;
  });
  const bottom = findings.length * (height + 6) + 14;
  const marks = [0, 0.5, 1].map(
    (p) => `<text class="faint" x="${left + p * 10 * bin}" y="${bottom}" text-anchor="middle">${p}</text>`,
  );
  return svg(bottom + 6, 'Probability per finding', body.join('') + marks.join(''));
}

function imbalanceChart(findings: readonly FindingSummary[]): string {
  const top = Math.max(10, ...findings.flatMap((f) => [f.positives, f.negatives]));
  const room = width - left - 210;
  const length = (count: number): number =>
    count === 0 ? 0 : ((Math.log10(count) + 0.2) / (Math.log10(top) + 0.2)) * room;
  const body = findings.map((f, i) => {
    const y = i * line;
    const share =
      f.positives + f.negatives === 0
        ? '–'
        : `${((100 * f.positives) / (f.positives + f.negatives)).toFixed(1)} % positive`;
    const end = Math.max(length(f.positives), length(f.negatives));
    return `${rowLabel(f.finding, y)}<rect x="${left}" y="${y + 3}" width="${length(f.positives).toFixed(1)}" height="8" fill="#0072b2"><title>${f.positives}</title></rect><rect x="${left}" y="${y + 12}" width="${length(f.negatives).toFixed(1)}" height="8" fill="#56b4e9"><title>${f.negatives}</title></rect><text class="faint" x="${(left + end + 8).toFixed(1)}" y="${y + 16}">${f.positives} : ${f.negatives}, ${share}</text>`;
  });
  return svg(findings.length * line + 4, 'Class imbalance', body.join(''));
}

function hedgeChart(hedges: DatasetSummary['hedges']): string {
  if (hedges.length === 0) return '<p>No hedge of the lexicon is among the evidence.</p>';
  const top = hedges[0]!.count;
  const wide = left + 60; // phrases are longer than findings
  const room = width - wide - 130;
  const body = hedges.map((h, i) => {
    const y = i * line;
    const w = Math.max(1, (h.count / top) * room);
    return `${rowLabel(h.phrase, y, wide)}<rect x="${wide}" y="${y + 3}" width="${w.toFixed(1)}" height="${line - 6}" fill="#e69f00"/><text class="faint" x="${(wide + w + 6).toFixed(1)}" y="${y + 16}">${h.count}${h.probability === null ? '' : `, p = ${h.probability}`}</text>`;
  });
  return svg(hedges.length * line + 4, 'Frequency of hedges', body.join(''));
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
