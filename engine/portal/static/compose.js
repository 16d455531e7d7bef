// Variables are put where one writes, faults are told to who cannot see them, and nothing is sent
// twice by a double click. Without this the same is typed, and the server sees to the rest.
(() => {
  let field = document.querySelector("[data-fills]");
  document.addEventListener("focusin", (event) => {
    if (event.target.matches("[data-fills]")) field = event.target;
  });

  const insert = (words) => {
    if (!field || field.disabled) return;
    const begin = field.selectionStart ?? field.value.length;
    field.setRangeText(words, begin, field.selectionEnd ?? begin, "end");
    field.focus();
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };

  const offer = () => {
    for (const code of document.querySelectorAll("code[data-variable]")) {
      if (code.closest("button")) continue;
      const button = document.createElement("button");
      const name = code.previousElementSibling;
      button.type = "button";
      button.className = "quiet variable";
      button.addEventListener("click", () => insert(code.textContent));
      code.replaceWith(button);
      button.append(name, code);
    }
  };

  const mark = () => {
    for (const one of document.querySelectorAll("[data-fills]")) {
      const said = document.getElementById(one.getAttribute("aria-describedby"));
      if (said?.querySelector(".fault")) one.setAttribute("aria-invalid", "true");
      else one.removeAttribute("aria-invalid");
    }
  };

  document.addEventListener("htmx:after:swap", () => { offer(); mark(); });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-once]")) return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("[data-once]")) delete form.dataset.sent;
  });
  offer();
})();
