import { hash, randomBytes, timingSafeEqual } from 'node:crypto';

/** By this a key is known for one wherever it is found, in a log or in a repository. */
const keyPrefix = 'imodel_';

/** Bits of chance in a key, as bytes. */
const keyBytes = 32;

/** A key for a new caller. It is shown once; only its hash is kept. */
export function createKey(): string {
  return keyPrefix + randomBytes(keyBytes).toString('base64url');
}

/**
 * What is kept of a key. A plain SHA-256 is enough, and passwords' slow hashes would gain nothing: a key is 256 bits of chance, so whoever has
 * its hash cannot try all keys, however fast a try is.
 */
export function hashKey(key: string): string {
  return `sha256:${hash('sha256', key, 'hex')}`;
}

/** Whether two hashes are the same, in a time that does not tell where they differ. */
export function isSameHash(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));
}
