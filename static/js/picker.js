// Offers what the provider knows (repositories, jobs, channels, projects) for a field of a form.
//
// <button type="button" data-picker-url="/…/options" data-picker-target="id_repository_url">
// posts the fields of its form there and reads {"options": [{"value", "label"}], "note"} or a
// problem {"detail"}; the note says if the options are incomplete. A select gets the options. A text field becomes a combobox: it filters as one types;
// one with data-picker-multiple (values separated by commas or lines) or data-picker-lines (NAME=value
// lines, to which an option is added as a line) gets a search of its own above the list. Without this
// script, each is a plain field.
// Keys and roles: https://www.w3.org/WAI/ARIA/apg/patterns/combobox/
(() => {
  "use strict";
  const texts = document.body.dataset;
  const ROLES = ["role", "aria-expanded", "aria-controls", "aria-activedescendant", "aria-autocomplete"];

  const make = (name, attributes = {}, text = "") => {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.textContent = text;
    return node;
  };

  const changed = (target) => {
    target.dispatchEvent(new Event("input", { bubbles: true }));
    target.dispatchEvent(new Event("change", { bubbles: true }));
  };

  const say = (field, text, tone = "") => {
    const status = field.querySelector(".picker__status");
    if (!status) return;
    status.textContent = text;
    status.dataset.tone = tone;
  };

  const found = (count) => (count ? texts.textFound.replace("%d", count) : texts.textNone);

  /** A list of options below a field. `box` is the input: the field itself, or a search field. */
  class Picker {
    constructor(field, target, options) {
      const hasLines = "pickerLines" in target.dataset;
      const isMultiple = hasLines || "pickerMultiple" in target.dataset;
      Object.assign(this, { field, target, hasLines, isMultiple });
      this.list = make("ul", {
        id: `${target.id}_options`,
        class: "picker",
        role: "listbox",
        "aria-label": texts.textOptions,
        ...(this.isMultiple && { "aria-multiselectable": "true" }),
      });
      this.list.append(...options.map((option, place) => this.option(option, place)));
      this.box = this.isMultiple ? make("input", { type: "text" }) : target;
      this.describe();
      this.listen();
      if (this.isMultiple) field.append(this.box);
      field.append(this.list);
      this.mark();
      this.open();
    }

    option({ value, label }, place) {
      const item = make("li", { role: "option", id: `${this.target.id}_option_${place}` }, label || value);
      item.dataset.value = value;
      if (label && label !== value) item.append(make("small", {}, value));
      return item;
    }

    describe() {
      const roles = {
        role: "combobox",
        autocomplete: "off",
        "aria-autocomplete": "list",
        "aria-controls": this.list.id,
      };
      for (const [name, value] of Object.entries(roles)) this.box.setAttribute(name, value);
      if (!this.isMultiple) return;
      this.box.className = "picker__search";
      this.box.placeholder = texts.textSearch;
      this.box.setAttribute("aria-label", texts.textSearch);
    }

    listen() {
      this.stop = new AbortController();
      const on = (node, name, act) => node.addEventListener(name, act, { signal: this.stop.signal });
      on(this.box, "keydown", (event) => this.key(event));
      on(this.box, "input", () => this.isChoosing || this.filter());
      on(this.box, "blur", () => this.isMultiple || this.close());
      on(this.list, "mousedown", (event) => event.preventDefault()); // the focus stays in the box
      on(this.list, "click", (event) => this.choose(event.target.closest("[role=option]")));
      if (this.isMultiple) on(this.target, "input", () => this.mark());
    }

    remove() {
      this.stop.abort();
      this.list.remove();
      if (this.isMultiple) this.box.remove();
      else for (const name of ROLES) this.box.removeAttribute(name);
    }

    get shown() {
      return [...this.list.children].filter((item) => !item.hidden);
    }

    open() {
      this.list.hidden = false;
      this.box.setAttribute("aria-expanded", "true");
    }

    close() {
      this.list.hidden = true;
      this.box.setAttribute("aria-expanded", "false");
      this.activate(null);
    }

    filter() {
      const wanted = this.box.value.trim().toLowerCase();
      for (const item of this.list.children) {
        item.hidden = !item.textContent.toLowerCase().includes(wanted);
      }
      this.open();
      this.activate(null);
      say(this.field, found(this.shown.length));
    }

    activate(item) {
      this.active?.classList.remove("is-active");
      this.active = item || null;
      if (!item) {
        this.box.removeAttribute("aria-activedescendant");
        return;
      }
      item.classList.add("is-active");
      item.scrollIntoView({ block: "nearest" });
      this.box.setAttribute("aria-activedescendant", item.id);
    }

    /** Home and End belong to the text until an option is active. */
    key(event) {
      const { key } = event;
      const items = this.shown;
      const place = items.indexOf(this.active);
      const to = {
        ArrowDown: items[place + 1] || items[0],
        ArrowUp: items.at(place < 0 ? -1 : place - 1),
        ...(this.active && { Home: items[0], End: items.at(-1) }),
      };
      if (key in to && !event.altKey) {
        this.open();
        this.activate(to[key]);
      } else if (key === "Enter" && (this.active || this.isMultiple)) {
        this.choose(this.active);
      } else if (key === "Escape" && !this.list.hidden) {
        this.close();
      } else return;
      event.preventDefault();
    }

    choose(item) {
      if (!item) return;
      const { value } = item.dataset;
      this.isChoosing = true;
      this.target.value = this.hasLines ? this.added(value) : this.isMultiple ? this.toggled(value) : value;
      changed(this.target);
      this.isChoosing = false;
      this.mark();
      if (this.isMultiple) return;
      this.close();
      this.target.focus();
    }

    get values() {
      return this.isMultiple ? this.target.value.split(/[\s,]+/).filter(Boolean) : [this.target.value];
    }

    /** The lines with this one, unless its name has one already. */
    added(line) {
      const text = this.target.value;
      return this.has(line) ? text : [text.trimEnd(), line].filter(Boolean).join("\n");
    }

    /** `A` for `A=1` and for `A<<EOF`. */
    has(line) {
      const nameOf = (one) => one.split(/=|<</)[0].trim();
      return this.target.value.split("\n").some((one) => nameOf(one) === nameOf(line));
    }

    toggled(value) {
      const rest = this.values.filter((other) => other !== value);
      const all = rest.length < this.values.length ? rest : [...this.values, value];
      return all.join(this.target.tagName === "TEXTAREA" ? "\n" : ", ");
    }

    mark() {
      const chosen = new Set(this.values);
      for (const item of this.list.children) {
        const { value } = item.dataset;
        const isChosen = this.hasLines ? this.has(value) : chosen.has(value);
        item.setAttribute("aria-selected", String(isChosen));
      }
    }
  }

  const fillSelect = (select, options) => {
    const kept = select.value;
    const empty = [...select.options].filter((option) => option.value === "");
    select.replaceChildren(...empty, ...options.map(({ value, label }) => new Option(label, value)));
    select.value = options.some(({ value }) => value === kept) ? kept : "";
    select.focus();
  };

  // The layout gives htmx the CSRF token; it is used here too.
  const tokenHeader = () => JSON.parse(document.body.getAttribute("hx-headers") || "{}");

  /** The options, or an Error whose message is for the user. */
  const load = async (button) => {
    const form = button.form;
    const response = await fetch(button.dataset.pickerUrl, {
      method: "POST",
      body: form ? new FormData(form) : null,
      headers: { Accept: "application/json", ...tokenHeader() },
      credentials: "same-origin",
    }).catch(() => null);
    const answer = await response?.json().catch(() => null);
    if (!response?.ok || !Array.isArray(answer?.options)) {
      throw new Error(answer?.detail || texts.textFailed);
    }
    return answer;
  };

  const pickers = new WeakMap(); // by target

  const drop = (target) => {
    pickers.get(target)?.remove();
    pickers.delete(target);
  };

  const show = (field, target, { options, note }) => {
    drop(target);
    say(field, [found(options.length), note].filter(Boolean).join(" "));
    if (!options.length) return;
    if (target.tagName === "SELECT") {
      fillSelect(target, options);
      return;
    }
    const picker = new Picker(field, target, options);
    pickers.set(target, picker);
    picker.box.focus();
  };

  const pick = async (button) => {
    const target = document.getElementById(button.dataset.pickerTarget);
    const field = target.closest(".field");
    button.setAttribute("aria-disabled", "true");
    button.classList.add("is-busy");
    say(field, texts.textLoading);
    try {
      show(field, target, await load(button));
    } catch (error) {
      drop(target);
      say(field, error.message, "danger");
    } finally {
      button.removeAttribute("aria-disabled");
      button.classList.remove("is-busy");
    }
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-picker-url]");
    if (button && button.getAttribute("aria-disabled") !== "true") pick(button);
  });
})();
