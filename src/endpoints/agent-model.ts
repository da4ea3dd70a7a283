import { type EffortLevel, effortLevels } from '../../schemas/requests/agent.ts';
import { IModelError, printValue } from '../errors.ts';

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

/** What a bare provider name means as a model: `claude` is `claude_code/sonnet`. */
export const bareAgentModels: Readonly<Record<string, string>> = {
  claude: 'claude_code/sonnet',
  'claude-code': 'claude_code/sonnet',
  claude_code: 'claude_code/sonnet',
  codex: 'codex/gpt-5.3-codex-spark',
  'gemini-code': 'gemini_code/gemini-3-flash-preview',
  gemini_code: 'gemini_code/gemini-3-flash-preview',
  'gemini-cli': 'gemini_code/gemini-3-flash-preview',
  gemini_cli: 'gemini_code/gemini-3-flash-preview',
  pi: 'pi/gemini-2.5-flash',
  'pi-code': 'pi/gemini-2.5-flash',
  pi_code: 'pi/gemini-2.5-flash',
};

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
