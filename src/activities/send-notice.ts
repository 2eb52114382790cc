import type { Notice } from '../contract';
import type { Webhook } from '../stores/webhook';
import { callingWorkflowId } from './identity';

/** Whether this worker knows a receiver. */
export const createNoticesAreOn = ({ webhook }: { webhook: Webhook | undefined }) =>
  async function noticesAreOn(): Promise<boolean> {
    return webhook !== undefined;
  };

/** Tells the receiver, by the id of the calling workflow: however often it is retried, the id stays. */
export const createSendNotice = ({ webhook }: { webhook: Webhook }) =>
  async function sendNotice(notice: Notice): Promise<void> {
    await webhook.post({ id: callingWorkflowId(), ...notice });
  };
