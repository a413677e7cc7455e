// While a provider is asked, a form says so: <form data-asks-provider> with [data-busy-words] inside.
(() => {
  "use strict";
  document.addEventListener("submit", (event) => {
    const { target: form } = event;
    if (event.defaultPrevented || !("asksProvider" in form.dataset)) return;
    for (const words of form.querySelectorAll("[data-busy-words]")) words.hidden = false;
  });

  // Back from the browser's cache, nothing is under way.
  window.addEventListener("pageshow", () => {
    for (const words of document.querySelectorAll("[data-busy-words]")) words.hidden = true;
  });
})();
