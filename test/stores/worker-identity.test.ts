import { WorkerIdentity } from '../../src/stores/worker-identity';
import { accessRetryEveryMs, workerIdentityForgetMs, workerIdentityPatienceMs } from '../../src/timing';

const minuteMs = 60_000;
const named = (name: string) => Object.assign(new Error('no'), { name });
const missing = named('CredentialsProviderError');

let nowMs = 0;
let answer: Error | undefined;
let identity: WorkerIdentity;

beforeEach(() => {
  nowMs = Date.parse('2023-01-02T15:04:05Z');
  jest.spyOn(Date, 'now').mockImplementation(() => nowMs);
  identity = new WorkerIdentity(async () => {
    if (answer !== undefined) throw answer;
    return 'arn:aws:iam::485801740390:user/worker';
  }, 'arn:aws:iam::485801740390:role/vendor');
});

afterEach(() => {
  jest.restoreAllMocks();
});

/** What becomes of being asked again so much later. */
async function after(ms: number, answered: Error | undefined): Promise<string> {
  nowMs += ms;
  answer = answered;
  return identity.arn().then(
    () => 'known',
    ({ type }) => String(type),
  );
}

test('a worker without credentials is left to a person after a while, also when it is tried every hour', async () => {
  expect(await after(0, missing)).toBe('Transient');
  expect(await after(workerIdentityPatienceMs - 1, missing)).toBe('Transient');
  expect(await after(1, missing)).toBe('VendorRoleNotAssumable');
  expect(await after(accessRetryEveryMs + minuteMs, missing)).toBe('VendorRoleNotAssumable');
});

test('credentials that are there again are there: what goes wrong later is another matter', async () => {
  await after(0, missing);
  expect(await after(minuteMs, undefined)).toBe('known');
  expect(await after(workerIdentityPatienceMs, missing)).toBe('Transient');
});

test('a fault that another worker may have seen pass is forgotten', async () => {
  await after(0, missing);
  expect(await after(workerIdentityForgetMs, missing)).toBe('Transient');
});

test('an STS that does not answer is waited for: it says nothing of the credentials', async () => {
  for (let attempt = 0; attempt < 20; attempt++) expect(await after(minuteMs, named('TimeoutError'))).toBe('Transient');
  expect(await after(minuteMs, missing)).toBe('Transient');
});

test('credentials that AWS does not know are left to a person at once', async () => {
  expect(await after(0, named('InvalidClientTokenId'))).toBe('VendorRoleNotAssumable');
});
