// A page that renews itself does not while nobody can see it, and says so when it cannot go on.
(() => {
  let over = false;
  const say = (isStale) => { document.getElementById("stale").hidden = !isStale; };
  document.addEventListener("htmx:before:request", (event) => {
    if (over || document.hidden) event.preventDefault();
  });
  document.addEventListener("htmx:response:error", (event) => {
    over ||= [401, 403].includes(event.detail.ctx.response.status);
    say(true);
  });
  document.addEventListener("htmx:error", () => say(true));
  document.addEventListener("htmx:after:request", (event) => {
    if (event.detail.ctx.response.status < 400) say(false);
  });
})();
