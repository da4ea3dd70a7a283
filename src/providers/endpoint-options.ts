import type { Dispatcher } from 'undici';
import type { Fields } from '../endpoints/endpoint.ts';
import type { Timers } from '../endpoints/scripted.ts';

/** The variables of an environment. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** How an endpoint is made, apart from which one. */
export interface EndpointOptions {
  /** Payload defaults, spelled as the vendor spells them: `model`, `temperature`, … A request's own fields win. */
  readonly kwargs?: Fields;
  /** Takes the place of the provider's base URL. Naming this machine here also allows connecting to it. */
  readonly baseUrl?: string;
  /** The key, or the name of the environment variable that holds it. @defaultValue the provider's own variables */
  readonly apiKey?: string;
  /** @defaultValue the provider's own */
  readonly authType?: 'bearer' | 'x-api-key' | 'none';
  /** Seconds without the beginning of an answer, or between two pieces of one. @defaultValue 600; 300 for unknown hosts */
  readonly timeout?: number;
  /** Seconds of silence in the middle of an answer. @defaultValue `timeout` */
  readonly idleTimeout?: number;
  /** Tokens the model takes, where the built-in table is wrong or does not know it. */
  readonly contextWindow?: number;
  /** Extra headers of every request; they win over the built-in ones. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Sends request fields that the endpoint's schema does not know. @defaultValue false */
  readonly passthrough?: boolean;
  /** Sends the `traceparent` of the call to the vendor. @defaultValue false */
  readonly traceVendor?: boolean;
  /** Allows this machine's own addresses. @defaultValue false, unless `baseUrl` names this machine */
  readonly allowLocalNetwork?: boolean;
  /** Allows the local network's addresses too. @defaultValue false */
  readonly allowPrivateNetwork?: boolean;
  /** An undici dispatcher in place of the endpoint's own connections: a proxy, a mock. */
  readonly dispatcher?: Dispatcher;
  /** Where variables are read, anew for each call. @defaultValue `process.env` */
  readonly env?: Environment;
  /**
   * Changes or leaves out fields that the named model is known not to take, such as `temperature` of OpenAI's reasoning models, instead of
   * having its vendor refuse the request. @defaultValue true
   */
  readonly fitToModel?: boolean;
  /** Told when a field of a request was changed or left out because the model does not take it. @defaultValue a warning of the process, once */
  readonly onWarning?: (message: string) => void;
  /** What a scripted endpoint measures its delays by. @defaultValue the timers of the machine */
  readonly clock?: Timers;
}
