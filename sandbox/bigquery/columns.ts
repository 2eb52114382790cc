/** BigQuery columns as DuckDB columns, and their values as BigQuery's extract jobs write them in JSON. */
import { invalid } from './api-error';

export interface Column {
  readonly name: string;
  readonly type: string;
  readonly mode?: 'NULLABLE' | 'REQUIRED' | 'REPEATED';
  readonly fields?: readonly Column[];
}

export const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;
export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

const scalarTypes: Readonly<Record<string, string>> = {
  STRING: 'VARCHAR',
  GEOGRAPHY: 'VARCHAR',
  BYTES: 'BLOB',
  INTEGER: 'BIGINT',
  INT64: 'BIGINT',
  FLOAT: 'DOUBLE',
  FLOAT64: 'DOUBLE',
  NUMERIC: 'DECIMAL(38,9)',
  BIGNUMERIC: 'DECIMAL(38,18)',
  BOOLEAN: 'BOOLEAN',
  BOOL: 'BOOLEAN',
  TIMESTAMP: 'TIMESTAMPTZ',
  DATE: 'DATE',
  DATETIME: 'TIMESTAMP',
  TIME: 'TIME',
  JSON: 'JSON',
};

const isRecord = ({ type }: Column): boolean => type === 'RECORD' || type === 'STRUCT';

export function duckType(column: Column): string {
  const type = isRecord(column) ? `STRUCT(${columnList(column.fields ?? [])})` : scalarTypes[column.type];
  if (type === undefined) throw invalid(`Field ${column.name} has the unsupported type ${column.type}`);
  return column.mode === 'REPEATED' ? `${type}[]` : type;
}

export const columnList = (columns: readonly Column[]): string =>
  columns.map((column) => `${identifier(column.name)} ${duckType(column)}`).join(', ');

/** A SQL expression for one row's JSON text. Null fields are left out; `<`, `>` and `&` are escaped as BigQuery does. */
export function rowJson(columns: readonly Column[]): string {
  const json = objectJson(columns, (name) => identifier(name), 0);
  return `replace(replace(replace(${json}, '<', '\\u003c'), '>', '\\u003e'), '&', '\\u0026')`;
}

/** `concat_ws` passes over nulls, and a null value makes its `"name":` null. */
function objectJson(columns: readonly Column[], reference: (name: string) => string, depth: number): string {
  const members = columns.map(
    (column) => `${literal(`${JSON.stringify(column.name)}:`)} || ${valueJson(column, reference(column.name), depth)}`,
  );
  return `'{' || concat_ws(',', ${members.join(', ')}) || '}'`;
}

function valueJson(column: Column, value: string, depth: number): string {
  if (column.mode === 'REPEATED') {
    const item = `item${depth}`;
    const itemJson = valueJson({ ...column, mode: 'NULLABLE' }, item, depth + 1);
    return `'[' || array_to_string(list_transform(coalesce(${value}, []), lambda ${item}: ${itemJson}), ',') || ']'`;
  }
  if (isRecord(column)) {
    const record = objectJson(column.fields ?? [], (name) => `(${value}).${identifier(name)}`, depth);
    return `CASE WHEN ${value} IS NULL THEN NULL ELSE ${record} END`;
  }
  switch (column.type) {
    case 'INTEGER':
    case 'INT64':
      return jsonString(`${value}::VARCHAR`);
    case 'NUMERIC':
    case 'BIGNUMERIC':
      return jsonString(`rtrim(rtrim(${value}::VARCHAR, '0'), '.')`);
    case 'TIMESTAMP':
      return jsonString(`strftime(${value}, '%Y-%m-%d %H:%M:%S') || ${fraction(value)} || ' UTC'`);
    case 'DATETIME':
      return jsonString(`strftime(${value}, '%Y-%m-%dT%H:%M:%S') || ${fraction(value)}`);
    case 'DATE':
    case 'TIME':
      return jsonString(`${value}::VARCHAR`);
    case 'BYTES':
      return jsonString(`to_base64(${value})`);
    default:
      return `to_json(${value})::VARCHAR`;
  }
}

const jsonString = (text: string): string => `to_json(${text})::VARCHAR`;

/** The part of a second after the point, without trailing zeros; nothing for a whole second. Also before 1970. */
function fraction(value: string): string {
  const micros = `((epoch_us(${value}) % 1000000 + 1000000) % 1000000)`;
  return `CASE WHEN ${micros} = 0 THEN '' ELSE rtrim('.' || lpad(${micros}::VARCHAR, 6, '0'), '0') END`;
}
