/** Words that stand for what must not be told: planted wherever a user's file has room, and looked for afterwards. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runNode } from './child.ts';
import { Tally } from './tally.ts';
import { main } from './work.ts';

/** A word that occurs nowhere else. */
const marker = (n: number) => `ZQX${String(n).padStart(5, '0')}KJW`;
const MARKER = /ZQX\d{5}KJW/g;

/**
 * Plants markers in reports, ids, headers, keys, damaged rows, labels and patients, runs the verbs in good and in bad
 * ways, and searches what they print and what they write. An output that the user asks for may hold them (rows with
 * their sentences, candidates with their contexts); what is printed, and cards, pages and summaries, may not.
 */
export async function plantMarkers(count: number, folder: string): Promise<Tally> {
  const tally = new Tally('planted markers');
  mkdirSync(folder, { recursive: true });
  let next = 0;
  const m = () => marker(next++);
  const put = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const at = (name: string) => join(folder, name);
  const good = (n: number) =>
    Array.from(
      { length: n },
      () => `${JSON.stringify({ id: m(), text: `Small effusion, ${m()}. No ${m()}.` })}\n`,
    ).join('');
  const lines = (n: number, line: () => string) => Array.from({ length: n }, line).join('\n');
  while (next < count) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const row = (id: string, more = {}) =>
      JSON.stringify({
        id,
        finding: 'Edema',
        status: 'uncertain',
        probability: 0.5,
        label: 1,
        rate: 0,
        evidence: [{ phrase: 'probable', start: 0, end: 3, section: 'findings', sentence: m() }],
        extractor: 'rules',
        version: 'ab',
        ...more,
      });
    const ids = Array.from({ length: 5 }, m);
    const rows = put('rows.jsonl', `${ids.map((id) => row(id)).join('\n')}\n`);
    const images = put(
      'images.csv',
      `image,report,patient\n${ids.map((id, i) => `${m()}.png,${id},p${i}${m()}`).join('\n')}\n`,
    );
    const commands: string[][] = [
      ['extract', put('good.jsonl', good(4)), '--out', at('o1.jsonl')],
      [
        'extract',
        put(
          'headless.csv',
          lines(3, () => `${m()},"${m()} effusion",${m()}`),
        ),
        '--out',
        at('o2.jsonl'),
      ],
      ['extract', put('torn.csv', `id,text\n${m()},"${m()}\n${m()},x,y,z\n`), '--out', at('o3.jsonl')],
      [
        'extract',
        put('keys.jsonl', `${JSON.stringify({ [m()]: m(), [m()]: m() })}\n`),
        '--out',
        at('o4.jsonl'),
      ],
      [
        'extract',
        put('broken.jsonl', `{"id":"${m()}","text":"${m()}"\n${m()}\n{"id":"${m()}","text":7}\n`),
        '--out',
        at('o5.jsonl'),
      ],
      ['extract', put('bad.parquet', `PAR1${m()}PAR1`), '--out', at('o6.jsonl')],
      ['extract', put('latin.txt', `${m()} \xff\xfe ${m()}`), '--out', at('o7.jsonl')],
      ['extract', put('bad.xml', `<a><AbstractText Label="${m()}">${m()}`), '--out', at('o8.jsonl')],
      [
        'extract',
        put('good2.csv', `id,text\n${m()},${m()}\n`),
        '--text-column',
        'nothing',
        '--out',
        at('o9.jsonl'),
      ],
      ['dataset', 'build', images, '--rows', rows, '--out', at('set'), '--val', '0', '--test', '0'],
      ['dataset', 'release', at('set'), '--out', at('release')],
      ['dataset', 'release', folder, '--out', at('s0')],
      [
        'dataset',
        'build',
        put('other.csv', `image,report,patient\n${m()},${m()},${m()}\n`),
        '--rows',
        rows,
        '--out',
        at('s2'),
      ],
      [
        'dataset',
        'build',
        put(
          'headless2.csv',
          lines(3, () => `${m()},${m()},${m()}`),
        ),
        '--rows',
        rows,
        '--out',
        at('s3'),
      ],
      [
        'dataset',
        'build',
        put('ragged.csv', `image,report,patient\n${m()},"${m()}\n${m()},${m()},${m()},${m()}\n`),
        '--rows',
        rows,
        '--out',
        at('s4'),
      ],
      [
        'dataset',
        'build',
        images,
        '--rows',
        put('torn.jsonl', `${row(m())}\n{"id":"${m()}","find${m()}`),
        '--out',
        at('s5'),
      ],
      [
        'dataset',
        'build',
        images,
        '--rows',
        put('wrong.jsonl', `${row(m(), { probability: m() })}\n`),
        '--out',
        at('s6'),
      ],
      ['dataset', 'build', images, '--rows', rows, '--out', at('s7'), '--report-column', 'nothing'],
      [
        'dataset',
        'build',
        put(
          'split.csv',
          `image,report,patient,split\n${ids.map((id) => `${m()},${id},${m()},${m()}`).join('\n')}\n`,
        ),
        '--rows',
        rows,
        '--out',
        at('s8'),
      ],
      [
        'reports',
        'score',
        put(
          'gold.jsonl',
          `{"id":"${m()}","text":"${m()}","span":"${m()}","finding":"${m()}","status":"positive"}\n`,
        ),
      ],
      ['reports', 'score', put('gold2.jsonl', `{"id":"${m()}", ${m()}\n`)],
      ['reports', 'score', put('gold.csv', `report,finding,label\n${m()},Edema,${m()}\n`), '--rows', rows],
      ['reports', 'score', put('gold3.csv', `report,finding,label\n${m()},${m()},1\n`), '--rows', rows],
      [
        'reports',
        'score',
        put('gold4.csv', 'report,finding,label\nr,Edema,1\n'),
        '--rows',
        put('bad-rows.jsonl', `${m()}\n`),
      ],
      ['lexicon', 'check', put('check.jsonl', good(3))],
      ['train', put('labels.csv', `file,label\n${lines(3, () => `${m()}.png,${m()}`)}\n`), '--out', at('r1')],
      ['train', put('labels2.csv', `${lines(3, () => `${m()},${m()}`)}\n`), '--out', at('r2')],
      ['train', put('labels3.csv', `file,label,patient\n${m()}.png,"${m()}\n${m()},x\n`), '--out', at('r3')],
    ];
    for (const command of commands) {
      const { out, err } = await runNode([main, ...command], { cwd: folder });
      const told = `${out}\n${err}`.match(MARKER) ?? [];
      tally.check(
        told.length === 0,
        () => `${command.slice(0, 2).join(' ')} tells ${told.length}: ${`${out}\n${err}`.slice(0, 400)}`,
      );
    }
    const whole = {
      set: ['README.md', 'report.html', 'dataset.json', 'manifest.json'],
      // Its tables have ids.
      release: ['README.md', 'words.csv', 'release.json', 'manifest.json'],
    };
    for (const [set, names] of Object.entries(whole))
      for (const name of names) {
        const path = join(folder, set, name);
        tally.check(existsSync(path), () => `the good ${set} has no ${name}`);
        if (existsSync(path))
          tally.check(!MARKER.test(readFileSync(path, 'utf8')), () => `${set}/${name} tells a marker`);
        MARKER.lastIndex = 0;
      }
    for (const name of readdirSync(folder)) {
      // Nothing but inputs and outputs that were asked for: no log of ours lies about.
      const known = /^(o\d\.jsonl|set|release|r\d|s\d|.*\.(csv|jsonl|parquet|txt|xml))$/.test(name);
      tally.check(known && statSync(join(folder, name)).size >= 0, () => `left: ${name}`);
    }
  }
  tally.tries = next;
  rmSync(folder, { recursive: true, force: true });
  return tally;
}
