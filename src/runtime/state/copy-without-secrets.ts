import { withoutSecrets } from './credentials.ts';
import { plainCopy } from './plain-copy.ts';
import { writeValue } from './written.ts';

/** A deep copy as JSON would bring it back, with `(redacted)` wherever one of these texts stands. */
export function copyWithoutSecrets(value: object, secrets: readonly string[]): unknown {
  try {
    return plainCopy(value, secrets.length === 0 ? null : (text) => withoutSecrets(text, secrets));
  } catch {
    // A request may hold what is not plain.
    return JSON.parse(textWithoutSecrets(value, secrets));
  }
}

/** The JSON of {@link copyWithoutSecrets}. */
export function textWithoutSecrets(value: object, secrets: readonly string[]): string {
  const written = secrets.map((secret) => JSON.stringify(secret).slice(1, -1));
  let text: string;
  try {
    text = JSON.stringify(value);
  } catch {
    // A request may hold what JSON cannot.
    text = JSON.stringify(writeValue(value));
  }
  return withoutSecrets(text, written);
}
