import type { CodexSetting } from '../../../schemas/requests/codex.ts';

/**
 * Writes a value as TOML, in one line: what Codex's `-c name=value` takes. A text always becomes a basic string, so that `true` stays a
 * text; JSON's escapes are TOML's, but for DEL, which JSON leaves and TOML forbids.
 *
 * @see {@link https://toml.io/en/v1.0.0#string}
 */
export function toToml(value: CodexSetting): string {
  if (typeof value === 'string') return JSON.stringify(value).replaceAll('\u007f', '\\u007f');
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : numberText(value);
  if (typeof value === 'boolean') return String(value);
  if (isList(value)) return `[${value.map(toToml).join(',')}]`;
  return `{${Object.entries(value)
    .map(([key, inner]) => `${/^[A-Za-z0-9_-]+$/.test(key) ? key : toToml(key)}=${toToml(inner)}`)
    .join(',')}}`;
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  const text = String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

function isList(value: CodexSetting): value is readonly CodexSetting[] {
  return Array.isArray(value);
}
