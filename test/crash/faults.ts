/** Everything that is done to the program while it delivers, but for kills at random moments. */
import type { Fault } from './fault';
import { namedKills } from './kills';
import { orders } from './orders';
import { connections, damages, refusals, stalls } from './requests';
import { outages, restarts } from './servers';

export const faults: readonly Fault[] = [
  ...namedKills,
  ...restarts,
  ...outages,
  ...refusals,
  ...connections,
  ...stalls,
  ...damages,
  ...orders,
];
