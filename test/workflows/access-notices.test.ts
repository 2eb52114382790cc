import type { AccessEvent, FailureType, Fault } from '../../src/contract';
import { AccessNotices } from '../../src/workflows/access-notices';

const fault = (type: FailureType): Fault => ({
  type,
  problem: `${type}.`,
  mender: 'customer',
  remedy: 'mend it',
  retriesHourly: true,
});

function scriptedTeller({ areOn = true, told }: { areOn?: boolean; told?: FailureType } = {}) {
  const events: AccessEvent[] = [];
  const asked = { areOn, count: 0 };
  const teller = {
    areOn: async () => {
      asked.count += 1;
      return asked.areOn;
    },
    tell: async (event: AccessEvent) => void events.push(event),
  };
  return { notices: new AccessNotices(teller, told), events, asked };
}

const lines = (events: readonly AccessEvent[]): string[] =>
  events.map((event) => ('fault' in event ? `${event.type} ${event.fault.type}` : event.type));

test('a refusal is told with whose it is to mend and how', async () => {
  const { notices, events } = scriptedTeller();
  await notices.refused(fault('BucketAccessDenied'));
  expect(events).toEqual([
    {
      type: 'destination.access-refused',
      fault: { type: 'BucketAccessDenied', problem: 'BucketAccessDenied.', mender: 'customer', remedy: 'mend it' },
    },
  ]);
});

test('the same refusal day after day is told once, another one anew', async () => {
  const { notices, events, asked } = scriptedTeller();
  for (const type of ['BucketMissing', 'BucketMissing', 'KmsDenied', 'KmsDenied'] as const) {
    await notices.refused(fault(type));
  }
  expect(lines(events)).toEqual(['destination.access-refused BucketMissing', 'destination.access-refused KmsDenied']);
  expect(asked.count).toBe(2);
});

test('that access is there again is told once, and to none who was not told of a refusal', async () => {
  const { notices, events } = scriptedTeller();
  await notices.restored();
  await notices.refused(fault('KmsDenied'));
  await notices.restored();
  await notices.restored();
  expect(lines(events)).toEqual(['destination.access-refused KmsDenied', 'destination.access-restored']);
});

test('a refusal that comes back is told again', async () => {
  const { notices, events } = scriptedTeller();
  await notices.refused(fault('KmsDenied'));
  await notices.restored();
  await notices.refused(fault('KmsDenied'));
  expect(lines(events).at(-1)).toBe('destination.access-refused KmsDenied');
});

test('what an execution before this one told is not told again, and its end is', async () => {
  const { notices, events } = scriptedTeller({ told: 'KmsDenied' });
  await notices.refused(fault('KmsDenied'));
  expect(notices.told).toBe('KmsDenied');
  await notices.restored();
  expect(lines(events)).toEqual(['destination.access-restored']);
  expect(notices.told).toBeUndefined();
});

test('where notices are off nothing is told, and a refusal that lasts is told when they are switched on', async () => {
  const { notices, events, asked } = scriptedTeller({ areOn: false });
  await notices.refused(fault('KmsDenied'));
  expect(notices.told).toBeUndefined();
  asked.areOn = true;
  await notices.refused(fault('KmsDenied'));
  expect(lines(events)).toEqual(['destination.access-refused KmsDenied']);
});
