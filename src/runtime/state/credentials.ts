import { isCredentialName } from '../../endpoints/credential-name.ts';
import type { Fields } from '../../endpoints/endpoint.ts';

/** Stands where a value must not be written down. */
export const redacted = '(redacted)';

/** What beside them carries one in a query. */
const queryCredential = /(^|[-_])(key|sig|signature|code|auth)$/i;

/** Variables of programs that a request names. */
const credentialVariable = /[A-Z0-9]_(KEY|TOKEN|SECRET|PASSWORD)$/;

/** Fields of requests that carry one. Narrower: `max_tokens` and `prompt_cache_key` carry none. */
const credentialField =
  /^(x[-_])?(api[-_]?key|(proxy[-_]?)?authorization|cookie|password|passwd|secret|token|bearer|credentials?)$|[-_]?((access|auth|refresh|bearer|security|session)[-_]?token|(client|app|shared)[-_]?secret|(private|secret|subscription)[-_]?key)$/i;

/** A value in a query that is as long as a key may be one, whatever its name. */
const keyLength = 20;

/** A base URL without login, and with `(redacted)` for what in its query is, or may well be, a credential. */
export function withoutCredentials(baseUrl: string): string {
  if (!/[@?]/.test(baseUrl) || !URL.canParse(baseUrl)) return baseUrl;
  const url = new URL(baseUrl);
  url.username = '';
  url.password = '';
  const query = url.search.replace(/([?&])([^=&]*)=([^&]*)/g, (whole, sign: string, name: string, value: string) =>
    isCredentialName(name) || queryCredential.test(name) || value.length >= keyLength
      ? `${sign}${name}=${redacted}`
      : whole,
  );
  url.search = '';
  return `${url.href.replace(/\/$/, '')}${query}`;
}

/** A text without these. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of secrets) clean = clean.replaceAll(secret, redacted);
  return clean;
}

/** Where in request defaults a credential stands. */
export interface FoundCredential {
  readonly path: readonly string[];
  readonly value: string;
}

/** The texts in request defaults that are credentials by the name of their field, or URLs that hold one, however deep. */
export function credentialsIn(defaults: unknown): FoundCredential[] {
  return textsIn(defaults, (name, value) => isCredentialField(name) || isUrlWithCredential(value));
}

function isCredentialField(name: string): boolean {
  return credentialField.test(name) || credentialVariable.test(name);
}

function isUrlWithCredential(value: string): boolean {
  return /^https?:/.test(value) && (/^[^/]*\/\/[^/]*@/.test(value) || withoutCredentials(value).includes(redacted));
}

/** Where in request defaults of a dict a credential was withheld. */
export function withheldIn(defaults: unknown): FoundCredential[] {
  return textsIn(defaults, (_name, value) => value === redacted);
}

/** Puts credentials of request defaults back where a request that was made with them was written without. */
export function giveAgain(request: Fields, credentials: readonly FoundCredential[]): void {
  for (const { path, value } of credentials) {
    // What is in `extra_body` goes into the body itself.
    for (const place of path[0] === 'extra_body' ? [path, path.slice(1)] : [path]) {
      const [holder, name] = holderAt(request, place);
      if (holder?.[name] === redacted) holder[name] = value;
    }
  }
}

/** Sets what stands at a path, where there is something that can hold it; undefined takes it out. */
export function setAt(fields: unknown, path: readonly string[], value: string | undefined): void {
  const [holder, name] = holderAt(fields, path);
  if (holder === null) return;
  if (value === undefined) delete holder[name];
  else Object.defineProperty(holder, name, { value, enumerable: true, configurable: true, writable: true });
}

function holderAt(fields: unknown, path: readonly string[]): [holder: Record<string, unknown> | null, name: string] {
  let holder = fields;
  for (const name of path.slice(0, -1)) {
    holder = isRecord(holder) && Object.hasOwn(holder, name) ? holder[name] : undefined;
  }
  return [isRecord(holder) ? holder : null, path.at(-1) ?? ''];
}

function textsIn(
  value: unknown,
  isMeant: (name: string, value: string) => boolean,
  path: readonly string[] = [],
): FoundCredential[] {
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([name, item]) => {
    const inner = [...path, name];
    if (typeof item !== 'string') return textsIn(item, isMeant, inner);
    // One of a list has no name.
    return !Array.isArray(value) && item !== '' && isMeant(name, item) ? [{ path: inner, value: item }] : [];
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
