import { arrange, byId, make, mark, write } from './dom.js';
import { count, dollars, duration } from './format.js';

/**
 * @typedef {import('./store.js').SeenCall} SeenCall
 * @typedef {import('./store.js').Store} Store
 */

/** Rows that are shown; of more calls only their number is told. */
const maxRows = 100;

const endings = new Set(['completed', 'failed', 'cancelled', 'aborted', 'skipped']);

/** What a stage is called, if not by its name. @type {Readonly<Record<string, string>>} */
const stageNames = { backing_off: 'backing off', held: 'caller limit' };

/** @type {Readonly<Record<string, string>>} */
const stageClasses = {
  held: 'warn',
  answering: 'good',
  completed: 'good',
  failed: 'bad',
  aborted: 'bad',
  skipped: 'bad',
  backing_off: 'warn',
  outside: 'warn',
};

/**
 * What can be done to a call.
 *
 * @typedef {object} CallActions
 * @property {(call: SeenCall) => void} watch
 * @property {(call: SeenCall) => void} cancel
 */

/** Whether a call has ended. */
function hasEnded(/** @type {SeenCall} */ call) {
  return endings.has(call.stage);
}

/** The calls, those that live first. */
export class Calls {
  #body = byId('call-rows');
  #nothing = byId('no-calls');
  #more = byId('more-calls');
  /** @type {Map<string, Row>} */
  #rows = new Map();
  #actions;
  #onlySelected = /** @type {HTMLInputElement} */ (byId('only-selected'));

  /** @param {CallActions} actions @param {() => void} changed */
  constructor(actions, changed) {
    this.#actions = actions;
    this.#onlySelected.addEventListener('change', changed);
  }

  /** Shows the calls of one iModel, or of all. */
  toggleFilter() {
    this.#onlySelected.click();
  }

  /** @param {Store} store */
  render(store) {
    const { current, now } = store;
    const only = this.#onlySelected.checked ? current?.state.id : undefined;
    const calls = [...store.calls.values()].filter(({ model }) => only === undefined || model === only).sort(inOrder);
    const shown = calls.slice(0, maxRows);
    const keys = new Set(shown.map(({ key }) => key));
    for (const key of this.#rows.keys()) if (!keys.has(key)) this.#rows.delete(key);
    const elements = shown.map((call) => {
      const row = this.#rows.get(call.key) ?? new Row(call, this.#actions);
      this.#rows.set(call.key, row);
      row.render(call, now);
      return row.element;
    });
    arrange(this.#body, elements);
    this.#nothing.hidden = elements.length > 0;
    write(this.#more, this.#restText(store, calls, only));
  }

  /**
   * Goes to the next call or the one before.
   *
   * @param {1 | -1} step
   */
  move(step) {
    const rows = [...this.#body.querySelectorAll('tr')];
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    rows[Math.min(rows.length - 1, Math.max(0, at + step))]?.focus();
  }

  /** The call on which the focus is. */
  get focused() {
    for (const row of this.#rows.values()) if (row.element.contains(document.activeElement)) return row.call;
    return undefined;
  }

  /** @param {Store} store @param {readonly SeenCall[]} calls @param {string | undefined} only */
  #restText(store, calls, only) {
    const lives = store.list
      .filter(({ state }) => only === undefined || state.id === only)
      .reduce((sum, { state, held = 0 }) => sum + state.running + state.queue.waiting + state.queue.outside + held, 0);
    const shown = calls.slice(0, maxRows).filter((call) => !hasEnded(call)).length;
    return lives > shown ? `and ${count(lives - shown)} more that have not ended` : '';
  }
}

/** Running calls by their start, then waiting ones by their place, then ended ones, the latest first. */
function inOrder(/** @type {SeenCall} */ one, /** @type {SeenCall} */ other) {
  return (
    rank(one) - rank(other) ||
    (other.ended_at ?? 0) - (one.ended_at ?? 0) ||
    (one.position ?? 0) - (other.position ?? 0) ||
    (one.started_at ?? one.queued_at) - (other.started_at ?? other.queued_at) ||
    (one.key < other.key ? -1 : 1)
  );
}

function rank(/** @type {SeenCall} */ call) {
  if (hasEnded(call)) return 2;
  return call.started_at === undefined ? 1 : 0;
}

class Row {
  /** @param {SeenCall} call @param {CallActions} actions */
  constructor(call, actions) {
    this.call = call;
    this.stage = make('span', { class: 'badge' });
    this.problem = make('span', { class: 'problem' });
    this.caller = make('span', { class: 'caller' });
    this.watch = make('button', { type: 'button', 'aria-label': `Watch ${call.id}` }, 'Watch');
    this.cancel = make('button', { type: 'button', 'aria-label': `Cancel ${call.id}` }, 'Cancel');
    this.numbers = ['Place', 'Wait', 'First token', 'Chunks/s', 'Tokens', 'Cost'].map((label) =>
      make('td', { class: 'number', 'data-label': label }),
    );
    this.element = make(
      'tr',
      { tabindex: '-1', 'data-call': call.id },
      make('td', { class: 'call-id', 'data-label': 'Call' }, make('span', {}, make('code', {}, call.id), this.caller)),
      make('td', { 'data-label': 'iModel' }, call.model),
      make('td', { 'data-label': 'Stage' }, make('span', {}, this.stage, this.problem)),
      ...this.numbers,
      make('td', { 'data-label': '' }, make('span', { class: 'row-actions' }, this.watch, this.cancel)),
    );
    this.watch.addEventListener('click', () => actions.watch(this.call));
    this.cancel.addEventListener('click', () => actions.cancel(this.call));
  }

  /** @param {SeenCall} call @param {number} now */
  render(call, now) {
    this.call = call;
    const { stage, position, queued_at, started_at, first_at, ended_at, rate, streaming, tokens, cost_usd } = call;
    const isOver = hasEnded(call);
    write(this.stage, stageNames[stage] ?? stage);
    mark(this.stage, 'class', `badge ${stageClasses[stage] ?? ''}`);
    write(this.problem, call.problem ?? '');
    write(this.caller, call.caller ?? '');
    const [place, wait, first, pace, used, cost] = [
      position === undefined ? '' : count(position),
      duration((started_at ?? ended_at ?? now) - queued_at),
      started_at === undefined || first_at === undefined ? '' : duration(first_at - started_at),
      rate === undefined || first_at === undefined || isOver || streaming !== true
        ? ''
        : rate.toFixed(rate < 10 ? 1 : 0),
      tokens === undefined ? '' : count(tokens),
      cost_usd === undefined ? '' : dollars(cost_usd),
    ];
    for (const [index, text] of [place, wait, first, pace, used, cost].entries()) {
      const cell = this.numbers[index];
      if (cell === undefined) continue;
      write(cell, text);
      mark(cell, 'class', text === '' ? 'number blank' : 'number');
    }
    this.watch.hidden = isOver || streaming !== true;
    this.cancel.hidden = isOver;
  }
}
