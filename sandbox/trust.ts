/** `npm run sandbox:trust -- break|mend`: what a customer might do to the role's trust policy while the demo is up. */
import { parseArgs } from 'node:util';
import { parseAccountId, parseBucketName } from '../src/dump/inputs';
import { trustPolicy } from '../src/dump/policies';
import { CustomerAccount } from './aws';

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { endpoint: { type: 'string', default: 'http://127.0.0.1:4566' } },
  });
  const [change] = positionals;
  const accountId = parseAccountId('acc_7Hq2');
  const customer = new CustomerAccount({
    endpoint: values.endpoint,
    accountId,
    bucket: parseBucketName('acme-data-platform'),
  });
  if (change === 'break') {
    await customer.setTrust(trustPolicy(parseAccountId('somebody-else')));
    console.log(`The role now wants another external id than ${accountId}: it cannot be assumed.`);
  } else if (change === 'mend') {
    await customer.setTrust(trustPolicy(accountId));
    console.log("The trust policy is the guide's again.");
  } else {
    console.error('Say break or mend.');
    process.exitCode = 2;
  }
}

main().catch((error: unknown) => {
  console.error(`The sandbox does not answer; is npm run demo up? ${String(error)}`);
  process.exitCode = 1;
});
