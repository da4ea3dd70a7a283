import { byId, draw, mark } from './dom.js';

/**
 * @typedef {import('./store.js').ChartRegion} ChartRegion
 * @typedef {import('./store.js').Store} Store
 */

const boxWidth = 78;
const boxHeight = 28;
const gap = 24;
const left = 66;
const rowHeight = 78;

/** The statechart of the iModel that is selected. */
export class Chart {
  #svg = byId('chart');
  /** @type {readonly ChartRegion[] | null} */
  #drawn = null;
  /** Boxes by `region.state`. @type {Map<string, Element>} */
  #boxes = new Map();

  /** @param {Store} store */
  render({ chart, current }) {
    if (chart.length === 0 || current === undefined) return;
    if (chart !== this.#drawn) this.#draw(chart);
    const regions = /** @type {Readonly<Record<string, string>>} */ (current.state.regions);
    for (const [name, box] of this.#boxes) {
      const [region = '', state] = name.split('.');
      mark(box, 'class', regions[region] === state ? 'state lit' : 'state');
    }
    const said = chart.map(({ name }) => `${name}: ${regions[name]}`).join(', ');
    mark(this.#svg, 'aria-label', `Statechart of ${current.state.id}. ${said}`);
  }

  /** @param {readonly ChartRegion[]} chart */
  #draw(chart) {
    this.#drawn = chart;
    this.#boxes.clear();
    const longest = Math.max(...chart.map(({ states }) => states.length));
    const width = left + longest * (boxWidth + gap) - gap + 2;
    mark(this.#svg, 'viewBox', `0 0 ${width} ${chart.length * rowHeight}`);
    this.#svg.replaceChildren(tip(), ...chart.map((region, row) => this.#region(region, row)));
  }

  /** @param {ChartRegion} region @param {number} row */
  #region({ name, states, arrows }, row) {
    const middle = row * rowHeight + rowHeight / 2;
    const group = draw('g', {}, draw('text', { class: 'region', x: 0, y: middle + 5 }, name));
    group.append(
      ...joined(arrows).map(({ from, to, says }) => arrow(states.indexOf(from), states.indexOf(to), middle, says)),
    );
    for (const [index, state] of states.entries()) {
      const x = left + index * (boxWidth + gap);
      const box = draw(
        'g',
        { class: 'state', 'data-state': `${name}.${state}` },
        draw('rect', { x, y: middle - boxHeight / 2, width: boxWidth, height: boxHeight, rx: 8 }),
        draw('text', { x: x + boxWidth / 2, y: middle + 4.5 }, state),
      );
      this.#boxes.set(`${name}.${state}`, box);
      group.append(box);
    }
    return group;
  }
}

/**
 * One arrow for all events that lead from one state to another.
 *
 * @param {ChartRegion['arrows']} arrows
 */
function joined(arrows) {
  /** @type {Map<string, { from: string, to: string, says: string }>} */
  const found = new Map();
  for (const { from, to, event } of arrows) {
    const known = found.get(`${from} ${to}`);
    if (known === undefined) found.set(`${from} ${to}`, { from, to, says: `${event}: ${from} → ${to}` });
    else known.says = `${event}, ${known.says}`;
  }
  return [...found.values()];
}

/**
 * Forward arrows go above the boxes, those that lead back below; neighbours are joined straight.
 *
 * @param {number} from
 * @param {number} to
 * @param {number} middle
 * @param {string} says
 */
function arrow(from, to, middle, says) {
  const isForward = to > from;
  const edge = isForward ? middle - boxHeight / 2 : middle + boxHeight / 2;
  const start = left + from * (boxWidth + gap) + boxWidth * (isForward ? 0.72 : 0.28);
  const end = left + to * (boxWidth + gap) + boxWidth * (isForward ? 0.28 : 0.72);
  const bend = edge + (isForward ? -1 : 1) * Math.min(30, 12 + 6 * (Math.abs(to - from) - 1));
  const isStraight = to === from + 1;
  const path = isStraight
    ? `M ${left + from * (boxWidth + gap) + boxWidth} ${middle} H ${left + to * (boxWidth + gap) - 2}`
    : `M ${start} ${edge} C ${start} ${bend}, ${end} ${bend}, ${end} ${edge + (isForward ? -2 : 2)}`;
  return draw('path', { class: 'arrow', d: path, 'marker-end': 'url(#tip)' }, draw('title', {}, says));
}

function tip() {
  const shape = draw('path', { class: 'tip', d: 'M 0 0 L 7 3.5 L 0 7 z' });
  const size = { viewBox: '0 0 7 7', refX: 6, refY: 3.5, markerWidth: 7, markerHeight: 7 };
  return draw('defs', {}, draw('marker', { id: 'tip', ...size, orient: 'auto' }, shape));
}
