import { refuseNoObject, refuseNoText } from '../arguments.ts';
import { lookUpModel, type ModelTable } from './model-table.ts';

/** What is assumed of a model nobody knows, in tokens. */
const unknownContextWindow = 128_000;

/**
 * How many tokens models take, prompt and answer together, as their vendors state it. It ages; {@link contextWindowOf} takes a table of your
 * own, and an endpoint's `contextWindow` option wins over both. No call is ever refused because of it.
 *
 * @see {@link https://platform.openai.com/docs/models}, {@link https://docs.claude.com/en/docs/about-claude/models/overview},
 * {@link https://ai.google.dev/gemini-api/docs/models}, {@link https://console.groq.com/docs/models},
 * {@link https://api-docs.deepseek.com}, {@link https://docs.perplexity.ai} (all read 2026-11)
 */
const contextWindows: ModelTable<number> = {
  'gpt-5.5': 1_050_000,
  'gpt-5.4': 1_050_000,
  'gpt-5.2': 400_000,
  'gpt-5.1': 400_000,
  'gpt-5': 400_000,
  'gpt-5-chat-latest': 128_000,
  'gpt-5.1-chat-latest': 128_000,
  'gpt-5.2-chat-latest': 128_000,
  'gpt-4.1': 1_047_576,
  'gpt-4o': 128_000,
  'gpt-4-turbo': 128_000,
  'gpt-4-32k': 32_768,
  'gpt-4': 8_192,
  'gpt-3.5-turbo': 16_385,
  'codex-mini': 200_000,
  'o4-mini': 200_000,
  o3: 200_000,
  o1: 200_000,
  'o1-mini': 128_000,
  'gpt-oss-120b': 131_072,
  'gpt-oss-20b': 131_072,
  'claude-opus-5': 1_000_000,
  'claude-sonnet-5': 1_000_000,
  'claude-haiku-5': 1_000_000,
  'claude-fable-5': 1_000_000,
  'claude-opus-4-8': 1_000_000,
  'claude-opus-4-7': 1_000_000,
  'claude-opus-4-6': 1_000_000,
  'claude-sonnet-4-6': 1_000_000,
  'claude-opus-4-5': 200_000,
  'claude-opus-4.5': 200_000,
  'claude-opus-4-1': 200_000,
  'claude-opus-4': 200_000,
  'claude-sonnet-4-5': 200_000,
  'claude-sonnet-4.5': 200_000,
  'claude-sonnet-4': 200_000,
  'claude-haiku-4-5': 200_000,
  'claude-3': 200_000,
  'gemini-3': 1_048_576,
  'gemini-2.5-flash': 1_048_576,
  'gemini-2.5-pro': 1_048_576,
  'gemini-2.0-flash': 1_048_576,
  'gemini-1.5-flash': 1_048_576,
  'gemini-1.5-pro': 2_097_152,
  'deepseek-flash': 1_000_000,
  'deepseek-v4': 1_000_000,
  'deepseek-chat': 1_000_000,
  'deepseek-reasoner': 1_000_000,
  'deepseek-v3': 128_000,
  'deepseek-coder-v2': 128_000,
  'deepseek-r1': 64_000,
  'sonar-pro': 200_000,
  sonar: 128_000,
  'llama-3.3': 131_072,
  'llama-3.1': 131_072,
  'llama3-8b-instruct': 8_192,
  'llama3-70b-instruct': 8_192,
  'llama-4-scout': 10_485_760,
  'llama-4-maverick': 1_048_576,
  'nemotron-ultra': 131_072,
  'nemotron-super': 131_072,
  'mixtral-8x7b-32768': 32_768,
  'gemma2-9b-it': 8_192,
};

/** The names Claude Code knows its models by; too short to look for in other vendors' names. */
const claudeCodeNames: ModelTable<number> = {
  opus: 1_000_000,
  'opus-4-6': 1_000_000,
  'opus-4-7': 1_000_000,
  sonnet: 1_000_000,
  'sonnet-4-6': 1_000_000,
  'sonnet-4-5': 200_000,
  haiku: 200_000,
  'haiku-4-5': 200_000,
};

/** What may be known beside a model's name. */
export interface WindowQuestion {
  /** Canonical provider name. */
  readonly provider?: string;
  /** The endpoint's own setting; wins. */
  readonly override?: number | null;
  /** A table that is asked before the built-in one. */
  readonly table?: ModelTable<number>;
}

/**
 * How many tokens a model takes; 128,000 when nobody knows.
 *
 * @throws IModelError `config` for a name that is no text.
 */
export function contextWindowOf(model: string, question: WindowQuestion = {}): number {
  refuseNoText('model', model);
  refuseNoObject('question', question);
  const { provider, override, table } = question;
  if (override !== undefined && override !== null) return override;
  const own = table === undefined ? undefined : lookUpModel(table, model);
  const byName = provider === 'claude_code' ? lookUpModel(claudeCodeNames, model) : undefined;
  return own ?? lookUpModel(contextWindows, model) ?? byName ?? unknownContextWindow;
}
