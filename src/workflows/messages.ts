import { defineSearchAttributeKey } from '@temporalio/common';
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import {
  searchAttributeNames,
  type AccessCheck,
  type AssumedRole,
  type DestinationSettings,
  type DestinationStatus,
  type DumpStatus,
} from '../contract';
import type { DestinationInput } from '../dump/inputs';

/** Everything that a message brings from outside is `unknown` until it has been parsed. */

// An update, as the caller wants to know whether the settings were taken, and what the proof of access said.
export const connectUpdate = defineUpdate<Connected, [DestinationInput]>('connect');
// An update, as the caller wants to know what it says.
export const checkUpdate = defineUpdate<AccessCheck>('check');
// An update, as the caller wants to know when nothing is delivered any more.
export const disconnectUpdate = defineUpdate<void>('disconnect');

// Signals, as the pipeline and the UI must not wait, and whoever sends one twice does no harm.
export const modellingRunSucceededSignal = defineSignal<[unknown]>('modellingRunSucceeded');
export const pauseSignal = defineSignal('pause');
export const resumeSignal = defineSignal('resume');
export const dumpNowSignal = defineSignal('dumpNow');
/** Each day by schedule. Whoever wants to know what it says sends the update. */
export const checkAccessSignal = defineSignal('checkAccess');
export const destinationStatusQuery = defineQuery<DestinationStatus>('status');

/** To a dump: try again what waits for a person; with a table's name, only that table. */
export const retrySignal = defineSignal<[unknown?]>('retry');
/** To a dump: give it up, for this reason. What was stored stays, no receipt is written. */
export const abandonSignal = defineSignal<[reason?: unknown]>('abandon');
/** To a dump, from its destination: a newer run waits. A dump that is still at work finishes first. */
export const supersedeSignal = defineSignal<[newerRunId: string]>('supersede');
export const dumpStatusQuery = defineQuery<DumpStatus>('status');

export interface Connected {
  readonly settings: DestinationSettings;
  readonly proof: AssumedRole;
}

/** All of one type, so that the UI can filter by them and the program can register them in one loop. */
export const searchAttributes = {
  account: defineSearchAttributeKey(searchAttributeNames.account, 'KEYWORD'),
  state: defineSearchAttributeKey(searchAttributeNames.state, 'KEYWORD'),
  run: defineSearchAttributeKey(searchAttributeNames.run, 'KEYWORD'),
} as const;
