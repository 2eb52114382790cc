/** Kills at moments that a seed draws. */
import { randomKills, type Fault } from './faults';

const killsInADumpMax = 3;
/** A dump of the matrix takes about this long. */
const dumpMs = 6_000;
/** After a kill a dump waits until Temporal misses the worker: kills fall into that time too, and after it. */
const recoveryMs = 20_000;

export function drawRandomKills(kills: number, seed: number): Fault[] {
  const draw = mulberry32(seed);
  const found: Fault[] = [];
  for (let left = kills; left > 0;) {
    const count = Math.min(left, 1 + Math.floor(draw() * killsInADumpMax));
    left -= count;
    const delays = Array.from({ length: count }, (_, index) =>
      Math.floor(draw() * (index === 0 ? dumpMs : recoveryMs)),
    );
    found.push(randomKills(found.length + 1, delays));
  }
  return found;
}

/** A small generator of numbers from 0 to 1 whose whole state is its seed: the same seed draws the same everywhere. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
