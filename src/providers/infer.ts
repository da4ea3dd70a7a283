import { bareAgentModels } from '../endpoints/agents/agent-model.ts';
import { IModelError, printValue } from '../errors.ts';
import type { Environment } from './endpoint-options.ts';

/** A provider as the caller wrote it or as it was inferred, and the model without the provider's name. */
export interface InferredProvider {
  readonly provider: string;
  readonly model: string | undefined;
}

/**
 * Tells a model's provider from its name.
 *
 * - A provider that is given is used, and the model's name stays as it is, slashes included.
 * - Otherwise what stands before the first slash is the provider, and the rest is the model.
 * - The bare name of an agent stands for that agent with a model: `claude` is `claude_code/sonnet`.
 * - Any other name without a slash belongs to the provider named by `LIONAGI_CHAT_PROVIDER`, or to `openai`.
 *
 * @throws IModelError `config` when there is neither a provider nor a model to tell it from.
 */
export function inferProvider(
  { provider, model }: { readonly provider?: string | null | undefined; readonly model?: string | null | undefined },
  env: Environment = process.env,
): InferredProvider {
  const given = provider?.trim() ?? '';
  if (given !== '') return { provider: given, model: model ?? undefined };
  if (typeof model !== 'string' && model !== undefined && model !== null) throw noProvider(model);
  if (model === undefined || model === null || model === '') throw noProvider(provider);
  const agent = bareAgentModels.get(model.trim());
  if (agent !== undefined) return agent;
  const slash = model.indexOf('/');
  if (slash === -1) {
    const preferred = env.LIONAGI_CHAT_PROVIDER?.trim() ?? '';
    return { provider: preferred === '' ? 'openai' : preferred, model };
  }
  const [name, rest] = [model.slice(0, slash).trim(), model.slice(slash + 1)];
  if (name === '') throw noProvider(model);
  return { provider: name, model: rest };
}

function noProvider(got: unknown): IModelError {
  return IModelError.of(
    'config',
    `Expected a \`provider\`, or a \`model\` such as \`openai/gpt-4o\`, got ${printValue(got)}`,
    {
      field: 'provider',
      value: printValue(got),
    },
  );
}
