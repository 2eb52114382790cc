import { BigQuery } from '@google-cloud/bigquery';
import { Storage } from '@google-cloud/storage';
import { PassThroughClient } from 'google-auth-library';

/** Where stand-ins of Google's services answer, as `http://host:port`. Absent: Google's own, with default credentials. */
export interface GoogleEndpoints {
  readonly bigquery?: string | undefined;
  readonly storage?: string | undefined;
}

/** `projectId` is the project that jobs run in; absent, the one of the default credentials. */
export const createBigQuery = ({ bigquery }: GoogleEndpoints, projectId?: string): BigQuery =>
  new BigQuery(options(bigquery, projectId));

export const createStorage = ({ storage }: GoogleEndpoints, projectId?: string): Storage =>
  new Storage(options(storage, projectId));

/** A stand-in is sent no credentials: they could be real ones. */
const options = (apiEndpoint: string | undefined, projectId: string | undefined) => ({
  ...(projectId === undefined ? {} : { projectId }),
  ...(apiEndpoint === undefined ? {} : { apiEndpoint, authClient: new PassThroughClient() }),
});

/**
 * Gives up a request that is not answered in time; what it was may still be done. The clients have a setting for it,
 * `timeout`, and pass it to `node-fetch`, which has ignored it since its version 3: an activity would wait for ever.
 * Credentials are asked for without any limit where Google's metadata server gives them.
 */
export async function answeredWithin<T>(timeoutMs: number, request: Promise<T>, signal?: AbortSignal): Promise<T> {
  const { promise: givenUp, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs / 1000} s`)), timeoutMs);
  const abort = (): void => reject(signal?.reason);
  signal?.addEventListener('abort', abort);
  if (signal?.aborted === true) abort();
  try {
    return await Promise.race([request, givenUp]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}
