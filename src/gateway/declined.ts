import { record } from '../http/vendor-error.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';

/**
 * What a model said, apart from the words with which it declined, which are empty where there are none. OpenAI's models have such words, in a place
 * of their own; those of other vendors just stop: their text is what they had said until then.
 */
export function saidBy({ text, response }: ApiCalling): { readonly text: string; readonly declined: string } {
  const declined = declinedText(response);
  return { text: declined !== '' && text.endsWith(declined) ? text.slice(0, -declined.length) : text, declined };
}

/** @param body - One of OpenAI's chat protocol or of its Responses. */
function declinedText(body: unknown): string {
  const { choices, output } = record(body) ?? {};
  const message = record(record(listOf(choices)[0])?.message);
  if (typeof message?.refusal === 'string') return message.refusal;
  return listOf(output)
    .flatMap((item) => listOf(record(item)?.content))
    .map((part) => record(part)?.refusal)
    .filter((refusal) => typeof refusal === 'string')
    .join('');
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
