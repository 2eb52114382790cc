/** An error as the BigQuery REST API answers it (BigQuery documentation, "Error messages"). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly reason: string,
    message: string,
  ) {
    super(message);
  }

  get body(): object {
    const { status, reason, message } = this;
    return { error: { code: status, message, errors: [{ domain: 'global', reason, message }] } };
  }
}

export const notFound = (what: string): ApiError => new ApiError(404, 'notFound', `Not found: ${what}`);
export const duplicate = (what: string): ApiError => new ApiError(409, 'duplicate', `Already Exists: ${what}`);
export const invalid = (message: string): ApiError => new ApiError(400, 'invalid', message);
/** What the stand-in does not know it says so: never a made-up answer. */
export const notImplemented = (what: string): ApiError =>
  new ApiError(501, 'notImplemented', `The BigQuery sandbox does not implement ${what}`);
