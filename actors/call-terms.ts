/** What a call asks of the queue and of its endpoint beside an answer. */
export interface CallTerms {
  /** Who calls, for fair shares. */
  readonly caller: string;
  /** Whole number from -10 to 10, higher first. */
  readonly priority: number;
  /** How many shares its caller has, at least 1. */
  readonly weight: number;
  /** Whether its answer is streamed. */
  readonly streaming: boolean;
}

/** Terms as somebody says them. */
type SaidTerms = { readonly [K in keyof CallTerms]?: CallTerms[K] | undefined };

const plain: CallTerms = { caller: '', priority: 0, weight: 1, streaming: false };

let latest = plain;

/** The terms that somebody says, as one object for calls that follow each other with the same: most do, and most say nothing. */
export function termsOf({ caller = '', priority = 0, weight = 1, streaming = false }: SaidTerms): CallTerms {
  const terms = { caller, priority, weight, streaming };
  if (isSame(terms, latest)) return latest;
  latest = isSame(terms, plain) ? plain : terms;
  return latest;
}

function isSame(one: CallTerms, other: CallTerms): boolean {
  return (
    one.caller === other.caller &&
    one.priority === other.priority &&
    one.weight === other.weight &&
    one.streaming === other.streaming
  );
}
