import type { AccessCheck, DestinationStatus, DumpStatus, Fault } from '../../src/contract';
import { identityOfDump } from '../../src/contract';
import { parseDestination, parseModellingRun } from '../../src/dump/inputs';
import { destinationDetails, dumpDetails } from '../../src/workflows/details';

const { accountId, folder } = identityOfDump('dump/acc_7Hq2/2023-01-02T15:04');
const finishedAt = '2023-01-02T15:00:00.000Z';
const run = parseModellingRun({ runId: 'run-42', finishedAt, dataset: 'acme-prod.data' }, Date.parse(finishedAt));
const fault: Fault = {
  type: 'BucketAccessDenied',
  problem: 'S3 refused a put [bucket=acme key=k]: AccessDenied: Access Denied.',
  mender: 'customer',
  remedy: 'change the policy.',
  retriesHourly: true,
};
const total = { shards: 1200, bytes: 3_400_000_000 };
const dump: DumpStatus = {
  accountId,
  folder,
  run,
  state: 'NeedsAttention',
  step: 'deliver tables',
  tables: {
    companies: { state: 'delivered', total },
    contacts: {
      state: 'copying',
      copied: { shards: 3, bytes: 1_000_000 },
      total,
      since: { shards: 0, bytes: 0, atMs: 0 },
    },
    events: { state: 'needs attention', fault, copied: { shards: 7, bytes: 2_000_000 }, total },
    revenue: { state: 'extracting' },
    paid_ads: { state: 'waiting' },
  },
  notes: [],
};
const destination: DestinationStatus = {
  accountId,
  state: 'Delivering',
  settings: parseDestination({
    roleArn: 'arn:aws:iam::111122223333:role/dreamdata-data-platform',
    bucket: 'acme-dreamdata',
    path: 'exports',
    tables: ['companies', 'events'],
  }),
  paused: false,
  recentDumps: [],
  notes: [],
};

/** Tries to end whatever it stands in and to begin something of its own. */
const hostile =
  '`` ` ``` ```` |\r\n|x|y|\n\n# Approved\n```\n`````\n<img src="https://evil.example/"> <script>x</script>';

const linesOf = (markdown: string): string[] => markdown.split(/\r\n|\r|\n/);

/** The table's rows as lists of cells, code spans left out. */
const cellsOf = (lines: readonly string[]): string[][] =>
  lines.filter((line) => line.startsWith('|')).map((line) => line.split('|').slice(1, -1));

/** Outside code spans nothing of a hostile text may be left that means something. */
function expectHarmless(outside: readonly string[], headings: number): void {
  const visible = outside.map((line) => line.replace(/(`+)(?!`).*?(?<!`)\1(?!`)/g, ''));
  expect(visible.filter((line) => line.startsWith('#'))).toHaveLength(headings);
  for (const line of visible) expect(line).not.toMatch(/[<>`]/);
}

test("a dump's page shows for each table its state, and how much of it is done", () => {
  const outside = linesOf(dumpDetails(dump));
  expect(outside[0]).toBe('**NeedsAttention**: `deliver tables`');
  expect(outside).toContain(
    'Account `acc_7Hq2`, folder `2023-01-02T15:04`, run `run-42` of `acme-prod.data`, read as of 2023-01-02T15:00:00.000Z',
  );
  expect(outside).toEqual(
    expect.arrayContaining([
      '| table | state | shards | bytes |',
      '|---|---|---:|---:|',
      '| `companies` | delivered | 1,200 | 3.4 GB |',
      '| `contacts` | copying | 3 of 1,200 | 1.0 MB of 3.4 GB |',
      '| `events` | needs attention | 7 of 1,200 | 2.0 MB of 3.4 GB |',
      '| `revenue` | extracting |  |  |',
      '| `paid_ads` | waiting |  |  |',
    ]),
  );
});

test("a dump's page says of each fault what it is, whose it is and what happens by itself", () => {
  const stepFault: Fault = { ...fault, type: 'StagingBucketMissing', mender: 'vendor', retriesHourly: false };
  const outside = linesOf(dumpDetails({ ...dump, stepFault }));
  expect(outside).toContain('### `deliver tables` needs attention: StagingBucketMissing');
  expect(outside).toContain('We must mend this; then send the signal `retry`. It waits for the signal.');
  expect(outside).toContain('### `events` needs attention: BucketAccessDenied');
  expect(outside).toContain(
    'The customer must mend this; then send the signal `retry`. It is tried again every hour by itself.',
  );
  expect(outside.filter((line) => line === `What failed: \`${fault.problem}\``)).toHaveLength(2);
  expect(outside.filter((line) => line === `What to change: \`${fault.remedy}\``)).toHaveLength(2);
});

test('hostile faults and notes stay in their code spans', () => {
  const events = {
    state: 'needs attention',
    fault: { ...fault, problem: hostile, remedy: hostile },
    copied: total,
  } as const;
  const page = dumpDetails({ ...dump, tables: { events }, notes: [hostile, 'retry: nothing waits'] });
  const outside = linesOf(page);
  expect(outside).toContain('- `retry: nothing waits`');
  expectHarmless(outside, 1);
});

test('staging that was not cleared is told, with what to change', () => {
  const outside = linesOf(dumpDetails({ ...dump, stagingLeft: fault.remedy }));
  expect(outside).toContain(`Staging was not cleared and is left to the bucket's lifecycle rule: \`${fault.remedy}\``);
  expectHarmless(linesOf(dumpDetails({ ...dump, tables: {}, stagingLeft: hostile })), 0);
});

test('hostile names stay in their table cells and code spans', () => {
  const outside = linesOf(
    dumpDetails({ ...dump, run: { ...run, runId: hostile }, tables: { [hostile]: { state: 'waiting' } } }),
  );
  const rows = cellsOf(outside);
  expect(rows).toHaveLength(3);
  for (const row of rows) expect(row).toHaveLength(4);
  expectHarmless(outside, 0);
});

test("a destination's page shows where tables go, what is at work and what waits", () => {
  const outside = linesOf(
    destinationDetails({
      ...destination,
      currentDump: { workflowId: 'dump/acc_7Hq2/2023-01-02T15:04', folder, runId: 'run-42' },
      pendingRun: { ...run, runId: 'run-43' },
      newestRun: { ...run, runId: 'run-43' },
    }),
  );
  expect(outside).toEqual([
    '**Delivering**, account `acc_7Hq2`',
    '',
    'Bucket `acme-dreamdata` under `exports`, role `arn:aws:iam::111122223333:role/dreamdata-data-platform`',
    '',
    'Tables: `companies`, `events`',
    '',
    'Dump at work: `dump/acc_7Hq2/2023-01-02T15:04`',
    '',
    'Waiting run: `run-43`; newest run: `run-43`',
    '',
    '---',
  ]);
});

test('a destination that is paused or not connected says so', () => {
  const { settings, ...notConnected } = destination;
  expect(settings).toBeDefined();
  expect(destinationDetails({ ...destination, state: 'Paused', paused: true })).toContain('**Paused**');
  expect(destinationDetails({ ...notConnected, state: 'NotConnected' })).toContain('**NotConnected**');
  expect(destinationDetails({ ...notConnected, state: 'NotConnected' })).toContain(
    'Connect with the command `connect`.',
  );
});

test.each<[string, AccessCheck, string[]]>([
  ['is proven', { state: 'passed', at: '2023-01-02T04:00:05.000Z' }, ['Access proven: 2023-01-02T04:00:05.000Z']],
  [
    'is being proven',
    { state: 'checking', attempt: 3, fault },
    [`Access is being proven; refused so far, attempt 3: \`${fault.problem}\``],
  ],
  [
    'is refused',
    { state: 'failed', at: '2023-01-02T04:00:05.000Z', problem: 'change the policy.', fault },
    [
      '### Access failed: BucketAccessDenied',
      '',
      'At 2023-01-02T04:00:05.000Z. Once it is mended, send the signal `checkAccess`: `change the policy.`',
    ],
  ],
  [
    'could not be asked for',
    { state: 'failed', at: '2023-01-02T04:00:05.000Z', problem: 'STS did not answer.' },
    [
      '### Access failed: not by refusal',
      '',
      'At 2023-01-02T04:00:05.000Z. Once it is mended, send the signal `checkAccess`: `STS did not answer.`',
    ],
  ],
])('a destination whose access %s says so below its settings', (_what, access, shown) => {
  const outside = linesOf(destinationDetails({ ...destination, access }));
  const begin = outside.indexOf('Tables: `companies`, `events`') + 1;
  expect(outside.slice(begin, outside.indexOf('Dump at work: none'))).toEqual(['', ...shown, '']);
});

test('what AWS says of access stays in its code span', () => {
  const failed = { state: 'failed', at: finishedAt, problem: hostile, fault: { ...fault, problem: hostile } } as const;
  const checking = { state: 'checking', attempt: 1, fault: { ...fault, problem: hostile } } as const;
  for (const [access, headings] of [[failed, 1] as const, [checking, 0] as const]) {
    const outside = linesOf(destinationDetails({ ...destination, access }));
    expect(outside.filter((line) => line.includes('evil.example'))).toHaveLength(1);
    expectHarmless(outside, headings);
  }
});

test("a destination's page lists past dumps, newest first, and why one failed", () => {
  const outside = linesOf(
    destinationDetails({
      ...destination,
      recentDumps: [
        { outcome: 'failed', folder, runId: 'run-41', reason: 'Staged files are gone' },
        { outcome: 'delivered', folder, runId: 'run-42', total, receiptKey: 'exports/receipt.json' },
      ],
    }),
  );
  expect(outside.slice(-6)).toEqual([
    '| folder | run | outcome |',
    '|---|---|---|',
    '| `2023-01-02T15:04` | `run-42` | delivered: 1,200 shards, 3.4 GB |',
    '| `2023-01-02T15:04` | `run-41` | failed: `Staged files are gone` |',
    '',
    '---',
  ]);
});

test('hostile reasons, runs and notes stay in their cells and code spans', () => {
  const outside = linesOf(
    destinationDetails({
      ...destination,
      newestRun: { ...run, runId: hostile },
      recentDumps: [{ outcome: 'failed', folder, runId: hostile, reason: hostile }],
      notes: [hostile],
    }),
  );
  const rows = cellsOf(outside);
  expect(rows).toHaveLength(3);
  for (const row of rows) expect(row).toHaveLength(3);
  expectHarmless(outside, 0);
});

test("a failure's text can neither link nor load an image, in a dump's heading or in a destination's list", () => {
  const reason = '![x](https://evil.example/pixel.png)\n\n# Approved\n<img src=x>';
  const lines = [
    dumpDetails({ ...dump, step: reason }),
    destinationDetails({ ...destination, recentDumps: [{ outcome: 'failed', folder, runId: 'run-1', reason }] }),
  ]
    .join('\n')
    .split('\n');
  expect(lines).not.toContain('# Approved');
  expect(lines.join('\n').replace(/`[^`]*`/g, '')).not.toMatch(/!\[|<img/);
});

// Seen in UI 2.42: its frame is a line too short, and it is narrow.
test('the UI can show a page to its end and to the right', () => {
  const remedy = 'the policy must be {"Statement":[{"Principal":{"AWS":"arn:aws:iam::1:role/r"},"Action":"a:b"}]}';
  const page = dumpDetails({ ...dump, stepFault: { ...fault, remedy } });
  expect(page).toContain('{"Statement": [{"Principal": {"AWS": "arn:aws:iam::1:role/r"}, "Action": "a:b"}]}');
  for (const text of [page, destinationDetails({ ...destination, notes: ['a note'] })])
    expect(text).toMatch(/\n\n---$/);
});

// Seen in UI 2.42: what stands in a fence is not shown at all.
test('nothing that matters is fenced', () => {
  const page = dumpDetails({ ...dump, notes: ['a note'] }) + destinationDetails({ ...destination, notes: ['a note'] });
  expect(page).not.toContain('```');
});
