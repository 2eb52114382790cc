/**
 * A stand-in for BigQuery's REST API, over DuckDB: datasets, tables, streamed rows, load jobs, sharded extract jobs and
 * snapshot decorators, in the shapes that the real client expects. It runs no queries.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { ApiError, notImplemented } from './api-error';
import { Catalog, streamedRows, type Table, type TableReference } from './catalog';
import type { Column } from './columns';
import { Jobs, type JobRequest, type JobsOptions } from './jobs';

export interface ServerOptions extends JobsOptions {
  readonly port: number;
  /** A DuckDB file, which outlives the server, or `:memory:`. */
  readonly databaseFile: string;
}

interface Request {
  readonly path: Readonly<Record<string, string>>;
  readonly body: unknown;
  readonly query: URLSearchParams;
}

type Handler = (request: Request) => Promise<object | undefined>;

interface Route {
  readonly method: string;
  readonly pattern: RegExp;
  readonly handle: Handler;
}

export async function serveBigQuery(options: ServerOptions): Promise<{ port: number; close: () => Promise<void> }> {
  const catalog = await Catalog.open(options.databaseFile);
  const jobs = new Jobs(catalog, options);
  await jobs.recover();
  const routes = createRoutes(catalog, jobs);
  const server = http.createServer((request, response) => void answer(routes, request, response));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(options.port, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as { port: number }).port,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await jobs.stop();
      catalog.close();
    },
  };
}

function createRoutes(catalog: Catalog, jobs: Jobs): Route[] {
  const project = '/projects/:projectId';
  const table = `${project}/datasets/:datasetId/tables/:tableId`;
  return [
    route('POST', `${project}/datasets`, ({ path: { projectId }, body }) => {
      const { datasetReference, location } = body as { datasetReference: { datasetId: string }; location?: string };
      return catalog.createDataset(text(projectId), datasetReference.datasetId, location);
    }),
    route('GET', `${project}/datasets/:datasetId`, ({ path: { projectId, datasetId } }) =>
      catalog.dataset(text(projectId), text(datasetId)),
    ),
    route('POST', `${project}/datasets/:datasetId/tables`, async ({ path: { projectId, datasetId }, body }) => {
      const asked = body as NewTableBody;
      const known = new Set(['tableReference', 'schema', 'view', 'labels']);
      const unknown = Object.keys(asked).filter((name) => !known.has(name));
      if (unknown.length > 0) throw notImplemented(`tables with ${unknown.join(', ')}`);
      const tableReference = { ...asked.tableReference, projectId: text(projectId), datasetId: text(datasetId) };
      return catalog.createTable({ ...asked, tableReference });
    }),
    route('GET', table, ({ path: reference }) => catalog.table(tableReference(reference))),
    route('DELETE', table, async ({ path: reference }) => {
      await catalog.deleteTable(tableReference(reference));
      return undefined;
    }),
    route('POST', `${table}/insertAll`, async ({ path: reference, body }) => {
      const { rows } = body as { rows: { json: unknown }[] };
      await insertStreamed(catalog, await catalog.table(tableReference(reference)), rows);
      return { kind: 'bigquery#tableDataInsertAllResponse' };
    }),
    route('POST', `${project}/jobs`, ({ path: { projectId }, body }) =>
      jobs.insert(text(projectId), body as JobRequest),
    ),
    route('GET', `${project}/jobs/:jobId`, ({ path: { projectId, jobId }, query }) =>
      jobs.get(text(projectId), text(jobId), query.get('location') ?? 'US'),
    ),
    route('POST', `${project}/jobs/:jobId/cancel`, async ({ path: { projectId, jobId }, query }) => ({
      kind: 'bigquery#jobCancelResponse',
      job: await jobs.cancel(text(projectId), text(jobId), query.get('location') ?? 'US'),
    })),
  ];
}

interface NewTableBody {
  readonly tableReference: TableReference;
  readonly schema?: { readonly fields: readonly Column[] };
  readonly view?: { readonly query: string };
  readonly labels?: Readonly<Record<string, string>>;
}

function route(method: string, template: string, handle: Handler): Route {
  const pattern = template.replace(/:(\w+)/g, '(?<$1>[^/]+)');
  return { method, pattern: new RegExp(`^(?:/bigquery/v2)?${pattern}$`), handle };
}

const text = (part: string | undefined): string => part ?? '';

const tableReference = ({ projectId, datasetId, tableId }: Request['path']): TableReference => ({
  projectId: text(projectId),
  datasetId: text(datasetId),
  tableId: text(tableId),
});

async function insertStreamed(catalog: Catalog, table: Table, rows: readonly { json: unknown }[]): Promise<void> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'bigquery-sandbox-'));
  try {
    const file = path.join(folder, 'rows.ndjson');
    await writeFile(file, rows.map(({ json }) => `${JSON.stringify(json)}\n`).join(''));
    await catalog.insert(table, streamedRows(table, file));
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function answer(
  routes: readonly Route[],
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  const send = (status: number, body?: object): void => {
    response.writeHead(status, { 'content-type': 'application/json; charset=UTF-8' });
    response.end(body === undefined ? '' : JSON.stringify(body));
  };
  try {
    const url = new URL(request.url ?? '/', 'http://sandbox');
    const body = await readBody(request);
    for (const { method, pattern, handle } of routes) {
      const match = method === request.method ? pattern.exec(url.pathname) : null;
      if (match === null) continue;
      const parts = Object.entries(match.groups ?? {}).map(([name, part]) => [name, decodeURIComponent(part)]);
      const result = await handle({
        path: Object.fromEntries(parts) as Record<string, string>,
        body,
        query: url.searchParams,
      });
      return send(result === undefined ? 204 : 200, result);
    }
    throw notImplemented(`${request.method ?? ''} ${url.pathname}`);
  } catch (error) {
    if (!(error instanceof ApiError)) console.error(error);
    const known = error instanceof ApiError ? error : new ApiError(500, 'internalError', String(error));
    return send(known.status, known.body);
  }
}

async function readBody(request: http.IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const raw = Buffer.concat(chunks);
  const plain = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
  return plain.length === 0 ? {} : (JSON.parse(plain.toString('utf8')) as unknown);
}
