import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { expect } from 'vitest';
import type { CallerConfig } from '../../schemas/caller.ts';
import type { Bus } from '../../src/bus/bus.ts';
import { createKey, hashKey } from '../../src/callers/key.ts';
import type { IModelOptions } from '../../src/imodel-options.ts';
import { openGateway } from './open-gateway.ts';

/** What every caller here says. */
export const messages = [{ role: 'user' as const, content: 'hello' }];
/** An iModel that says it back at once. */
export const echo: IModelOptions = { model: 'scripted/echo' };
/** An iModel that says it back after a minute. */
export const slow: IModelOptions = { model: 'scripted/echo', delay_ms: 60_000 };

type Settings = Omit<CallerConfig, 'keyHashes'>;

/** A gateway whose callers have a key each, with both vendors' clients for each of them. */
export async function openKeyed<N extends string>(
  models: Readonly<Record<string, IModelOptions>>,
  callers: Readonly<Record<N, Settings>>,
  config: Parameters<typeof openGateway>[1] = {},
  bus?: Bus,
) {
  const entries = Object.entries<Settings>(callers).map(([name, own]) => [name, createKey(), own] as const);
  const written = Object.fromEntries(
    entries.map(([name, key, own]) => [name, { ...own, keyHashes: [hashKey(key)] }]),
  ) as Record<N, CallerConfig>;
  const open = await openGateway(models, { ...config, callers: written }, bus === undefined ? {} : { bus });
  const keys = Object.fromEntries(entries.map(([name, key]) => [name, key])) as Record<N, string>;
  const openai = (name: N | null, key = name === null ? 'sk-nobody' : keys[name]) =>
    new OpenAI({ baseURL: `${open.url}/v1`, apiKey: key, maxRetries: 0 });
  const anthropic = (name: N | null) =>
    new Anthropic({ baseURL: open.url, apiKey: name === null ? 'sk-nobody' : keys[name], maxRetries: 0 });
  const chat = (name: N, model = 'm', headers: Record<string, string> = {}) =>
    openai(name).chat.completions.create({ model, messages }, { headers });
  const bearer = (name: N) => ({ authorization: `Bearer ${keys[name]}` });
  const get = (path: string, name: N | null = null, method = 'GET') =>
    fetch(open.url + path, { method, headers: name === null ? {} : bearer(name) });
  return { ...open, keys, written, openai, anthropic, chat, bearer, get };
}

/** The error that a request is refused with; fails the test when it is not. */
export const refusal = (call: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> =>
  call.then(
    () => expect.fail('nothing was refused'),
    (error: InstanceType<typeof OpenAI.APIError>) => error,
  );

/** Status, and what each dialect calls it. */
export async function refusalsOf(openai: Promise<unknown>, anthropic: Promise<unknown>) {
  const [one, second] = await Promise.all([refusal(openai), refusal(anthropic)]);
  const other = second as unknown as InstanceType<typeof Anthropic.APIError>;
  const { error } = other.error as { error: { type: string } };
  return [one.status, one.type, one.code, other.status, error.type];
}
