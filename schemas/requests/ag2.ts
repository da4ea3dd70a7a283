import { z } from 'zod';
import { agentPrompt, agentRun, agentWorkspace } from './agent.ts';

const identifier = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, '1 to 64 of A-Z a-z 0-9 _ -');

/** A model that agents use. */
export const ag2Model = z.strictObject({
  api_type: z.enum(['openai', 'openai_responses', 'anthropic', 'gemini', 'ollama']).optional(),
  /** @defaultValue 'gpt-4o-mini' */
  model: z.string().min(1).optional(),
  /** Where the model is asked; our own HTTP gateway, for one. */
  base_url: z.string().min(1).optional(),
  /** The key itself: only in a constructor, and never written down. */
  api_key: z.string().min(1).optional(),
  /** The environment variable that holds the key. */
  api_key_env: z.string().min(1).optional(),
  temperature: z.number().optional(),
  top_p: z.number().optional(),
  max_tokens: z.number().int().min(1).optional(),
  /** Text as it is written. @defaultValue true */
  streaming: z.boolean().optional(),
  /** Seconds of one request to the model. */
  timeout: z.number().positive().optional(),
  max_retries: z.number().int().min(0).optional(),
  reasoning_effort: z.string().optional(),
  default_headers: z.record(z.string(), z.string()).optional(),
  extra_body: z.record(z.string(), z.unknown()).optional(),
});

/** When an agent hands over to another. */
const handoff = z.strictObject({
  /** An agent's name, `END`, or `INITIATOR`. */
  target: z.string().min(1),
  /** For `llm`: the sentence by which the model decides. */
  condition: z.string().optional(),
  /** @defaultValue 'llm' */
  condition_type: z.enum(['llm', 'context']).optional(),
  /** For `context`: the variable, and the value it must have. */
  key: z.string().optional(),
  equals: z.unknown().optional(),
});

/** One agent of a chat. */
export const ag2Agent = z.strictObject({
  name: identifier,
  role: z.string().optional(),
  description: z.string().optional(),
  system_message: z.string().optional(),
  prompt: z.string().optional(),
  /** Name of its model in `llm`. @defaultValue 'main' */
  llm: z.string().optional(),
  /** Names of its tools in `tools`. */
  tools: z.array(z.string()).optional(),
  handoffs: z.array(handoff).optional(),
  handoff_conditions: z.array(handoff).optional(),
  /** With the pattern `manual`: who speaks next. @defaultValue 'END' */
  after_work: z.string().optional(),
  /** The system message with `{variable}` in it, filled from the context variables. */
  state_template: z.string().optional(),
});

const pattern = z.strictObject({
  /** `default` goes through the agents in order, the last one ends. `random` needs the classic backend. */
  type: z.enum(['default', 'round_robin', 'manual', 'auto', 'random']).optional(),
  initial_agent: z.string().optional(),
  /** Who follows the last agent in `default`. @defaultValue 'terminate' */
  after_last: z.string().optional(),
});

/** A function that agents may call, as `module:attribute`. */
const ag2Tool = z.union([
  z.string(),
  z.strictObject({
    import: z.string().regex(/^[\w.]+:[\w.]+$/, '`module:attribute`'),
    description: z.string().optional(),
    /** JSON schema of its arguments. @defaultValue from its signature */
    kwargs_schema: z.record(z.string(), z.unknown()).nullish(),
  }),
]);

/** What only the one who builds the iModel may say: each decides which code runs on the machine. */
export const ag2Host = {
  /** The Python to run. @defaultValue `python3` in `PATH` */
  python: z.string().min(1).optional(),
  /** The same as `python`. */
  cli_path: z.string().min(1).optional(),
  /** Lets agents call the functions in `tools`. @defaultValue false */
  allow_tools: z.boolean().optional(),
  /** Folders that `tools` are imported from. */
  import_paths: z.array(z.string()).optional(),
  inherit_env: z.boolean().optional(),
};

const common = { ...agentPrompt, ...agentWorkspace, ...agentRun, ...ag2Host };

const models = {
  llm: z.record(identifier, ag2Model).optional(),
  /** The same as `llm: { main: … }`. */
  llm_config: ag2Model.optional(),
  /** The same as `llm: { main: { model } }`. */
  model: z.string().min(1).optional(),
  tools: z.record(identifier, ag2Tool).optional(),
  /** `network` is AG2 1.x, `classic` AutoGen 0.x. @defaultValue 'auto' */
  backend: z.enum(['auto', 'network', 'classic']).optional(),
  /** Whether somebody is asked, through the handler `on_input`. @defaultValue 'never' */
  human_input: z.enum(['never', 'always']).optional(),
  /** Seconds of one agent's turn. @defaultValue 300 */
  turn_timeout: z.number().positive().optional(),
  /** Whether the result holds every message. @defaultValue true */
  include_history: z.boolean().optional(),
};

/**
 * A group chat of AG2 agents.
 *
 * @see {@link https://docs.ag2.ai} (read 2026-11, ag2 1.2.1, autogen 0.14.1).
 */
export const ag2GroupChatRequest = z.strictObject({
  ...common,
  ...models,
  agents: z.array(ag2Agent).min(1).max(50).optional(),
  agent_configs: z.array(ag2Agent).min(1).max(50).optional(),
  pattern: z.union([z.enum(['default', 'round_robin', 'manual', 'auto', 'random']), pattern]).optional(),
  initial_agent: z.string().optional(),
  /** Agent turns. @defaultValue 15 */
  max_rounds: z.number().int().min(1, 'at least 1').optional(),
  max_round: z.number().int().min(1, 'at least 1').optional(),
  context_variables: z.record(z.string(), z.unknown()).optional(),
  context: z.record(z.string(), z.unknown()).optional(),
});

/** See {@link ag2GroupChatRequest}. */
export type Ag2GroupChatRequest = z.infer<typeof ag2GroupChatRequest>;

/** One AG2 agent by itself. */
export const ag2AgentRequest = z.strictObject({
  ...common,
  ...models,
  /** @defaultValue an assistant without tools */
  agent_config: ag2Agent.partial({ name: true }).optional(),
});

/** See {@link ag2AgentRequest}. */
export type Ag2AgentRequest = z.infer<typeof ag2AgentRequest>;

/** An agent elsewhere that speaks NLIP over HTTP. */
export const ag2NlipRequest = z.strictObject({
  ...agentPrompt,
  url: z.string().min(1).optional(),
  agent_name: z.string().optional(),
  /** Seconds of one try. @defaultValue 60 */
  timeout: z.number().positive('above 0').optional(),
  /** Further tries after a time-out, a broken connection or a 5xx. @defaultValue 3 */
  max_retries: z.number().int().min(0).optional(),
  /** Allows addresses of this machine and its network; constructor only. @defaultValue false */
  allow_private: z.boolean().optional(),
});

/** See {@link ag2NlipRequest}. */
export type Ag2NlipRequest = z.infer<typeof ag2NlipRequest>;
