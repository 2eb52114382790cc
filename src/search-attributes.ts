import { isGrpcServiceError, type ConnectionLike } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { searchAttributeNames } from './contract';

const { INDEXED_VALUE_TYPE_KEYWORD } = temporal.api.enums.v1.IndexedValueType;

/**
 * Registers the search attributes that the namespace does not have. Without them a workflow task that sets one would fail
 * again and again, so a worker that may not register them does not start, and says what an administrator must do.
 */
export async function registerSearchAttributes(connection: ConnectionLike, namespace: string): Promise<void> {
  const known = await knownAttributes(connection, namespace);
  const missing = Object.values(searchAttributeNames).filter((name) => !known.has(name));
  if (missing.length === 0) return;
  try {
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, INDEXED_VALUE_TYPE_KEYWORD])),
    });
  } catch (error) {
    throw new Error(
      `This worker could not make sure that the namespace ${namespace} has the search attributes ${missing.join(', ')}. ` +
        `Let an administrator run, for each: temporal operator search-attribute create --namespace ${namespace} --name <name> --type Keyword ` +
        `(on Temporal Cloud: tcld namespace search-attributes add --namespace ${namespace} --search-attribute "<name>=Keyword"), then start the worker again.`,
      { cause: error },
    );
  }
}

async function knownAttributes(
  { operatorService, workflowService }: ConnectionLike,
  namespace: string,
): Promise<ReadonlySet<string>> {
  try {
    const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
    return new Set(Object.keys(customAttributes ?? {}));
  } catch (error) {
    if (isGrpcServiceError(error) && refused.has(error.code)) return attributesOfQueries(workflowService, namespace);
    // The time-skipping test server adds search attributes, but does not list them.
    if (isGrpcServiceError(error) && unimplemented.has(error.code)) return new Set();
    throw error;
  }
}

/**
 * Those that a query may name. Temporal Cloud lets no worker ask the operator service, and answers queries (its permissions
 * reference, "Workflow-level permissions").
 */
async function attributesOfQueries(
  workflowService: ConnectionLike['workflowService'],
  namespace: string,
): Promise<ReadonlySet<string>> {
  const known = new Set<string>();
  for (const name of Object.values(searchAttributeNames)) {
    try {
      await workflowService.countWorkflowExecutions({ namespace, query: `${name} = 'any'` });
      known.add(name);
    } catch (error) {
      if (!isGrpcServiceError(error) || !unknownOrRefused.has(error.code)) throw error;
    }
  }
  return known;
}

/** gRPC documentation, "Status codes": PERMISSION_DENIED. */
const refused: ReadonlySet<number> = new Set([7]);
/** UNIMPLEMENTED. */
const unimplemented: ReadonlySet<number> = new Set([12]);
/** INVALID_ARGUMENT, which is said of an attribute that the namespace lacks, and PERMISSION_DENIED. */
const unknownOrRefused: ReadonlySet<number> = new Set([3, 7]);
