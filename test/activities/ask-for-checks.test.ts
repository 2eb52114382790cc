import { createAskForChecks, type RoundProgress } from '../../src/activities/ask-for-checks';
import type { DestinationPage, RunningDestinations } from '../../src/stores/running-destinations';
import { dumpEnvironment } from '../fakes';

const idsOf = (page: number): string[] => [`destination/acc_${page}a`, `destination/acc_${page}b`];

/** Pages of two, asked for by their number. */
class FakeDestinations implements RunningDestinations {
  readonly listed: (string | undefined)[] = [];
  readonly asked: string[] = [];
  readonly gone = new Set<string>();
  beforeAsk: (workflowId: string) => void = () => {};

  constructor(private readonly pages: number) {}

  async list(page: string | undefined): Promise<DestinationPage> {
    this.listed.push(page);
    const number = Number(page ?? 0);
    return { workflowIds: idsOf(number), next: number + 1 < this.pages ? String(number + 1) : undefined };
  }

  async askToCheck(workflowId: string): Promise<boolean> {
    this.beforeAsk(workflowId);
    this.asked.push(workflowId);
    return !this.gone.has(workflowId);
  }
}

const round = (destinations: FakeDestinations, heartbeatDetails?: RoundProgress, spacingMs = 0) => {
  const environment = dumpEnvironment({ heartbeatDetails });
  const beats: RoundProgress[] = [];
  environment.on('heartbeat', (beat: RoundProgress) => beats.push(beat));
  const askForChecks = createAskForChecks(() => destinations, spacingMs);
  return { environment, beats, run: () => environment.run(askForChecks) };
};

test('the destinations of all pages are asked, each once, and counted', async () => {
  const destinations = new FakeDestinations(3);
  expect(await round(destinations).run()).toBe(6);
  expect(destinations.asked).toEqual([0, 1, 2].flatMap(idsOf));
  expect(destinations.listed).toEqual([undefined, '1', '2']);
});

test('a destination that has ended meanwhile is passed over', async () => {
  const destinations = new FakeDestinations(1);
  destinations.gone.add('destination/acc_0a');
  expect(await round(destinations).run()).toBe(1);
  expect(destinations.asked).toEqual(idsOf(0));
});

test('where Temporal fails, the next attempt goes on at the page that was not finished', async () => {
  const destinations = new FakeDestinations(3);
  destinations.beforeAsk = (workflowId) => {
    if (workflowId === 'destination/acc_1b') throw new Error('unavailable');
  };
  const failing = round(destinations);
  await expect(failing.run()).rejects.toThrow('unavailable');
  expect(failing.beats.at(-1)).toEqual({ page: '1', asked: 2 });

  const after = new FakeDestinations(3);
  expect(await round(after, failing.beats.at(-1)).run()).toBe(6);
  expect(after.asked).toEqual([1, 2].flatMap(idsOf));
});

test('they are asked one by one, at a pace', async () => {
  const destinations = new FakeDestinations(2);
  const startedMs = performance.now();
  await round(destinations, undefined, 25).run();
  expect(performance.now() - startedMs).toBeGreaterThan(4 * 24);
});

test('a round that is cancelled, as when its worker ends, asks no more', async () => {
  const destinations = new FakeDestinations(100);
  const { environment, run } = round(destinations, undefined, 1);
  destinations.beforeAsk = (workflowId) => {
    if (workflowId === 'destination/acc_1a') environment.cancel('WORKER_SHUTDOWN');
  };
  await expect(run()).rejects.toThrow('WORKER_SHUTDOWN');
  expect(destinations.asked).toEqual([...idsOf(0), 'destination/acc_1a']);
});
