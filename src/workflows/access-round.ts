import { defineWorkflowOptions, isCancellation, setCurrentDetails } from '@temporalio/workflow';
import { askForChecks } from './activity-proxies';
import { endingFailure } from './faults';
import { versioned } from './versioning';

// Pinned, one whose version's workers have gone would not end, and the schedule begins none beside it.
defineWorkflowOptions(accessRound, versioned('AUTO_UPGRADE'));

/**
 * Has every destination check its access, so that a broken policy is known before the next dump. Started each day by the
 * namespace's schedule. What the checks say is each destination's business.
 */
export async function accessRound(): Promise<{ asked: number }> {
  setCurrentDetails('Asks every destination to check its access. What it finds stands in its own details.');
  try {
    return { asked: await askForChecks() };
  } catch (error) {
    throw isCancellation(error) ? error : endingFailure(error);
  }
}
