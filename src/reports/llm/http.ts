import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { PenumbraError } from '../../errors.ts';

/** What a server answered. The body must be read to its end, or destroyed. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: AsyncIterable<Buffer> & { destroy(): void };
}

/** Sends JSON to one server. */
export type Post = (
  url: URL,
  options: { readonly headers: Record<string, string>; readonly body: string; readonly signal: AbortSignal },
) => Promise<Answer>;

/**
 * A client that goes to the address itself. Not `fetch`: that may be told by the environment (NODE_USE_ENV_PROXY,
 * HTTP_PROXY) to send everything to another machine, and reports go where the user said.
 * @param proxy the proxy to go through, where the user names one
 * @throws PenumbraError `usage/llm-proxy` for one that is no address, or where this Node knows no proxies
 */
export function openClient(proxy?: string): Post {
  const options = { keepAlive: true, ...(proxy !== undefined && { proxyEnv: proxyEnv(proxy) }) };
  const agents = { 'http:': new HttpAgent(options), 'https:': new HttpsAgent(options) };
  return (url, { headers, body, signal }) =>
    new Promise((resolve, reject) => {
      const secure = url.protocol === 'https:';
      const send = secure ? httpsRequest : httpRequest;
      const bytes = Buffer.from(body);
      const request = send(
        url,
        {
          method: 'POST',
          agent: secure ? agents['https:'] : agents['http:'],
          headers: { ...headers, 'content-length': String(bytes.length) },
          signal,
        },
        (answer: IncomingMessage) =>
          resolve({
            status: answer.statusCode ?? 0,
            headers: Object.fromEntries(
              Object.entries(answer.headers).map(([name, value]) => [name, value?.toString()]),
            ),
            body: answer,
          }),
      );
      request.on('error', reject);
      request.end(bytes);
    });
}

/**
 * What the user should know before anything is sent: that it leaves this machine, and whether it can be read on the
 * way. Undefined for this machine's own addresses.
 */
export function sendingWarning(url: URL, what: string, proxy?: string): string | undefined {
  const way = proxy === undefined ? '' : ` through the proxy ${withoutSecrets(proxy)}`;
  const away = !isThisMachine(url.hostname) || (proxy !== undefined && !isProxyHere(proxy));
  if (!away) return undefined;
  const plain = url.protocol === 'http:' ? ' WITHOUT ENCRYPTION (http): anybody on the way can read it' : '';
  return `warning: ${what} will be sent to ${url.host}${way}, which is not this machine${plain}. Ctrl-C stops it.`;
}

/** By the address alone, without asking a name server: `localhost` and the loopback networks. */
export function isThisMachine(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  if (isIP(name) === 4) return name.startsWith('127.');
  return name === '::1' || /^::ffff:(127\.|7f)/.test(name);
}

function isProxyHere(proxy: string): boolean {
  return isThisMachine(new URL(proxy).hostname);
}

function withoutSecrets(proxy: string): string {
  return new URL(proxy).host;
}

function proxyEnv(proxy: string): Record<string, string> {
  const fail = (what: string, hint: string): never => {
    throw new PenumbraError('usage/llm-proxy', `The proxy ${what}.`, { hint });
  };
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 24 || (major === 24 && minor < 5)) {
    return fail(
      'cannot be used by this Node',
      'Node 24.5 or later knows proxies; npx penumbra brings its own.',
    );
  }
  const url = URL.parse(proxy);
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    return fail('is no address', 'Give one such as http://proxy.hospital.example:3128');
  }
  return { HTTP_PROXY: url.href, HTTPS_PROXY: url.href };
}
