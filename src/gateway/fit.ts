import { effortLevels } from '../../schemas/requests/agent.ts';
import { openaiChatRequest } from '../../schemas/requests/openai-chat.ts';
import type { Fields } from '../endpoints/endpoint.ts';
import { extraHeaders } from '../endpoints/extra-headers.ts';
import { IModelError, printField, printValue } from '../errors.ts';
import { isOverride } from '../hooks/overrides.ts';
import { record } from '../http/vendor-error.ts';
import { doesChat, type Target } from './target.ts';

/** A request that its iModel takes, and the names of what was left out for that. */
export interface Fitted {
  readonly request: Fields;
  readonly dropped: readonly string[];
}

/** Fields that the gateway itself answers for. */
const gatewayFields = new Set(['model', 'stream', 'stream_options']);

/** Switches of the iModel's own endpoint, which are no caller's to turn. */
const ownFields = new Set(['passthrough', 'headers']);

const chatFields: ReadonlySet<string> = new Set(Object.keys(openaiChatRequest.shape));

/** Fields without which the answer would be another one than the caller asked for: they are refused where they cannot be honoured. */
const essential: Readonly<Record<string, (value: unknown) => boolean>> = {
  tools: isFilled,
  functions: isFilled,
  n: (value) => typeof value === 'number' && value > 1,
  logprobs: (value) => value === true,
  response_format: (value) => record(value)?.type !== 'text',
  modalities: (value) => Array.isArray(value) && value.some((kind) => kind !== 'text'),
  audio: (value) => value !== null,
  web_search_options: (value) => value !== null,
};

/**
 * Fits a request in the terms of OpenAI's chat protocol to what its iModel takes. What the iModel's endpoint translates itself stays as it
 * is; what has another name there is renamed; hints that have no counterpart, such as `seed`, are left out.
 *
 * @throws IModelError `invalid_request` for what has no counterpart and must not be left out, such as tools for an agent.
 */
export function fitChat(body: Fields, target: Target): Fitted {
  const { family, fields } = target;
  if (!doesChat(target)) throw notAbleTo(target, 'chat');
  const given: Record<string, unknown> = {};
  for (const name in body) if (!gatewayFields.has(name) && body[name] !== undefined) given[name] = body[name];
  if (family === 'agent') refuseFiles(body.messages, target);
  const request: Record<string, unknown> = {};
  const dropped: string[] = [];
  const known = family === 'agent' ? agentFields : fields;
  const asked = translated(given, target, dropped);
  for (const name in asked) {
    const value = asked[name];
    if (ownFields.has(name)) throw refused(name, value, target, 'only what builds the iModel may set it');
    if (known === null || known.has(name)) request[name] = value;
    else if (!chatFields.has(name)) throw refused(name, value, target, 'unknown field');
    else if (value !== null && essential[name]?.(value) === true) throw refused(name, value, target, 'cannot be done');
    else if (value !== null) dropped.push(name);
  }
  return { request, dropped };
}

/** A picture of an agent may be a file where it works. Which files there are is nothing for callers to find out. */
function refuseFiles(messages: unknown, target: Target): void {
  for (const message of Array.isArray(messages) ? messages : []) {
    const content = record(message)?.content;
    for (const part of Array.isArray(content) ? content : []) {
      const image = record(part)?.image_url;
      const url = record(image)?.url ?? image;
      if (typeof url === 'string' && !/^[a-z][a-z0-9+.-]*:/i.test(url)) {
        throw refused('image_url', url, target, 'only pictures as data URLs');
      }
    }
  }
}

/**
 * Refuses what a request says of its iModel's hooks, which are there to bind callers too, and of headers to its vendor.
 *
 * @throws IModelError `invalid_request`
 */
export function refuseOverrides(request: Fields, target: Target): void {
  for (const name in request) {
    if (!isOverride(name) && name !== extraHeaders) continue;
    throw refused(name, request[name], target, 'only what builds the iModel may set it');
  }
}

/** What a caller may say to an agent: the task. Where it works and what it may do is for the one who built the iModel. */
const agentFields: ReadonlySet<string> = new Set(['messages', 'effort']);

/** The error for an iModel that cannot do what the path of a request stands for. */
export function notAbleTo({ model }: Target, what: string): IModelError {
  const { provider, endpoint } = model.endpoint.config;
  const message = `The iModel \`${model.id}\` (${provider} ${endpoint}) does not ${what}`;
  return IModelError.of('invalid_request', message, { path: 'model', value: printValue(model.id) });
}

function refused(name: string, value: unknown, { model }: Target, why: string): IModelError {
  const shown = printField({ [name]: value }, [name]);
  const message = `\`${name}\` of ${shown}: ${why} with the iModel \`${model.id}\``;
  return IModelError.of('invalid_request', message, { path: name, value: shown });
}

function translated(given: Fields, target: Target, dropped: string[]): Fields {
  switch (target.family) {
    case 'messages':
      return toAnthropicNames(given, dropped);
    case 'agent': {
      const { reasoning_effort: effort, ...rest } = given;
      return isEffort(effort, target) ? { ...rest, effort } : given;
    }
    default:
      return given;
  }
}

/**
 * The names that Anthropic has for what OpenAI's clients say. Messages, tools, choices, stops and limits are translated by the endpoint.
 *
 * @see {@link https://docs.claude.com/en/api/messages} for `output_config` (read 2026-11)
 */
function toAnthropicNames(given: Fields, dropped: string[]): Fields {
  const { response_format: format, reasoning_effort: effort, user, temperature, metadata, ...rest } = given;
  const request: Record<string, unknown> = { ...rest };
  const config: Record<string, unknown> = { ...record(rest.output_config) };
  const schema = record(record(format)?.json_schema)?.schema;
  if (schema !== undefined) config.format = { type: 'json_schema', schema };
  else if (format !== undefined) request.response_format = format;
  if (typeof effort === 'string' && anthropicEfforts.has(effort)) config.effort = effort;
  else if (effort !== undefined && effort !== null) dropped.push('reasoning_effort');
  if (Object.keys(config).length > 0) request.output_config = config;
  // Anthropic's scale ends at 1, OpenAI's at 2.
  if (temperature !== undefined)
    request.temperature = typeof temperature === 'number' && temperature <= 2 ? Math.min(1, temperature) : temperature;
  if (typeof user === 'string') request.metadata = { user_id: user };
  else if (metadata !== undefined && metadata !== null) dropped.push('metadata');
  return request;
}

const anthropicEfforts: ReadonlySet<string> = new Set(['low', 'medium', 'high', 'xhigh', 'max']);

function isEffort(value: unknown, { fields }: Target): boolean {
  return fields?.has('effort') === true && (effortLevels as readonly unknown[]).includes(value);
}

function isFilled(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0;
}
