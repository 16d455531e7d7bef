// Forms that are sent by a passkey. Without this file they stay hidden: each has another way beside.
(() => {
  if (!window.PublicKeyCredential) return;

  const bytes = (words) => {
    const plain = atob(words.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(plain, (one) => one.charCodeAt(0));
  };
  const words = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const known = (listed) => (listed ?? []).map((one) => ({ ...one, id: bytes(one.id) }));

  const create = async (asked) => {
    const made = await navigator.credentials.create({ publicKey: {
      ...asked, challenge: bytes(asked.challenge), user: { ...asked.user, id: bytes(asked.user.id) },
      excludeCredentials: known(asked.excludeCredentials),
    } });
    return { made, response: {
      attestationObject: words(made.response.attestationObject),
      transports: made.response.getTransports?.() ?? [],
    } };
  };
  const get = async (asked) => {
    const made = await navigator.credentials.get({ publicKey: {
      ...asked, challenge: bytes(asked.challenge), allowCredentials: known(asked.allowCredentials),
    } });
    const { authenticatorData, signature, userHandle } = made.response;
    return { made, response: {
      authenticatorData: words(authenticatorData), signature: words(signature),
      userHandle: userHandle ? words(userHandle) : null,
    } };
  };
  const shown = ({ made, response }) => JSON.stringify({
    id: made.id, rawId: words(made.rawId), type: made.type, clientExtensionResults: {},
    response: { ...response, clientDataJSON: words(made.response.clientDataJSON) },
  });

  const send = async (form) => {
    const said = form.parentElement.querySelector("[data-passkey-trouble]");
    said.hidden = true;
    try {
      const answer = await fetch(form.dataset.options, { method: "POST" });
      if (!answer.ok) return form.submit();
      const asked = await answer.json();
      const ask = form.dataset.passkey === "create" ? create : get;
      form.elements.credential.value = shown(await ask(asked));
      form.submit();
    } catch {
      said.hidden = false;
    }
  };

  for (const one of document.querySelectorAll("[data-passkey-without]")) one.hidden = true;
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.closest("[data-passkey-only]").hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      send(form);
    });
  }
})();
