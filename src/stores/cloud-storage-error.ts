/** What Cloud Storage answers instead of bytes (Cloud Storage documentation, "HTTP status and error codes for JSON"). */
export class CloudStorageError extends Error {
  override readonly name = 'CloudStorageError';
  readonly errors: readonly Reason[];

  constructor(
    readonly code: number,
    text: string,
  ) {
    const { message, errors = [] } = parsedAnswer(text);
    super(message === undefined || message === '' ? `HTTP status ${code}` : message);
    this.errors = errors;
  }
}

interface Reason {
  readonly reason?: string;
  readonly message?: string;
}

interface Answer {
  readonly message?: string;
  readonly errors?: readonly Reason[];
}

const sentenceCharsMax = 1_000;

/** Of requests for a file's bytes the refusal is often a sentence without JSON around it; a page of HTML says nothing. */
function parsedAnswer(text: string): Answer {
  try {
    return (JSON.parse(text) as { error?: Answer }).error ?? {};
  } catch {
    const sentence = text.trim();
    return sentence.startsWith('<') ? {} : { message: sentence.slice(0, sentenceCharsMax) };
  }
}

/** Cloud Storage documentation, "Retry strategy": these and broken connections. */
export const mayPass = (error: unknown): boolean =>
  !(error instanceof CloudStorageError) || error.code === 408 || error.code === 429 || error.code >= 500;
