import { lookup as resolveHost } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { IModelError } from '../errors.ts';

/** Which addresses that are not public a client may talk to. */
export interface AddressPolicy {
  /** This machine: `127.0.0.0/8`, `::1`, `localhost`. @defaultValue false */
  readonly allowLoopback?: boolean;
  /** Every private range: the local network, link-local and carrier addresses, and loopback. @defaultValue false */
  readonly allowPrivateNetwork?: boolean;
}

const loopbackRanges = new BlockList();
loopbackRanges.addSubnet('127.0.0.0', 8, 'ipv4');
loopbackRanges.addAddress('0.0.0.0', 'ipv4');
loopbackRanges.addAddress('::1', 'ipv6');
loopbackRanges.addAddress('::', 'ipv6');

const privateRanges = new BlockList();
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
] as const) {
  privateRanges.addSubnet(network, bits, 'ipv4');
}
for (const [network, bits] of [
  ['::', 128],
  ['::1', 128],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
] as const) {
  privateRanges.addSubnet(network, bits, 'ipv6');
}

/**
 * Says what an address is to this machine.
 *
 * IPv4 addresses inside IPv6 ones (mapped, compatible, NAT64, 6to4) are judged as the IPv4 address they stand for.
 *
 * @param address - An IPv4 or IPv6 address without brackets; anything else counts as private.
 */
export function addressKind(address: string): 'public' | 'loopback' | 'private' {
  const bare = address.split('%', 1)[0] ?? '';
  const version = isIP(bare);
  if (version === 0) return 'private';
  const inner = version === 6 ? embeddedIPv4(bare) : bare;
  const family = inner === null ? 'ipv6' : 'ipv4';
  const plain = inner ?? bare;
  if (loopbackRanges.check(plain, family)) return 'loopback';
  return privateRanges.check(plain, family) ? 'private' : 'public';
}

/** True for a host name that means this machine without asking a resolver. Brackets around IPv6 are allowed. */
export function isLoopbackHost(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  if (host === 'localhost' || host.endsWith('.localhost')) return true;
  return isIP(host) !== 0 && addressKind(host) === 'loopback';
}

/**
 * Refuses a host that is written as an address the policy does not allow. Names are judged later, by {@link guardedLookup}.
 *
 * @throws IModelError `config`, naming host and option.
 */
export function checkLiteralHost(hostname: string, policy: AddressPolicy): void {
  const host = hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0 && !allowed(host, policy)) throw refusal(host, host);
}

/**
 * A resolver for `net.connect` that fails when any address of a name is one the policy does not allow.
 *
 * It runs inside the connection, so a name cannot resolve to one address when it is checked and to another when it is used.
 */
export function guardedLookup(policy: AddressPolicy): LookupFunction {
  return (hostname, options, callback) => {
    resolveHost(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, []);
      const refused = addresses.find(({ address }) => !allowed(address, policy));
      if (refused) return callback(refusal(hostname, refused.address), []);
      if (options.all === true) return callback(null, addresses);
      const [first] = addresses;
      return callback(null, first?.address ?? '', first?.family);
    });
  };
}

function allowed(address: string, policy: AddressPolicy): boolean {
  const kind = addressKind(address);
  if (kind === 'public' || policy.allowPrivateNetwork === true) return true;
  return kind === 'loopback' && policy.allowLoopback === true;
}

function refusal(host: string, address: string): IModelError {
  const what = host === address ? `Host ${host}` : `Host ${host} has the address ${address}, which`;
  return IModelError.of(
    'config',
    `${what} is not a public address. Pass allowLocalNetwork for this machine or allowPrivateNetwork for the local network`,
    { field: 'baseUrl', value: host },
  );
}

/** The IPv4 address an IPv6 address stands for, or null. */
function embeddedIPv4(address: string): string | null {
  const groups = expandIPv6(address);
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, high = 0, low = 0] = groups;
  const leadingZero = a === 0 && b === 0 && c === 0 && d === 0;
  if (leadingZero && e === 0 && f === 0xffff) return dotted(high, low);
  if (leadingZero && e === 0xffff && f === 0) return dotted(high, low);
  // `::` and `::1` are addresses of their own, not IPv4-compatible ones.
  if (leadingZero && e === 0 && f === 0 && (high !== 0 || low > 1)) return dotted(high, low);
  if (a === 0x64 && b === 0xff9b) return dotted(high, low);
  if (a === 0x2002) return dotted(b, c);
  return null;
}

function dotted(high: number, low: number): string {
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

function expandIPv6(address: string): number[] {
  // The URL parser writes any spelling, also dotted tails, in hexadecimal groups.
  const host = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', tail] = host.split('::');
  const groupsOf = (part: string): number[] => (part === '' ? [] : part.split(':').map((group) => parseInt(group, 16)));
  const before = groupsOf(head);
  const after = tail === undefined ? [] : groupsOf(tail);
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
}
