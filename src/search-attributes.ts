import { isGrpcServiceError, type ConnectionLike } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { searchAttributeNames } from './contract';

const { INDEXED_VALUE_TYPE_KEYWORD } = temporal.api.enums.v1.IndexedValueType;

/**
 * Registers the search attributes that the namespace does not have. Without them a workflow task that sets one would fail
 * again and again, so a worker that may not register them does not start, and says what an administrator must do.
 */
export async function registerSearchAttributes({ operatorService }: ConnectionLike, namespace: string): Promise<void> {
  const known = await knownAttributes(operatorService, namespace);
  const missing = Object.values(searchAttributeNames).filter((name) => !(name in known));
  if (missing.length === 0) return;
  try {
    await operatorService.addSearchAttributes({
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
  operatorService: ConnectionLike['operatorService'],
  namespace: string,
): Promise<Readonly<Record<string, unknown>>> {
  try {
    return (await operatorService.listSearchAttributes({ namespace })).customAttributes ?? {};
  } catch (error) {
    // The time-skipping test server adds search attributes, but does not list them.
    if (isGrpcServiceError(error) && mayNotList.has(error.code)) return {};
    throw error;
  }
}

/** gRPC documentation, "Status codes": PERMISSION_DENIED and UNIMPLEMENTED. */
const mayNotList: ReadonlySet<number> = new Set([7, 12]);
