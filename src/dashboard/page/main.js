import { StreamPanel } from './attach.js';
import { Calls } from './calls.js';
import { Cards } from './cards.js';
import { Chart } from './chart.js';
import { askForKey, askWhetherSure, notify, startHelp } from './dialogs.js';
import { byId, mark, write } from './dom.js';
import { readEvents } from './feed.js';
import { count } from './format.js';
import { startKeyboard } from './keyboard.js';
import { cancel, control, hasKey, Refused } from './requests.js';
import { Store } from './store.js';
import { startTheme } from './theme.js';
import { TimelineChart } from './timeline.js';

/** @typedef {import('./store.js').SeenModel} SeenModel */

/** How long to wait before the first and at most before any further try to connect again, in milliseconds. */
const retryMs = { first: 500, most: 8_000 };

let isDrawing = false;
const store = new Store();
const stream = new StreamPanel();
const cards = new Cards({ select, togglePause, drain });
const calls = new Calls({ watch: (call) => void stream.open(call), cancel: takeBack }, changed);
const chart = new Chart();
const timeline = new TimelineChart(changed);
const nextTheme = startTheme(byId('theme'), changed);
const showHelp = startHelp();

startKeyboard({
  '?': showHelp,
  ArrowLeft: () => selectNext(-1),
  ArrowRight: () => selectNext(1),
  ArrowUp: () => calls.move(-1),
  ArrowDown: () => calls.move(1),
  Enter: () => calls.focused?.streaming && void stream.open(calls.focused),
  x: () => calls.focused && takeBack(calls.focused),
  p: () => store.current && togglePause(store.current),
  d: () => store.current && drain(store.current),
  f: () => calls.toggleFilter(),
  t: nextTheme,
  Escape: () => stream.close(),
});
// Countdowns count when nothing else happens.
setInterval(changed, 1_000);
void follow();

/** Draws what has changed, once before the next frame of the screen. */
function changed() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    cards.render(store);
    calls.render(store);
    const { current, missed } = store;
    byId('detail').hidden = current === undefined;
    write(byId('detail-title'), current?.state.id ?? '');
    chart.render(store);
    timeline.render(store);
    write(byId('missed'), missed === 0 ? '' : `${count(missed)} changes came too fast to be shown`);
  });
}

/** Reads the feed for as long as the page is open. */
async function follow() {
  let delay = retryMs.first;
  for (;;) {
    try {
      await readEvents('/dashboard/feed', take, new AbortController().signal);
      delay = retryMs.first;
    } catch (error) {
      if (error instanceof Refused && isAboutKey(error)) {
        tellConnection('off', 'a key is needed');
        await askForKey(hasKey() ? error.message : '');
        continue;
      }
    }
    tellConnection('off', 'not connected');
    await new Promise((resolve) => setTimeout(resolve, delay));
    delay = Math.min(retryMs.most, delay * 2);
  }
}

/** Whether another key may do: there was none that is good, or not one that may see this. */
function isAboutKey(/** @type {Refused} */ { status }) {
  return status === 401 || (status === 403 && hasKey());
}

/** @param {string} name @param {any} data */
function take(name, data) {
  if (name === 'hello') store.chart = data.chart;
  else if (name === 'frame') store.take(data);
  tellConnection('on', 'live');
  changed();
}

function tellConnection(/** @type {string} */ style, /** @type {string} */ text) {
  const connection = byId('connection');
  mark(connection, 'class', `connection ${style}`);
  write(connection, text);
}

function select(/** @type {string} */ key) {
  store.selected = key;
  changed();
}

function selectNext(/** @type {1 | -1} */ step) {
  const keys = store.list.map(({ key }) => key);
  const at = keys.indexOf(store.selected ?? '');
  const key = keys[(at + step + keys.length) % keys.length];
  if (key !== undefined) select(key);
}

function togglePause(/** @type {SeenModel} */ { state }) {
  control(state.id, state.regions.life === 'paused' ? 'resume' : 'pause').catch(notify);
}

async function drain(/** @type {SeenModel} */ { state: { id } }) {
  const text =
    'It takes no more calls, ends those that wait, and closes when those that run have ended. It does not come back.';
  if (await askWhetherSure(`Drain ${id}?`, text, 'Drain it')) control(id, 'drain').catch(notify);
}

function takeBack(/** @type {import('./store.js').SeenCall} */ { model, id }) {
  cancel(model, id).catch(notify);
}
