import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { formatError, PenumbraError } from '../errors.ts';
import {
  appendToLog,
  checkDistinct,
  checkResult,
  claimFolder,
  fileError,
  fileIdentity,
  Identity,
  markdownText,
  openRegular,
  printable,
  readRegular,
  removeTemporaries,
  removeTemporariesOf,
  resolveInside,
  shapeOf,
  spreadsheetCell,
  takeLock,
  temporaryFor,
  writeFolder,
  writeResult,
  writeWhole,
  writeWith,
} from './index.ts';

let folder: string;
const at = (...parts: string[]) => join(folder, ...parts);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'penumbra-files-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function codeOf(act: () => unknown): Promise<string> {
  try {
    await act();
  } catch (error) {
    return error instanceof PenumbraError ? error.code : String(error);
  }
  return 'nothing was thrown';
}

describe('writing', () => {
  test('replaces the file, keeps its permissions, leaves nothing beside it', () => {
    writeFileSync(at('a.json'), 'old');
    chmodSync(at('a.json'), 0o600);
    writeWhole(at('a.json'), 'new');
    expect(readFileSync(at('a.json'), 'utf8')).toBe('new');
    expect(statSync(at('a.json')).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['a.json']);
  });

  test('what fails in the middle changes nothing', async () => {
    writeFileSync(at('a.json'), 'old');
    const failing = () =>
      writeWith(at('a.json'), () => {
        throw Object.assign(new Error('full'), { code: 'ENOSPC' });
      });
    expect(await codeOf(failing)).toBe('files/disk-full');
    expect(readFileSync(at('a.json'), 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['a.json']);
  });

  test('a link is followed, and stays a link', () => {
    mkdirSync(at('real'));
    writeFileSync(at('real', 'a'), 'old');
    symlinkSync(at('real', 'a'), at('link'));
    symlinkSync(at('real', 'later'), at('dangling'));
    writeWhole(at('link'), 'new');
    writeWhole(at('dangling'), 'made');
    expect(lstatSync(at('link')).isSymbolicLink()).toBe(true);
    expect(readFileSync(at('real', 'a'), 'utf8')).toBe('new');
    expect(readFileSync(at('real', 'later'), 'utf8')).toBe('made');
  });

  test('a device is written to, not replaced; a folder is refused', async () => {
    writeWhole('/dev/null', 'gone');
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
    expect(await codeOf(() => writeWhole(folder, 'x'))).toBe('files/folder');
  });

  test.each([
    ['a name that is too long', 'x'.repeat(300), 'files/name-too-long'],
    ['a folder that is missing', 'missing/a', 'files/not-found'],
  ])('%s: an error that says so', async (_, name, code) => {
    expect(await codeOf(() => writeWhole(at(name), 'x'))).toBe(code);
  });

  test('names of 255 bytes can be written', () => {
    const name = 'ü'.repeat(127);
    writeWhole(at(name), 'x');
    expect(readdirSync(folder)).toEqual([name]);
  });

  test('only temporaries of ours are removed', () => {
    for (const name of ['thesis.tmp', '.thesis.tmp', 'x.penumbra-0123456789abcdef.tmp', 'a'])
      writeFileSync(at(name), '');
    const before = readdirSync(folder);
    writeFileSync(temporaryFor(at('a')), '');
    writeFileSync(temporaryFor(at('b')), '');
    removeTemporariesOf(at('a'));
    expect(readdirSync(folder)).toHaveLength(before.length + 1);
    removeTemporaries(folder);
    expect(readdirSync(folder)).toEqual(before);
  });

  test('a log grows, and is no link to elsewhere', async () => {
    appendToLog(at('log'), 'a\n');
    appendToLog(at('log'), 'b\n');
    expect(readFileSync(at('log'), 'utf8')).toBe('a\nb\n');
    symlinkSync(at('log'), at('link'));
    expect(await codeOf(() => appendToLog(at('link'), 'x'))).toBe('files/not-found');
  });
});

describe('results that the user names', () => {
  test('replace their own kind and nothing else', async () => {
    writeFileSync(at('thesis'), 'Chapter 1');
    const json = { kind: 'json', inputs: [] } as const;
    expect(await codeOf(() => writeResult(at('thesis'), '{}', json))).toBe('files/exists');
    expect(readFileSync(at('thesis'), 'utf8')).toBe('Chapter 1');
    writeResult(at('figures.json'), '{"a":1}', json);
    writeResult(at('figures.json'), '{"a":2}', json);
    expect(readFileSync(at('figures.json'), 'utf8')).toBe('{"a":2}');
  });

  test('are never an input', async () => {
    writeFileSync(at('in.json'), '{}');
    linkSync(at('in.json'), at('hard.json'));
    symlinkSync(at('in.json'), at('soft.json'));
    for (const name of ['in.json', 'hard.json', 'soft.json', 'x/../in.json']) {
      expect(await codeOf(() => checkResult(at(name), { kind: 'json', inputs: [at('in.json')] }))).toBe(
        'files/same',
      );
    }
    checkResult(at('out.json'), { kind: 'json', inputs: [at('in.json'), folder] });
  });
});

describe('reading', () => {
  test('a pipe, a device, a folder and a missing file are refused at once', async () => {
    spawnSync('mkfifo', [at('pipe')]);
    symlinkSync('/dev/zero', at('zero'));
    expect(await codeOf(() => openRegular(at('pipe')))).toBe('files/not-regular');
    expect(await codeOf(() => openRegular(at('zero')))).toBe('files/not-regular');
    expect(await codeOf(() => openRegular(folder))).toBe('files/not-regular');
    expect(await codeOf(() => openRegular(at('missing')))).toBe('files/not-found');
    expect(await codeOf(() => readRegular(at('missing', '..', 'x')))).toBe('files/not-found');
  });

  test('nothing outside the opened folder, whatever the link', async () => {
    mkdirSync(at('data'));
    mkdirSync(at('database'));
    for (const name of ['secret', 'data/inside', 'database/near']) writeFileSync(at(name), name);
    symlinkSync(at('secret'), at('data', 'absolute'));
    symlinkSync('../secret', at('data', 'relative'));
    symlinkSync(at('data', 'inside'), at('data', 'fine'));
    symlinkSync(at('database'), at('data', 'folder'));
    symlinkSync(at('data'), at('way'));
    const within = at('way');
    for (const name of ['absolute', 'relative', '../secret', 'folder/near', '../database/near'])
      expect(await codeOf(() => readRegular(join(within, name), { within }))).toBe('files/outside');
    for (const name of ['inside', 'fine'])
      expect(readRegular(join(within, name), { within }).toString()).toBe('data/inside');
    expect(readRegular(at('data', 'absolute')).toString()).toBe('secret');
  });

  test('names of tables stay inside the root unless told', async () => {
    expect(resolveInside('/data', 'a/../b.png')).toBe('/data/b.png');
    expect(resolveInside('/data', '..b.png')).toBe('/data/..b.png');
    for (const name of ['../x', '/etc/passwd', 'a/../../x', '/database/x'])
      expect(await codeOf(() => resolveInside('/data', name))).toBe('files/outside');
    expect(resolveInside('/data', '/etc/passwd', true)).toBe('/etc/passwd');
  });
});

describe('output and input', () => {
  test('the same file, a folder around the input, and neither', async () => {
    mkdirSync(at('set', 'deep'), { recursive: true });
    writeFileSync(at('set', 'deep', 'in.csv'), '');
    symlinkSync(at('set'), at('way'));
    const input = [at('set', 'deep', 'in.csv')];
    expect(await codeOf(() => checkDistinct(at('way'), input))).toBe('files/same');
    expect(await codeOf(() => checkDistinct(at('way', 'deep'), input))).toBe('files/same');
    expect(await codeOf(() => checkDistinct(at('set', 'deep', 'in.csv', '..'), input))).toBe('files/same');
    checkDistinct(at('set', 'deep', 'out'), input);
    checkDistinct(at('set-2'), input);
  });
});

describe('a folder that is written as a whole', () => {
  const write = (name: string, text: string, options: { overwrite?: boolean; inputs?: string[] } = {}) =>
    writeFolder(at(name), { kind: 'test', inputs: [], ...options }, async (draft) => {
      mkdirSync(join(draft, 'part'));
      writeFileSync(join(draft, 'part', 'a.txt'), text);
      return text;
    });

  test('appears at once, is replaced at once, and leaves nothing', async () => {
    expect(await write('out', 'one')).toBe('one');
    expect(await codeOf(() => write('out', 'two'))).toBe('files/exists');
    await write('out', 'two', { overwrite: true });
    expect(readFileSync(at('out', 'part', 'a.txt'), 'utf8')).toBe('two');
    expect(readdirSync(folder)).toEqual(['out']);
    expect(readdirSync(at('out'))).toEqual(['manifest.json', 'part']);
  });

  test.each([
    ['a file of the user', (out: string) => writeFileSync(join(out, 'notes.txt'), 'mine')],
    ['a file in a folder of ours', (out: string) => writeFileSync(join(out, 'part', 'b.txt'), 'mine')],
    ['an empty folder of the user', (out: string) => mkdirSync(join(out, 'mine'))],
    [
      'a file of ours that the user changed',
      (out: string) => writeFileSync(join(out, 'part', 'a.txt'), 'mine'),
    ],
    ['a missing manifest', (out: string) => rmSync(join(out, 'manifest.json'))],
    [
      'a manifest of another kind',
      (out: string) =>
        writeFileSync(join(out, 'manifest.json'), '{"writer":"penumbra","kind":"run","files":{}}'),
    ],
  ])('--overwrite does not touch %s', async (_, change) => {
    await write('out', 'one');
    change(at('out'));
    const before = readdirSync(at('out'), { recursive: true });
    expect(await codeOf(() => write('out', 'two', { overwrite: true }))).toBe('files/exists');
    expect(readdirSync(at('out'), { recursive: true })).toEqual(before);
    expect(readdirSync(folder)).toEqual(['out']);
  });

  test('a folder of photographs stays', async () => {
    mkdirSync(at('photos'));
    writeFileSync(at('photos', 'a.jpg'), 'x');
    expect(await codeOf(() => write('photos', 'x', { overwrite: true }))).toBe('files/exists');
    expect(await codeOf(() => write('photos/a.jpg', 'x', { overwrite: true }))).toBe('files/exists');
  });

  test('an input in it is not replaced', async () => {
    await write('out', 'one');
    const inputs = [at('out', 'part', 'a.txt')];
    expect(await codeOf(() => write('out', 'two', { overwrite: true, inputs }))).toBe('files/same');
    expect(readFileSync(inputs[0]!, 'utf8')).toBe('one');
  });

  test('a failure leaves the old one and no draft; a second writer is refused', async () => {
    await write('out', 'one');
    const failing = writeFolder(at('out'), { kind: 'test', inputs: [], overwrite: true }, async () => {
      expect(await codeOf(() => write('out', 'two', { overwrite: true }))).toBe('files/locked');
      throw new Error('in the middle');
    });
    await expect(failing).rejects.toThrow('in the middle');
    expect(readFileSync(at('out', 'part', 'a.txt'), 'utf8')).toBe('one');
    expect(readdirSync(folder)).toEqual(['out']);
  });

  test('what came into the old folder while the new one was written is kept', async () => {
    await write('out', 'one');
    const work = writeFolder(at('out'), { kind: 'test', inputs: [], overwrite: true }, async (draft) => {
      writeFileSync(join(draft, 'a'), '');
      writeFileSync(at('out', 'notes.txt'), 'mine');
    });
    expect(await codeOf(() => work)).toBe('files/exists');
    expect(readFileSync(at('out', 'notes.txt'), 'utf8')).toBe('mine');
  });

  test('a draft that a killed call left is removed by the next, and nobody else’s', async () => {
    mkdirSync(temporaryFor(at('out')));
    mkdirSync(temporaryFor(at('other')));
    await write('out', 'one');
    expect(readdirSync(folder).filter((name) => name.includes('penumbra'))).toHaveLength(1);
  });

  test('a lock that vanishes with its folder ends the work with an error', async () => {
    mkdirSync(at('deep'));
    const work = writeFolder(at('deep', 'out'), { kind: 'test', inputs: [] }, async () => {
      rmSync(at('deep'), { recursive: true });
    });
    expect(await codeOf(() => work)).toMatch(/^files\/(lost|not-found)$/);
    expect(existsSync(at('deep', 'out'))).toBe(false);
  });
});

describe('a folder that is written into again and again', () => {
  const claim = { kind: 'study', names: ['result.json'], known: { file: 'old.json', keys: ['runs'] } };
  test('is claimed once, and a foreign result in it is not overwritten', async () => {
    claimFolder(at('new'), claim);
    writeFileSync(at('new', 'result.json'), '{}');
    claimFolder(at('new'), claim);
    expect(await codeOf(() => claimFolder(at('new'), { ...claim, kind: 'comparison' }))).toBe('files/exists');
    mkdirSync(at('mine'));
    writeFileSync(at('mine', 'result.json'), 'mine');
    expect(await codeOf(() => claimFolder(at('mine'), claim))).toBe('files/exists');
    expect(readdirSync(at('mine'))).toEqual(['result.json']);
    writeFileSync(at('mine', 'old.json'), '{"runs":[]}');
    claimFolder(at('mine'), claim);
  });
});

describe('identity', () => {
  test('of a file: size and content, wherever it changes within what is read', () => {
    const bytes = Buffer.alloc(3 << 20, 1);
    writeFileSync(at('a'), bytes);
    const first = fileIdentity(at('a'));
    expect(first).toEqual({ bytes: 3 << 20, hash: expect.stringMatching(/^[0-9a-f]{32}$/) });
    for (const position of [0, bytes.length - 1, 65_535]) {
      const changed = Buffer.from(bytes);
      changed[position] = 2;
      writeFileSync(at('a'), changed);
      expect(fileIdentity(at('a')).hash).not.toBe(first.hash);
    }
    for (let i = 0; i < 40; i++) {
      const small = Buffer.alloc(25_000 + i * 25_000, 1);
      small[i * 24_999] = 2;
      writeFileSync(at('b'), small);
      const one = fileIdentity(at('b')).hash;
      small[i * 24_999] = 3;
      writeFileSync(at('b'), small);
      expect(fileIdentity(at('b')).hash).not.toBe(one);
    }
  });

  test('of parts: they do not run together', () => {
    const of = (...parts: (string | number | Uint8Array | undefined)[]) =>
      parts.reduce<Identity>((all, part) => all.add(part), new Identity()).digest();
    const all = [
      of('ab', 'c'),
      of('a', 'bc'),
      of('abc'),
      of(1),
      of('1'),
      of(undefined),
      of(''),
      of(new Uint8Array(0)),
    ];
    expect(new Set(all).size).toBe(all.length);
    expect(of(new Uint8Array([1, 2, 3]))).toBe(of(new Uint8Array([0, 1, 2, 3]).subarray(1)));
    const shared = new Uint8Array(new SharedArrayBuffer(3));
    shared.set([1, 2, 3]);
    expect(of(shared)).toBe(of(new Uint8Array([1, 2, 3])));
  });
});

describe('text of others', () => {
  test('control characters are shown, not obeyed', () => {
    expect(printable('a\u001b[31mb\u0007\u202ec\u0000ü\t\n')).toBe('a\\x1b[31mb\\x07\\u202ec\\x00ü\t\n');
  });

  test('cells that are formulas are texts; numbers stay numbers', () => {
    for (const text of ['=1+1', '+cmd|x', '-2+3', '@SUM(A1)', '\t=1'])
      expect(spreadsheetCell(text)).toBe(`'${text}`);
    for (const text of ['-0.5', '+1e-3', '3', 'a=b', '']) expect(spreadsheetCell(text)).toBe(text);
  });

  test('Markdown shows HTML and markup as text', () => {
    expect(markdownText('<img src=x onerror=a()> | *b* [l](u) `c`')).toBe(
      '&lt;img src=x onerror=a()&gt; \\| \\*b\\* \\[l\\](u) \\`c\\`',
    );
  });

  test('the shape of an id tells nothing of it', () => {
    expect(shapeOf('s50414267')).toBe('a99999999');
    expect(shapeOf('Müller-12 A')).toBe('Aaaaaa-99 A');
  });
});

test('errors of the system: one line, what to do, and whatever is data already stays', () => {
  const own = new PenumbraError('a/b', 'c');
  expect(fileError(own, 'x', 'written')).toBe(own);
  const full = fileError(Object.assign(new Error('secret text'), { code: 'ENOSPC' }), '/x', 'written');
  expect(full).toMatchObject({ code: 'files/disk-full', message: '/x cannot be written: the disk is full' });
  expect(fileError(new Error('secret text'), '/x', 'read').message).not.toContain('secret');
});

test('a lock in a folder that does not exist yet makes it', () => {
  using lock = takeLock(at('a', 'b', 'run.lock'));
  lock.check();
});

describe('errors as they are printed', () => {
  test('names without control characters; nothing of what a library says', () => {
    const named = new PenumbraError('a/b', 'bad\u001b[2J.png', { hint: 'see \u0007' });
    expect(formatError(named)).toBe('error [a/b]: bad\\x1b[2J.png\n  hint: see \\x07');
    let foreign: unknown;
    try {
      JSON.parse('patient Smith');
    } catch (error) {
      foreign = error;
    }
    expect(String(foreign)).toContain('patient');
    expect(formatError(foreign)).not.toContain('Smith');
    expect(formatError(foreign)).not.toContain('patient');
    expect(formatError(foreign)).toMatch(/SyntaxError.*\n.*PENUMBRA_DEBUG=1.*\n\s+at /);
    expect(formatError('patient Smith')).not.toContain('patient');
  });
});
