// During a verification, the page shows each check as it ends: <form data-asks-provider
// data-checks-in="id of integrations/checks_streamed.html">. The format of the response is described in
// integrations/views/streamed_checks.py. If anything goes wrong here, the form is submitted normally.
(() => {
  "use strict";

  const linesOf = async function* (response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value = "" } = await reader.read();
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      yield* lines.filter(Boolean).map((line) => JSON.parse(line));
      if (done) return;
    }
  };

  const open = (box) => {
    const before = box.parentElement.querySelector("[data-checks-before]");
    if (before) before.hidden = true; // of the last time
    const list = box.querySelector("ul");
    const wait = list.querySelector("[data-checks-wait]");
    wait.hidden = false;
    list.replaceChildren(wait);
    box.querySelector("[data-checks-said]").replaceChildren();
    box.hidden = false;
    box.scrollIntoView({ block: "nearest" });
  };

  /** The checks and their results stay; the form can be corrected and sent again. */
  const stay = (form, box, html) => {
    box.querySelector("[data-checks-wait]").hidden = true;
    box.querySelector("[data-checks-said]").insertAdjacentHTML("beforeend", html);
    box.scrollIntoView({ block: "nearest" });
    form.dispatchEvent(new Event("form:answered", { bubbles: true }));
  };

  /** The message that `?verified=…` adds is shown once: a reload does not show it again. */
  const forget = () => {
    const address = new URL(location.href);
    if (!address.searchParams.has("verified")) return;
    address.searchParams.delete("verified");
    history.replaceState(history.state, "", address);
  };

  /** Shows the checks; returns the last line, which says what follows. */
  const follow = async (form, box) => {
    const response = await fetch(form.action, {
      method: "POST",
      body: new FormData(form),
      headers: { "X-Checks": "streamed" },
      credentials: "same-origin",
    });
    if (!response.ok || response.status === 204) return {};
    open(box);
    let last = {};
    for await (last of linesOf(response)) {
      if (last.html) box.querySelector("[data-checks-wait]").insertAdjacentHTML("beforebegin", last.html);
    }
    return last;
  };

  // Who follows a link meanwhile is not led elsewhere when the checks end or break off.
  let isLeaving = false;
  addEventListener("beforeunload", () => (isLeaving = true));

  const send = async (form, box) => {
    const { location: address, said, action } = await follow(form, box).catch(() => ({}));
    if (isLeaving) {
      stay(form, box, "");
      return;
    }
    if (said) {
      stay(form, box, said);
      return;
    }
    if (action) form.action = action;
    if (address) location.assign(address);
    else form.submit();
  };

  // Alternatives, one below another in the HTML, become tabs: <div data-tabs="label"> with
  // <section data-tab="label">s. https://www.w3.org/WAI/ARIA/apg/patterns/tabs/
  const makeTabs = (box) => {
    const panels = [...box.querySelectorAll("[data-tab]")];
    const list = document.createElement("div");
    list.className = "tabs tabs--buttons";
    list.setAttribute("role", "tablist");
    list.setAttribute("aria-label", box.dataset.tabs);
    const tabs = panels.map((panel, place) => {
      const tab = document.createElement("button");
      tab.type = "button";
      tab.textContent = panel.dataset.tab;
      tab.id = `tab-${place}`;
      panel.id ||= `panel-${place}`;
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", tab.id);
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", panel.id);
      tab.addEventListener("click", () => show(place));
      return tab;
    });
    const show = (chosen) => {
      tabs.forEach((tab, place) => {
        tab.setAttribute("aria-selected", String(place === chosen));
        tab.tabIndex = place === chosen ? 0 : -1;
        panels[place].hidden = place !== chosen;
      });
    };
    list.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = (tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length;
      show(next);
      tabs[next].focus();
    });
    list.append(...tabs);
    box.prepend(list);
    show(0);
  };

  document.querySelectorAll("[data-tabs]").forEach(makeTabs);

  // A key's file is read into the text area: <textarea data-drop=".p8">. It is checked here only to
  // report errors immediately; the server checks what is sent.
  const readFile = async (area, file) => {
    const { drop, dropMark, dropMost, dropWrong, dropLarge, dropRead } = area.dataset;
    const said = area.closest(".field").querySelector("[data-file-said]");
    const refuse = (words) => {
      said.textContent = `${file.name}: ${words}`;
      said.classList.add("tone-text", "tone-danger");
    };
    if (file.size > Number(dropMost)) return refuse(dropLarge);
    const text = await file.text();
    if (!file.name.toLowerCase().endsWith(drop) || !text.includes(dropMark)) return refuse(dropWrong);
    area.value = text;
    area.dispatchEvent(new Event("input", { bubbles: true }));
    said.classList.remove("tone-text", "tone-danger");
    said.textContent = `${file.name}: ${dropRead}`;
  };

  document.addEventListener("change", ({ target }) => {
    if (!target.matches("[data-file-for]") || !target.files.length) return;
    readFile(document.getElementById(target.dataset.fileFor), target.files[0]);
    target.value = "";
  });

  const areaUnder = (event) => event.target.closest?.(".field")?.querySelector("[data-drop]");

  for (const name of ["dragover", "drop"]) {
    document.addEventListener(name, (event) => {
      if (!event.dataTransfer?.types.includes("Files") || !document.querySelector("[data-drop]")) return;
      event.preventDefault(); // a file that misses the field would replace the page
      const area = areaUnder(event);
      event.dataTransfer.dropEffect = area ? "copy" : "none";
      if (name === "drop" && area && event.dataTransfer.files.length) readFile(area, event.dataTransfer.files[0]);
    });
  }

  // Fields whose values are copied from another connection are hidden.
  const takeOver = (select) => {
    const fields = [...select.form.querySelectorAll("[data-shared]")];
    const isTaken = Boolean(select.value) && !fields.some((field) => field.getAttribute("aria-invalid") === "true");
    for (const field of fields) {
      field.disabled = isTaken;
      field.closest(".field").hidden = isTaken;
    }
  };

  for (const select of document.querySelectorAll("[data-takes-over]")) {
    takeOver(select);
    select.addEventListener("change", () => takeOver(select));
  }

  forget();

  document.addEventListener("submit", (event) => {
    const { target: form } = event;
    if (event.defaultPrevented || !("asksProvider" in form.dataset)) return;
    const box = document.getElementById(form.dataset.checksIn);
    if (!box) return;
    event.preventDefault();
    send(form, box);
  });

  // After a return from the browser's cache, nothing is in progress.
  window.addEventListener("pageshow", () => {
    isLeaving = false;
    for (const box of document.querySelectorAll("[id^=streamed-]")) box.hidden = true;
    for (const old of document.querySelectorAll("[data-checks-before]")) old.hidden = false;
  });
})();
