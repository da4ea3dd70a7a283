import type { Clock } from '../../actors/clock.ts';
import type { Endpoint } from '../endpoints/endpoint.ts';
import { IModelError, printValue } from '../errors.ts';
import { iModel } from '../imodel.ts';
import { findProvider } from '../providers/match.ts';
import { systemClock } from './system-clock.ts';

/** Seconds that each iModel has to close, unless told. */
const defaultModelTimeout = 10;

/** How {@link iModelManager.shutdown} ends its models. */
export interface ShutdownOptions {
  /** Seconds each model has. @defaultValue 10 */
  readonly perModelTimeout?: number;
  /** What the time is measured by. @defaultValue the machine's clock */
  readonly clock?: Clock;
}

/** How one model was closed. */
export type ShutdownReport =
  | { readonly status: 'closed' }
  /** Its time was up; it may still be closing. */
  | { readonly status: 'timed_out' }
  | { readonly status: 'failed'; readonly error: unknown };

/**
 * iModels by name, closed together.
 *
 * @example
 * ```ts
 * await using models = new iModelManager(chatModel, { summary: cheapModel });
 * await models.chat?.invoke({ messages });
 * ```
 */
export class iModelManager implements AsyncDisposable {
  readonly #registry = new Map<string, iModel>();

  /**
   * @param models - A model registers under the short name of its endpoint (`chat`, `embed`, …); an object's models under its keys.
   * @throws IModelError `config` for what is no iModel, and for a second one of a kind.
   */
  constructor(...models: readonly (iModel | Readonly<Record<string, iModel>>)[]) {
    for (const given of models) {
      if (given instanceof iModel) this.#add(shortNameOf(given.endpoint), given);
      else if (typeof given !== 'object' || given === null || Array.isArray(given)) throw noModel('models', given);
      else for (const [name, model] of Object.entries(given)) this.#add(name, model);
    }
  }

  /** Every model by its name. */
  get registry(): ReadonlyMap<string, iModel> {
    return this.#registry;
  }

  /** The model named `chat`; null when there is none. */
  get chat(): iModel | null {
    return this.get('chat');
  }

  /** The model named `parse`; null when there is none. */
  get parse(): iModel | null {
    return this.get('parse');
  }

  /** The model of this name; null when there is none. */
  get(name: string): iModel | null {
    return this.#registry.get(name) ?? null;
  }

  /**
   * Names a model; one that had the name is replaced, and not closed.
   *
   * @throws IModelError `config` for what is no iModel.
   */
  registerIModel(name: string, model: iModel): void {
    if (!(model instanceof iModel)) throw noModel(name, model);
    this.#registry.set(name, model);
  }

  /**
   * Closes all models at once, each within its own time. Never rejects; the models stay registered, and it can be called again.
   *
   * @returns How each one was closed, by name.
   */
  async shutdown(options: ShutdownOptions = {}): Promise<ReadonlyMap<string, ShutdownReport>> {
    const { perModelTimeout = defaultModelTimeout, clock = systemClock } = options;
    const reports = [...this.#registry].map(
      async ([name, model]): Promise<[string, ShutdownReport]> => [
        name,
        await closeWithin(model, perModelTimeout * 1_000, clock),
      ],
    );
    return new Map(await Promise.all(reports));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }

  #add(name: string, model: iModel): void {
    if (this.#registry.has(name)) {
      throw IModelError.of('config', `Expected one model named \`${name}\`; name the others: { name: model }`, {
        field: name,
      });
    }
    this.registerIModel(name, model);
  }
}

function closeWithin(model: iModel, timeoutMs: number, clock: Clock): Promise<ShutdownReport> {
  return new Promise((resolve) => {
    const timer = clock.setTimeout(() => resolve({ status: 'timed_out' }), timeoutMs);
    const end = (report: ShutdownReport): void => {
      clock.clearTimeout(timer);
      resolve(report);
    };
    // A subclass may throw at once.
    Promise.resolve()
      .then(() => model.close())
      .then(
        () => end({ status: 'closed' }),
        (error: unknown) => end({ status: 'failed', error }),
      );
  });
}

/** What people call an endpoint: its first alias, or the last part of its path. */
function shortNameOf({ config }: Endpoint): string {
  const kind = findProvider(config.provider)?.endpoints.find(({ path }) => path === config.endpoint);
  const [alias] = kind?.aliases ?? [];
  if (config.endpoint === 'chat/completions') return 'chat';
  return alias ?? config.endpoint.slice(config.endpoint.lastIndexOf('/') + 1);
}

function noModel(field: string, value: unknown): IModelError {
  const got = printValue(value);
  return IModelError.of('config', `Expected \`${field}\` to be an iModel, got ${got}`, { field, value: got });
}
