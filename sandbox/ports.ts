/** Ports for the sandbox's programs, which are told theirs before they listen. */
import net from 'node:net';
import { SandboxError } from './toolchain';

/** Below those that systems give out by themselves. */
const blocksFrom = 20_000;
const blocks = 600;
const blockSize = 20;

/** The next of this program's block to be given; the first of a block is never given. */
let next = 0;
/** When the one who asked before has its port: a block is used up before another is taken. */
let before: Promise<unknown> = Promise.resolve();

/**
 * A port that no other caller is given as long as this process lives: not before the program that it is for listens, nor
 * while that is being restarted.
 */
export function freePort(): Promise<number> {
  const port = before.then(nextFree);
  before = port.catch(() => {});
  return port;
}

async function nextFree(): Promise<number> {
  for (;;) {
    if (next % blockSize === 0) next = (await takeBlock()) + 1;
    const port = next++;
    if (await isFree(port)) return port;
  }
}

export async function requireFreePort(port: number, what: string): Promise<number> {
  if (await isFree(port)) return port;
  throw new SandboxError(
    `Port ${port}, which ${what} needs, is in use: stop what listens there, or add --any-port to take free ports.`,
  );
}

/** A block is its program's while that listens on its first port: the system ends that with the process, however it ends. */
async function takeBlock(): Promise<number> {
  const any = Math.floor(Math.random() * blocks);
  for (let tried = 0; tried < blocks; tried++) {
    const first = blocksFrom + ((any + tried) % blocks) * blockSize;
    const guard = await listening(first);
    if (guard === undefined) continue;
    guard.unref();
    return first;
  }
  throw new SandboxError(`All ports from ${blocksFrom} to ${blocksFrom + blocks * blockSize} are taken.`);
}

async function isFree(port: number): Promise<boolean> {
  const server = await listening(port);
  if (server === undefined) return false;
  await new Promise((resolve) => server.close(resolve));
  return true;
}

/** Undefined where another program listens. */
const listening = (port: number): Promise<net.Server | undefined> =>
  new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
