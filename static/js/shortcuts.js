// Keyboard shortcuts: / search, n new release, ? help. They can be turned off
// (https://www.w3.org/TR/WCAG22/#character-key-shortcuts) and never fire while someone is typing.
(() => {
  "use strict";
  const KEY = "shortcuts";
  const dialog = document.getElementById("shortcuts");
  if (!dialog) return;
  const toggle = dialog.querySelector("[data-shortcuts-toggle]");
  const { searchUrl, newUrl } = dialog.querySelector("[data-search-url]").dataset;

  // Storage may be blocked; the shortcuts are then on.
  const areOn = () => {
    try {
      return localStorage.getItem(KEY) !== "off";
    } catch {
      return true;
    }
  };

  const keep = (on) => {
    try {
      localStorage.setItem(KEY, on ? "on" : "off");
    } catch {
      /* not kept */
    }
  };

  const open = () => {
    toggle.checked = areOn();
    dialog.showModal();
  };

  const search = () => {
    const field = document.querySelector("main input[type=search]");
    if (field) field.select();
    else location.assign(searchUrl);
  };

  const create = () => {
    if (newUrl) location.assign(newUrl);
  };

  const actions = { "/": search, n: create, "?": open };

  // A checkbox takes no text, and one in a dialog that has just been closed keeps the focus briefly.
  const TEXT = "textarea, select, input:not([type=checkbox], [type=radio])";
  const isTyping = (node) => node.isContentEditable || node.matches?.(TEXT);

  document.addEventListener("keydown", (event) => {
    const action = actions[event.key];
    const modified = event.ctrlKey || event.metaKey || event.altKey;
    if (!action || modified || isTyping(event.target)) return;
    if (!areOn() || document.querySelector(":is(:modal, :popover-open)")) return;
    event.preventDefault();
    action();
  });

  toggle.addEventListener("change", () => keep(toggle.checked));

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-shortcuts-open]")) open();
  });
})();
