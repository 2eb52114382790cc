/** The overview of all customers for people. */
import type { Fault } from '../contract';
import {
  customersIn,
  customerStates,
  type CustomerLine,
  type Overview,
  type Refusal,
  type WaitingDump,
} from './overview';

export function overviewLines({ counts, customers, more }: Overview): string[] {
  return [summaryLine(counts), ...customers.map(customerText), ...(more === 0 ? [] : [moreText(more)])];
}

export const moreText = (more: number): string =>
  `${more} more: show more with --limit <number>, or only those of one state with --state <state>`;

function summaryLine(counts: Overview['counts']): string {
  const total = customersIn(counts);
  if (total === 0) return 'There is no customer yet: the command connect makes one.';
  const byState = customerStates.flatMap((state) =>
    state === 'NeedsAttention' || counts[state] === 0 ? [] : [`${counts[state]} ${state}`],
  );
  const waiting = counts.NeedsAttention === 0 ? '' : `; a dump of ${counts.NeedsAttention} NeedsAttention`;
  return `${total} ${total === 1 ? 'customer' : 'customers'}: ${byState.join(', ')}${waiting}`;
}

const customerText = ({ accountId, state, dump, refusal }: CustomerLine): string =>
  [
    accountId.padEnd(24),
    state.padEnd(14),
    ...(dump === undefined ? [] : [dumpText(dump)]),
    ...(refusal === undefined ? [] : [refusalText(refusal)]),
  ]
    .join(' ')
    .trimEnd();

function refusalText(refusal: Refusal): string {
  if ('unanswered' in refusal) return noWorker(refusal.unanswered);
  const { at, fault } = refusal;
  return at === undefined ? faultText(fault) : `found ${at.slice(0, 16)}: ${faultText(fault)}`;
}

function dumpText({ startedAt, faults, unanswered }: WaitingDump): string {
  const why =
    unanswered === undefined
      ? [...tablesByFault(faults)].map(([fault, tables]) => (tables === '' ? fault : `${fault} [${tables}]`)).join('; ')
      : noWorker(unanswered);
  return `dump since ${startedAt.slice(0, 16)}: ${why}`;
}

/** What troubles several tables is said once. */
function tablesByFault(faults: WaitingDump['faults']): Map<string, string> {
  const tables = new Map<string, string>();
  for (const { type, mender, table } of faults) {
    const fault = faultText({ type, mender });
    tables.set(fault, [tables.get(fault), table].filter(Boolean).join(', '));
  }
  return tables;
}

const faultText = ({ type, mender }: Pick<Fault, 'type' | 'mender'>): string =>
  `${type}, to be mended by the ${mender}`;

const noWorker = (unanswered: string): string => `no worker says why: ${unanswered}`;
