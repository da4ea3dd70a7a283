import { refuseNoText } from '../arguments.ts';

/** The two vocabularies that current models of OpenAI use; everything else is counted with the newer one. */
type EncodingName = 'o200k_base' | 'cl100k_base';

const loaded = new Map<EncodingName, (text: string) => number>();
const loading = new Map<EncodingName, Promise<void>>();

/**
 * Loads the vocabulary for a model, 1 to 2 MB from the package itself, nothing from the network. Until it is there, texts are counted by
 * their length. Never rejects: without the vocabulary the count stays an estimate by length.
 *
 * @throws IModelError `config` for a name that is no text.
 * @param model - A model's name. @defaultValue the newest vocabulary
 */
export function loadTokenizer(model = ''): Promise<void> {
  refuseNoText('model', model);
  const name = encodingName(model);
  let pending = loading.get(name);
  if (pending === undefined) {
    pending = load(name).catch(() => {});
    loading.set(name, pending);
  }
  return pending;
}

/**
 * How to count a text for a model: with its tokenizer if that is loaded, else as one token for every four characters, rounded up.
 * The first use begins to load the tokenizer.
 */
export function encodingOf(model: string): (text: string) => number {
  const count = loaded.get(encodingName(model));
  if (count !== undefined) return count;
  void loadTokenizer(model);
  return countByLength;
}

/**
 * The vocabulary of a model's family.
 *
 * @see {@link https://github.com/openai/tiktoken/blob/main/tiktoken/model.py} (read 2026-11)
 */
export function encodingName(model: string): EncodingName {
  const name = model.toLowerCase().replace(/^.*\//, '');
  return /^(gpt-4($|-)|gpt-3\.5|gpt-35|text-embedding-)/.test(name) ? 'cl100k_base' : 'o200k_base';
}

async function load(name: EncodingName): Promise<void> {
  const { countTokens } =
    name === 'cl100k_base'
      ? await import('gpt-tokenizer/encoding/cl100k_base')
      : await import('gpt-tokenizer/encoding/o200k_base');
  // Special tokens in a prompt are text to a vendor; by default the package throws at them.
  const options = { disallowedSpecial: new Set<string>() };
  loaded.set(name, (text) => {
    try {
      return countTokens(text, options);
    } catch {
      return countByLength(text);
    }
  });
}

function countByLength(text: string): number {
  return Math.ceil(text.length / 4);
}
