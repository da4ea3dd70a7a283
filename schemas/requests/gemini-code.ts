import { z } from 'zod';
import { agentFields } from './agent.ts';

/**
 * A request to Gemini CLI, with the program's own settings.
 *
 * @see {@link https://geminicli.com/docs/cli/cli-reference/} for what each does (read 2026-11, version 0.61.0).
 */
export const geminiCodeRequest = z.strictObject({
  ...agentFields,
  /** @defaultValue 'gemini-3-flash-preview' */
  model: z.string().min(1).optional(),
  /** Takes the place of the built-in system prompt, through a file. */
  system_prompt: z.string().optional(),
  /** Stands in front of the prompt, since the program can only replace its own system prompt. */
  append_system_prompt: z.string().optional(),
  /** `suggest` and `full_auto` are older words for `default` and `yolo`. */
  approval_mode: z.enum(['default', 'auto_edit', 'yolo', 'plan', 'suggest', 'full_auto']).optional(),
  /** True and false choose; absent leaves it to the program, whose default is none. */
  sandbox: z.boolean().nullish(),
  debug: z.boolean().optional(),
  /** Further folders, inside `repo`. */
  include_directories: z.array(z.string().min(1)).optional(),
  /** Chooses the id of a new session: a UUID. */
  session_id: z.uuid().optional(),
  max_turns: z.number().int().min(1, 'at least 1').optional(),
  /** How often the program tries a request to the vendor. */
  max_retries: z.number().int().min(0).optional(),
  /** Servers by name, written into the settings of a private home. */
  mcp_servers: z.record(z.string(), z.record(z.string(), z.unknown())).optional(),
});

/** See {@link geminiCodeRequest}. */
export type GeminiCodeRequest = z.infer<typeof geminiCodeRequest>;
