import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { nkeys } from 'nats';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connectNats, type NatsBus, type NatsOptions } from '../../src/bus/nats.ts';
import { makeAccounts } from '../integration/nats-accounts.ts';
import { type PrivateServer, startServer, until } from '../integration/private-server.ts';

let directory: string;
let server: PrivateServer;
const open: NatsBus[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'imodel-keys-'));
  server = await startServer();
});
afterEach(async () => {
  for (const bus of open.splice(0)) await bus.close();
});
afterAll(async () => {
  await server.stop();
  await rm(directory, { recursive: true, force: true });
});

async function restart(config: string): Promise<void> {
  await server.kill();
  await server.configure(config);
  await server.start();
}

/** Connects and makes one round trip. */
async function works(options: NatsOptions): Promise<void> {
  const bus = await connectNats({ servers: server.url, ...options });
  open.push(bus);
  bus.subscribe('check', (message) => message.respond({ ok: true }));
  expect((await bus.request('check', {}, { timeoutMs: 5_000 })).value()).toEqual({ ok: true });
}

/** Fails to connect, with an error that shows none of the secrets anywhere. */
async function isRefused(options: NatsOptions, code: string, secrets: readonly string[] = []): Promise<void> {
  const error: unknown = await connectNats({ servers: server.url, ...options }).then(
    (bus) => bus.close(),
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ code });
  const shown = `${inspect(error, { depth: 10 })} ${JSON.stringify(error)}`;
  for (const secret of secrets) expect(shown).not.toContain(secret);
}

describe('a login by', () => {
  it('user and password, in options or in the address', async () => {
    await restart('authorization { user: ann, password: "s3cret pass" }');
    await works({ user: 'ann', password: 's3cret pass' });
    await works({ servers: `nats://ann:s3cret%20pass@127.0.0.1:${server.port}` });
    await isRefused({ user: 'ann', password: 'wr0ng-pass' }, 'unauthorized', ['wr0ng-pass']);
    await isRefused({ servers: `nats://ann:wr0ng-pass@127.0.0.1:${server.port}` }, 'unauthorized', ['wr0ng-pass']);
    await isRefused({}, 'unauthorized');
  });

  it('token, in options or in the address', async () => {
    await restart('authorization { token: "t0ken-of-ours" }');
    await works({ token: 't0ken-of-ours' });
    await works({ servers: `nats://t0ken-of-ours@127.0.0.1:${server.port}` });
    await isRefused({ token: 'an0ther-token' }, 'unauthorized', ['an0ther-token']);
  });

  it('nkey', async () => {
    const user = nkeys.createUser();
    const seed = new TextDecoder().decode(user.getSeed());
    const stranger = new TextDecoder().decode(nkeys.createUser().getSeed());
    await restart(`authorization { users = [ { nkey: ${user.getPublicKey()} } ] }`);
    await works({ nkeySeed: seed });
    await isRefused({ nkeySeed: stranger }, 'unauthorized', [stranger]);
    await isRefused({ nkeySeed: 'SUnot-a-seed' }, 'config', ['not-a-seed']);
  });

  it('credentials file, read again when it changes', async () => {
    const accounts = makeAccounts();
    const path = join(directory, 'user.creds');
    await restart(accounts.serverConfig);
    await writeFile(path, accounts.credentials());
    await works({ credentialsFile: path });
    await writeFile(path, accounts.credentials({ expired: true }));
    await isRefused({ credentialsFile: path }, 'unauthorized', [accounts.lastSeed()]);
    await writeFile(path, 'nothing of use');
    await isRefused({ credentialsFile: path }, 'config');
    await isRefused({ credentialsFile: join(directory, 'absent') }, 'config');
  });

  it('no more than one of these', async () => {
    await isRefused({ user: 'ann', password: 'pa55', token: 't0ken' }, 'config', ['pa55', 't0ken']);
    await isRefused({ password: 'pa55' }, 'config', ['pa55']);
  });
});

describe('TLS', () => {
  const file = (name: string): string => fileURLToPath(new URL(`tls/${name}`, import.meta.url));
  const tlsFiles = { ca: file('authority.pem'), cert: file('server.pem'), key: file('server.key') };

  it('is spoken with a server whose authority is known', async () => {
    await restart(`tls { cert_file: "${tlsFiles.cert}", key_file: "${tlsFiles.key}" }`);
    await works({ tls: { caFile: tlsFiles.ca } });
    await works({ servers: `tls://127.0.0.1:${server.port}`, tls: { caFile: tlsFiles.ca } });
    await isRefused({}, 'config');
    await isRefused({ tls: { caFile: join(directory, 'absent.pem') } }, 'config');
  });

  it('shows a certificate where the server wants one', async () => {
    await restart(
      `tls { cert_file: "${tlsFiles.cert}", key_file: "${tlsFiles.key}", ca_file: "${tlsFiles.ca}", verify: true }`,
    );
    await works({ tls: { caFile: tlsFiles.ca, certFile: tlsFiles.cert, keyFile: tlsFiles.key } });
    await expect(
      connectNats({ servers: server.url, tls: { caFile: tlsFiles.ca }, connectTimeoutMs: 500 }),
    ).rejects.toMatchObject({
      name: 'IModelError',
    });
  });

  it('is missed where it is asked for', async () => {
    await restart('');
    await isRefused({ tls: {} }, 'config');
  });
});

describe('options', () => {
  it.each([
    [{ servers: [] }, 'servers'],
    [{ servers: 'http://localhost' }, 'servers'],
    [{ servers: 'nats://a b@:::' }, 'servers'],
    [{ pingIntervalMs: -1 }, 'pingIntervalMs'],
    [{ pendingBytes: Number.NaN }, 'pendingBytes'],
    [{ inboxPrefix: 'a.*' }, 'inboxPrefix'],
  ] as const)('%j are refused by name', async (options, field) => {
    await expect(connectNats(options)).rejects.toMatchObject({ code: 'config', failure: { field } });
  });
});

describe('a permission that is missing', () => {
  const config = `authorization { users = [
    { user: all, password: p },
    { user: some, password: p, permissions: { publish: ["ok.>"], subscribe: ["ok.>", "_INBOX.>"] } }
    { user: mute, password: p, permissions: { publish: ["ok.>"], subscribe: ["ok.>"] } }
  ] }`;
  const login = async (user: string, options: NatsOptions = {}): Promise<NatsBus> => {
    const bus = await connectNats({ servers: server.url, user, password: 'p', ...options });
    open.push(bus);
    return bus;
  };

  it('fails the request at once, is reported, and breaks nothing', async () => {
    await restart(config);
    const reported: [string, string][] = [];
    const bus = await login('some', {
      onError: (error, subject) => void reported.push([(error as { code: string }).code, subject]),
    });
    await expect(bus.request('forbidden', {}, { timeoutMs: 20_000 })).rejects.toMatchObject({
      code: 'unauthorized',
      failure: { source: 'bus', retryable: false },
    });
    bus.publish('forbidden', {});
    bus.subscribe('forbidden.too', () => {});
    await until(() => reported.length === 3, 'three reports');
    expect(reported).toEqual([
      ['unauthorized', 'forbidden'],
      ['unauthorized', 'forbidden'],
      ['unauthorized', 'forbidden.too'],
    ]);
    bus.subscribe('ok.ask', (message) => message.respond({ ok: true }));
    expect((await bus.request('ok.ask', {}, { timeoutMs: 5_000 })).value()).toEqual({ ok: true });
  });

  it('to receive replies fails every request at once instead of letting it time out', async () => {
    await restart(config);
    const host = await login('all');
    host.subscribe('ok.ask', (message) => message.respond({ ok: true }));
    await host.flush();
    const bus = await login('mute');
    await expect(bus.request('ok.ask', {}, { timeoutMs: 20_000 })).rejects.toMatchObject({ code: 'unauthorized' });
    await expect(bus.request('ok.ask', {}, { timeoutMs: 20_000 })).rejects.toMatchObject({ code: 'unauthorized' });
    const withPrefix = await login('mute', { inboxPrefix: 'ok.replies' });
    expect((await withPrefix.request('ok.ask', {}, { timeoutMs: 5_000 })).value()).toEqual({ ok: true });
  });

  it('is asked for again after a reconnect', async () => {
    await restart(config);
    const bus = await login('some', { reconnectMaxMs: 50 });
    let seen = 0;
    bus.subscribe('later', () => {
      seen += 1;
    });
    await bus.flush();
    await restart(config.replace('["ok.>", "_INBOX.>"]', '["ok.>", "_INBOX.>", "later"]'));
    const other = await login('all');
    await until(() => {
      other.publish('later', {});
      return seen > 0;
    }, 'the subscription to work');
  });

  it('does not stop a bus whose user is refused after a restart, until he is let in again', async () => {
    await restart(config);
    const bus = await login('all', { reconnectMaxMs: 20 });
    const statuses: string[] = [];
    void (async () => {
      for await (const { type, detail } of bus.status) statuses.push(`${type} ${detail ?? ''}`);
    })();
    await restart(config.replace('{ user: all, password: p }', '{ user: all, password: other }'));
    await until(() => statuses.filter((text) => /refused the user/.test(text)).length > 3, 'several refusals');
    await restart(config);
    await until(() => statuses.at(-1)?.startsWith('connected') === true, 'the connection to come back');
    await bus.flush();
  });
});
