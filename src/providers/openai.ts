import { openaiTranscription, openaiTranslation } from '../endpoints/openai-audio.ts';
import { openaiChat } from '../endpoints/openai-chat.ts';
import { openaiEmbeddings } from '../endpoints/openai-embeddings.ts';
import { openaiImageEdit, openaiImageGeneration } from '../endpoints/openai-images.ts';
import { openaiResponses } from '../endpoints/openai-responses.ts';
import { openaiSpeech } from '../endpoints/openai-speech.ts';
import { defineProvider } from './define-provider.ts';
import { adjustForOpenaiModel, adjustResponseForModel } from './openai-models.ts';

const preset = { model: 'gpt-4.1-mini', modelEnv: 'OPENAI_DEFAULT_MODEL' };

/**
 * OpenAI.
 *
 * All attempts of one call carry one `Idempotency-Key`. The reference does not promise that it is heeded, and an upstream that does not know it
 * passes it over; gateways in front of OpenAI that do know it make one request of them.
 *
 * @see {@link https://platform.openai.com/docs/api-reference} (read 2026-11)
 * @see {@link https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/} (read 2026-11)
 */
export const openai = defineProvider({
  name: 'openai',
  baseUrl: 'https://api.openai.com/v1',
  apiKeyEnv: 'OPENAI_API_KEY',
  idempotencyHeader: 'idempotency-key',
  conflictsPass: true,
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
