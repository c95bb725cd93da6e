import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runNode } from '../../../test/attacks/child.ts';
import { isThisMachine, openClient, sendingWarning } from './http.ts';

let seen: string[] = [];
const server = createServer((request, response) => {
  seen.push(`${request.method} ${request.url}`);
  request.resume().on('end', () => response.end('{}'));
});
let port: number;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => server.close());

const client = fileURLToPath(new URL('./http.ts', import.meta.url));
/** Sends one request from another process, to a host that does not exist: only a proxy could answer. */
function sendThrough(proxy: string | undefined) {
  const program = `import { openClient } from ${JSON.stringify(client)};
    const signal = AbortSignal.timeout(5000);
    const post = openClient(${JSON.stringify(proxy)});
    await post(new URL('http://nowhere.invalid/v1'), { headers: {}, body: 'secret', signal }).then(
      ({ status }) => console.log('answered', status),
      ({ code }) => console.log('failed', code),
    );`;
  const environment = `http://127.0.0.1:${port}`;
  return runNode(['--input-type=module', '-e', program], {
    env: {
      ...process.env,
      NODE_USE_ENV_PROXY: '1',
      HTTP_PROXY: environment,
      http_proxy: environment,
      ALL_PROXY: environment,
      NO_PROXY: '',
    },
  });
}

test('proxies of the environment are not used; one that is named is', async () => {
  seen = [];
  expect((await sendThrough(undefined)).out).toMatch(/^failed/);
  expect(seen).toEqual([]);
  expect((await sendThrough(`http://127.0.0.1:${port}`)).out).toBe('answered 200\n');
  expect(seen).toEqual(['POST http://nowhere.invalid/v1']);
});

test('a request and its answer', async () => {
  const answer = await openClient()(new URL(`http://127.0.0.1:${port}/x`), {
    headers: { 'x-a': 'b' },
    body: '{"ü":1}',
    signal: AbortSignal.timeout(5000),
  });
  expect(answer.status).toBe(200);
  let text = '';
  for await (const part of answer.body) text += part;
  expect(text).toBe('{}');
  expect(() => openClient('no address')).toThrow(/no address/);
});

test('which addresses are this machine', () => {
  for (const host of ['localhost', 'a.localhost', '127.0.0.1', '127.9.9.9', '[::1]', '::1'])
    expect(isThisMachine(host)).toBe(true);
  for (const host of ['127.0.0.1.example.com', 'localhost.example', '10.0.0.1', '::2', '1.127.0.0', 'gpu1']) {
    expect(isThisMachine(host)).toBe(false);
  }
});

test('a warning before reports leave the machine: where to, how many, whether it can be read', () => {
  const warn = (url: string, proxy?: string) =>
    sendingWarning(new URL(url), 'the full text of 7 reports', proxy);
  expect(warn('http://localhost:8000/v1')).toBeUndefined();
  expect(warn('https://api.example.com/v1')).toMatch(
    /^warning: the full text of 7 reports will be sent to api\.example\.com, which is not this machine\./,
  );
  expect(warn('http://gpu1:8000/v1')).toMatch(/gpu1:8000.*WITHOUT ENCRYPTION/);
  expect(warn('http://localhost/v1', 'http://user:secret@proxy:3128')).toMatch(
    /through the proxy proxy:3128/,
  );
  expect(warn('http://localhost/v1', 'http://user:secret@proxy:3128')).not.toContain('secret');
});
