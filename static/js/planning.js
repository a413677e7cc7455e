// The form of a new release: a pipeline is unticked and ticked together with its target.
(() => {
  "use strict";

  document.addEventListener("change", ({ target }) => {
    if (!target.matches("input[name=targets]")) return;
    for (const pipeline of target.form.querySelectorAll("input[name=pipelines][data-target]")) {
      if (pipeline.dataset.target !== target.value) continue;
      if (!target.checked && pipeline.checked) pipeline.dataset.unticked = "";
      if (!target.checked) pipeline.checked = false;
      else if ("unticked" in pipeline.dataset) {
        pipeline.checked = true;
        delete pipeline.dataset.unticked;
      }
    }
  });
})();
