import { ActivityFailure, ApplicationFailure, rootCause } from '@temporalio/workflow';
import { failureRules, isFailureType, type CopyProgress, type FailureDetails, type Fault } from '../contract';

/** What a person must mend, if `error` is such a failure; `undefined` for every other. */
export function faultOf(error: unknown): Fault | undefined {
  const cause = causeOfActivity(error);
  if (!(cause instanceof ApplicationFailure) || !isFailureType(cause.type)) return undefined;
  const rule = failureRules[cause.type];
  if (rule.dump === 'ends') return undefined;
  const [details] = (cause.details ?? []) as [FailureDetails?];
  return {
    type: cause.type,
    problem: details?.problem ?? cause.message,
    mender: rule.mender,
    remedy: details?.remedy ?? '',
    retriesHourly: rule.dump === 'retries-hourly',
  };
}

/** What a copy had achieved when it failed, where its failure says so. */
export function copyProgressOf(error: unknown): CopyProgress | undefined {
  const cause = causeOfActivity(error);
  if (!(cause instanceof ApplicationFailure)) return undefined;
  const [details] = (cause.details ?? []) as [FailureDetails?];
  return details?.copyProgress;
}

/** A workflow that ends with it shows in the UI's list why, instead of `Activity task failed`. */
export function endingFailure(error: unknown): ApplicationFailure {
  const cause = causeOfActivity(error);
  if (cause instanceof ApplicationFailure) {
    return ApplicationFailure.create({ message: cause.message, type: cause.type ?? 'Failed', nonRetryable: true });
  }
  return ApplicationFailure.create({ message: rootCause(error) ?? String(error), type: 'Failed', nonRetryable: true });
}

const causeOfActivity = (error: unknown): unknown => (error instanceof ActivityFailure ? error.cause : error);
