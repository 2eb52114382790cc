import { BigQuery } from '@google-cloud/bigquery';
import { Storage } from '@google-cloud/storage';
import { PassThroughClient } from 'google-auth-library';
import { stallTimeoutMs } from '../timing';

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

/**
 * A stand-in is sent no credentials: they could be real ones. Without `timeout`, which is of silence and not of the whole
 * request, a server that takes a request and says nothing would hold an activity for ever, as its heartbeats go on.
 */
const options = (apiEndpoint: string | undefined, projectId: string | undefined) => ({
  timeout: stallTimeoutMs,
  ...(projectId === undefined ? {} : { projectId }),
  ...(apiEndpoint === undefined ? {} : { apiEndpoint, authClient: new PassThroughClient() }),
});
