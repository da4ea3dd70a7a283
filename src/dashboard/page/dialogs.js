import { byId, write } from './dom.js';
import { keepKey } from './requests.js';

/** How long a notice stays, in milliseconds. */
const noticeMs = 8_000;

/** @type {ReturnType<typeof setTimeout> | undefined} */
let noticeTimer;

/** Tells of something that did not work. */
export function notify(/** @type {unknown} */ error) {
  const notice = byId('notice');
  write(notice, error instanceof Error ? error.message : String(error));
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => write(notice, ''), noticeMs);
}

/** Makes the list of keys open and close. @returns What opens it. */
export function startHelp() {
  const help = dialog('help');
  byId('help-open').addEventListener('click', () => help.showModal());
  byId('help-close').addEventListener('click', () => help.close());
  return () => help.showModal();
}

/**
 * Asks for a key until there is one.
 *
 * @param {string} problem - What was wrong with the last one.
 * @returns {Promise<void>}
 */
export function askForKey(problem) {
  const asking = dialog('key');
  const input = /** @type {HTMLInputElement} */ (byId('key-input'));
  write(byId('key-problem'), problem);
  input.value = '';
  return new Promise((resolve) => {
    const use = () => {
      if (input.value === '') return;
      keepKey(input.value);
      byId('key-use').removeEventListener('click', use);
      input.removeEventListener('keydown', onKey);
      asking.close();
      resolve();
    };
    /** @param {KeyboardEvent} event */
    const onKey = (event) => {
      if (event.key === 'Enter') use();
    };
    byId('key-use').addEventListener('click', use);
    input.addEventListener('keydown', onKey);
    // There is nothing behind it without a key.
    asking.addEventListener('cancel', (event) => event.preventDefault());
    if (!asking.open) asking.showModal();
  });
}

/**
 * Asks before something that cannot be taken back.
 *
 * @param {string} title
 * @param {string} text
 * @param {string} yes - What the button says.
 * @returns {Promise<boolean>}
 */
export function askWhetherSure(title, text, yes) {
  const asking = dialog('sure');
  write(byId('sure-title'), title);
  write(byId('sure-text'), text);
  write(byId('sure-yes'), yes);
  return new Promise((resolve) => {
    asking.returnValue = '';
    byId('sure-yes').onclick = () => asking.close('yes');
    byId('sure-no').onclick = () => asking.close('');
    asking.onclose = () => resolve(asking.returnValue === 'yes');
    asking.showModal();
  });
}

/** Whether something is open before the page. */
export function isAsking() {
  return document.querySelector('dialog[open]') !== null;
}

function dialog(/** @type {string} */ id) {
  return /** @type {HTMLDialogElement} */ (byId(id));
}
