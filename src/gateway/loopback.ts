import { isIPv4 } from 'node:net';

/**
 * Whether only this machine can reach what listens at an address. `0.0.0.0` and `::` are every address, and so are not.
 *
 * @param host - An address or a name, without a port and without brackets.
 */
export function isLocalOnly(host: string): boolean {
  const name = host.toLowerCase();
  return name === 'localhost' || name === '::1' || (isIPv4(name) && name.startsWith('127.'));
}
