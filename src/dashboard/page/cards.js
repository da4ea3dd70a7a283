import { arrange, byId, make, mark, write } from './dom.js';
import { count, until } from './format.js';

/**
 * @typedef {import('./store.js').SeenModel} SeenModel
 * @typedef {SeenModel['state']} State
 * @typedef {import('./store.js').Store} Store
 */

/** Below this part of a limit little is left. */
const lowPart = 0.2;

/** @type {Readonly<Record<State['mode'], string>>} */
const modeClasses = {
  idle: 'good',
  busy: 'good',
  full: 'warn',
  throttled: 'warn',
  cooling: 'warn',
  paused: 'warn',
  draining: 'warn',
  tripped: 'bad',
  closed: 'bad',
};

/** @type {Readonly<Record<NonNullable<State['blocked']>, string>>} */
const waitsFor = {
  rate: 'rate limit',
  cooling: 'the vendor',
  concurrency: 'a running call',
  paused: 'resumption',
};

/**
 * What the buttons of a card do.
 *
 * @typedef {object} CardActions
 * @property {(key: string) => void} select
 * @property {(model: SeenModel) => void} togglePause
 * @property {(model: SeenModel) => void} drain
 */

/** One card for each iModel. */
export class Cards {
  /** @type {Map<string, Card>} */
  #cards = new Map();
  #list = byId('models');
  #nothing = byId('no-models');
  #actions;

  /** @param {CardActions} actions */
  constructor(actions) {
    this.#actions = actions;
  }

  /** @param {Store} store */
  render(store) {
    for (const key of this.#cards.keys()) if (!store.models.has(key)) this.#cards.delete(key);
    const elements = store.list.map((model) => {
      const card = this.#cards.get(model.key) ?? new Card(model, this.#actions);
      this.#cards.set(model.key, card);
      card.render(model, store);
      return card.element;
    });
    arrange(this.#list, elements);
    this.#nothing.hidden = elements.length > 0;
  }
}

class Card {
  /** @param {SeenModel} model @param {CardActions} actions */
  constructor(model, actions) {
    /** @type {SeenModel} */
    this.model = model;
    this.pick = make('button', { type: 'button', class: 'pick' }, model.state.id);
    this.mode = make('span', { class: 'badge' });
    this.name = make('p', { class: 'model-name' });
    this.requests = new Meter('requests');
    this.tokens = new Meter('tokens');
    this.facts = make('dl', { class: 'facts' });
    /** @type {Map<string, HTMLElement>} */
    this.values = new Map();
    this.pause = make('button', { type: 'button' }, 'Pause');
    this.drain = make('button', { type: 'button' }, 'Drain');
    this.card = make(
      'article',
      { class: 'card', 'data-model': model.state.id },
      make('div', { class: 'card-head' }, make('h3', {}, this.pick), this.mode),
      this.name,
      this.requests.element,
      this.tokens.element,
      this.facts,
      make('div', { class: 'card-actions' }, this.pause, this.drain),
    );
    this.element = make('li', {}, this.card);
    this.pick.addEventListener('click', () => actions.select(model.key));
    this.pause.addEventListener('click', () => actions.togglePause(this.model));
    this.drain.addEventListener('click', () => actions.drain(this.model));
  }

  /** @param {SeenModel} model @param {Store} store */
  render(model, store) {
    this.model = model;
    const { key, state, held = 0 } = model;
    const { queue, regions, budget } = state;
    const isSelected = store.selected === key;
    mark(this.card, 'class', isSelected ? 'card selected' : 'card');
    mark(this.pick, 'aria-pressed', String(isSelected));
    write(this.mode, state.mode);
    mark(this.mode, 'class', `badge ${modeClasses[state.mode]}`);
    const isShared = store.list.filter((other) => other.state.id === state.id).length > 1;
    write(this.name, `${state.provider}/${state.model}${isShared ? ` on ${state.node}` : ''}`);
    this.requests.render(budget.requests, budget.refreshes_at, store.now);
    this.tokens.render(budget.tokens, budget.refreshes_at, store.now);
    const outside = queue.outside > 0 ? ` + ${count(queue.outside)}` : '';
    this.#fact('Waiting', `${count(queue.waiting)} of ${count(queue.capacity)}${outside}`);
    const limit = state.concurrency_limit === null ? '' : ` of ${count(state.concurrency_limit)}`;
    this.#fact('In flight', `${count(state.running)}${limit}`);
    this.#fact('Breaker', regions.breaker);
    const coolingUntil = state.cooling_until;
    this.#fact('Cool-down', coolingUntil === null ? 'none' : until(coolingUntil - store.now));
    this.#fact('Completed', count(state.counters.completed));
    this.#fact('Failed', count(state.counters.failed + state.counters.aborted + state.counters.skipped));
    this.#fact('Waits for', state.blocked === null ? 'nothing' : waitsFor[state.blocked]);
    this.#fact('Between tries', count(state.backing_off));
    // Most callers have no limits.
    if (held > 0 || this.values.has('At caller limits')) this.#fact('At caller limits', count(held));
    const isEnding = ['draining', 'closing', 'closed'].includes(regions.life);
    write(this.pause, regions.life === 'paused' ? 'Resume' : 'Pause');
    mark(this.pause, 'aria-label', `${this.pause.textContent} ${state.id}`);
    mark(this.drain, 'aria-label', `Drain ${state.id}`);
    this.pause.disabled = isEnding;
    this.drain.disabled = isEnding;
  }

  /** @param {string} name @param {string} value */
  #fact(name, value) {
    let shown = this.values.get(name);
    if (shown === undefined) {
      shown = make('dd');
      this.values.set(name, shown);
      this.facts.append(make('div', {}, make('dt', {}, name), shown));
    }
    write(shown, value);
  }
}

/** What is left of one limit. */
class Meter {
  /** @param {'requests' | 'tokens'} unit */
  constructor(unit) {
    this.unit = unit;
    this.left = make('span');
    this.next = make('span');
    this.fill = make('div', { class: 'meter-fill' });
    this.bar = make(
      'div',
      { class: 'meter', role: 'meter', 'aria-label': `${unit} left`, 'aria-valuemin': '0' },
      this.fill,
    );
    this.element = make('div', {}, make('div', { class: 'meter-text' }, this.left, this.next), this.bar);
  }

  /** @param {State['budget']['requests']} budget @param {number | null} refreshesAt @param {number} now */
  render({ limit, remaining, used }, refreshesAt, now) {
    const isLimited = limit !== null && remaining !== null;
    mark(this.left, 'class', isLimited ? '' : 'no-limit');
    if (!isLimited) {
      mark(this.bar, 'class', 'meter no-meter');
      write(this.left, `no limit on ${this.unit}`);
      write(this.next, '');
      return;
    }
    write(this.left, `${count(remaining)} of ${count(limit)} ${this.unit} left`);
    write(this.next, used > 0 && refreshesAt !== null ? `next in ${until(refreshesAt - now)}` : '');
    mark(this.bar, 'aria-valuemax', String(limit));
    mark(this.bar, 'aria-valuenow', String(Math.round(remaining)));
    mark(this.bar, 'class', meterClass(remaining, limit));
    this.fill.style.width = `${(100 * remaining) / limit}%`;
  }
}

/** @param {number} remaining @param {number} limit */
function meterClass(remaining, limit) {
  if (remaining < 1) return 'meter used-up';
  return remaining < limit * lowPart ? 'meter low' : 'meter';
}
