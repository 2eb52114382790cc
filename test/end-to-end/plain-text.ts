/** Anything as JSON, with the bytes in it (payloads, for one) as the text that they are. */
export const plainText = (value: unknown): string => JSON.stringify(legible(value));

/** Own properties only: a Protobuf message's own JSON would show its bytes in base64, where nothing is found. */
function legible(value: unknown): unknown {
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8');
  if (Array.isArray(value)) return value.map(legible);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([name, of]) => [name, legible(of)]));
}
