/** Stands where a value must not be written down. */
export const redacted = '(redacted)';

/** Headers that carry credentials, by the names in use. */
const credentialName = /^(proxy-)?authorization$|^(set-)?cookie2?$|api-?key|token|secret|credential|password|^x-auth/i;

/** What beside them carries one in a query. */
const queryCredential = /(^|[-_])(key|sig|signature|code|auth)$/i;

/** A value in a query that is as long as a key may be one, whatever its name. */
const keyLength = 20;

/** Whether the value of a header of this name is not to be written down. */
export function isCredentialName(name: string): boolean {
  return credentialName.test(name);
}

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
