import type { CloseOptions } from '../../../schemas/imodel.ts';
import { type ModelDict, modelDict } from '../../../schemas/snapshot.ts';
import { IModelError, printValue } from '../../errors.ts';
import type { iModel } from '../../imodel.ts';
import type { IModelOptions } from '../../imodel-options.ts';

/** What fallbacks are made from. @internal */
export interface FallbacksInit {
  /** Names, options, or iModels. @throws IModelError `config` for what is no list. */
  readonly given: readonly (string | IModelOptions | iModel)[];
  /** What those have in common that are made here, unless their options say otherwise. */
  readonly shared: Partial<IModelOptions>;
  readonly model: new (options: IModelOptions) => iModel;
}

/** The models that stand in for an iModel, in the order in which they are asked. Those that were made for it are closed with it. @internal */
export class Fallbacks {
  readonly models: readonly iModel[];
  readonly #given: FallbacksInit['given'];
  readonly #own = new Set<iModel>();

  constructor({ given, shared, model: Model }: FallbacksInit) {
    this.#given = given;
    if (!Array.isArray(given)) {
      const value = printValue(given);
      throw IModelError.of('config', `Expected \`fallbacks\` to be a list, got ${value}`, {
        field: 'fallbacks',
        value,
      });
    }
    this.models = given.map((fallback) => {
      if (fallback instanceof Model) return fallback;
      const options: IModelOptions = typeof fallback === 'string' ? { model: fallback } : fallback;
      const made = new Model({ ...shared, ...options });
      this.#own.add(made);
      return made;
    });
  }

  /** Closes these with the others that were made for it. */
  adopt(models: Iterable<iModel>): void {
    for (const model of models) this.#own.add(model);
  }

  /** What the fallbacks of a copy are made from: what these were, with copies of the iModels that were made for it. */
  copied(): { readonly given: FallbacksInit['given']; readonly own: readonly iModel[] } {
    const own: iModel[] = [];
    const given = this.#given.map((fallback) => {
      const model = this.models.find((one) => one === fallback && this.#own.has(one));
      if (model === undefined) return fallback;
      const copy = model.copy();
      own.push(copy);
      return copy;
    });
    return { given, own };
  }

  /** Goes on with what those of another process were doing, if they are as many. */
  restore(dicts: readonly unknown[]): void {
    if (dicts.length !== this.models.length) return;
    for (const [index, dict] of dicts.entries()) {
      const { data } = modelDict.safeParse(dict) as { data?: ModelDict };
      if (data === undefined) continue;
      this.models[index]?.restore(data);
      this.models[index]?.live.begin();
    }
  }

  async close(options: CloseOptions): Promise<void> {
    await Promise.all([...this.#own].map((model) => model.close(options)));
  }
}
