/**
 * @typedef {import('../frame.ts').Frame} Frame
 * @typedef {import('../frame.ts').SeenModel} SeenModel
 * @typedef {import('../frame.ts').SeenCall} SeenCall
 * @typedef {import('../frame.ts').TimelineSlot} TimelineSlot
 * @typedef {import('../../../actors/chart.ts').ChartRegion} ChartRegion
 */

/** How long the timeline reaches back, in milliseconds. */
export const timelineMs = 300_000;

/** What the page knows. The server bounds how many calls and iModels there are, the store how far the timeline reaches. */
export class Store {
  /** @type {Map<string, SeenModel>} */
  models = new Map();
  /** @type {Map<string, SeenCall>} */
  calls = new Map();
  /** By model, then by time. @type {Map<string, Map<number, TimelineSlot>>} */
  timeline = new Map();
  /** @type {readonly ChartRegion[]} */
  chart = [];
  /** Changes that were never shown, since the page was opened. */
  missed = 0;
  /** Key of the iModel whose statechart and timeline are shown. @type {string | null} */
  selected = null;
  /** What the server's clock shows more than ours, in milliseconds. */
  #ahead = 0;

  /** Epoch milliseconds by the server's clock. */
  get now() {
    return Date.now() + this.#ahead;
  }

  /** The iModels in the order in which they are shown. */
  get list() {
    return [...this.models.values()].sort((one, other) => (one.key < other.key ? -1 : 1));
  }

  /** The iModel that is selected; undefined when there is none. */
  get current() {
    return this.selected === null ? undefined : this.models.get(this.selected);
  }

  /** @param {Frame & { readonly missed: number }} frame */
  take(frame) {
    this.#ahead = frame.at - Date.now();
    if (frame.whole) {
      this.models.clear();
      this.calls.clear();
      this.timeline.clear();
    }
    this.missed += frame.missed;
    for (const model of frame.models) this.models.set(model.key, model);
    for (const key of frame.gone) this.models.delete(key);
    for (const call of frame.calls) this.calls.set(call.key, call);
    for (const key of frame.removed) this.calls.delete(key);
    for (const slot of frame.timeline) {
      const slots = this.timeline.get(slot.model) ?? new Map();
      this.timeline.set(slot.model, slots.set(slot.at, slot));
    }
    this.#forgetOld();
    // A whole frame may come before the iModels have answered: what was selected is selected again when it is back.
    if (this.selected === null || (this.current === undefined && !frame.whole && this.models.size > 0)) {
      this.selected = this.list[0]?.key ?? null;
    }
  }

  #forgetOld() {
    for (const slots of this.timeline.values()) {
      for (const at of slots.keys()) if (at < this.now - timelineMs) slots.delete(at);
    }
  }
}
