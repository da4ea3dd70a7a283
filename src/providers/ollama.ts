import { ollamaEmbed, ollamaGenerate } from '../endpoints/ollama-native.ts';
import { refuseImageUrls } from '../endpoints/ollama-prompt.ts';
import { pullFirst } from '../endpoints/ollama-pull.ts';
import { openaiChat } from '../endpoints/openai-chat.ts';
import { defineProvider } from './define-provider.ts';

/**
 * Ollama, on this machine or, with a key, in its cloud. The base URL may leave out the path: `http://localhost:11434` will do. With
 * `pull: true` a model that is missing is fetched first.
 *
 * @see {@link https://docs.ollama.com/api/openai-compatibility} (read 2026-11)
 */
export const ollama = defineProvider({
  name: 'ollama',
  baseUrl: 'http://localhost:11434/v1',
  apiKeyEnv: 'OLLAMA_API_KEY',
  keyPolicy: 'remote',
  endpoints: [
    openaiChat({
      defaultBasePath: '/v1',
      adjust: refuseImageUrls,
      fields: pullFirst.fields,
      transportFields: pullFirst.names,
      around: pullFirst.around,
    }),
    ollamaEmbed(),
    ollamaGenerate(),
  ],
});
