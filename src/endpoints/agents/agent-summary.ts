import type { ToolUse } from '../../../schemas/chunk.ts';

/** What an agent did, for people: counted, and in words. */
export interface AgentSummary {
  /** Uses by tool name. */
  readonly tool_counts: Readonly<Record<string, number>>;
  readonly tool_details: readonly { readonly tool: string; readonly id: string; readonly input: unknown }[];
  /** Paths, each once, in the order of their first use. */
  readonly file_operations: {
    readonly reads: readonly string[];
    readonly writes: readonly string[];
    readonly edits: readonly string[];
  };
  /** One sentence per kind of action, each once; `No specific actions` when there were none. */
  readonly key_actions: readonly string[];
  readonly total_tool_calls: number;
  /** The first 200 characters of the result. */
  readonly result_summary: string;
  readonly usage_stats: Readonly<Record<string, unknown>>;
}

/** Length at which a command is cut in an action, and a result in its summary. */
const commandLength = 50;
const resultLength = 200;

const readers = new Set(['Read', 'read', 'read_file']);
const writers = new Set(['Write', 'write', 'write_file', 'create_file']);
const editors = new Set(['Edit', 'edit', 'edit_file', 'patch', 'MultiEdit', 'replace']);
const shells = new Set(['Bash', 'bash', 'shell', 'terminal', 'run_shell_command']);

/** Sums up a run from the tools it used. Never throws, whatever a tool's input looks like. */
export function summarize(
  toolUses: readonly ToolUse[],
  result: string,
  usageStats: Readonly<Record<string, unknown>>,
): AgentSummary {
  const counts: Record<string, number> = {};
  const files = { reads: new Set<string>(), writes: new Set<string>(), edits: new Set<string>() };
  const actions = new Set<string>();
  for (const { name, input } of toolUses) {
    counts[name] = (counts[name] ?? 0) + 1;
    if (readers.has(name)) for (const path of pathsOf(input)) files.reads.add(path);
    if (writers.has(name)) for (const path of pathsOf(input)) files.writes.add(path);
    if (editors.has(name)) for (const path of pathsOf(input)) files.edits.add(path);
    for (const action of actionsOf(name, input)) actions.add(action);
  }
  return {
    tool_counts: counts,
    tool_details: toolUses.map(({ id, name, input }) => ({ tool: name, id, input })),
    file_operations: { reads: [...files.reads], writes: [...files.writes], edits: [...files.edits] },
    key_actions: actions.size === 0 ? ['No specific actions'] : [...actions],
    total_tool_calls: toolUses.length,
    result_summary: result.length > resultLength ? `${result.slice(0, resultLength)}...` : result,
    usage_stats: usageStats,
  };
}

function actionsOf(name: string, input: Readonly<Record<string, unknown>>): string[] {
  if (readers.has(name)) return pathsOf(input).map((path) => `Read ${path}`);
  if (writers.has(name)) return pathsOf(input).map((path) => `Wrote ${path}`);
  if (editors.has(name)) return pathsOf(input).map((path) => `Edited ${path}`);
  if (shells.has(name)) {
    const command = textOf(input.command);
    return [`Ran: ${command.length > commandLength ? `${command.slice(0, commandLength)}...` : command}`];
  }
  if (name === 'Glob') return [`Searched files: ${textOf(input.pattern)}`];
  if (name === 'Grep') return [`Searched content: ${textOf(input.pattern)}`];
  if (name === 'Task' || name === 'Agent') return [`Spawned agent: ${textOf(input.description)}`];
  if (name === 'TodoWrite') {
    const todos = input.todos ?? input.items;
    return [`Created ${Array.isArray(todos) ? todos.length : 0} todos`];
  }
  if (/^mcp__?/.test(name)) return [`MCP ${name.replace(/^mcp__?/, '')}`];
  return [`Used ${name}`];
}

/** The files a tool was given: `file_path`, `path`, or those of every change in a patch. */
function pathsOf(input: Readonly<Record<string, unknown>>): string[] {
  if (Array.isArray(input.changes)) {
    return input.changes.map((change: unknown) =>
      typeof change === 'object' && change !== null && 'path' in change ? textOf(change.path) : 'unknown',
    );
  }
  return [textOf(input.file_path ?? input.path)];
}

function textOf(value: unknown): string {
  return typeof value === 'string' && value !== '' ? value : 'unknown';
}
