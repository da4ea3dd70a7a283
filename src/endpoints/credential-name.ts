/** Headers that carry credentials, by the names in use. */
const credentialName =
  /^(proxy-)?authorization$|^(set-)?cookie2?$|api-?key|token|secret|credential|password|signature|^x-auth|[-_](key|auth|sig)$/i;

/** Whether the value of a header of this name is not to be written down. */
export function isCredentialName(name: string): boolean {
  return credentialName.test(name);
}
