import { once } from 'node:events';
import { createServer } from 'node:net';

/** A port of this machine that nobody listens at: where ranks that are started here can meet. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** What `meetingFromEnvironment` reads, for a rank that meets the others of this machine at a port of it. */
export function rankEnvironment(rank: number, size: number, port: number): Record<string, string> {
  return {
    RANK: String(rank),
    WORLD_SIZE: String(size),
    LOCAL_RANK: String(rank),
    LOCAL_WORLD_SIZE: String(size),
    MASTER_ADDR: '127.0.0.1',
    MASTER_PORT: String(port),
  };
}
