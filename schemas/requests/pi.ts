import { z } from 'zod';
import { agentFields, effortLevels } from './agent.ts';

const names = z.array(z.string().min(1));

/**
 * A request to pi, with the program's own settings. It has no permission modes: what its shell tool is told, it runs.
 *
 * @see {@link https://github.com/earendil-works/pi} for what each does (read 2026-11, version 0.87.1).
 */
export const piRequest = z.strictObject({
  ...agentFields,
  /** A model's id, or `provider/id`. @defaultValue the program's own */
  model: z.string().min(1).optional(),
  /** The vendor that pi asks. In a constructor, where `provider` names this endpoint, say `pi_provider`. @defaultValue by the model's name */
  provider: z.string().min(1).optional(),
  pi_provider: z.string().min(1).optional(),
  thinking: z.enum([...effortLevels, 'off']).optional(),
  /** The same as `thinking`, in the common tongue. */
  effort: z.enum(effortLevels).optional(),
  /** Keeps no session. @defaultValue true, unless a session is wanted */
  no_session: z.boolean().optional(),
  /** Keeps the session, so that later calls can go on with it. @defaultValue false */
  persist: z.boolean().optional(),
  session_id: z.string().min(1).optional(),
  session_dir: z.string().min(1).optional(),
  tools: names.optional(),
  exclude_tools: names.optional(),
  no_tools: z.boolean().optional(),
  no_builtin_tools: z.boolean().optional(),
  /** Takes the place of the built-in system prompt. */
  system_prompt: z.string().optional(),
  /** Is added to the system prompt; a system message goes here too. */
  append_system_prompt: z.union([z.string(), names]).optional(),
  no_context_files: z.boolean().optional(),
  no_extensions: z.boolean().optional(),
  no_skills: z.boolean().optional(),
  extension: names.optional(),
  skill: names.optional(),
  /** Files inside `repo` that the prompt brings along. */
  file_args: names.optional(),
  /** How a base URL of one's own is spoken to. @defaultValue 'openai-completions' */
  api: z.enum(['openai-completions', 'openai-responses', 'anthropic-messages', 'google-generative-ai']).optional(),
  /** A Node program of at least 22.19, which pi needs. @defaultValue this process's own, else the one in `PATH` */
  node_path: z.string().min(1).optional(),
});

/** See {@link piRequest}. */
export type PiRequest = z.infer<typeof piRequest>;
