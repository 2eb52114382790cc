import { createServer, type Http2Server } from 'node:http2';
import { runCommandLine } from '../../src/client/command-line';
import { parseAccountId, parseBucketName } from '../../src/dump/inputs';
import { kmsPolicy, permissionPolicy, trustPolicy } from '../../src/dump/policies';
import { lifecycle } from '../../src/dump/set-up/lifecycle';

/** Stands where Temporal would, knows no workflow, and notes who comes. */
let temporal: Http2Server;
let visits = 0;
const environmentBefore = { ...process.env };
const grpcStatus = { notFound: '5', permissionDenied: '7', unimplemented: '12' };
let answer: string = grpcStatus.notFound;

beforeAll(async () => {
  temporal = createServer();
  temporal.on('session', () => visits++);
  temporal.on('stream', (stream, { ':path': path }) => {
    // Servers may do without GetSystemInfo, which every connection begins with.
    const status = path?.endsWith('/GetSystemInfo') === true ? grpcStatus.unimplemented : answer;
    stream.respond({ 'content-type': 'application/grpc', 'grpc-status': status }, { endStream: true });
  });
  await new Promise<void>((resolve) => temporal.listen(0, '127.0.0.1', resolve));
  const address = temporal.address();
  delete process.env['VENDOR_ROLE_ARN'];
  process.env['TEMPORAL_ADDRESS'] = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
});

afterAll(async () => {
  process.env = environmentBefore;
  await new Promise((resolve) => temporal.close(resolve));
});

beforeEach(() => {
  visits = 0;
  answer = grpcStatus.notFound;
});

afterEach(() => {
  jest.restoreAllMocks();
});

/** Runs one command and collects what it says. */
async function run(...args: string[]): Promise<{ exitCode: number; out: string; err: string }> {
  let out = '';
  let err = '';
  jest.spyOn(process.stdout, 'write').mockImplementation((text) => (out += String(text)) !== '');
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => (err += String(text)) !== '');
  jest.spyOn(console, 'log').mockImplementation((text) => void (out += `${String(text)}\n`));
  jest.spyOn(console, 'error').mockImplementation((text) => void (err += `${String(text)}\n`));
  const exitCode = await runCommandLine(['node', 's3-destination', ...args]);
  jest.restoreAllMocks();
  return { exitCode, out, err };
}

test('--help lists the commands and is no failure', async () => {
  const { exitCode, out, err } = await run('--help');
  expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
  for (const name of [
    'connect',
    'disconnect',
    'run-succeeded',
    'status',
    'retry',
    'check',
    'abandon',
    'pause',
    'resume',
    'dump-now',
    'policies',
  ]) {
    expect(out).toMatch(new RegExp(`^ +${name} `, 'm'));
  }
});

test("a command's --help shows its options and is no failure", async () => {
  const { exitCode, out } = await run('connect', '--help');
  expect(exitCode).toBe(0);
  expect(out).toContain('--role-arn <arn>');
});

const roleArn = 'arn:aws:iam::111122223333:role/dreamdata-data-platform';
const connect = ['connect', 'acc_7Hq2', '--role-arn', roleArn, '--bucket', 'acme-dreamdata'];
const runSucceeded = ['run-succeeded', 'acc_7Hq2', '--run-id', 'run-42', '--dataset', 'acme-prod.data'];

describe('a wrong argument gives exit code 2 and one sentence, and never reaches Temporal:', () => {
  test.each([
    ['an unknown command', ['deliver', 'acc_7Hq2'], "unknown command 'deliver'"],
    ['an unknown option', ['status', 'acc_7Hq2', '--follow'], "unknown option '--follow'"],
    ['no account', ['retry'], "missing required argument 'account'"],
    ['--watch of all customers', ['status', '--watch'], '--watch is for one customer: name the account.'],
    ['a limit for one customer', ['status', 'acc_7Hq2', '--limit', '2'], '--limit and --state are for all customers'],
    [
      'a state for one customer',
      ['status', 'acc_7Hq2', '--state', 'Failed'],
      '--limit and --state are for all customers',
    ],
    ['a limit that is no number', ['status', '--limit', '0'], 'It is a whole number from 1 to 999999.'],
    [
      'a state that there is not',
      ['status', '--state', 'failed'],
      'Allowed choices are NeedsAttention, AccessRefused, Failed',
    ],
    ['one argument too many', ['status', 'acc_7Hq2', 'acc_8'], 'too many arguments'],
    [
      'no role',
      ['connect', 'acc_7Hq2', '--bucket', 'acme-dreamdata'],
      "required option '--role-arn <arn>' not specified",
    ],
    ['no run', ['run-succeeded', 'acc_7Hq2', '--dataset', 'p.d'], "required option '--run-id <id>' not specified"],
    [
      'an empty name among the tables',
      [...connect, '--tables', 'companies,,events'],
      'A name between the commas is missing.',
    ],
    [
      'a malformed account for connect',
      ['connect', 'acc/7', ...connect.slice(2)],
      "Account 'acc/7' is not an account id",
    ],
    ['a malformed account for status', ['status', 'acc/7'], "Account 'acc/7' is not an account id"],
    ['a malformed account for retry', ['retry', 'acc/7'], "Account 'acc/7' is not an account id"],
    ['a malformed account for pause', ['pause', 'acc/7'], "Account 'acc/7' is not an account id"],
    [
      'a malformed account for policies',
      ['policies', 'acc/7', '--bucket', 'b-b-b'],
      "Account 'acc/7' is not an account id",
    ],
    ['a malformed role', [...connect, '--role-arn', 'dreamdata'], "Role ARN 'dreamdata' is malformed"],
    ['an ARN for a bucket', [...connect, '--bucket', 'arn:aws:s3:::acme'], "Bucket 'arn:aws:s3:::acme' is an ARN"],
    ['a path that leads upwards', [...connect, '--path', '../other'], "Path '../other' has a part that is '.' or '..'"],
    [
      'a table of the name of the schemas folder',
      [...connect, '--tables', 'schemas'],
      "Table 'schemas' cannot be delivered",
    ],
    [
      'a malformed dataset',
      [...runSucceeded, '--dataset', 'data'],
      "Dataset 'data' is not of the form project.dataset",
    ],
    [
      'a malformed instant',
      [...runSucceeded, '--finished-at', 'yesterday'],
      "finishedAt 'yesterday' is not an RFC 3339 instant",
    ],
    [
      'a malformed name for a role',
      ['policies', 'acc_7Hq2', '--bucket', 'b-b-b', '--role-name', 'a/b'],
      'role name is',
    ],
    ['no days', ['policies', 'acc_7Hq2', '--bucket', 'b-b-b', '--expire-days', '0'], 'whole number'],
    ['a malformed path of policies', ['policies', 'acc_7Hq2', '--bucket', 'b-b-b', '--path', '/a'], 'slash'],
    ['an unknown format', ['policies', 'acc_7Hq2', '--bucket', 'b-b-b', '--format', 'yaml'], 'Allowed choices'],
    [
      "a template's URL for JSON",
      ['policies', 'acc_7Hq2', '--bucket', 'b-b-b', '--template-url', 'https://t.s3.amazonaws.com/x'],
      'are for --format cloudformation',
    ],
    ['an ARN for a bucket of policies', ['policies', 'acc_7Hq2', '--bucket', 'arn:aws:s3:::b'], 'is an ARN'],
    [
      'a malformed vendor role',
      ['policies', 'acc_7Hq2', '--bucket', 'b-b-b', '--vendor-role-arn', 'vendor'],
      "Role ARN 'vendor' is malformed",
    ],
    [
      'a malformed key',
      ['policies', 'acc_7Hq2', '--bucket', 'b-b-b', '--kms-key-arn', 'x'],
      "KMS key ARN 'x' is malformed",
    ],
  ])('%s', async (_what, args, sentence) => {
    const { exitCode, out, err } = await run(...args);
    expect({ exitCode, out, visits }).toEqual({ exitCode: 2, out: '', visits: 0 });
    const [said, ...hints] = err.trimEnd().split('\n');
    expect(said).toContain(sentence);
    expect(hints.filter((hint) => hint !== '' && hint !== 'Add --help to see what the command takes.')).toEqual([]);
  });
});

test('a request that Temporal refuses gives exit code 1 and one sentence', async () => {
  const { exitCode, out, err } = await run('status', 'acc_7Hq2');
  expect({ exitCode, out, err }).toEqual({
    exitCode: 1,
    out: '',
    err: 'Account acc_7Hq2 has no destination yet: connect it first.\n',
  });
  expect(visits).toBe(1);
});

test.each([
  ['status', ['status']],
  ["one customer's status", ['status', 'acc_7Hq2']],
  ['check', ['check', 'acc_7Hq2']],
  ['connect', connect],
  ['pause', ['pause', 'acc_7Hq2']],
  ['run-succeeded', runSucceeded],
])('who may not do it is told where to read of what is needed: %s', async (_what, args) => {
  answer = grpcStatus.permissionDenied;
  const { exitCode, out, err } = await run(...args);
  expect({ exitCode, out }).toEqual({ exitCode: 1, out: '' });
  expect(err).toMatch(/^Temporal refuses it \(.*\): what each command needs is in docs\/authorisation\.md\.\n$/);
});

test('policies prints the trust and permission policies of the guide as JSON', async () => {
  const { exitCode, out, err } = await run('policies', 'acc_7Hq2', '--bucket', 'b-b-b');
  expect({ exitCode, err, visits }).toEqual({ exitCode: 0, err: '', visits: 0 });
  expect(JSON.parse(out)).toEqual({
    trustPolicy: trustPolicy(parseAccountId('acc_7Hq2')),
    permissionPolicy: permissionPolicy(parseBucketName('b-b-b')),
    lifecycle: lifecycle({ expireDays: 7 }),
  });
});

test('policies prints a template for CloudFormation; how to launch it goes to standard error', async () => {
  const options = ['--bucket', 'b-b-b', '--format', 'cloudformation'];
  const { exitCode, out, err } = await run('policies', 'acc_7Hq2', ...options);
  expect(exitCode).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ Resources: { Role: {}, Bucket: {} } });
  expect(err).toContain('aws cloudformation deploy');
  const url = 'https://t.s3.amazonaws.com/x.json';
  const launched = await run('policies', 'acc_7Hq2', ...options, '--template-url', url, '--existing-bucket');
  expect(launched.err).toContain('#/stacks/create/review?templateURL=https%3A%2F%2Ft.s3.amazonaws.com%2Fx.json');
  expect(launched.err).toContain("A stack cannot set an existing bucket's lifecycle");
});

test('policies prints a module for Terraform, with the path, the days and the name of the role that were given', async () => {
  const given = ['--path', 'a/b', '--expire-days', '30', '--role-name', 'dumps'];
  const { exitCode, out, err } = await run(
    'policies',
    'acc_7Hq2',
    '--bucket',
    'b-b-b',
    '--format',
    'terraform',
    ...given,
  );
  expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
  expect(out).toContain('prefix = "a/b/20"');
  expect(out).toContain('days = 30');
  expect(out).toContain('"dumps"');
});

test("policies prints the policy for the bucket's key where there is one, and trusts another vendor role if told", async () => {
  const keyArn = 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd';
  const vendorRole = 'arn:aws:iam::999988887777:role/vendor';
  const { out } = await run(
    'policies',
    'acc_7Hq2',
    '--bucket',
    'b-b-b',
    '--kms-key-arn',
    keyArn,
    '--vendor-role-arn',
    vendorRole,
  );
  expect(JSON.parse(out)).toMatchObject({
    trustPolicy: trustPolicy(parseAccountId('acc_7Hq2'), vendorRole),
    kmsPolicy: kmsPolicy(keyArn),
  });
});
