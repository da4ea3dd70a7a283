import { z } from 'zod';
import { agentFields, effortLevels } from './agent.ts';

const names = z.array(z.string().min(1));

/** A value of Codex's settings, which are TOML. */
export type CodexSetting =
  | string
  | number
  | boolean
  | readonly CodexSetting[]
  | { readonly [key: string]: CodexSetting };

const codexSetting: z.ZodType<CodexSetting> = z.lazy(() =>
  z.union([z.string(), z.number(), z.boolean(), z.array(codexSetting), z.record(z.string(), codexSetting)]),
);

/**
 * A request to the Codex command line, with the program's own settings.
 *
 * @see {@link https://developers.openai.com/codex/cli/reference} for what each does (read 2026-11, version 0.169.0).
 */
export const codexRequest = z.strictObject({
  ...agentFields,
  /** @defaultValue 'gpt-5.3-codex' */
  model: z.string().min(1).optional(),
  reasoning_effort: z.enum(effortLevels).optional(),
  plan_mode_reasoning_effort: z.enum(effortLevels).optional(),
  /** The same as `reasoning_effort`, in the common tongue. */
  effort: z.enum(effortLevels).optional(),
  profile: z.string().min(1).optional(),
  oss: z.boolean().optional(),
  local_provider: z.string().min(1).optional(),
  /** Lets the model search the web. */
  search: z.boolean().optional(),
  ask_for_approval: z.enum(['untrusted', 'on-request', 'never']).optional(),
  /** May write in the work space and never asks. */
  full_auto: z.boolean().optional(),
  sandbox: z.enum(['read-only', 'workspace-write', 'danger-full-access']).optional(),
  /** Neither asks nor is held in a sandbox. */
  bypass_approvals: z.boolean().optional(),
  add_dir: names.optional(),
  /** Instructions of the developer; a system message goes here too. */
  system_prompt: z.string().optional(),
  /** A file, or the schema itself. */
  output_schema: z.union([z.string().min(1), z.record(z.string(), z.unknown())]).optional(),
  output_last_message: z.string().min(1).optional(),
  color: z.enum(['always', 'never', 'auto']).optional(),
  /** @defaultValue true */
  skip_git_repo_check: z.boolean().optional(),
  /** Keeps no session, so none can be resumed. */
  ephemeral: z.boolean().optional(),
  enable_features: names.optional(),
  disable_features: names.optional(),
  fast_mode: z.boolean().optional(),
  /** Picture files inside `repo`. */
  images: names.optional(),
  /** Further settings by their dotted names. */
  config_overrides: z.record(z.string().regex(/^[A-Za-z0-9_.-]+$/, 'a dotted name'), codexSetting).optional(),
  /** Servers by name, as `[mcp_servers]` of the program's settings. Their values stand in the process list: give keys by variable. */
  mcp_servers: z.record(z.string().regex(/^[A-Za-z0-9_-]+$/), z.record(z.string(), codexSetting)).optional(),
  /** How often the program repeats a failed request to the vendor; only with a base URL of its own. */
  max_retries: z.number().int().min(0).optional(),
});

/** See {@link codexRequest}. */
export type CodexRequest = z.infer<typeof codexRequest>;
