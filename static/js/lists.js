// Lists: a click on a row follows its link, filters apply at once, tabs show that they scroll.
(() => {
  "use strict";

  // --- The whole row is the link, with Ctrl, ⌘ and Shift as on the link itself ----------------------

  const OF_THEIR_OWN = "a, button, input, select, textarea, label, summary, form, dialog";

  document.addEventListener("click", (event) => {
    const link = event.target.closest(".table--lines tbody tr")?.querySelector("th a");
    if (!link || event.target.closest(OF_THEIR_OWN) || String(getSelection())) return;
    const { ctrlKey, metaKey, shiftKey } = event;
    link.dispatchEvent(
      new MouseEvent("click", { bubbles: true, cancelable: true, ctrlKey, metaKey, shiftKey }),
    );
  });

  // --- Filters: the list below is reloaded, and the focus stays where it is ---------------------------

  const isFilter = (node) => node.matches?.("form[data-filter]");

  let pause;

  document.addEventListener("input", ({ target }) => {
    const isChosen = target.matches("select, [type=date]");
    if (!target.form || !isFilter(target.form) || !(isChosen || target.type === "search")) return;
    clearTimeout(pause);
    pause = setTimeout(() => target.form.requestSubmit(), isChosen ? 0 : 300);
  });

  // Empty filters are left out of the address.
  document.addEventListener("htmx:configRequest", ({ target, detail }) => {
    if (!isFilter(target)) return;
    for (const [name, value] of [...detail.formData]) if (!value) detail.formData.delete(name);
  });

  // Signed out in the meantime, or an error: the page itself says so.
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (!isFilter(detail.requestConfig.elt)) return;
    if (!detail.isError && detail.serverResponse.includes('id="found"')) return;
    detail.shouldSwap = false;
    detail.requestConfig.elt.submit();
  });

  document.addEventListener("htmx:afterSettle", ({ detail }) => {
    if (!isFilter(detail.requestConfig.elt)) return;
    const said = document.getElementById("found")?.dataset.said;
    if (said) document.getElementById("announcer").textContent = said;
    document.querySelectorAll(".tabs").forEach(watch);
  });

  // --- Tabs that do not fit ----------------------------------------------------------------------------

  const mark = (tabs) => {
    const before = Math.abs(tabs.scrollLeft);
    const after = tabs.scrollWidth - tabs.clientWidth - before;
    tabs.classList.toggle("tabs--before", before > 1);
    tabs.classList.toggle("tabs--after", after > 1);
  };

  const sizes = new ResizeObserver((entries) => entries.forEach(({ target }) => mark(target)));

  const watch = (tabs) => {
    sizes.observe(tabs);
    tabs.addEventListener("scroll", () => mark(tabs), { passive: true });
  };

  document.querySelectorAll(".tabs").forEach(watch);
})();
