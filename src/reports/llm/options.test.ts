import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { findingSet } from '../findings/findings.ts';
import { estimate, licenceWarningOf } from './options.ts';

const root = mkdtempSync(join(tmpdir(), 'penumbra-licence-'));
afterAll(() => rmSync(root, { recursive: true }));

describe('a warning before reports of MIMIC leave the machine', () => {
  const elsewhere = { server: 'https://api.example.com/v1' };
  const mimic = ['s50414267', 'p10/p10000032/s53189527.txt', '10000032-RR-15', '56699142##2'];

  test('by the form of their ids, and only where they would', () => {
    for (const id of mimic)
      expect(licenceWarningOf(elsewhere, [id])).toMatch(
        /^warning: these reports look like MIMIC's.*PhysioNet/,
      );
    expect(licenceWarningOf({ server: 'http://localhost:8000/v1' }, mimic)).toBeUndefined();
    expect(
      licenceWarningOf({ server: 'http://localhost:8000/v1', proxy: 'http://proxy:3128' }, mimic),
    ).toMatch(/MIMIC/);
    expect(licenceWarningOf({ gguf: 'model.gguf' }, mimic)).toBeUndefined();
    expect(licenceWarningOf(elsewhere, ['CXR1', '4', 's5041426', '60414267', '2024-RR-1'])).toBeUndefined();
    expect(licenceWarningOf(elsewhere, [])).toBeUndefined();
  });

  test('quotes no id', () => {
    expect(licenceWarningOf(elsewhere, mimic)).toContain('s99999999');
    expect(licenceWarningOf(elsewhere, mimic)).not.toContain('50414267');
  });

  test('is said of the published folders before the first request', async (context) => {
    const address = Object.values(networkInterfaces())
      .flat()
      .find((one) => one !== undefined && !one.internal && one.family === 'IPv4')?.address;
    context.skip(address === undefined, 'this machine has no address but its own');
    mkdirSync(join(root, 'files/p10/p10000032'), { recursive: true });
    for (const study of [50414267, 53189527])
      writeFileSync(join(root, `files/p10/p10000032/s${study}.txt`), 'FINDINGS: Clear lungs.');
    const order: string[] = [];
    const server = createServer((_, answer) => {
      order.push('request');
      answer.writeHead(500).end();
    });
    await new Promise<void>((ready) => server.listen(0, address, ready));
    const { port } = server.address() as { port: number };
    try {
      await estimate(
        join(root, 'files'),
        findingSet(),
        { server: `http://${address}:${port}/v1`, retries: 0 },
        {},
        (text) => order.push(text),
      ).catch(() => {});
    } finally {
      server.close();
    }
    expect(order[0]).toMatch(/2 reports will be sent/);
    expect(order[1]).toMatch(/look like MIMIC's/);
    expect(order[2]).toBe('request');
  });
});
