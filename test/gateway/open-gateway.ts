import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import OpenAI from 'openai';
import { onTestFinished } from 'vitest';
import type { GatewayConfig } from '../../schemas/config.ts';
import type { Bus } from '../../src/bus/bus.ts';
import { type Gateway, startGateway } from '../../src/gateway/gateway.ts';
import type { IModelOptions } from '../../src/imodel-options.ts';
import { createRuntime, type Runtime } from '../../src/runtime/runtime.ts';
import { startUpstream, type Upstream, type UpstreamHandler } from '../../src/testing/upstream.ts';

/** A gateway with its iModels, gone when the test is over. */
export interface OpenGateway {
  readonly gateway: Gateway;
  readonly runtime: Runtime;
  readonly url: string;
  /** OpenAI's own client, which tries nothing twice. */
  readonly openai: OpenAI;
  /** Sends JSON. */
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Response>;
}

/** Opens a gateway for iModels, which are served on a bus of their own or on the one given. */
export async function openGateway(
  models: Readonly<Record<string, IModelOptions>>,
  config: GatewayConfig = {},
  options: { readonly bus?: Bus } = {},
): Promise<OpenGateway> {
  const runtime = await createRuntime({ models }, { env: {}, ...options });
  const gateway = await startGateway(runtime, { port: 0, ...config });
  onTestFinished(async () => {
    const closed = gateway.close();
    await runtime.close();
    await closed;
  });
  const { url } = gateway;
  return {
    gateway,
    runtime,
    url,
    openai: new OpenAI({ baseURL: `${url}/v1`, apiKey: 'unused', maxRetries: 0 }),
    post: (path, body, headers = {}) =>
      fetch(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
  };
}

/** A scripted upstream, gone when the test is over. */
export async function openUpstream(handler: UpstreamHandler): Promise<Upstream> {
  const upstream = await startUpstream(handler);
  onTestFinished(() => upstream.close());
  return upstream;
}

/** An iModel that speaks OpenAI's chat protocol to an upstream. */
export function chatModel({ url }: Upstream, options: Readonly<Record<string, unknown>> = {}): IModelOptions {
  return { provider: 'openai', model: 'gpt-4.1-mini', apiKey: 'sk-upstream', baseUrl: `${url}/v1`, ...options };
}

/** An iModel that speaks Anthropic's protocol to an upstream. */
export function anthropicModel({ url }: Upstream, options: Readonly<Record<string, unknown>> = {}): IModelOptions {
  return { provider: 'anthropic', model: 'claude-sonnet-4-5', apiKey: 'sk-upstream', baseUrl: `${url}/v1`, ...options };
}

/** Resolves when a question is answered with yes; asked again after every turn of the event loop. */
export async function until(question: () => boolean): Promise<void> {
  while (!question()) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** A request over a connection of its own, whose answer is read or not as the test wants. */
export function openRequest(
  url: string,
  body: unknown,
): { readonly request: ClientRequest; readonly answered: Promise<IncomingMessage> } {
  const request = httpRequest(url, { method: 'POST', agent: false, headers: { 'content-type': 'application/json' } });
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve);
    request.once('error', reject);
  });
  answered.catch(() => {});
  request.end(JSON.stringify(body));
  return { request, answered };
}
