import type { DataConverter } from '@temporalio/common';
import type { PayloadKeys } from './keys';
import { EncryptionCodec, RefusingCodec } from './payload-codec';

export const failureConverterPath = require.resolve('./failure-converter');

/** What workers and clients read and write payloads with. Without keys: plain, as Temporal does. */
export const createDataConverter = (keys: PayloadKeys | undefined): DataConverter =>
  keys === undefined
    ? { payloadCodecs: [new RefusingCodec()] }
    : { payloadCodecs: [new EncryptionCodec(keys)], failureConverterPath };
