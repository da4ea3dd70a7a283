import { z } from 'zod';
import { agentFields, effortLevels } from './agent.ts';

const names = z.array(z.string().min(1));

/**
 * A request to Claude Code, with the program's own settings under the names of its options.
 *
 * @see {@link https://docs.claude.com/en/docs/claude-code/cli-reference} for what each does (read 2026-11, version 2.1.330).
 */
export const claudeCodeRequest = z.strictObject({
  ...agentFields,
  /** An alias (`sonnet`, `opus`, `haiku`) or a full name. @defaultValue 'sonnet' */
  model: z.string().min(1).optional(),
  effort: z.enum(effortLevels).optional(),
  /** Models to fall back to when the first is overloaded, separated by commas. */
  fallback_model: z.string().min(1).optional(),
  /** Chooses the id of a new session: a UUID. Not together with `resume`, unless forking. */
  session_id: z.uuid().optional(),
  /** Goes on from the resumed session under a new id. */
  fork_session: z.boolean().optional(),
  /** Display name of the session. */
  name: z.string().min(1).optional(),
  max_turns: z.number().int().min(1, 'at least 1').optional(),
  max_budget_usd: z.number().positive('above 0').optional(),
  /** Takes the place of the built-in system prompt. */
  system_prompt: z.string().optional(),
  system_prompt_file: z.string().optional(),
  /** Is added to the built-in system prompt; a system message goes here too. */
  append_system_prompt: z.string().optional(),
  append_system_prompt_file: z.string().optional(),
  permission_mode: z
    .enum(['default', 'acceptEdits', 'auto', 'bypassPermissions', 'dontAsk', 'manual', 'plan'])
    .optional(),
  allow_dangerously_skip_permissions: z.boolean().optional(),
  /** Tools that need no permission, as `Bash(git *)`. */
  allowed_tools: names.optional(),
  disallowed_tools: names.optional(),
  /** The tools there are at all; an empty text or list for none. */
  tools: z.union([z.string(), names]).optional(),
  permission_prompt_tool_name: z.string().min(1).optional(),
  /** A file, or JSON when it begins with `{`. */
  mcp_config: z.string().min(1).optional(),
  strict_mcp_config: z.boolean().optional(),
  /** Servers by name, written to a file that only this user can read. Used when `mcp_config` is absent. */
  mcp_servers: z.record(z.string(), z.record(z.string(), z.unknown())).optional(),
  agent: z.string().min(1).optional(),
  agents: z.record(z.string(), z.unknown()).optional(),
  add_dir: names.optional(),
  /** A work tree of its own; true lets the program name it. */
  worktree: z.union([z.boolean(), z.string().min(1)]).optional(),
  chrome: z.boolean().nullish(),
  disable_slash_commands: z.boolean().optional(),
  /** Keeps no session, so none can be resumed. */
  no_session_persistence: z.boolean().optional(),
  input_format: z.enum(['text', 'stream-json']).optional(),
  output_format: z.literal('stream-json', { error: 'only `stream-json`: its events are what is read' }).optional(),
  /** A JSON schema that the answer must satisfy. */
  json_schema_output: z.union([z.string(), z.record(z.string(), z.unknown())]).optional(),
  /** Text as it is written. @defaultValue true in `stream`, false in `invoke` */
  include_partial_messages: z.boolean().optional(),
  /** A file, or JSON when it begins with `{`. */
  settings: z.string().min(1).optional(),
  setting_sources: z.string().optional(),
  betas: names.optional(),
  debug: z.union([z.boolean(), z.string().min(1)]).optional(),
  /** How often the program repeats a failed request to the vendor. @defaultValue 10, the program's own */
  max_retries: z.number().int().min(0).optional(),
  /** Accepted and without effect: the result line always says what this used to ask for. */
  auto_finish: z.boolean().optional(),
});

/** See {@link claudeCodeRequest}. */
export type ClaudeCodeRequest = z.infer<typeof claudeCodeRequest>;
