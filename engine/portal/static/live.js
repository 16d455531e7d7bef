// A page that renews itself does not while nobody can see it, nor when nothing changes any more, and
// says so when it cannot go on.
// Whoever turns pages by keyboard and comes to the last one stays where they turn back.
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
    const answer = event.detail.ctx.response;
    if (answer.status < 400) say(false);
    over ||= answer.headers.has("schoolbell-settled");
  });
  let had = null;
  document.addEventListener("htmx:before:swap", () => { had = document.activeElement; });
  document.addEventListener("htmx:after:swap", () => {
    const isLost = had && !had.isConnected && document.activeElement === document.body;
    if (isLost && had.closest(".turn")) document.querySelector(".turn button")?.focus();
  });
})();
