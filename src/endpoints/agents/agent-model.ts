import { type EffortLevel, effortLevels } from '../../../schemas/requests/agent.ts';
import { IModelError, printValue } from '../../errors.ts';

/** A model and how hard it is to think: `opus-4-7-high` is `claude-opus-4-7` with `high`. */
export interface ModelSpec {
  readonly model: string;
  readonly effort: EffortLevel | null;
}

/** What one program knows about models. */
export interface ModelNames {
  /** Whether the program takes an effort at all. */
  readonly takesEffort: boolean;
  /** Models whose names end like an effort, though it is none. */
  readonly known: ReadonlySet<string>;
  /** Repairs a short name. */
  readonly repair?: (model: string) => string;
}

const claude = { provider: 'claude_code', model: 'sonnet' };
const gemini = { provider: 'gemini_code', model: 'gemini-3-flash-preview' };
const pi = { provider: 'pi', model: 'gemini-2.5-flash' };

/** What the bare name of an agent means where a model is expected. */
export const bareAgentModels: ReadonlyMap<string, { readonly provider: string; readonly model: string }> = new Map([
  ['claude', claude],
  ['claude-code', claude],
  ['claude_code', claude],
  ['codex', { provider: 'codex', model: 'gpt-5.3-codex-spark' }],
  ['gemini-code', gemini],
  ['gemini_code', gemini],
  ['gemini-cli', gemini],
  ['gemini_cli', gemini],
  ['pi', pi],
  ['pi-code', pi],
  ['pi_code', pi],
]);

const effortSuffix = new RegExp(`^(.+?)-(${effortLevels.join('|')})$`);

/**
 * Takes an effort off the end of a model's name.
 *
 * @throws {@link IModelError} `invalid_request` when the program takes no effort.
 */
export function parseModelSpec(text: string, names: ModelNames): ModelSpec {
  const repair = names.repair ?? ((model: string) => model);
  const match = names.known.has(text) ? null : effortSuffix.exec(text);
  if (match === null) return { model: repair(text), effort: null };
  const [, model = text, word] = match;
  if (!names.takesEffort) {
    throw IModelError.of(
      'invalid_request',
      `Expected \`model\` without an effort, which this agent does not take, got ${printValue(text)}`,
      {
        path: 'model',
        value: `-${word}`,
      },
    );
  }
  return { model: repair(model), effort: effortLevels.find((level) => level === word) ?? null };
}

/** The text that {@link parseModelSpec} reads. */
export function printModelSpec({ model, effort }: ModelSpec): string {
  return effort === null ? model : `${model}-${effort}`;
}
