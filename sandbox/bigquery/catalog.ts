/** Datasets and tables. Rows keep when they came and went, so that a table can be read as of any instant. */
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { ApiError, duplicate, invalid, notFound } from './api-error';
import { columnList, identifier, literal, rowJson, type Column } from './columns';

export interface Dataset {
  readonly kind: 'bigquery#dataset';
  readonly id: string;
  readonly datasetReference: { readonly projectId: string; readonly datasetId: string };
  readonly location: string;
  readonly creationTime: string;
}

export interface TableReference {
  readonly projectId: string;
  readonly datasetId: string;
  /** May carry a snapshot decorator: `table@<epoch milliseconds>`. */
  readonly tableId: string;
}

export interface Table {
  readonly kind: 'bigquery#table';
  readonly id: string;
  readonly type: 'TABLE' | 'VIEW';
  readonly tableReference: TableReference;
  readonly schema: { readonly fields: readonly Column[] };
  readonly location: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly creationTime: string;
  readonly lastModifiedTime: string;
}

interface NewTable {
  readonly tableReference: TableReference;
  readonly schema?: { readonly fields: readonly Column[] };
  readonly view?: { readonly query: string };
  readonly labels?: Readonly<Record<string, string>>;
}

const datasetKey = (projectId: string, datasetId: string): string => `${projectId}:${datasetId}`;
const tableKey = ({ projectId, datasetId, tableId }: TableReference): string =>
  `${datasetKey(projectId, datasetId)}.${tableId}`;
const rowsOf = (table: Table): string => identifier(`rows of ${table.id}`);

/** What survives a restart, beside the rows. */
type Kind = 'dataset' | 'table' | 'job';

export class Catalog {
  private constructor(
    private readonly instance: DuckDBInstance,
    private readonly connection: DuckDBConnection,
  ) {}

  static async open(databaseFile: string): Promise<Catalog> {
    const instance = await DuckDBInstance.create(databaseFile, { threads: '2', memory_limit: '1GB' });
    const catalog = new Catalog(instance, await instance.connect());
    await catalog.connection.run(`SET TimeZone = 'UTC'`);
    await catalog.connection.run(
      'CREATE TABLE IF NOT EXISTS entries (kind VARCHAR, key VARCHAR, value VARCHAR, PRIMARY KEY (kind, key))',
    );
    return catalog;
  }

  close(): void {
    this.connection.disconnectSync();
    this.instance.closeSync();
  }

  async load<T>(kind: Kind, key: string): Promise<T | undefined> {
    const sql = 'SELECT value FROM entries WHERE kind = $1 AND key = $2';
    const [row] = (await this.connection.runAndReadAll(sql, [kind, key])).getRows();
    return row === undefined ? undefined : (JSON.parse(String(row[0])) as T);
  }

  async loadAll<T>(kind: Kind): Promise<T[]> {
    const rows = (await this.connection.runAndReadAll('SELECT value FROM entries WHERE kind = $1', [kind])).getRows();
    return rows.map(([value]) => JSON.parse(String(value)) as T);
  }

  async save(kind: Kind, key: string, value: unknown): Promise<void> {
    const sql = 'INSERT OR REPLACE INTO entries VALUES ($1, $2, $3)';
    await this.connection.run(sql, [kind, key, JSON.stringify(value)]);
  }

  async createDataset(projectId: string, datasetId: string, location = 'US'): Promise<Dataset> {
    const id = datasetKey(projectId, datasetId);
    if ((await this.load('dataset', id)) !== undefined) throw duplicate(`Dataset ${id}`);
    const dataset: Dataset = {
      kind: 'bigquery#dataset',
      id,
      datasetReference: { projectId, datasetId },
      location,
      creationTime: String(Date.now()),
    };
    await this.save('dataset', id, dataset);
    return dataset;
  }

  async dataset(projectId: string, datasetId: string): Promise<Dataset> {
    const id = datasetKey(projectId, datasetId);
    const dataset = await this.load<Dataset>('dataset', id);
    if (dataset === undefined) throw notFound(`Dataset ${id}`);
    return dataset;
  }

  async createTable({ tableReference, schema, view, labels = {} }: NewTable): Promise<Table> {
    const { location } = await this.dataset(tableReference.projectId, tableReference.datasetId);
    const id = tableKey(tableReference);
    if ((await this.load('table', id)) !== undefined) throw duplicate(`Table ${id}`);
    const now = String(Date.now());
    const table: Table = {
      kind: 'bigquery#table',
      id,
      type: view === undefined ? 'TABLE' : 'VIEW',
      tableReference,
      schema: schema ?? { fields: [] },
      location,
      labels,
      creationTime: now,
      lastModifiedTime: now,
    };
    if (table.type === 'TABLE') {
      if (table.schema.fields.length === 0) throw invalid(`Table ${id} has no columns`);
      const columns = `${columnList(table.schema.fields)}, _came_ms BIGINT, _went_ms BIGINT`;
      await this.connection.run(`CREATE TABLE ${rowsOf(table)} (${columns})`);
    }
    await this.save('table', id, table);
    return table;
  }

  async table(reference: TableReference): Promise<Table> {
    await this.dataset(reference.projectId, reference.datasetId);
    const table = await this.load<Table>('table', tableKey(reference));
    if (table === undefined) throw notFound(`Table ${tableKey(reference)}`);
    return table;
  }

  async deleteTable(reference: TableReference): Promise<void> {
    const table = await this.table(reference);
    if (table.type === 'TABLE') await this.connection.run(`DROP TABLE ${rowsOf(table)}`);
    await this.connection.run(`DELETE FROM entries WHERE kind = 'table' AND key = $1`, [table.id]);
  }

  /** Rows of `source`, a SQL table expression with the table's column names, come in; with `truncate`, all others go. */
  async insert(table: Table, source: string, { truncate = false } = {}): Promise<number> {
    const columns = table.schema.fields.map(({ name }) => identifier(name)).join(', ');
    const connection = await this.connect();
    try {
      await connection.run('BEGIN');
      const now = Date.now();
      if (truncate) await connection.run(`UPDATE ${rowsOf(table)} SET _went_ms = ${now} WHERE _went_ms IS NULL`);
      const inserted = await connection.run(
        `INSERT INTO ${rowsOf(table)} BY NAME SELECT ${columns}, ${now} AS _came_ms FROM ${source}`,
      );
      await connection.run('COMMIT');
      await this.save('table', table.id, { ...table, lastModifiedTime: String(now) });
      return inserted.rowsChanged;
    } finally {
      connection.disconnectSync();
    }
  }

  /** The table and, as a query of one column `json`, its rows as of the decorator's instant or now. */
  async rowsAsJson({ tableId, ...dataset }: TableReference): Promise<{ table: Table; sql: string }> {
    const [name = '', decorator] = tableId.split('@');
    const table = await this.table({ ...dataset, tableId: name });
    if (table.type !== 'TABLE') {
      throw invalid(
        `Using table ${table.id} is not allowed for this operation because of its type. Try using a different table that is of type TABLE.`,
      );
    }
    const atMs = decorator === undefined ? Date.now() : Number(decorator);
    const created = Number(table.creationTime);
    if (!Number.isSafeInteger(atMs) || atMs < created) {
      throw invalid(`Invalid snapshot time ${decorator ?? ''} for table ${table.id}. Cannot read before ${created}`);
    }
    if (atMs > Date.now()) throw invalid(`Invalid snapshot time ${atMs} for table ${table.id}. It is in the future`);
    const at = `_came_ms <= ${atMs} AND (_went_ms IS NULL OR _went_ms > ${atMs})`;
    return { table, sql: `SELECT ${rowJson(table.schema.fields)} AS json FROM ${rowsOf(table)} WHERE ${at}` };
  }

  /** A connection of its own, for what must not wait for others. The caller disconnects it. */
  async connect(): Promise<DuckDBConnection> {
    const connection = await this.instance.connect();
    await connection.run(`SET TimeZone = 'UTC'`);
    return connection;
  }
}

/** A table expression that reads streamed rows (`insertAll`) from a file of newline-delimited JSON. */
export function streamedRows({ schema }: Table, file: string): string {
  const nestedBytes = schema.fields.some((column) => column.fields?.some(({ type }) => type === 'BYTES'));
  if (nestedBytes) throw new ApiError(501, 'notImplemented', 'The BigQuery sandbox streams no BYTES within records');
  const readAs = schema.fields.map((column) => (column.type === 'BYTES' ? { ...column, type: 'STRING' } : column));
  const types = readAs.map(
    (column) => `${literal(column.name)}: ${literal(columnList([column]).slice(identifier(column.name).length + 1))}`,
  );
  const selected = schema.fields.map(({ name, type }) =>
    type === 'BYTES' ? `from_base64(${identifier(name)}) AS ${identifier(name)}` : identifier(name),
  );
  return `(SELECT ${selected.join(', ')} FROM read_json(${literal(file)}, format = 'newline_delimited', columns = {${types.join(', ')}}))`;
}
