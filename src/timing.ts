/**
 * Every timeout, heartbeat, retry interval and grace time, in one place because they only make sense together.
 * Durations are in milliseconds.
 */

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

/** How often a working activity shows that it lives. Also how stale `status` may be. */
export const heartbeatEveryMs = 2 * second;

/**
 * The worker may hold a heartbeat back for so long: what was copied since the last one is copied again after a kill. So each
 * finished shard is told at once, at human scale; a request for a shard costs nothing beside its bytes.
 */
export const heartbeatThrottleMs = second / 10;

/** Seven missed heartbeats: a killed worker's work is taken up within seconds, a busy event loop is not taken for a dead one. */
export const heartbeatTimeoutMs = 15 * second;

/** A body that moves no byte for this long is given up, so that a stalled connection becomes an ordinary retry. */
export const stallTimeoutMs = 30 * second;

/** Transient faults: soon at first, then gently. There is no last attempt: a service that is down for a day costs a day. */
export const retryPolicy = { initialInterval: second, backoffCoefficient: 2, maximumInterval: minute } as const;

/** `quotaExceeded`: BigQuery's documentation asks for at least ten minutes. */
export const quotaRetryDelayMs = 10 * minute;
/** `rateLimitExceeded`: BigQuery's documentation asks for seconds. */
export const rateLimitRetryDelayMs = 5 * second;

/** A shard's bytes are asked for again so long after a fault that may pass. What lasts longer is Temporal's to retry. */
export const stagedFileRetryMs: readonly number[] = [second / 10, second];

/** A shard takes its next turn so long after S3 asked for a slower pace. What lasts longer is Temporal's to retry. */
export const slowDownRetryMs: readonly number[] = [second, 2 * second, 4 * second, 8 * second, 16 * second];

/**
 * Connections that carry shards. The one to S3 stalls also where the source of its body does: one limit finds both. S3
 * closes a connection that nobody uses after some twenty seconds, and what is sent at that moment is lost.
 */
export const connectionTimes = { connectMs: 10 * second, stallMs: stallTimeoutMs, idleMs: 5 * second } as const;

/**
 * Where a bandwidth is set, a shard under way waits for its turn to send a piece; it must not be so long that S3 closes the
 * connection (see above). So few are under way that each has its turn within this.
 */
export const pacedPieceMs = 10 * second;

/** A store that was asked whether it takes a body, and does not say, is sent it after this. */
export const continueTimeoutMs = second;

/** One STS or S3 call with a small body. */
export const smallRequestTimeoutMs = 10 * second;
/**
 * One request to BigQuery or Cloud Storage, without a shard's bytes, and the times that the client itself tries it again.
 * Less than a small activity has, so that the activity says what was not answered.
 */
export const googleRequestTimeoutMs = 20 * second;
/** Small activities do not heartbeat: this finds a dead worker. */
export const smallActivityTimeoutMs = 30 * second;
/**
 * S3 refuses a receipt so long after its attempt was scheduled: before Temporal gives the attempt up, so that nothing
 * that comes after can be overtaken by it. The rest is for clocks that differ between Temporal and AWS.
 */
export const commitWithinMs = smallActivityTimeoutMs - 5 * second;

/** Long by design: heartbeats, not this, find a dead worker. BigQuery ends a job after six hours by itself. */
export const extractTimeoutMs = 12 * hour;
export const copyTimeoutMs = 12 * hour;
export const clearStagingTimeoutMs = hour;
/** Staging that cannot be cleared is left to the bucket's lifecycle rule: a delivered dump does not wait for it. */
export const clearStagingGiveUpMs = hour;

/**
 * How often an extract job is asked for its state: soon for small tables, then less often, so that a job that is done waits
 * for no more than about a seventh of the time that it took.
 */
export const extractPollMs = { first: second / 2, longest: 10 * second, growth: 1.15 } as const;

/** Access faults are tried again by themselves this often. */
export const accessRetryEveryMs = hour;

/**
 * The worker's own credentials may be renewed in a moment by where they come from. What has gone on for so long does not
 * pass by itself: a person is told.
 */
export const workerIdentityPatienceMs = 10 * minute;
/** A fault that was not seen again for so long is over, though no success was. Longer than a dump waits between two tries. */
export const workerIdentityForgetMs = 2 * hour;

/**
 * What goes wrong at about the same time is told in one notice: where access is taken away, every table fails within
 * seconds.
 */
export const noticeDelayMs = 3 * second;
/** One request to the receiver of notices, until its answer begins. */
export const noticeRequestTimeoutMs = 10 * second;
/** Whether notices are on is answered from memory. */
export const noticesAreOnTimeoutMs = 5 * second;
/** A dump never waits long for whether somebody is to be told: what a crash or two does not explain is taken for no. */
export const noticesAreOnRetryPolicy = { ...retryPolicy, maximumAttempts: 4 } as const;
/** A receiver that is down for a night is told all; news of the day before yesterday is none. */
export const noticeGiveUpMs = 24 * hour;

/** A new role or policy takes seconds to take effect everywhere: a refusal is believed after this. */
export const accessPropagationMs = 30 * second;
export const accessRecheckMs = 5 * second;

/**
 * A round of access checks asks one destination after the other, so long after the last: a check is four requests to STS
 * and one put. Ten thousand destinations are asked in about 35 minutes.
 */
export const accessCheckSpacingMs = second / 5;
/** A round that cannot be finished, as Temporal makes no list of destinations, is over before the next day's. */
export const accessRoundGiveUpMs = 12 * hour;
/** Temporal itself ends a round, where no worker is there to do so: while it lasts, the schedule begins no other. */
export const accessRoundTimeoutMs = 18 * hour;
/** A round that Temporal missed, being down, is begun up to so late. */
export const accessRoundCatchUpMs = 6 * hour;

/** `connect` has a person waiting: a transient fault is tried again a little, then reported. */
export const connectRetryPolicy = { ...retryPolicy, maximumAttempts: 3 } as const;

/** Longer than a heartbeat timeout, so that a worker that is asked to stop finishes its shards, or hands them over cleanly. */
export const shutdownGraceMs = 20 * second;
/** After this the process ends whatever hangs. */
export const shutdownForceMs = 30 * second;

/** How soon a worker that failed is noticed. */
export const failedWorkerCheckMs = second;

/** Before a copying process that ended is started again: at once the first time, gently where it ends again and again. */
export const copyProcessRestartMs: readonly number[] = [0, second, 5 * second, 20 * second, minute];
/** One that worked so long has started well: its end is the first again. */
export const copyProcessSettledMs = minute;

/** A run may be announced by a clock that is a little ahead of Temporal's, no more. */
export const clockSkewMs = 10 * minute;
