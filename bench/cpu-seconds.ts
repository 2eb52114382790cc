/** What processes use, by the system's own account. Linux only: elsewhere it is unknown. */
import { readdirSync, readFileSync } from 'node:fs';

/** User and system time of a process so far. */
export const cpuSecondsOf = (pid: number): number | undefined => {
  const fields = statOf(pid);
  return fields === undefined ? undefined : (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
};

/** The processes that `pid` has started and that still run. */
export function childrenOf(pid: number): number[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((other) => Number(statOf(other)?.[1]) === pid);
}

/** On every Linux that Node runs on. */
const ticksPerSecond = 100;

/** proc(5), `stat`: its fields after the name, from the third on. */
function statOf(pid: number): string[] | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
