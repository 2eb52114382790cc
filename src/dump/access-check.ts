import type { AccountId } from '../contract';

/** What a customer who finds the file wants to know. */
export const accessCheckFile = (accountId: AccountId, checkedAt: Date): string =>
  `${JSON.stringify(
    {
      what: 'Written to prove that data can be delivered here, when the destination is connected or checked. It is no data and may be deleted.',
      account: accountId,
      checkedAt: checkedAt.toISOString(),
    },
    null,
    2,
  )}\n`;
