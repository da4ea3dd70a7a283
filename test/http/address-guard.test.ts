import { lookup } from 'node:dns/promises';
import { describe, expect, it } from 'vitest';
import { addressKind, checkLiteralHost, guardedLookup, isLoopbackHost } from '../../src/http/address-guard.ts';
import { HttpClient } from '../../src/http/client.ts';
import { startUpstream } from '../../src/testing/upstream.ts';

describe('addressKind', () => {
  it.each([
    ['8.8.8.8', 'public'],
    ['172.15.0.1', 'public'],
    ['172.16.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['172.32.0.1', 'public'],
    ['10.1.2.3', 'private'],
    ['192.168.0.1', 'private'],
    ['169.254.169.254', 'private'],
    ['100.64.0.1', 'private'],
    ['127.0.0.1', 'loopback'],
    ['127.8.8.8', 'loopback'],
    ['0.0.0.0', 'loopback'],
    ['0.1.2.3', 'private'],
    ['224.0.0.1', 'private'],
    ['255.255.255.255', 'private'],
    ['::1', 'loopback'],
    ['::', 'loopback'],
    ['fe80::1', 'private'],
    ['fe80::1%eth0', 'private'],
    ['fc00::1', 'private'],
    ['fd12:3456::1', 'private'],
    ['ff02::1', 'private'],
    ['2001:4860:4860::8888', 'public'],
    ['::ffff:10.0.0.1', 'private'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:8.8.8.8', 'public'],
    ['::10.0.0.1', 'private'],
    ['64:ff9b::10.0.0.1', 'private'],
    ['64:ff9b::8.8.8.8', 'public'],
    ['2002:a00:1::', 'private'],
    ['not an address', 'private'],
  ])('%s is %s', (address, kind) => {
    expect(addressKind(address)).toBe(kind);
  });
});

describe('isLoopbackHost', () => {
  it.each(['localhost', 'LOCALHOST', 'a.localhost', '127.0.0.1', '[::1]', '::1'])('%s means this machine', (host) => {
    expect(isLoopbackHost(host)).toBe(true);
  });
  it.each(['example.com', 'localhost.example.com', '10.0.0.1', '[fe80::1]'])('%s does not', (host) => {
    expect(isLoopbackHost(host)).toBe(false);
  });
});

describe('checkLiteralHost', () => {
  it('refuses a private address and names it', () => {
    expect(() => checkLiteralHost('10.0.0.7', {})).toThrow(/10\.0\.0\.7 is not a public address/);
    expect(() => checkLiteralHost('[::1]', {})).toThrow(/not a public address/);
  });
  it('allows loopback only when told, and that only', () => {
    expect(() => checkLiteralHost('127.0.0.1', { allowLoopback: true })).not.toThrow();
    expect(() => checkLiteralHost('10.0.0.7', { allowLoopback: true })).toThrow();
    expect(() => checkLiteralHost('10.0.0.7', { allowPrivateNetwork: true })).not.toThrow();
    expect(() => checkLiteralHost('8.8.8.8', {})).not.toThrow();
    expect(() => checkLiteralHost('example.com', {})).not.toThrow();
  });
});

describe('guardedLookup', () => {
  const resolve = (policy: Parameters<typeof guardedLookup>[0], host: string): Promise<unknown> =>
    new Promise((done) => guardedLookup(policy)(host, {}, (error, address) => done(error ?? address)));

  it('fails for a name that resolves to this machine', async () => {
    expect(await resolve({}, 'localhost')).toMatchObject({ failure: { code: 'config', field: 'baseUrl' } });
  });
  it('resolves it when allowed', async () => {
    expect(await resolve({ allowLoopback: true }, 'localhost')).toBe((await lookup('localhost')).address);
  });
});

describe('inside a connection', () => {
  it('refuses a name of this machine with the guard’s own error, and sends nothing', async () => {
    await using upstream = await startUpstream();
    const client = new HttpClient();
    const request = { origin: `http://localhost:${upstream.port}`, path: '/', headers: {}, body: '{}' };
    await expect(client.send(request)).rejects.toMatchObject({ code: 'config', message: /localhost has the address/ });
    expect(upstream.accepted).toBe(0);
    await client.close();
  });
  it('refuses a literal address', async () => {
    const client = new HttpClient();
    await expect(
      client.send({ origin: 'http://169.254.169.254', path: '/', headers: {}, body: null }),
    ).rejects.toMatchObject({ code: 'config' });
    await client.close();
  });
});
