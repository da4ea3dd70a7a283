import { write } from './dom.js';

const themes = /** @type {const} */ (['auto', 'light', 'dark']);
const themeName = 'imodel-theme';
const systemDark = matchMedia('(prefers-color-scheme: dark)');

/**
 * Shows the page light, dark, or as the system has it, and lets a button change it.
 *
 * @param {HTMLElement} button
 * @param {() => void} changed - Runs when what is drawn must be drawn anew.
 * @returns What the button does.
 */
export function startTheme(button, changed) {
  let theme = themes.find((name) => name === localStorage.getItem(themeName)) ?? 'auto';
  const show = () => {
    const isDark = theme === 'dark' || (theme === 'auto' && systemDark.matches);
    document.documentElement.dataset.theme = isDark ? 'dark' : 'light';
    write(button, `Theme: ${theme}`);
    changed();
  };
  const next = () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length] ?? 'auto';
    localStorage.setItem(themeName, theme);
    show();
  };
  button.addEventListener('click', next);
  systemDark.addEventListener('change', show);
  show();
  return next;
}
