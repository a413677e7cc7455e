// The command palette: Ctrl K (⌘ K on a Mac) goes to a release, a connection, a page or an action.
// The server searches; the arrow keys choose, Enter goes there (with Ctrl or ⌘ in a new tab), Escape closes.
// Keys and roles: https://www.w3.org/WAI/ARIA/apg/patterns/combobox/
(() => {
  "use strict";
  const dialog = document.getElementById("palette");
  if (!dialog) return;
  const box = dialog.querySelector("[role=combobox]");
  const list = dialog.querySelector("[role=listbox]");
  const status = dialog.querySelector("[role=status]");
  const texts = document.body.dataset;
  const PAUSE = 150; // milliseconds without a key before the server is asked
  let asking = new AbortController();
  let timer = 0;
  let isOld = false; // what is shown was found for an earlier text
  let entered = null; // Enter, pressed while it was old: {inNewTab}

  const options = () => [...list.querySelectorAll("[role=option]")];
  const chosen = () => list.querySelector("[aria-selected=true]");

  const choose = (option) => {
    chosen()?.setAttribute("aria-selected", "false");
    option?.setAttribute("aria-selected", "true");
    option?.scrollIntoView({ block: "nearest" });
    if (option) box.setAttribute("aria-activedescendant", option.id);
    else box.removeAttribute("aria-activedescendant");
  };

  const go = (option, inNewTab) => {
    if (!option) return;
    if (inNewTab) window.open(option.dataset.href, "_blank", "noopener");
    else location.assign(option.dataset.href);
  };

  const enter = (inNewTab) => {
    if (isOld) entered = { inNewTab };
    else go(chosen(), inNewTab);
  };

  const show = (html) => {
    list.innerHTML = html; // our own server's fragment, escaped there
    const count = options().length;
    box.setAttribute("aria-expanded", String(count > 0));
    status.textContent = count ? texts.textFound.replace("%d", count) : texts.textNone;
    choose(options()[0]);
    isOld = false;
    if (entered) go(chosen(), entered.inNewTab);
    entered = null;
  };

  const ask = async () => {
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    try {
      const answer = await fetch(`${box.dataset.url}?${new URLSearchParams({ q: box.value })}`, { signal });
      if (answer.redirected || !answer.ok) throw new Error(String(answer.status));
      const html = await answer.text();
      if (!signal.aborted) show(html);
    } catch (error) {
      if (error.name !== "AbortError") {
        show("");
        status.textContent = texts.textFailed;
      }
    }
  };

  const open = () => {
    if (dialog.open || document.querySelector(":is(:modal, :popover-open)")) return;
    box.value = "";
    show("");
    status.textContent = texts.textLoading;
    dialog.showModal();
    box.focus();
    ask();
  };

  const move = (step) => {
    const all = options();
    const place = all.indexOf(chosen());
    choose(all[(place + step + all.length) % all.length]);
  };

  document.addEventListener("keydown", (event) => {
    const isCommand = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
    if (!isCommand || event.key.toLowerCase() !== "k") return;
    event.preventDefault();
    if (dialog.open) dialog.close();
    else open();
  });

  box.addEventListener("input", () => {
    clearTimeout(timer);
    isOld = true;
    entered = null;
    timer = setTimeout(ask, PAUSE);
  });

  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") move(1);
    else if (event.key === "ArrowUp") move(-1);
    else if (event.key === "Enter") enter(event.ctrlKey || event.metaKey);
    else return;
    event.preventDefault();
  });

  list.addEventListener("click", (event) => {
    go(event.target.closest("[role=option]"), event.ctrlKey || event.metaKey);
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-palette-open]")) open();
  });
})();
