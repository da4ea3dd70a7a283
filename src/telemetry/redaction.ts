import type { ModelEventMessage } from '../../schemas/event.ts';
import type { Failure } from '../../schemas/failure.ts';

/** What stands in the place of what must not be written. */
const redacted = '(redacted)';

/** What keys look like: a bearer's, and those that vendors begin with a sign of their own. */
const keys = /\bBearer\s+[^\s"',\\]+|\b(?:sk|pk|rk|gsk|xai|pplx|tvly|fc|nvapi|AIza|hf)[-_]?[A-Za-z0-9][\w*.-]{10,}/g;

/** Names under which secrets are kept, in settings and in environments. */
const secretName = /(^|[-_])(api[-_]?key|key|token|secret|password|authorization|cookie|creds?|credentials)$/i;

/** What is a code, or the name of a request: not a sentence, nor anything that a prompt could hide in. */
const word = /^[\w.:-]{1,80}$/;

/** Shorter values are words that stand elsewhere too. */
const shortestSecret = 8;

/** A text without anything that looks like a key. */
function withoutKeys(text: string): string {
  return text.replace(keys, redacted);
}

/**
 * A copy of an event that may be written: without the vendor's own words, which may repeat prompt or answer, and without keys.
 *
 * @param withWords - Whether those words may be written too.
 */
export function writableEvent({ failure, ...event }: ModelEventMessage, withWords: boolean): Record<string, unknown> {
  return failure === undefined ? event : { ...event, failure: writableFailure(failure, withWords) };
}

/** As {@link writableEvent}, for a failure. */
export function writableFailure(failure: Failure, withWords: boolean): Record<string, unknown> {
  const { message, ...said } = failure;
  const {
    body: _body,
    excerpt: _excerpt,
    value: _value,
    ...plain
  } = said as typeof said & Readonly<Record<string, unknown>>;
  const isOurs = failure.source !== 'provider' && failure.code !== 'invalid_request' && failure.code !== 'malformed';
  if (withWords || isOurs) return { ...plain, message: withoutKeys(message) };
  return Object.fromEntries(Object.entries(plain).filter(([, value]) => typeof value !== 'string' || word.test(value)));
}

/**
 * The secrets in settings and environment, to be kept out of whatever is written.
 *
 * @param settings - Plain data; values that name a variable stand for its value.
 */
export function secretsIn(settings: unknown, env: Readonly<Record<string, string | undefined>>): string[] {
  const found = new Set<string>();
  const add = (value: string | undefined): void => {
    if (value !== undefined && value.length >= shortestSecret) found.add(value);
  };
  const look = (value: unknown, name: string): void => {
    if (typeof value === 'string') {
      if (secretName.test(name) || /[a-z]Key$/.test(name)) add(env[value] || value);
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, inner] of Object.entries(value)) look(inner, Array.isArray(value) ? name : key);
    }
  };
  look(settings, '');
  for (const [name, value] of Object.entries(env)) if (secretName.test(name)) add(value);
  // The longest first: one may be a part of another.
  return [...found].sort((one, other) => other.length - one.length);
}

/** Takes secrets out of a line of JSON. */
export function lineWithout(secrets: readonly string[]): (line: string) => string {
  const written = secrets.map((secret) => JSON.stringify(secret).slice(1, -1));
  return (line) => withoutKeys(written.reduce((text, secret) => text.replaceAll(secret, redacted), line));
}
