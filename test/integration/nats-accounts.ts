import { createHash } from 'node:crypto';
import { nkeys } from 'nats';

type KeyPair = ReturnType<typeof nkeys.createUser>;

/** An operator with one account, and the credentials of users in it. */
export interface Accounts {
  /** Lines of nats-server configuration that trust the operator. */
  readonly serverConfig: string;
  /** The text of a credentials file for a new user. */
  credentials(options?: { readonly expired?: boolean }): string;
  /** The seed in the latest credentials. */
  lastSeed(): string;
}

/**
 * Makes the keys and tokens that NATS's `nsc` tool makes, for a test.
 *
 * @see {@link https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/jwt} for the parts (read 2026-11)
 */
export function makeAccounts(): Accounts {
  const [operator, account, system] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createAccount()];
  const limits = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
  const operatorToken = sign(operator, operator, 'operator', { type: 'operator', version: 2 });
  const accountToken = sign(operator, account, 'account', { limits, type: 'account', version: 2 });
  const systemToken = sign(operator, system, 'system', { limits, type: 'account', version: 2 });
  let seed = '';
  return {
    serverConfig: [
      `operator: ${operatorToken}`,
      `system_account: ${system.getPublicKey()}`,
      'resolver: MEMORY',
      `resolver_preload: { ${account.getPublicKey()}: ${accountToken}, ${system.getPublicKey()}: ${systemToken} }`,
    ].join('\n'),
    credentials({ expired = false } = {}) {
      const user = nkeys.createUser();
      seed = text(user.getSeed());
      const now = Math.floor(Date.now() / 1_000);
      const claims = { subs: -1, data: -1, payload: -1, type: 'user', version: 2 };
      const token = sign(account, user, 'user', claims, expired ? now - 60 : undefined);
      return [
        '-----BEGIN NATS USER JWT-----',
        token,
        '------END NATS USER JWT------',
        '',
        '-----BEGIN USER NKEY SEED-----',
        seed,
        '------END USER NKEY SEED------',
        '',
      ].join('\n');
    },
    lastSeed: () => seed,
  };
}

function sign(issuer: KeyPair, subject: KeyPair, name: string, claims: object, expiresAt?: number): string {
  const body = {
    iat: Math.floor(Date.now() / 1_000) - 120,
    iss: issuer.getPublicKey(),
    sub: subject.getPublicKey(),
    name,
    nats: claims,
    ...(expiresAt === undefined ? {} : { exp: expiresAt }),
  };
  const jti = createHash('sha256').update(JSON.stringify(body)).digest('hex');
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const unsigned = `${encode({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encode({ ...body, jti })}`;
  return `${unsigned}.${Buffer.from(issuer.sign(new TextEncoder().encode(unsigned))).toString('base64url')}`;
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
