import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { freePort } from '../../sandbox/ports';
import { compiled } from '../../sandbox/processes';

const several = 250;

/** The ports that another process is given, as long as it lives. */
async function portsOfAnother(): Promise<{ readonly process: ChildProcess; readonly ports: readonly number[] }> {
  const program = `
    // A listener keeps the process.
    process.on('message', () => {});
    const { freePort } = require(${JSON.stringify(compiled('sandbox', 'ports.js'))});
    (async () => {
      const ports = [];
      while (ports.length < ${several}) ports.push(await freePort());
      process.send(ports);
    })();`;
  const process = fork('-', [], { execArgv: ['--eval', program] });
  const [ports] = (await once(process, 'message')) as [number[]];
  return { process, ports };
}

test('no port is given to two, in one process or in several', async () => {
  const others = await Promise.all([portsOfAnother(), portsOfAnother()]);
  try {
    const own = await Promise.all(Array.from({ length: several }, () => freePort()));
    const given = [...own, ...others.flatMap(({ ports }) => ports)];
    expect(new Set(given).size).toBe(3 * several);
  } finally {
    for (const { process } of others) process.kill('SIGKILL');
  }
});

test('a port on which another program listens is not given', async () => {
  const port = await freePort();
  const other = net.createServer().listen(port + 1, '127.0.0.1');
  await once(other, 'listening');
  try {
    expect(await freePort()).not.toBe(port + 1);
  } finally {
    other.close();
  }
});
