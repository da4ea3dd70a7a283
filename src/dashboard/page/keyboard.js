import { isAsking } from './dialogs.js';

/** Fields in which letters are letters. */
const fields = 'input:not([type=checkbox]), textarea, select, [contenteditable]';

/**
 * Runs what a key stands for, unless it is meant for a field or a dialog, or is held with others.
 *
 * @param {Readonly<Record<string, () => void>>} actions
 */
export function startKeyboard(actions) {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isAsking()) return;
    const { target } = event;
    if (target instanceof Element && target.closest(fields) !== null) return;
    // A button is pressed with it, a list is scrolled with them.
    if (event.key === 'Enter' && target instanceof HTMLButtonElement) return;
    if (event.key.startsWith('Arrow') && target instanceof Element && target.closest('pre, .scroll') !== null) return;
    const action = Object.hasOwn(actions, event.key) ? actions[event.key] : undefined;
    if (action === undefined) return;
    event.preventDefault();
    action();
  });
}
