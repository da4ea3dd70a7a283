import { isDeepStrictEqual } from 'node:util';
import { toSnakeCase } from '../../schemas/imodel.ts';
import type { Gateway } from '../gateway/gateway.ts';
import type { Runtime, RuntimeConfig } from '../runtime/runtime.ts';
import { FileWatch } from './file-watch.ts';
import type { ServeLog } from './serve-log.ts';
import { inFile } from './target.ts';

/** What a {@link Reloading} is made from. */
export interface ReloadingOptions {
  readonly file: string;
  /** What the process began with. */
  readonly config: RuntimeConfig;
  /** Reads the file. */
  readonly read: () => Promise<RuntimeConfig>;
  readonly runtime: Runtime;
  readonly gateway: Gateway | null;
  readonly log: ServeLog;
}

/** Has a serving process take on its configuration file again whenever that changes. */
export class Reloading {
  readonly #options: ReloadingOptions;
  readonly #watch: FileWatch;
  #last: Promise<void> = Promise.resolve();

  constructor(options: ReloadingOptions) {
    this.#options = options;
    this.#watch = new FileWatch(options.file, () => this.now());
  }

  async start(): Promise<void> {
    const { file, config, read, log } = this.#options;
    await this.#watch.start((error) => log.fault(error, `watching ${file}; SIGHUP still reloads it`));
    // It may have changed while the process started.
    const present = await read().catch(() => null);
    if (!isDeepStrictEqual(present, config)) this.now();
  }

  /** Takes on the file as it is now, after whatever reload runs. */
  now(): void {
    this.#last = this.#last.then(() => this.#reload());
  }

  /** Resolves when nothing is taken on any more. */
  async close(): Promise<void> {
    this.#watch.close();
    await this.#last;
  }

  async #reload(): Promise<void> {
    const { file, read, runtime, gateway, log } = this.#options;
    try {
      const config = await read();
      const changes = await inFile(file, () => runtime.reload(config));
      const isOpen = gateway !== null;
      const door = isOpen === (config.gateway !== undefined) ? (gateway?.reload(config.gateway ?? {}) ?? []) : null;
      const gatewayNames = door === null ? ['gateway'] : door.map((name) => `gateway.${toSnakeCase(name)}`);
      log.reloaded(changes, [...changes.lasting.map(toSnakeCase), ...gatewayNames]);
    } catch (error) {
      log.refused(error);
    }
  }
}
