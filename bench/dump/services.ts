/** How the services of a scene behave, and how long they take. */
export interface Services {
  readonly shardsPerTable: number;
  readonly times: ServiceTimes;
  /** Whether a receiver of notices is set. */
  readonly notices: boolean;
  /** Whether every request is kept, to be laid beside a history, or only counted. */
  readonly keepsCalls: boolean;
}

/** Milliseconds of one request. */
export interface ServiceTimes {
  readonly bigQueryMs: number;
  readonly cloudStorageMs: number;
  readonly stsMs: number;
  readonly s3Ms: number;
  /** From an extract job's insertion until it is done. */
  readonly extractJobMs: { readonly shortest: number; readonly longest: number };
}

export const atOnce: ServiceTimes = {
  bigQueryMs: 0,
  cloudStorageMs: 0,
  stsMs: 0,
  s3Ms: 0,
  extractJobMs: { shortest: 0, longest: 0 },
};

/** Assumed, not measured: about what a request takes between two clouds, and a small table's extract job. */
export const asInTheClouds: ServiceTimes = {
  bigQueryMs: 120,
  cloudStorageMs: 40,
  stsMs: 60,
  s3Ms: 60,
  extractJobMs: { shortest: 1_000, longest: 3_000 },
};

/** The `number`th of jobs whose times are spread evenly, in the same order each time. */
export function extractJobTakesMs({ extractJobMs: { shortest, longest } }: ServiceTimes, number: number): number {
  const goldenRatio = 0.618_033_988_75;
  return shortest + (longest - shortest) * ((number * goldenRatio) % 1);
}
