/**
 * Who calls which of Temporal's methods, held against docs/authorisation.md, and what is seen where one is refused. The
 * development server authorises everybody: proxies refuse in its place.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time';
import type { temporal } from '@temporalio/proto';
import { freePort } from '../../sandbox/ports';
import { answers, untilReady } from '../../sandbox/processes';
import { keepAccessSchedule } from '../../src/access-schedule';
import { modellingRunSucceeded } from '../../src/client';
import type { Destinations } from '../../src/client/destinations';
import { accessRound, taskQueues } from '../../src/contract';
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import { permissionPolicy, trustPolicy } from '../../src/dump/policies';
import { destinationStatusQuery } from '../../src/workflows/messages';
import { dataset, EndToEnd, twelveHoursAhead } from '../end-to-end/environment';
import type { Armed, Asked } from '../end-to-end/fault-proxy';
import { eventually } from '../eventually';
import { codeIn, quotedIn, tableUnder } from './document';
import type { Method } from './grpc-proxy';
import { allBut, Identities, only, prints, queuesOfWorkers, type Identity, type Queues, type Said } from './identities';

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;

const workerRows = tableUnder('Workers').map((row) => ({
  method: codeIn(row['asks for'])[0] ?? '',
  who: queuesOfWorkers.filter((queues) => row['who']?.split(', ').includes(queues)),
  outcome: row['without it'] ?? '',
}));
const commandRows = tableUnder('Command line').map((row) => ({
  commands: codeIn(row['command']),
  methods: codeIn(row['asks for']),
  outcome: row['without it'] ?? '',
}));

const listedFor = (queues: Queues): Method[] =>
  workerRows.flatMap(({ method, who }) => (who.includes(queues) ? [method] : []));

const refusedSentence = /^Temporal refuses it \(Request unauthorized\.\)/m;
/** Without search attributes. */
const bareNamespace = 'bare';
/** Where workers that may poll for some tasks only take none away from others. */
const sideNamespace = 'aside';

let endToEnd: EndToEnd;
let destinations: Destinations;
let identities: Identities;
/** May do what is listed for them, and nothing else. */
let control: Identity;
let copy: Identity;
/** Their polls are refused, which takes a minute to show. */
const withoutPolls = new Map<Method, { worker: Identity; lastedMs: Promise<number> }[]>();
/** They take longer than the server lets a request wait. */
const slowCommands = new Map<string, Promise<Said>>();
let longHistory: Promise<void>;
/** Questions that nobody waits for. They are over before the connection is closed: the client would ask them again. */
const unanswered: Promise<unknown>[] = [];

beforeAll(async () => {
  endToEnd = await EndToEnd.start({ scale: 0.01, shardRows: 50 });
  ({ destinations } = endToEnd);
  identities = new Identities(endToEnd);
  const workflowExecutionRetentionPeriod = msToTs('1 day');
  for (const namespace of [bareNamespace, sideNamespace]) {
    await endToEnd.client.workflowService.registerNamespace({ namespace, workflowExecutionRetentionPeriod });
  }
  [control, copy] = await Promise.all([
    identities.startWorker('control', only(listedFor('control'))),
    identities.startWorker('copy', only(listedFor('copy'))),
  ]);
  for (const { method, who } of workerRows.filter((row) => row.method.startsWith('Poll'))) {
    const aside = { TEMPORAL_NAMESPACE: sideNamespace };
    // One that copies by processes of its own ends with them.
    const ways = who.flatMap((queues) =>
      (queues === 'copy' ? [0, 1] : [0]).map((processes) => ({ queues, processes })),
    );
    const begun = ways.map(async ({ queues, processes }) => {
      const worker = await identities.beginWorker(queues, allBut(method), aside, processes);
      const atMs = Date.now();
      return { worker, lastedMs: worker.running.exited.then(() => Date.now() - atMs) };
    });
    withoutPolls.set(method, await Promise.all(begun));
  }
  const distrusted = await connected('distrusted');
  const refused = await customerOf('refused');
  await Promise.all([distrusted.distrust(), refused.distrust()]);
  for (const method of ['PollWorkflowExecutionUpdate', 'QueryWorkflow']) {
    slowCommands.set(`connect ${method}`, identities.command(allBut(method), ...refused.connect));
    slowCommands.set(`check ${method}`, identities.command(allBut(method), 'check', 'distrusted'));
  }
  longHistory = makeLongHistory('long');
});

afterAll(async () => {
  await Promise.allSettled([...slowCommands.values(), longHistory, ...unanswered]);
  await identities?.stop();
  await endToEnd?.stop();
});

async function customerOf(name: string) {
  const accountId = parseAccountId(name);
  const bucket = parseBucketName(`${name}-data`);
  const account = await endToEnd.sandbox.addCustomer(accountId, bucket, { roleName: name, region: 'us-east-1' });
  return {
    connect: ['connect', name, '--role-arn', account.roleArn, '--bucket', bucket, '--tables', 'contacts'],
    distrust: () => account.setTrust(trustPolicy(parseAccountId('somebody-else'))),
    allowOnly: (other: string) => account.setPermissions(permissionPolicy(parseBucketName(other))),
  };
}

async function connected(name: string) {
  const customer = await customerOf(name);
  const { code, stderr } = await identities.command(allBut(), ...customer.connect);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return customer;
}

const announce = (name: string): Promise<void> =>
  destinations.modellingRunSucceeded(name, { runId: 'run-1', finishedAt: new Date(), dataset });

const needsAttention = (name: string) =>
  eventually(
    () => destinations.status(name),
    ({ dump }) => dump?.state === 'NeedsAttention',
  );

/** Longer than the 256 transactions that the server hands out with a task (its setting `frontend.historyMaxPageSize`). */
async function makeLongHistory(name: string): Promise<void> {
  await announce(name);
  for (let change = 0; change < 140; change++) {
    await destinations.pause(name);
    // Each change in a task of its own.
    await destinations.status(name);
  }
}

const isAbout =
  (name: string, request: RegExp) =>
  (asked: Asked): boolean =>
    request.test(`${asked.method} ${asked.path.replace(/\?.*/s, '')}`) && asked.path.includes(name);

interface Held {
  /** Lets it end. */
  release(): void;
}

/** A dump whose clearing waits, so that its activities hear of its end before it is over. */
async function dumpHeldAt(name: string, hold: () => Armed): Promise<Held> {
  await connected(name);
  const held = hold();
  const clearing = endToEnd.proxies.storage.arm({
    matches: (asked) => asked.path.includes(`prefix=${name}/`) && !asked.path.includes('contacts'),
    effect: { kind: 'hold', side: 'request' },
  });
  await announce(name);
  await held.hit;
  return {
    release: () => {
      held.release();
      clearing.release();
    },
  };
}

const extracting = (name: string): Promise<Held> =>
  dumpHeldAt(name, () =>
    endToEnd.proxies.bigquery.arm({
      matches: isAbout(name, /\/jobs\//),
      effect: { kind: 'rewrite', change: (answer) => answer.replace(/"state":"\w+"/, '"state":"RUNNING"') },
      times: Infinity,
    }),
  );

const copying = (name: string): Promise<Held> =>
  dumpHeldAt(name, () =>
    endToEnd.proxies.aws.arm({
      matches: isAbout(name, /^PUT .*\.ndjson\.gz$/),
      effect: { kind: 'hold', side: 'request' },
      times: Infinity,
    }),
  );

const calls = ({ proxy }: Identity, method: Method): Promise<boolean> =>
  eventually(
    async () => proxy.called.has(method),
    (isCalled) => isCalled,
  );

test('with what is listed for them, workers deliver a dump', async () => {
  await connected('delivered');
  await announce('delivered');
  expect(await endToEnd.ended('delivered', 'run-1')).toMatchObject({ outcome: 'delivered' });
});

describe('the command', () => {
  let connect: readonly string[];

  beforeAll(async () => {
    ({ connect } = await connected('operated'));
    const waiting = await connected('waiting');
    await waiting.distrust();
    await announce('waiting');
    await needsAttention('waiting');
    const denied = await connected('denied');
    await denied.allowOnly('another-bucket');
    await announce('denied');
    await needsAttention('denied');
    // Temporal's list is a moment behind.
    await eventually(
      () => destinations.overview({ limit: 2, state: 'NeedsAttention' }),
      ({ customers }) => customers.length > 1,
    );
  });

  const argsOf = (command: string): readonly string[] => {
    const [name = '', ofAccount] = command.split(' ');
    if (name === 'status' && ofAccount === undefined) return ['status'];
    if (name === 'connect') return connect;
    const isOfDump = ['status', 'policies', 'retry', 'abandon'].includes(name);
    // It has a dump at work until it is abandoned: its role is never trusted again.
    const account = isOfDump ? 'waiting' : 'operated';
    return [name, account, ...(name === 'run-succeeded' ? ['--run-id', 'run-2', '--dataset', dataset] : [])];
  };
  const listedForCommand = (command: string): Method[] =>
    commandRows.flatMap(({ commands, methods }) => (commands.includes(command) ? methods : []));

  const refused = commandRows.filter(({ outcome }) => outcome === 'refused');
  test.each(refused.flatMap(({ commands, methods }) => commands.map((command) => [command, methods] as const)))(
    '%s is refused without each of %j; with what is listed it is done',
    async (command, methods) => {
      const refusals = methods.map((method) => identities.command(allBut(method), ...argsOf(command)));
      for (const { code, stdout, stderr } of await Promise.all(refusals)) {
        expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
        expect(stderr).toMatch(refusedSentence);
      }
      const { code, stderr, called } = await identities.command(only(listedForCommand(command)), ...argsOf(command));
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(called).toEqual(expect.arrayContaining([...methods]));
    },
  );

  /** What is done all the same, or in part, by command and method. */
  const others: Readonly<Record<string, () => Promise<void>>> = {
    'status QueryWorkflow': async () => {
      const { code, stdout } = await identities.command(allBut('QueryWorkflow'), 'status');
      expect(code).toBe(0);
      expect(stdout).toContain('NeedsAttention');
      expect(stdout).not.toContain('BucketAccessDenied');
      expect((await identities.command(allBut(), 'status')).stdout).toContain('BucketAccessDenied');
    },
    'connect PollWorkflowExecutionUpdate': () => expectRefusedLate('connect PollWorkflowExecutionUpdate'),
    'check PollWorkflowExecutionUpdate': () => expectRefusedLate('check PollWorkflowExecutionUpdate'),
    'connect QueryWorkflow': () => expectSilence('connect QueryWorkflow'),
    'check QueryWorkflow': () => expectSilence('check QueryWorkflow'),
  };
  const partly = commandRows.filter(({ outcome }) => outcome !== 'refused');
  const cases = partly.flatMap(({ commands, methods }) =>
    commands.flatMap((command) => methods.map((method) => `${command} ${method}`)),
  );

  test.each(cases)('%s', async (commandAndMethod) => {
    const tried = others[commandAndMethod] ?? (() => Promise.reject(new Error('Nobody tries it')));
    await expect(tried()).resolves.toBeUndefined();
  });

  async function expectRefusedLate(commandAndMethod: string): Promise<void> {
    const { code, stdout, stderr } = (await slowCommands.get(commandAndMethod)) ?? {};
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    // The proofs of a customer are in turn: it may be another command's that is under way first.
    expect(stderr).toMatch(/^Refused so far \(attempt \d+: RoleNotAssumable\)/);
    expect(stderr).toMatch(refusedSentence);
  }

  async function expectSilence(commandAndMethod: string): Promise<void> {
    const { code, stderr } = (await slowCommands.get(commandAndMethod)) ?? {};
    expect(code).toBe(1);
    expect(stderr).toMatch(/^The vendor role may not assume the customer role/);
  }
});

test('the pipeline needs one method, and is told where it may not call it', async () => {
  const [{ 'asks for': asksFor, 'without it': outcome } = {}] = tableUnder('Pipeline');
  const [method = ''] = codeIn(asksFor);
  const before = process.env['TEMPORAL_ADDRESS'];
  const announceThrough = async (grants: (called: Method) => boolean) => {
    const proxy = await identities.proxyWith(grants);
    process.env['TEMPORAL_ADDRESS'] = proxy.address;
    try {
      await modellingRunSucceeded('piped', { runId: 'run-1', finishedAt: new Date(), dataset });
    } finally {
      if (before === undefined) delete process.env['TEMPORAL_ADDRESS'];
      else process.env['TEMPORAL_ADDRESS'] = before;
    }
  };
  await announceThrough((called) => called === method);
  const refused = announceThrough(allBut(method));
  await expect(refused).rejects.toMatchObject({
    name: codeIn(outcome)[0],
    message: expect.stringContaining(quotedIn(outcome)[0] ?? '') as string,
  });
});

test('the codec server asks nobody: a key file is all that it has', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'codec-'));
  const keyFile = path.join(folder, 'keys');
  await writeFile(keyFile, `2026-11 ${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  const port = await freePort();
  const codec = await identities.begin(['codec-server.js'], allBut(), {
    PAYLOAD_KEY_FILE: keyFile,
    CODEC_SERVER_ORIGIN: 'http://localhost:8233',
    CODEC_SERVER_PORT: String(port),
  });
  await untilReady(codec.running, answers(`http://127.0.0.1:${port}`));
  const response = await fetch(`http://127.0.0.1:${port}/decode`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: 'http://localhost:8233' },
    body: '{"payloads":[]}',
  });
  expect(response.status).toBe(200);
  expect([...codec.proxy.called]).toEqual([]);
  await codec.running.stop();
  await rm(folder, { recursive: true });
});

test('a versioned worker asks for nothing more from its start to its stop', async () => {
  const versioned = { TEMPORAL_WORKER_BUILD_ID: 'build-1' };
  const worker = await identities.beginWorker('control', only(listedFor('control')), versioned);
  await prints(worker, 'RUNNING');
  await calls(worker, 'PollWorkflowTaskQueue');
  await calls(worker, 'PollActivityTaskQueue');
  await worker.running.stop();
  expect([...worker.proxy.refused]).toEqual([]);
});

describe('a worker without', () => {
  beforeAll(() => longHistory);

  afterEach(() => {
    for (const queues of queuesOfWorkers) workerOf(queues).proxy.grants = only(listedFor(queues));
  });

  const workerOf = (queues: Queues): Identity => ({ control, copy })[queues];

  async function expectEnd(worker: Identity, outcome: string): Promise<void> {
    expect(await worker.running.exited).toBe(1);
    const sentences = quotedIn(outcome);
    expect(sentences).not.toEqual([]);
    for (const sentence of sentences) expect(worker.running.output()).toContain(sentence);
  }

  /** Made while nothing is refused. */
  interface Trial {
    /** Has the worker call the method. */
    readonly provoke: () => Promise<unknown>;
    /** What the document says of it, while it is refused. */
    readonly follows: () => Promise<unknown>;
  }

  /** The workers that it is listed for are refused it, and their logs say so. */
  const logs =
    (prepare: Partial<Readonly<Record<Queues, () => Promise<Trial>>>>): Tried =>
    async (method, outcome, who) => {
      const prepared = queuesOfWorkers.flatMap((queues) => {
        const made = prepare[queues]?.();
        return made === undefined ? [] : [made.then((trial) => ({ ...trial, queues }))];
      });
      const trials = await Promise.all(prepared);
      expect(trials.map(({ queues }) => queues)).toEqual(who);
      const [sentence = ''] = quotedIn(outcome);
      const said = trials.map(({ queues }) => {
        workerOf(queues).proxy.grants = only(listedFor(queues).filter((listed) => listed !== method));
        return says(workerOf(queues), sentence);
      });
      await Promise.all(trials.map(({ provoke }) => provoke()));
      await Promise.all(said);
      for (const { queues } of trials) expect(workerOf(queues).proxy.refused).toContain(method);
      await Promise.all(trials.map(({ follows }) => follows()));
    };

  /** From now on. */
  function says({ running }: Identity, sentence: string): Promise<unknown> {
    let heard = '';
    running.listen((text) => (heard += text));
    expect(sentence).not.toBe('');
    return comesToHold(() => heard.includes(sentence));
  }

  const logsOfControl = (provoke: () => Promise<unknown>, follows: () => Promise<unknown>): Tried =>
    logs({ control: async () => ({ provoke, follows }) });

  async function handleOfDump(name: string): Promise<WorkflowHandle> {
    const { currentDump } = (await destinations.status(name)).destination;
    return endToEnd.client.workflow.getHandle(currentDump?.workflowId ?? '');
  }

  const triedAgain = (handle: WorkflowHandle): Promise<unknown> =>
    eventually(
      async () => (await handle.describe()).raw.pendingActivities ?? [],
      (pending) => pending.some(({ attempt }) => (attempt ?? 0) > 1),
      30_000,
    );

  async function hasEvent(handle: WorkflowHandle, attributes: keyof HistoryEvent): Promise<boolean> {
    const { events } = await handle.fetchHistory();
    return events?.some((event) => Boolean(event[attributes])) ?? false;
  }

  const hasNoEvent = (workflowId: string, attributes: keyof HistoryEvent) => async (): Promise<void> =>
    expect(await hasEvent(endToEnd.client.workflow.getHandle(workflowId), attributes)).toBe(false);

  type Hold = (name: string) => Promise<Held>;

  /** An activity ends, or beats, in vain: it begins again when its heartbeats are missed. */
  const beginsAgain = (name: string, hold: Hold, provoke: (dump: Held) => void) => async (): Promise<Trial> => {
    const dump = await hold(name);
    const handle = await handleOfDump(name);
    return {
      provoke: async () => provoke(dump),
      follows: async () => {
        await triedAgain(handle);
        dump.release();
      },
    };
  };
  const ends = (dump: Held): void => dump.release();
  const beats = (): void => undefined;

  /** A dump is given up, and waits for its activity until the heartbeats are missed, or does not. */
  const isGivenUp =
    (name: string, hold: Hold, waits: boolean, hears: () => Promise<unknown>) => async (): Promise<Trial> => {
      const dump = await hold(name);
      const handle = await handleOfDump(name);
      return {
        provoke: async () => {
          await destinations.abandon(name);
          await hears();
          dump.release();
        },
        follows: async () => {
          expect(await endToEnd.ended(name, 'run-1')).toMatchObject({ outcome: 'abandoned' });
          expect(await hasEvent(handle, 'activityTaskTimedOutEventAttributes')).toBe(waits);
        },
      };
    };

  const comesToHold = (holds: () => boolean): Promise<unknown> => eventually(async () => holds(), Boolean, 30_000);

  type Customer = Awaited<ReturnType<typeof connected>>;

  /** A person would have to mend it, and is not told. */
  const failsUntold = (name: string, refuse: (customer: Customer) => Promise<void>) => async (): Promise<Trial> => {
    await refuse(await connected(name));
    return {
      provoke: () => announce(name),
      follows: async () => expect((await destinations.status(name)).dump).toMatchObject({ state: 'Running' }),
    };
  };

  /** Whether there is an answer within some seconds. */
  function answersAboutLong(): Promise<boolean> {
    const answered = endToEnd.client
      .withDeadline(Date.now() + 4_000, () =>
        endToEnd.client.workflow.getHandle('destination/long').query(destinationStatusQuery),
      )
      .then(
        () => true,
        () => false,
      );
    unanswered.push(answered);
    return answered;
  }

  const ofAttributes = ['ListSearchAttributes', 'CountWorkflowExecutions', 'AddSearchAttributes'];
  const endsWithout = async (
    queues: Queues,
    outcome: string,
    refused: readonly Method[],
    namespace = 'default',
  ): Promise<void> => {
    const worker = await identities.beginWorker(queues, allBut(...refused), { TEMPORAL_NAMESPACE: namespace });
    await expectEnd(worker, outcome);
    expect(worker.running.output()).not.toContain('RUNNING');
  };
  const startsWithout = async (...refused: Method[]): Promise<Identity> => {
    const worker = await identities.startWorker('control', allBut(...refused));
    await worker.running.stop();
    return worker;
  };

  /** It says so at its start, and starts. */
  const warnsWithout =
    (ACCESS_CHECK_AT: string): Tried =>
    async (method, outcome) => {
      const worker = await identities.startWorker('control', allBut(method), { ACCESS_CHECK_AT });
      await worker.running.stop();
      expect(worker.proxy.refused).toContain(method);
      const [warning = ''] = quotedIn(outcome);
      expect(worker.running.output()).toContain(
        `The schedule ${accessRound.scheduleId} of the namespace default ${warning}`,
      );
      asControl(worker);
    };

  const describeSchedule = () => endToEnd.client.schedule.getHandle(accessRound.scheduleId).describe();

  /** The same where somebody has made the schedule, for another time than any that workers are given here. */
  const warnsOfScheduleWithout =
    (accessCheckAt: string): Tried =>
    async (...tried) => {
      const sixHoursAhead = { hour: (new Date().getUTCHours() + 6) % 24, minute: 0 };
      await keepAccessSchedule(endToEnd.client, sixHoursAhead, (problem) => expect(problem).toBe(''));
      const { spec } = await describeSchedule();
      await warnsWithout(accessCheckAt)(...tried);
      expect((await describeSchedule()).spec).toEqual(spec);
    };

  /** Begun as the schedule begins it, it asks in vain, and again. */
  const roundAsksAgain = logsOfControl(
    () =>
      endToEnd.client.workflow.start('accessRound', {
        workflowId: accessRound.workflowId,
        taskQueue: taskQueues.control,
        workflowIdConflictPolicy: 'TERMINATE_EXISTING',
      }),
    () => triedAgain(endToEnd.client.workflow.getHandle(accessRound.workflowId)),
  );

  /** What it called, control workers call. */
  const asControl = ({ proxy }: Identity): void => {
    for (const called of proxy.called) control.proxy.called.add(called);
  };

  type Tried = (method: Method, outcome: string, who: readonly Queues[]) => Promise<void>;

  const endsWithoutPolls: Tried = async (method, outcome) => {
    for (const { worker, lastedMs } of withoutPolls.get(method) ?? []) {
      await expectEnd(worker, outcome);
      expect(Math.round((await lastedMs) / 60_000)).toBe(1);
    }
  };

  /** What takes long comes last. A new row of the document needs a new trial. */
  const trials: Readonly<Record<Method, Tried>> = {
    DescribeNamespace: async (method, outcome, who) => {
      await Promise.all(who.map((queues) => endsWithout(queues, outcome, [method])));
    },
    ListSearchAttributes: async (_method, outcome) => {
      const { proxy } = await startsWithout('ListSearchAttributes', 'AddSearchAttributes');
      for (const instead of codeIn(outcome)) expect(proxy.called).toContain(instead);
    },
    CountWorkflowExecutions: (_method, outcome) => endsWithout('control', outcome, ofAttributes),
    AddSearchAttributes: async (method, outcome) => {
      await startsWithout(method);
      await endsWithout('control', outcome, [method], bareNamespace);
    },
    CreateSchedule: async (...tried) => {
      await warnsWithout(twelveHoursAhead)(...tried);
      await expect(describeSchedule()).rejects.toMatchObject({ name: 'ScheduleNotFoundError' });
    },
    DescribeSchedule: warnsOfScheduleWithout(twelveHoursAhead),
    UpdateSchedule: warnsOfScheduleWithout(twelveHoursAhead),
    DeleteSchedule: warnsOfScheduleWithout('off'),
    RespondWorkflowTaskCompleted: logsOfControl(
      () => announce('stands-still'),
      hasNoEvent('destination/stands-still', 'workflowTaskCompletedEventAttributes'),
    ),
    // No account gives such an id: the task fails.
    RespondWorkflowTaskFailed: logsOfControl(
      () =>
        endToEnd.client.workflow.start('destination', {
          workflowId: 'destination/of/nobody',
          taskQueue: taskQueues.control,
        }),
      hasNoEvent('destination/of/nobody', 'workflowTaskFailedEventAttributes'),
    ),
    RespondQueryTaskCompleted: async (...tried) => {
      let answered: Promise<boolean> | undefined;
      await logsOfControl(
        async () => void (answered = answersAboutLong()),
        async () => expect(await answered).toBe(false),
      )(...tried);
    },
    RespondActivityTaskCompleted: logs({
      control: beginsAgain('extracted', extracting, ends),
      copy: beginsAgain('copied', copying, ends),
    }),
    RespondActivityTaskFailed: logs({
      control: failsUntold('untrusting', (customer) => customer.distrust()),
      copy: failsUntold('denying', (customer) => customer.allowOnly('another-bucket')),
    }),
    RespondActivityTaskCanceled: logs({
      control: isGivenUp('abandoned', extracting, true, () =>
        comesToHold(() => endToEnd.proxies.bigquery.recorded.some(isAbout('abandoned', /\/cancel$/))),
      ),
      copy: isGivenUp('cancelled', copying, false, () =>
        comesToHold(() => copy.proxy.refused.has('RespondActivityTaskCanceled')),
      ),
    }),
    RecordActivityTaskHeartbeat: logs({
      control: beginsAgain('beating', extracting, beats),
      copy: beginsAgain('throbbing', copying, beats),
    }),
    ListWorkflowExecutions: roundAsksAgain,
    SignalWorkflowExecution: roundAsksAgain,
    ShutdownWorker: async (method, _outcome, who) => {
      for (const queues of who) {
        const worker = await identities.startWorker(queues, allBut(method));
        await worker.running.stop();
        expect(await worker.running.exited).toBe(0);
        expect(worker.proxy.refused).toContain(method);
      }
    },
    PollWorkflowTaskQueue: endsWithoutPolls,
    PollActivityTaskQueue: endsWithoutPolls,
    GetWorkflowExecutionHistory: async (method, outcome) => {
      // Until it stops, the worker that made the history knows it.
      await control.running.stop();
      const another = await identities.startWorker('control', allBut(method));
      const answered = answersAboutLong();
      await prints(another, quotedIn(outcome)[0] ?? '');
      expect(await answered).toBe(false);
      asControl(another);
    },
  };

  test.each(Object.keys(trials))('%s', async (method) => {
    const { outcome = '', who = [] } = workerRows.find((row) => row.method === method) ?? {};
    await expect(trials[method]?.(method, outcome, who)).resolves.toBeUndefined();
  });

  test('nothing but what is listed was asked for', () => {
    for (const queues of queuesOfWorkers) {
      const listed = listedFor(queues);
      expect([...workerOf(queues).proxy.refused].filter((method) => !listed.includes(method))).toEqual([]);
    }
  });

  test('no row of the document is left out, and none invented', () => {
    expect(Object.keys(trials).toSorted()).toEqual(workerRows.map(({ method }) => method).toSorted());
  });

  test('each method of the document is called by whom it is listed for', async () => {
    await copy.running.stop();
    const seen = ({ proxy }: Identity) => [...proxy.called].filter((method) => method !== 'GetSystemInfo').toSorted();
    // Only where listing is refused.
    const listed = listedFor('control').filter((method) => method !== 'CountWorkflowExecutions');
    expect(seen(control)).toEqual(listed.toSorted());
    expect(seen(copy)).toEqual(listedFor('copy').toSorted());
  });
});
