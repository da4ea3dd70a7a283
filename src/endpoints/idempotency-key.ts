import { createHash } from 'node:crypto';

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/**
 * What tells a vendor that several requests are attempts of one call: a UUID, since some take nothing else.
 *
 * @param callId - The same for all attempts. An id that is a UUID is the key itself; any other always gives the same key.
 */
export function idempotencyKey(callId: string): string {
  if (uuid.test(callId)) return callId;
  const digest = createHash('sha256').update(callId).digest();
  // Version 8, a UUID made in a way of one's own: https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-8
  digest.writeUInt8((digest.readUInt8(6) & 0x0f) | 0x80, 6);
  digest.writeUInt8((digest.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = digest.toString('hex', 0, 16);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
