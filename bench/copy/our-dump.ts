/** The dump that the bench's copy belongs to. */
import { parseAccountId, parseDestination } from '../../src/dump/inputs';
import { folderName } from '../../src/dump/keys';
import { customerBucket } from './servers';

export const accountId = parseAccountId('acc_bench');
export const folder = folderName(new Date('2023-01-02T15:04:00Z'));
export const settings = parseDestination({
  roleArn: 'arn:aws:iam::111122223333:role/bench',
  bucket: customerBucket,
  path: 'ours',
});
