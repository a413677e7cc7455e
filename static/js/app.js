// Small enhancements for pages that also work without them. Texts come from data attributes of <body>.
(() => {
  "use strict";
  const texts = document.body.dataset;

  /** Tells screen readers something that only changed visually. */
  const announce = (text) => {
    const region = document.getElementById("announcer");
    if (!region) return;
    region.textContent = "";
    requestAnimationFrame(() => (region.textContent = text));
  };

  // --- Copy buttons: data-copy="text" or data-copy-from="id" -----------------------------------

  const copyByHand = (text) => {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  };

  // The clipboard API exists on secure origins only; self-hosters may run on plain http.
  const copyText = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return copyByHand(text);
    }
  };

  const copyFrom = async (button) => {
    const source = document.getElementById(button.dataset.copyFrom || "");
    const text = button.dataset.copy ?? source?.value ?? source?.textContent ?? "";
    const said = (await copyText(text.trim())) ? texts.textCopied : texts.textCopyFailed;
    const label = button.querySelector("[data-copy-label]");
    announce(said);
    button.focus();
    if (!label || label.dataset.words) return;
    label.dataset.words = label.textContent;
    label.textContent = said;
    setTimeout(() => {
      label.textContent = label.dataset.words;
      delete label.dataset.words;
    }, 2000);
  };

  // --- Reveal buttons of password fields: data-reveal="id" --------------------------------------

  const reveal = (button) => {
    const input = document.getElementById(button.dataset.reveal);
    const shown = input.type === "text";
    input.type = shown ? "password" : "text";
    button.setAttribute("aria-pressed", String(!shown));
  };

  // --- Buttons that fill a field: data-fill="id" data-value="text" --------------------------------

  const fill = (button) => {
    const input = document.getElementById(button.dataset.fill);
    input.value = button.dataset.value;
    for (const name of ["input", "change"]) input.dispatchEvent(new Event(name, { bubbles: true }));
  };

  const markFilled = (input) => {
    for (const button of document.querySelectorAll("[data-fill]")) {
      if (button.dataset.fill !== input.id) continue;
      button.setAttribute("aria-pressed", String(button.dataset.value === input.value.trim()));
    }
  };

  document.addEventListener("input", (event) => markFilled(event.target));
  for (const { dataset } of document.querySelectorAll("[data-fill]")) {
    markFilled(document.getElementById(dataset.fill));
  }

  // --- A dry run puts errors beside the fields: these fields are marked, too -----------------------

  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id !== "preview") return;
    markFilled(document.getElementById("id_version"));
    for (const error of document.querySelectorAll(".field__error[id$=_error]")) {
      const control = document.getElementById(error.id.slice(0, -"_error".length));
      if (!control?.matches("input, select, textarea")) continue;
      control.setAttribute("aria-invalid", String(!error.classList.contains("field__error--none")));
    }
  });

  // --- Forms: ask before danger (data-confirm), send once ----------------------------------------

  const element = (name, className, text) => {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = text;
    return made;
  };

  /** Resolves to true when the reader agrees. */
  const ask = (question, yes) =>
    new Promise((resolve) => {
      const dialog = element("dialog", "dialog", "");
      const text = element("p", "", question);
      const form = element("form", "", "");
      const row = element("div", "dialog__actions", "");
      const no = element("button", "button", texts.textCancel);
      const go = element("button", "button button--danger-solid", yes || texts.textConfirm);
      text.id = "ask-text";
      dialog.setAttribute("aria-labelledby", text.id);
      dialog.setAttribute("closedby", "any");
      form.method = "dialog";
      no.value = "";
      go.value = "yes";
      row.append(no, go);
      form.append(row);
      dialog.append(text, form);
      dialog.addEventListener("close", () => {
        resolve(dialog.returnValue === "yes");
        dialog.remove();
      });
      document.body.append(dialog);
      dialog.showModal();
      no.focus();
    });

  const agreed = new WeakSet();

  // In the capture phase, so that htmx does not send a form before it is confirmed.
  document.addEventListener(
    "submit",
    async (event) => {
      const { target: form, submitter } = event;
      const question = submitter?.dataset.confirm || form.dataset.confirm;
      if (!question || agreed.delete(form)) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      if (!(await ask(question, submitter?.textContent.trim()))) return;
      agreed.add(form);
      form.requestSubmit(submitter);
    },
    true,
  );

  const release = (form) => {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll(".is-busy")) {
      button.classList.remove("is-busy");
      button.removeAttribute("aria-disabled");
    }
  };

  // Requests of a form's parts that are open when it is sent: leaving the page would abort them, which
  // htmx treats as a failure.
  const asked = new Map();

  const dropAsked = (form) => {
    for (const [part, request] of asked) {
      if (!form.contains(part)) continue;
      request.onabort = null;
      request.abort();
    }
  };

  document.addEventListener("htmx:beforeSend", ({ target, detail }) => asked.set(target, detail.xhr));
  document.addEventListener("htmx:afterRequest", ({ target }) => asked.delete(target));

  // Not `disabled`: the browser would leave the button's own value out of the request.
  document.addEventListener("submit", (event) => {
    const { target: form, submitter } = event;
    if (event.defaultPrevented || form.method === "dialog" || "sendAgain" in form.dataset) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "1";
    dropAsked(form);
    submitter?.classList.add("is-busy");
    submitter?.setAttribute("aria-disabled", "true");
  });

  // A script that sent it stays on the page (connections.js).
  document.addEventListener("form:answered", (event) => release(event.target));

  // Back from the browser's cache, a page must be usable again.
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) release(form);
  });

  // --- Menus: only one open; Escape and a click elsewhere close ----------------------------------

  const closeMenus = (except) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(except)) menu.open = false;
    }
  };

  document.addEventListener("keydown", (event) => {
    const menu = document.querySelector("details.menu[open]");
    if (event.key !== "Escape" || !menu) return;
    // A dialog of the menu closes first, and its focus returns to a button of the open menu.
    if (document.querySelector("dialog:modal")) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });

  document.addEventListener("click", (event) => {
    closeMenus(event.target);
    const copy = event.target.closest("[data-copy], [data-copy-from]");
    const eye = event.target.closest("[data-reveal]");
    const filler = event.target.closest("[data-fill]");
    const toast = event.target.closest("[data-dismiss]")?.closest(".toast");
    if (copy) copyFrom(copy);
    if (eye) reveal(eye);
    if (filler) fill(filler);
    if (toast) dismiss(toast);
  });

  // --- Dialogs: popovers in the HTML, modal with this script ---------------------------------------

  document.addEventListener("click", (event) => {
    const dialog = event.target.closest("[popovertarget]")?.popoverTargetElement;
    if (!(dialog instanceof HTMLDialogElement)) return;
    event.preventDefault();
    if (dialog.open) dialog.close();
    else dialog.showModal();
  });

  // --- Toasts: shown once; success messages disappear, but not on hover or focus -------------------

  const STAY = 8000; // milliseconds

  // Its place stays free until it is out of sight: the page must not move under the pointer.
  const leave = (toast) => {
    toast.classList.add("toast--gone");
    new IntersectionObserver(([place]) => place.isIntersecting || toast.remove()).observe(toast);
  };

  const leaveLater = (toast) => {
    let timer;
    const hold = () => clearTimeout(timer);
    const wait = () => {
      hold();
      if (toast.matches(":hover, :focus-within")) return;
      timer = setTimeout(() => (document.hidden ? wait() : leave(toast)), STAY);
    };
    for (const name of ["mouseenter", "focusin"]) toast.addEventListener(name, hold);
    for (const name of ["mouseleave", "focusout"]) toast.addEventListener(name, wait);
    wait();
  };

  for (const toast of document.querySelectorAll("#messages [data-leaves]")) leaveLater(toast);

  const dismiss = (toast) => {
    toast.remove();
    document.getElementById("main")?.focus({ preventScroll: true });
  };

  // Text that is in a live region from the start is not announced, and a script may add it later.
  window.addEventListener("load", () => {
    const box = document.getElementById("messages");
    const said = [...(box?.querySelectorAll(".alert__body") ?? [])].map((text) => text.textContent.trim());
    if (said.length && document.activeElement !== box) announce(said.join(" "));
  });

  // --- Times: <time data-relative> stays up to date ------------------------------------------------

  const UNITS = [
    ["second", 60],
    ["minute", 60],
    ["hour", 24],
    ["day", 7],
  ];

  /** The same words as the server's; null beyond a week, when the date is shown. */
  const relativeWords = (moment) => {
    let gap = (moment - Date.now()) / 1000;
    if (Math.abs(gap) < 10) return texts.textNow;
    const format = new Intl.RelativeTimeFormat(document.documentElement.lang || "en");
    for (const [unit, size] of UNITS) {
      if (Math.abs(gap) < size) return format.format(Math.trunc(gap), unit);
      gap /= size;
    }
    return null;
  };

  const refreshTimes = () => {
    for (const time of document.querySelectorAll("time[data-relative]")) {
      const words = relativeWords(new Date(time.dateTime));
      if (words && time.textContent !== words) time.textContent = words;
    }
  };

  setInterval(refreshTimes, 15000);

  // The server uses this zone for the exact times of users who have chosen none.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const secure = location.protocol === "https:" ? ";secure" : "";
  if (zone) document.cookie = `time_zone=${zone};path=/;max-age=31536000;samesite=lax${secure}`;

  // --- Parts that refresh themselves (data-live) pause in hidden tabs and under dialogs ---------------

  const isAsking = (part) => part.querySelector(":is(:modal, :popover-open)");

  document.addEventListener("htmx:beforeRequest", (event) => {
    const part = event.target;
    if (!("live" in part.dataset)) return;
    if (document.hidden || isAsking(part) || isTold(part, event.detail)) event.preventDefault();
  });

  // A submitted form leaves the page: new requests would be aborted.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.target.closest("form")?.dataset.sent) event.preventDefault();
  });

  // What the server promised about a part goes with the part's next request: see delivr/pages/live.py.
  const PROMISE = "Live-Promise";
  const promises = new Map();
  const answeredAt = new Map();

  document.addEventListener("htmx:configRequest", ({ target, detail }) => {
    if (promises.has(target.id)) detail.headers[PROMISE] = promises.get(target.id);
  });

  document.addEventListener("htmx:beforeOnLoad", ({ target, detail }) => {
    const made = detail.xhr.getResponseHeader(PROMISE);
    if (made) promises.set(target.id, made);
    answeredAt.set(target.id, Date.now());
  });

  // Sections that the user opened (details with an id) stay open when their part is replaced.
  let unfolded = [];

  document.addEventListener("htmx:beforeSwap", (event) => {
    unfolded = [...event.target.querySelectorAll("details[id][open]")].map((node) => node.id);
  });

  document.addEventListener("htmx:afterSwap", () => {
    for (const id of unfolded) document.getElementById(id)?.setAttribute("open", "");
    unfolded = [];
  });

  const wake = () => {
    if (!document.hidden) htmx.trigger(document.body, "wake");
  };

  // Where the server tells at once what has changed (data-events), a part asks when it is told, and
  // otherwise only for what changes with time. The page asks whenever the connection opens, so that
  // nothing is missed; a hidden one holds no connection.
  const MOVING = 15000; // milliseconds
  const RESTING = 600000;
  let events;

  const isTold = (part, { requestConfig }) =>
    events?.readyState === EventSource.OPEN &&
    !requestConfig.triggeringEvent &&
    Date.now() - (answeredAt.get(part.id) ?? 0) < ("rests" in part.dataset ? RESTING : MOVING);

  const listen = () => {
    const part = document.querySelector("[data-events]");
    if (part && events && !document.hidden) return;
    events?.close();
    events = part && !document.hidden ? new EventSource(part.dataset.events) : undefined;
    for (const name of ["open", "message"]) events?.addEventListener(name, wake);
  };

  document.addEventListener("visibilitychange", listen);
  document.addEventListener("htmx:afterSettle", listen);
  window.addEventListener("pagehide", () => {
    events?.close();
    events = undefined;
  });
  window.addEventListener("pageshow", listen);

  document.addEventListener("visibilitychange", wake);
  window.addEventListener("online", wake);
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) wake();
  });

  // --- Tabs that do not fit are scrolled to the current one ------------------------------------------

  for (const tab of document.querySelectorAll(".tabs [aria-current]")) {
    tab.scrollIntoView({ block: "nearest", inline: "center", behavior: "instant" });
  }

  // --- What only works with JavaScript is hidden in the HTML ----------------------------------------

  const unhide = (root) => {
    for (const node of root.querySelectorAll("[data-needs-js]")) node.hidden = false;
  };

  unhide(document);
  document.addEventListener("htmx:load", (event) => unhide(event.target));
})();
