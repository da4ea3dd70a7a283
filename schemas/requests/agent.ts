import { z } from 'zod';

/** How hard a model is asked to think, in one vocabulary for every agent; each program's own words are made from it. */
export const effortLevels = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const;

/** See {@link effortLevels}. */
export type EffortLevel = (typeof effortLevels)[number];

/** The longest `kill_grace`, in seconds: until then a cancelled call waits for its program. */
export const longestKillGrace = 60;

const seconds = z.number().positive('above 0');

const textPart = z.looseObject({ type: z.literal('text'), text: z.string() });

/** OpenAI's form: a data URL, or the path of a file. An address on the network is refused: nothing is fetched behind the caller's back. */
const imagePart = z.looseObject({
  type: z.literal('image_url'),
  image_url: z.union([z.string(), z.looseObject({ url: z.string() })]),
});

/** Anthropic's form. */
const base64Image = z.looseObject({
  type: z.literal('image'),
  source: z.looseObject({ type: z.literal('base64'), media_type: z.string(), data: z.string() }),
});

/** A piece of a message that an agent can be given. */
export const agentPart = z.discriminatedUnion('type', [textPart, imagePart, base64Image]);

/** See {@link agentPart}. */
export type AgentPart = z.infer<typeof agentPart>;

/** A message in OpenAI's form. Null content (an assistant's tool call) is skipped. */
export const agentMessage = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: z.union([z.string(), z.array(agentPart), z.null()]).optional(),
  name: z.string().optional(),
});

/** See {@link agentMessage}. */
export type AgentMessage = z.infer<typeof agentMessage>;

/** Where an agent works. */
export const agentWorkspace = {
  /** The folder the agent works in. @defaultValue the current folder */
  repo: z.string().min(1).optional(),
  /** A folder below `repo` to work in, made when it is missing. Relative, never leaving `repo`. */
  ws: z.string().min(1).optional(),
};

/** Limits and manners of one run, the same for every agent. */
export const agentRun = {
  /** Seconds from the program's start until it is stopped. @defaultValue 3600 */
  timeout: seconds.optional(),
  /** Seconds without any output until the program is stopped; null for never. @defaultValue 900 */
  stall_timeout: seconds.nullish(),
  /** Seconds between asking the program to end and killing it, up to {@link longestKillGrace}. @defaultValue 5 */
  kill_grace: z.number().nonnegative('at least 0').max(longestKillGrace, `at most ${longestKillGrace}`).optional(),
  /** Bytes of one line of output; a longer one is dropped with a warning. @defaultValue 67108864 */
  max_line_bytes: z.number().int().min(1024).optional(),
  /** Chunks kept in the response; the stream itself has no limit. @defaultValue 10000 */
  max_chunks: z.number().int().min(0).optional(),
  /** Puts the program's own event into each chunk's metadata, as `raw`. @defaultValue false */
  keep_raw: z.boolean().optional(),
  /** Adds the summary of tools, files and actions to the response. @defaultValue true */
  cli_include_summary: z.boolean().optional(),
  /** Accepted and without effect: the program's output goes to nobody's terminal. */
  verbose_output: z.boolean().optional(),
  /** Accepted and without effect, see `verbose_output`. */
  cli_display_theme: z.string().optional(),
};

/** What an agent is asked, in the common tongue. */
export const agentPrompt = {
  /** The task, as it stands. When not empty it is used instead of `messages`. */
  prompt: z.string().optional(),
  messages: z.array(agentMessage).optional(),
  /** Whether several messages are marked with their roles. @defaultValue true */
  role_labels: z.boolean().optional(),
};

/** Going on with an earlier session. */
const agentSession = {
  /** The session to go on with: its id, or `latest`. */
  resume: z.string().min(1).optional(),
  /** The same as `resume: 'latest'`. @defaultValue false */
  continue_conversation: z.boolean().optional(),
};

/** Shortcuts that stand for a program's own settings. None is ever a default. */
const agentShortcuts = {
  /** Lets the agent act without asking, in the program's milder form where there is one. */
  yolo: z.boolean().optional(),
  /** Lets the agent act without asking and without a sandbox. Beats `yolo`. */
  bypass: z.boolean().optional(),
  /** The faster service where the program has one; elsewhere a warning. */
  fast: z.boolean().optional(),
};

/** What only the one who builds the iModel may say, never a request: each of these decides which code runs on the machine. */
const agentHost = {
  /** Absolute path of the program. @defaultValue found in `PATH` */
  cli_path: z.string().min(1).optional(),
  /** Arguments put in front of our own, for options that have no field. */
  extra_args: z.array(z.string()).optional(),
  /** Gives the program this process's whole environment, with every key in it. @defaultValue false */
  inherit_env: z.boolean().optional(),
  /** Asks the program for its version before the first call and refuses one that is too old. @defaultValue false */
  verify_version: z.boolean().optional(),
};

/** Names of {@link agentHost}, and those of one program, that a request must not hold. */
export const agentHostNames: readonly string[] = Object.keys(agentHost);

/** Everything that is the same for the four programs. */
export const agentFields = {
  ...agentPrompt,
  ...agentSession,
  ...agentWorkspace,
  ...agentShortcuts,
  ...agentRun,
  ...agentHost,
};
