import type { z } from 'zod';
import type { AgentMessage } from '../../../schemas/requests/agent.ts';
import type { TemporaryFolder } from '../../process/temporary-folder.ts';
import type { AgentEvent } from './agent-event.ts';
import type { ModelNames } from './agent-model.ts';
import type { Workspace } from './agent-paths.ts';
import type { AgentErrorKind } from './agent-problem.ts';
import type { AgentPrompt } from './agent-prompt.ts';
import type { AgentSession } from './agent-session.ts';

/** What every agent's request has, as far as the runner itself reads it. */
export interface AgentRequest {
  readonly [field: string]: unknown;
  readonly prompt?: string | undefined;
  readonly messages?: readonly AgentMessage[] | undefined;
  readonly role_labels?: boolean | undefined;
  readonly model?: string | undefined;
  readonly repo?: string | undefined;
  readonly ws?: string | undefined;
  readonly resume?: string | undefined;
  readonly continue_conversation?: boolean | undefined;
  readonly session_id?: string | undefined;
  readonly timeout?: number | undefined;
  readonly stall_timeout?: number | null | undefined;
  readonly kill_grace?: number | undefined;
  readonly max_line_bytes?: number | undefined;
  readonly max_chunks?: number | undefined;
  readonly keep_raw?: boolean | undefined;
  readonly cli_include_summary?: boolean | undefined;
  readonly cli_path?: string | undefined;
  readonly extra_args?: readonly string[] | undefined;
  readonly inherit_env?: boolean | undefined;
  readonly verify_version?: boolean | undefined;
}

/** What a program is started with, beside its request. */
export interface LaunchContext {
  readonly workspace: Workspace;
  /** What to say, with pictures still unwritten. */
  readonly prompt: AgentPrompt;
  /** The session to go on with; null for a new one. */
  readonly resume: string | null;
  /** A private folder that is removed after the run. */
  readonly temporary: TemporaryFolder;
  readonly apiKey: string | null;
  readonly baseUrl: string | null;
  /** Whether somebody reads along. */
  readonly streaming: boolean;
  /** The environment that `env` was chosen from, for what a private home must take over. */
  readonly hostEnvironment: Readonly<Record<string, string | undefined>>;
}

/** How a program is started for one request. */
export interface Launch {
  readonly args: readonly string[];
  /** Written to standard input, which is then closed. */
  readonly input: string;
  /** Leaves standard input open for {@link AgentSession.answer}. @defaultValue false */
  readonly keepsInput?: boolean;
  /** Texts of the input that must not show up in an error; those of the environment are known. */
  readonly secrets?: readonly string[];
  /** Added to the environment; null removes. */
  readonly env: Readonly<Record<string, string | null>>;
  /** A program that runs the agent's file, where the agent's own first line would pick the wrong one. */
  readonly interpreter?: string;
  /** Goes into the first chunk. */
  readonly start?: AgentEvent;
  /** Told as `system` chunks after the first. */
  readonly warnings?: readonly string[];
}

/** Understands one program's events. Made anew for every run. */
export type AgentReader = (event: AgentEvent) => void;

/**
 * One command-line agent: what it is called, what it is told, and how it is understood. Pure, but for files that a launch writes into its
 * private folder.
 */
export interface AgentProgram<R extends AgentRequest = AgentRequest> {
  /** Canonical provider name, which is also in every chunk and failure. */
  readonly provider: string;
  /** For people. */
  readonly title: string;
  /** The name in `PATH`. */
  readonly executable: string;
  /** The environment variable that may hold its path. */
  readonly pathVariable: string;
  /** Path of its endpoint. @defaultValue 'query_cli' */
  readonly path?: string;
  /** @defaultValue 10 waiting and 3 at once */
  readonly limits?: { readonly queueCapacity: number; readonly concurrency: number | null };
  /** What installs it. */
  readonly install: string;
  /** The version this was written against, and the oldest that is not refused outright. */
  readonly testedVersion: string;
  readonly minimumVersion: string;
  readonly request: z.ZodType<R> & { readonly shape: Readonly<Record<string, unknown>> };
  /** Fields that only the constructor may set. */
  readonly hostFields: readonly string[];
  /** Fields of other agents or other times, with what to do instead. */
  readonly unsupported: Readonly<Record<string, string>>;
  readonly defaultModel: string | null;
  readonly models: ModelNames;
  /** The option that holds a set of handlers. */
  readonly handlersOption: string;
  /** What of the host's environment may pass, beside the common names. */
  readonly environment: {
    readonly prefixes: readonly string[];
    readonly names: readonly string[];
    readonly removed?: readonly string[];
  };
  /** Lines of error output that it writes in good runs too, and that explain nothing. */
  readonly chatter?: RegExp;
  /** What exit codes mean where the program promised something. */
  readonly exitKinds: Readonly<Record<number, AgentErrorKind>>;
  /**
   * Puts defaults, shortcuts and efforts in their final form. Pure.
   *
   * @throws IModelError `invalid_request`.
   */
  normalize(request: R): R;
  /** Whether a run of this request leaves a session that can be resumed. */
  keepsSession(request: R): boolean;
  launch(request: R, context: LaunchContext): Launch;
  createReader(session: AgentSession, request: R): AgentReader;
}
