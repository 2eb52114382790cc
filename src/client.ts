#!/usr/bin/env node
/**
 * What the modelling pipeline imports, and the command line `s3-destination`.
 *
 * @example
 * import { modellingRunSucceeded } from 's3-destination';
 * await modellingRunSucceeded('acc_7Hq2', { runId: 'run-42', finishedAt: new Date(), dataset: 'acme-prod.data_platform' });
 */
import { runCommandLine } from './client/command-line';
import { withDestinations, type ModellingRunInput } from './client/destinations';

export { Destinations, withDestinations } from './client/destinations';
export type { DestinationReport, ModellingRunInput } from './client/destinations';
export { RequestFailed } from './client/request-failed';
export { InvalidInput, type DestinationInput } from './dump/inputs';

/**
 * Says that a data-modelling run of a customer has succeeded; a dump of its tables follows. Returns when Temporal has
 * taken it. Saying the same run twice makes one dump, so that a caller may retry. Connects to where Temporal's
 * environment variables say.
 *
 * @throws InvalidInput where an argument cannot be taken; nothing was sent then.
 */
export const modellingRunSucceeded = (account: string, run: ModellingRunInput): Promise<void> =>
  withDestinations((destinations) => destinations.modellingRunSucceeded(account, run));

if (require.main === module) {
  void (async () => {
    process.exitCode = await runCommandLine(process.argv);
  })();
}
