const keyName = 'imodel-key';

/** What the gateway answered instead of what was asked for. */
export class Refused extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Keeps a key for this tab. */
export function keepKey(/** @type {string} */ key) {
  sessionStorage.setItem(keyName, key);
}

/** Whether this tab has a key. */
export function hasKey() {
  return sessionStorage.getItem(keyName) !== null;
}

/**
 * Asks the gateway, with the key of this tab where there is one.
 *
 * @param {string} method
 * @param {string} path
 * @param {{ body?: unknown, signal?: AbortSignal }} [options]
 * @throws {Refused} With the gateway's own words.
 */
export async function ask(method, path, { body, signal } = {}) {
  const key = sessionStorage.getItem(keyName);
  const answer = await fetch(path, {
    method,
    headers: {
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  });
  if (answer.ok) return answer;
  throw new Refused(answer.status, await messageOf(answer));
}

/** Tells an iModel to pause, resume or drain. */
export function control(/** @type {string} */ model, /** @type {'pause' | 'resume' | 'drain'} */ action) {
  return ask('POST', `/v1/imodels/${encodeURIComponent(model)}/control`, { body: { action } });
}

/** Takes a call back. */
export function cancel(/** @type {string} */ model, /** @type {string} */ call) {
  return ask('DELETE', `/v1/imodels/${encodeURIComponent(model)}/calls/${encodeURIComponent(call)}`);
}

async function messageOf(/** @type {Response} */ answer) {
  try {
    const { error } = await answer.json();
    return String(error.message);
  } catch {
    return `The gateway answered ${answer.status}`;
  }
}
