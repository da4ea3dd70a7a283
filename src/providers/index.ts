import { ag2 } from './ag2.ts';
import { anthropic } from './anthropic.ts';
import { claudeCode } from './claude-code.ts';
import { codex } from './codex.ts';
import { geminiCode } from './gemini-code.ts';
import { ollama } from './ollama.ts';
import { openai } from './openai.ts';
import { pi } from './pi.ts';
import { scripted } from './scripted.ts';

/** Every provider there is. To add one: its file, and its name here. */
export const providers = [openai, anthropic, ollama, scripted, claudeCode, codex, geminiCode, pi, ag2] as const;

/** A canonical provider name. */
export type ProviderName = (typeof providers)[number]['name'];
