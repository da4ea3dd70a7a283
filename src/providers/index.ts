import { anthropic } from './anthropic.ts';
import { ollama } from './ollama.ts';
import { openai } from './openai.ts';
import { scripted } from './scripted.ts';

/** Every provider there is. To add one: its file, and its name here. */
export const providers = [openai, anthropic, ollama, scripted] as const;

/** A canonical provider name. */
export type ProviderName = (typeof providers)[number]['name'];
