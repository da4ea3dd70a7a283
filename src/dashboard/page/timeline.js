import { byId, mark } from './dom.js';
import { count, duration } from './format.js';
import { timelineMs } from './store.js';

/** @typedef {import('./store.js').Store} Store */

/** How long a stretch is, in milliseconds; as the server cuts them. */
const slotMs = 2_000;
const padding = { left: 34, right: 8, top: 8, bottom: 20 };

/** What happened to the selected iModel in the last minutes: starts against its limit, errors, waits. */
export class TimelineChart {
  #canvas = /** @type {HTMLCanvasElement} */ (byId('timeline'));
  #size = { width: 0, height: 0 };

  /** @param {() => void} changed - Runs when it must be drawn anew. */
  constructor(changed) {
    new ResizeObserver(([entry]) => {
      const { width = 0, height = 0 } = entry?.contentRect ?? {};
      this.#size = { width, height };
      changed();
    }).observe(this.#canvas);
  }

  /** @param {Store} store */
  render({ current, timeline, now }) {
    const { width, height } = this.#size;
    if (current === undefined || width === 0) return;
    const { id, budget } = current.state;
    const slots = [...(timeline.get(id)?.values() ?? [])].filter(({ at }) => at > now - timelineMs);
    const { limit } = budget.requests;
    const limitPerSlot = limit === null ? null : (limit * slotMs) / budget.window_ms;
    const sum = (/** @type {'starts' | 'ends' | 'errors'} */ name) =>
      slots.reduce((total, slot) => total + slot[name], 0);
    const longest = Math.max(0, ...slots.map((slot) => slot.wait_ms));
    const says = `${count(sum('starts'))} starts, ${count(sum('errors'))} errors, longest wait ${duration(longest)}`;
    mark(this.#canvas, 'aria-label', `The last five minutes of ${id}: ${says}`);
    const context = this.#prepare(width, height);
    if (context === null) return;
    const colors = getComputedStyle(this.#canvas);
    const color = (/** @type {string} */ name) => colors.getPropertyValue(`--${name}`);
    const highest = Math.max(4, limitPerSlot ?? 0, ...slots.map((slot) => Math.max(slot.starts, slot.errors)));
    const bottom = height - padding.bottom;
    const span = width - padding.left - padding.right;
    const x = (/** @type {number} */ at) => padding.left + span * (1 - (now - at) / timelineMs);
    const y = (/** @type {number} */ part) => bottom - (bottom - padding.top) * Math.min(1, part);
    const slotWidth = Math.max(1, (span * slotMs) / timelineMs - 0.5);
    context.font = '12px system-ui, sans-serif';
    context.fillStyle = color('faint');
    context.fillText(`${count(highest)}`, 0, padding.top + 8);
    context.fillText('0', 0, bottom);
    for (let minute = 1; minute < timelineMs / 60_000; minute += 1) {
      context.fillText(`-${minute} min`, x(now - minute * 60_000) - 16, height - 5);
    }
    context.strokeStyle = color('line');
    line(context, [padding.left, bottom], [width - padding.right, bottom]);
    for (const slot of slots) {
      const at = Math.max(padding.left, x(slot.at));
      context.fillStyle = color('accent');
      context.fillRect(at, y(slot.starts / highest), slotWidth, bottom - y(slot.starts / highest));
      context.fillStyle = color('bad-fill');
      context.fillRect(at, y(slot.errors / highest), slotWidth, bottom - y(slot.errors / highest));
    }
    if (limitPerSlot !== null) {
      context.strokeStyle = color('faint');
      context.setLineDash([6, 4]);
      const height = y(limitPerSlot / highest);
      line(context, [padding.left, height], [width - padding.right, height]);
      context.setLineDash([]);
    }
    if (longest === 0) return;
    context.strokeStyle = color('warn-fill');
    context.lineWidth = 1.5;
    context.beginPath();
    for (const slot of slots.toSorted((one, other) => one.at - other.at)) {
      context.lineTo(Math.max(padding.left, x(slot.at) + slotWidth / 2), y((0.9 * slot.wait_ms) / longest));
    }
    context.stroke();
    context.fillStyle = color('warn');
    context.fillText(`wait ${duration(longest)}`, padding.left + 4, padding.top + 8);
  }

  /** @param {number} width @param {number} height */
  #prepare(width, height) {
    const scale = devicePixelRatio;
    const [pixelWidth, pixelHeight] = [Math.round(width * scale), Math.round(height * scale)];
    if (this.#canvas.width !== pixelWidth) this.#canvas.width = pixelWidth;
    if (this.#canvas.height !== pixelHeight) this.#canvas.height = pixelHeight;
    const context = this.#canvas.getContext('2d');
    context?.setTransform(scale, 0, 0, scale, 0, 0);
    context?.clearRect(0, 0, width, height);
    return context;
  }
}

/** @param {CanvasRenderingContext2D} context @param {[number, number]} from @param {[number, number]} to */
function line(context, from, to) {
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  context.stroke();
}
