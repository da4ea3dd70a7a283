import type { AgentEndpointOptions } from '../endpoints/agents/agent-endpoint.ts';
import type { EndpointOptions } from './endpoint-options.ts';

/** What an agent's endpoint takes of the options of every endpoint. */
export function agentOptions({ kwargs, apiKey, baseUrl, timeout, env }: EndpointOptions): AgentEndpointOptions {
  return { kwargs, apiKey, baseUrl, timeout, hostEnvironment: env };
}
