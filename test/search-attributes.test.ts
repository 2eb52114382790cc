import type { ConnectionLike } from '@temporalio/client';
import { registerSearchAttributes } from '../src/search-attributes';

/** As gRPC clients reject: an error with `code`, `details` and `metadata`. */
const grpcError = (code: number): Error => Object.assign(new Error(`${code}`), { code, details: '', metadata: {} });

interface Namespace {
  readonly known?: readonly string[];
  readonly listing?: Error;
  readonly adding?: Error;
  readonly counting?: Error;
}

/** A namespace that has `known` attributes, or refuses what is asked of it. */
function namespace({ known = [], listing, adding, counting }: Namespace) {
  const added: string[] = [];
  const workflowService = {
    // Says of an attribute that it does not know what the server says of one.
    async countWorkflowExecutions({ query }: { query: string }) {
      if (counting !== undefined) throw counting;
      if (!known.some((name) => query.startsWith(`${name} `))) throw grpcError(3);
      return { count: 0 };
    },
  };
  const operatorService = {
    async listSearchAttributes() {
      if (listing !== undefined) throw listing;
      return { customAttributes: Object.fromEntries(known.map((name) => [name, 2])) };
    },
    async addSearchAttributes({ searchAttributes }: { searchAttributes: object }) {
      if (adding !== undefined) throw adding;
      added.push(...Object.keys(searchAttributes));
    },
  };
  return { connection: { operatorService, workflowService } as unknown as ConnectionLike, added };
}

const all = ['S3DestinationAccount', 'S3DestinationState', 'S3DestinationRun'];

test('only the attributes that the namespace lacks are added', async () => {
  const { connection, added } = namespace({ known: ['S3DestinationAccount', 'another'] });
  await registerSearchAttributes(connection, 'default');
  expect(added).toEqual(['S3DestinationState', 'S3DestinationRun']);
});

test('a namespace that has them all is not asked to add any', async () => {
  const { connection } = namespace({ known: all, adding: grpcError(7) });
  await expect(registerSearchAttributes(connection, 'default')).resolves.toBeUndefined();
});

test.each([7, 12])('they are added also where they may not be listed (gRPC status %d)', async (code) => {
  const { connection, added } = namespace({ listing: grpcError(code) });
  await registerSearchAttributes(connection, 'default');
  expect(added).toEqual(all);
});

test('where they may neither be listed nor added, as on Temporal Cloud, queries tell that they are there', async () => {
  const refused = grpcError(7);
  const { connection } = namespace({ known: all, listing: refused, adding: refused });
  await expect(registerSearchAttributes(connection, 'acme.prod')).resolves.toBeUndefined();
});

test('of those that may not be listed only the ones that queries do not know are added', async () => {
  const { connection, added } = namespace({ known: all.slice(0, 2), listing: grpcError(7) });
  await registerSearchAttributes(connection, 'default');
  expect(added).toEqual(['S3DestinationRun']);
});

test('a namespace that lets nothing be found out is told of to an administrator', async () => {
  const refused = grpcError(7);
  const { connection } = namespace({ known: all, listing: refused, counting: refused, adding: refused });
  await expect(registerSearchAttributes(connection, 'default')).rejects.toThrow(/S3DestinationAccount.*administrator/);
});

test('a worker that may not add them says what an administrator must run', async () => {
  const { connection } = namespace({ adding: grpcError(7) });
  await expect(registerSearchAttributes(connection, 'acme.prod')).rejects.toThrow(
    /namespace acme\.prod .*S3DestinationAccount, S3DestinationState, S3DestinationRun.*temporal operator search-attribute create --namespace acme\.prod/,
  );
});

test('a namespace that does not answer is not taken for one that lacks them', async () => {
  const { connection, added } = namespace({ listing: grpcError(14) });
  await expect(registerSearchAttributes(connection, 'default')).rejects.toMatchObject({ code: 14 });
  expect(added).toEqual([]);
});
