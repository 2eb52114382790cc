/** Puts a failure's message and stack trace into a payload, which the codec then encrypts. The workflow sandbox loads it too. */
import { DefaultFailureConverter } from '@temporalio/common';

export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
