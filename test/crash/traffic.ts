/** The program's requests, told apart as they pass a proxy: from the vendors' API references, not from the program. */
import type { Answer, Asked } from '../end-to-end/fault-proxy';

export type Matches = (asked: Asked) => boolean;

/** Whose dump it is. */
export interface Whose {
  readonly account: string;
  readonly bucket: string;
}

export const pathOf = ({ path }: Asked): string => path.replace(/\?.*/s, '');

const isPut = (asked: Asked, { bucket }: Whose): boolean =>
  asked.method === 'PUT' && asked.path.startsWith(`/${bucket}/`);

export const shardPut =
  (whose: Whose): Matches =>
  (asked) =>
    isPut(asked, whose) && pathOf(asked).endsWith('.ndjson.gz');

export const schemaPut =
  (whose: Whose): Matches =>
  (asked) =>
    isPut(asked, whose) && pathOf(asked).includes('/schemas/bigquery/');

export const receiptPut =
  (whose: Whose): Matches =>
  (asked) =>
    isPut(asked, whose) && pathOf(asked).endsWith('/receipt.json');

/** The customer's role, not the vendor's: only that one is assumed with an external id. */
export const roleAssumption =
  ({ account }: Whose): Matches =>
  ({ action, body }) =>
    action === 'AssumeRole' && new URLSearchParams(body).get('ExternalId') === account;

export const tableRead = (): Matches => (asked) => asked.method === 'GET' && /\/tables\/\w+$/.test(pathOf(asked));

export const jobInsertion =
  ({ account }: Whose): Matches =>
  (asked) =>
    asked.method === 'POST' && pathOf(asked).endsWith('/jobs') && asked.body.includes(`_${account}_`);

export const jobRead =
  ({ account }: Whose): Matches =>
  (asked) =>
    asked.method === 'GET' && pathOf(asked).includes('/jobs/') && asked.path.includes(`_${account}_`);

const isStaged = ({ path }: Asked, { account }: Whose): boolean => path.includes(`/o/${account}/`);

export const shardRead =
  (whose: Whose): Matches =>
  (asked) =>
    asked.method === 'GET' && isStaged(asked, whose) && pathOf(asked).endsWith('.ndjson.gz');

export const schemaRead =
  (whose: Whose): Matches =>
  (asked) =>
    asked.method === 'GET' && isStaged(asked, whose) && pathOf(asked).endsWith('/schema.json');

export const stagedSchemaWrite =
  ({ account }: Whose): Matches =>
  (asked) =>
    asked.method === 'POST' && asked.path.includes(`name=${account}/`);

export const stagedDelete =
  (whose: Whose): Matches =>
  (asked) =>
    asked.method === 'DELETE' && isStaged(asked, whose);

export const stagingList =
  ({ account }: Whose): Matches =>
  (asked) =>
    asked.method === 'GET' && pathOf(asked).endsWith('/o') && asked.path.includes(`prefix=${account}/`);

/** The n-th request that matches, counted from when it is armed. */
export function nth(n: number, matches: Matches): Matches {
  let seen = 0;
  return (asked) => matches(asked) && ++seen === n;
}

/** All from the n-th on. */
export function fromNth(n: number, matches: Matches): Matches {
  let seen = 0;
  return (asked) => matches(asked) && ++seen >= n;
}

/** S3 API reference, "Error responses". */
export const s3Error = (status: number, code: string, message: string): Answer => ({
  status,
  contentType: 'application/xml',
  body: `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`,
});

/** STS API reference, "Common errors". */
export const stsError = (status: number, code: string, message: string): Answer => ({
  status,
  contentType: 'text/xml',
  body: `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Receiver</Type><Code>${code}</Code><Message>${message}</Message></Error></ErrorResponse>`,
});

/** Cloud Storage and BigQuery documentation, "Error messages". */
export const googleError = (status: number, reason: string, message: string): Answer => ({
  status,
  contentType: 'application/json; charset=UTF-8',
  body: JSON.stringify({ error: { code: status, message, errors: [{ domain: 'global', reason, message }] } }),
});

/** What a broken proxy on the way answers in a service's place. */
export const garbage: Answer = {
  status: 200,
  contentType: 'application/json; charset=UTF-8',
  body: '{"kind": "storage#objects", "items": [{"name": "',
};
