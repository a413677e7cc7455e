// Offers what the provider knows (repositories, jobs, channels, projects) for a field of a form.
//
// <button type="button" data-picker-url="/…/options" data-picker-target="id_repository_url">
// posts the fields of its form there and reads {"options": [{"value", "label"}]} or a problem
// {"detail"}. A select gets the options; a text field a list to choose one from; a field with
// data-picker-multiple (values divided by commas or lines) a list to choose several from.
(() => {
  "use strict";
  const texts = document.body.dataset;

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

  const valuesOf = (target) =>
    target.value
      .split(/[\s,]+/)
      .map((value) => value.trim())
      .filter(Boolean);

  const isMultiple = (target) => "pickerMultiple" in target.dataset;

  const isChosen = (target, value) =>
    isMultiple(target) ? valuesOf(target).includes(value) : target.value === value;

  const toggled = (target, value) => {
    const values = valuesOf(target);
    const rest = values.filter((other) => other !== value);
    return rest.length < values.length ? rest : [...values, value];
  };

  const mark = (list, target) => {
    for (const button of list.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(isChosen(target, button.value)));
    }
  };

  const choose = (list, target, value) => {
    if (isMultiple(target)) {
      target.value = toggled(target, value).join(target.tagName === "TEXTAREA" ? "\n" : ", ");
      mark(list, target);
    } else {
      target.value = value;
      list.remove();
      target.focus();
    }
    changed(target);
  };

  const choice = ({ value, label }) => {
    const item = make("li");
    const button = make("button", { type: "button", value }, label || value);
    if (label && label !== value) button.append(make("small", {}, value));
    item.append(button);
    return item;
  };

  const filter = (list, words) => {
    const wanted = words.toLowerCase();
    for (const item of list.children) {
      item.hidden = !item.textContent.toLowerCase().includes(wanted);
    }
  };

  const showList = (field, target, options) => {
    const list = make("ul", { class: "picker", role: "list", "aria-label": texts.textOptions });
    list.append(...options.map(choice));
    list.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) choose(list, target, button.value);
    });
    if (!isMultiple(target)) target.addEventListener("input", () => filter(list, target.value));
    mark(list, target);
    field.append(list);
  };

  const fillSelect = (select, options) => {
    const kept = select.value;
    const empty = [...select.options].filter((option) => option.value === "");
    select.replaceChildren(...empty, ...options.map(({ value, label }) => new Option(label, value)));
    select.value = options.some(({ value }) => value === kept) ? kept : "";
    select.focus();
  };

  const say = (field, text, tone = "") => {
    const status = field.querySelector(".picker__status");
    if (!status) return;
    status.textContent = text;
    status.dataset.tone = tone;
  };

  // The layout hands htmx the token against forged requests; it serves here too.
  const tokenHeader = () => JSON.parse(document.body.getAttribute("hx-headers") || "{}");

  /** The options, or an Error whose message is for the reader. */
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
    return answer.options;
  };

  const show = (field, target, options) => {
    field.querySelector(".picker")?.remove();
    say(field, options.length ? texts.textFound.replace("%d", options.length) : texts.textNone);
    if (!options.length) return;
    if (target.tagName === "SELECT") fillSelect(target, options);
    else showList(field, target, options);
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
      field.querySelector(".picker")?.remove();
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
