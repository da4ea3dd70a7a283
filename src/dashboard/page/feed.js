import { ask } from './requests.js';

/** Characters of an event that is not complete yet; more is not ours. */
const maxEvent = 16_777_216;

/**
 * Reads server-sent events until they end. `EventSource` cannot send a key.
 *
 * @param {string} path
 * @param {(name: string, data: unknown) => void} take
 * @param {AbortSignal} signal
 */
export async function readEvents(path, take, signal) {
  const answer = await ask('GET', path, { signal });
  const reader = (answer.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    const blocks = rest.split('\n\n');
    rest = blocks.pop() ?? '';
    if (rest.length > maxEvent) throw new Error('An event is too long');
    for (const block of blocks) readBlock(block, take);
  }
}

/** @param {string} block @param {(name: string, data: unknown) => void} take */
function readBlock(block, take) {
  let name = 'message';
  let data = '';
  for (const line of block.split('\n')) {
    if (line.startsWith('event: ')) name = line.slice(7);
    else if (line.startsWith('data: ')) data += line.slice(6);
  }
  if (data !== '') take(name, JSON.parse(data));
}
