import { ag2 } from './ag2.ts';
import { anthropic } from './anthropic.ts';
import { claudeCode } from './claude-code.ts';
import { codex } from './codex.ts';
import { deepseek } from './deepseek.ts';
import { exa } from './exa.ts';
import { firecrawl } from './firecrawl.ts';
import { gemini } from './gemini.ts';
import { geminiCode } from './gemini-code.ts';
import { groq } from './groq.ts';
import { nvidiaNim } from './nvidia-nim.ts';
import { ollama } from './ollama.ts';
import { openai } from './openai.ts';
import { openrouter } from './openrouter.ts';
import { perplexity } from './perplexity.ts';
import { pi } from './pi.ts';
import { scripted } from './scripted.ts';
import { tavily } from './tavily.ts';

/** Every provider there is. To add one: its file, and its name here. */
export const providers = [
  openai,
  anthropic,
  ollama,
  tavily,
  exa,
  firecrawl,
  perplexity,
  nvidiaNim,
  deepseek,
  gemini,
  groq,
  openrouter,
  scripted,
  claudeCode,
  codex,
  geminiCode,
  pi,
  ag2,
] as const;

/** A canonical provider name. */
export type ProviderName = (typeof providers)[number]['name'];
