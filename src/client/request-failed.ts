/** A request that could not be fulfilled. The message is a sentence for whoever asked. */
export class RequestFailed extends Error {
  override readonly name = 'RequestFailed';
}
