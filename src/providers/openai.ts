import { openaiSpeech, openaiTranscription, openaiTranslation } from '../endpoints/openai-audio.ts';
import { openaiChat } from '../endpoints/openai-chat.ts';
import { openaiEmbeddings } from '../endpoints/openai-embeddings.ts';
import { openaiImageEdit, openaiImageGeneration } from '../endpoints/openai-images.ts';
import { openaiResponses } from '../endpoints/openai-responses.ts';
import { defineProvider } from './define-provider.ts';
import { adjustForOpenaiModel, adjustResponseForModel } from './openai-models.ts';

const preset = { model: 'gpt-4.1-mini', modelEnv: 'OPENAI_DEFAULT_MODEL' };

/**
 * OpenAI.
 *
 * @see {@link https://platform.openai.com/docs/api-reference} (read 2026-11)
 */
export const openai = defineProvider({
  name: 'openai',
  baseUrl: 'https://api.openai.com/v1',
  apiKeyEnv: 'OPENAI_API_KEY',
  endpoints: [
    openaiChat({ ...preset, adjust: adjustForOpenaiModel }),
    openaiSpeech(),
    openaiTranscription({ aliases: ['stt', 'whisper'] }),
    openaiImageGeneration(),
    openaiImageEdit(),
    openaiEmbeddings({ model: 'text-embedding-3-small' }),
    openaiResponses({ ...preset, adjust: adjustResponseForModel }),
    openaiTranslation(),
  ],
});
