/** A column as the BigQuery API gives it (`TableFieldSchema` of the REST reference). */
export interface SchemaField {
  readonly name?: string;
  readonly type?: string;
  readonly mode?: string;
  readonly description?: string;
  readonly fields?: readonly SchemaField[];
}

/** The schema file of a table: the API's `fields` array, which `bq load --schema` accepts as it is. */
export const schemaFile = (fields: readonly SchemaField[]): string => `${JSON.stringify(fields, null, 2)}\n`;
