/**
 * Speed of `penumbra judge`: `npm run bench -- judge [rows]`. A CSV of 14 findings, each with its label and its
 * probability, is written first (1,000,000 rows: some 300 MB), then read, matched, measured and told, in this process.
 */
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { judgeFigures, loadPredictions, renderJudgement } from '../src/judge/index.ts';
import { Random } from '../src/random.ts';

const rows = Number(process.argv.slice(2).find((argument) => /^\d+$/.test(argument)) ?? 1_000_000);
const findings = 14;
const folder = mkdtempSync(join(tmpdir(), 'penumbra-bench-'));
try {
  const path = join(folder, 'predictions.csv');
  write(path);
  console.log(`${rows} rows × ${findings} findings, ${Math.round(statSync(path).size / 1e6)} MB`);
  const start = performance.now();
  const cpu = process.cpuUsage();
  const loaded = await loadPredictions([{ file: path }]);
  const read = performance.now();
  const text = renderJudgement(judgeFigures(loaded));
  const used = process.cpuUsage(cpu);
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
  console.log(text.split('\n')[0]);
  console.log(
    `read ${seconds(read - start)}, measured ${seconds(performance.now() - read)}; ` +
      `processor time ${seconds((used.user + used.system) / 1000)}, ` +
      `peak memory ${Math.round(process.resourceUsage().maxRSS / 1024)} MB`,
  );
} finally {
  rmSync(folder, { recursive: true });
}

function write(path: string): void {
  const random = new Random(1);
  const names = Array.from({ length: findings }, (_, j) => `f${j}`);
  const file = openSync(path, 'w');
  let text = `${['id', ...names.map((name) => `y_${name}`), ...names.map((name) => `p_${name}`)].join(',')}\n`;
  for (let i = 0; i < rows; i++) {
    const labels: number[] = [];
    const probabilities: string[] = [];
    for (let j = 0; j < findings; j++) {
      const p = random.uniform() ** 3;
      labels.push(random.uniform() < p ? 1 : 0);
      probabilities.push((p ** 1.3).toFixed(6));
    }
    text += `image${i},${labels.join(',')},${probabilities.join(',')}\n`;
    if (text.length < 1 << 22) continue;
    writeSync(file, text);
    text = '';
  }
  writeSync(file, text);
  closeSync(file);
}
