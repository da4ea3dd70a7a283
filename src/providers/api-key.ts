import type { ResolvedKey } from '../endpoints/http-endpoint.ts';
import { IModelError } from '../errors.ts';
import type { Provider } from './define-provider.ts';
import type { Environment } from './endpoint-options.ts';

/** What {@link resolveApiKey} decides on. */
export interface KeyQuestion {
  readonly provider: Provider;
  readonly authType: Provider['authType'];
  /** Whether the key would be sent to this machine. */
  readonly loopback: boolean;
  /** The key, or the name of a variable. */
  readonly apiKey?: string | undefined;
  readonly env: Environment;
}

/** A name that can only be a variable's: nobody's key looks like this, and sending it would only earn a refusal. */
const variableName = /^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*_(KEY|TOKEN)$/;

/**
 * Finds the key for a call: the explicit one, which may be the name of a variable, else the first of the provider's variables that is set.
 * Empty variables count as unset. A text that begins with `dummy-key` is taken as it is.
 *
 * @throws IModelError `missing_api_key`, naming the variable, when one is needed and there is none. The message holds no key.
 */
export function resolveApiKey({ provider, authType, loopback, apiKey, env }: KeyQuestion): ResolvedKey {
  if (authType === 'none' || provider.keyPolicy === 'none') return { key: null };
  if (provider.keyPolicy === 'remote' && loopback) return { key: null };
  if (apiKey !== undefined && apiKey !== '') return explicitKey(apiKey, env);
  for (const variable of provider.apiKeyEnv) {
    const key = env[variable];
    if (key !== undefined && key !== '') return { key, variable };
  }
  if (provider.keyPolicy === 'remote' || (provider.keyPolicy === 'unless-loopback' && loopback)) return { key: null };
  const [variable = `${provider.name.toUpperCase()}_API_KEY`] = provider.apiKeyEnv;
  const others = provider.apiKeyEnv.slice(1);
  const also = others.length === 0 ? '' : ` (or ${others.join(', ')})`;
  const unless = provider.keyPolicy === 'unless-loopback' ? ", or `authType: 'none'` if the host needs no key" : '';
  throw missing(variable, `No key for ${provider.name}: set ${variable}${also} or pass \`apiKey\`${unless}`);
}

function explicitKey(apiKey: string, env: Environment): ResolvedKey {
  if (apiKey.startsWith('dummy-key')) return { key: apiKey };
  const named = env[apiKey];
  if (named !== undefined && named !== '') return { key: named, variable: apiKey };
  if (variableName.test(apiKey)) throw missing(apiKey, `No key: the environment variable ${apiKey} is not set`);
  return { key: apiKey };
}

function missing(variable: string, message: string): IModelError {
  return IModelError.of('missing_api_key', message, { variable });
}
