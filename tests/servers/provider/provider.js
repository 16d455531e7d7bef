// A provider of OpenID Connect for tests: oidc-provider, with people who sign in by their name
// alone, and with lies that a test may ask of it.
//
// usage: node provider.js SETTINGS, a file of JSON: port, key, certificate, client_id,
// client_secret, redirect_uris, post_logout_redirect_uris
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { parse } from "node:querystring";
import { Provider } from "oidc-provider";
import { SignJWT, UnsecuredJWT, decodeJwt, importJWK } from "jose";

const settings = JSON.parse(readFileSync(process.argv[2], "utf-8"));
const issuer = `https://127.0.0.1:${settings.port}`;
const jwk = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });
const own = { ...jwk, kid: "own", alg: "RS256", use: "sig" };

// Somebody's name at the provider may say more: "anna+mfa" showed a second factor there, the
// address of "anna+unverified" was never verified.
const claimsOf = (id) => {
  const [name, ...marks] = id.split("+");
  return {
    sub: id,
    email: `${name}@lincoln.example`,
    email_verified: !marks.includes("unverified"),
    preferred_username: name,
  };
};

const goodbye = (form) => `<!doctype html><html lang="en"><title>The district</title><main>${form}
<button form="op.logoutForm" name="logout" value="yes">Sign out</button></main></html>`;

const logouts = [];

const provider = new Provider(issuer, {
  jwks: { keys: [own] },
  clients: [{
    client_id: settings.client_id,
    client_secret: settings.client_secret,
    redirect_uris: settings.redirect_uris,
    post_logout_redirect_uris: settings.post_logout_redirect_uris,
    backchannel_logout_uri: settings.redirect_uris[0].replace("callback", "back-channel-logout"),
    backchannel_logout_session_required: true,
    grant_types: ["authorization_code"],
    response_types: ["code"],
  }],
  pkce: { required: () => true },
  // What it tells a portal server to server is kept for a test that asks, and carries it there.
  fetch: async (_, { body }) => {
    logouts.push(body.get("logout_token"));
    return new Response();
  },
  claims: { openid: ["sub", "amr"], email: ["email", "email_verified"], profile: ["preferred_username"] },
  cookies: { keys: [randomBytes(32).toString("hex")] },
  features: {
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: { enabled: true, logoutSource: (ctx, form) => { ctx.body = goodbye(form); } },
  },
  findAccount: (_, id) => ({ accountId: id, claims: () => claimsOf(id) }),
  interactions: { url: (_, { uid }) => `/interaction/${uid}` },
  loadExistingGrant: async (ctx) => {
    const grant = new ctx.oidc.provider.Grant({
      clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId,
    });
    grant.addOIDCScope("openid email profile");
    await grant.save();
    return grant;
  },
});

// What the next token says that is not so; each is told once.
let lie = "";
const LIES = {
  nonce: (claims) => ({ ...claims, nonce: "another" }),
  issuer: (claims) => ({ ...claims, iss: "https://evil.example" }),
  audience: (claims) => ({ ...claims, aud: "another client" }),
  audiences: (claims) => ({ ...claims, aud: [claims.aud, "another client"], azp: claims.aud }),
  party: (claims) => ({ ...claims, azp: "another client" }),
  expired: (claims) => ({ ...claims, iat: claims.iat - 7200, exp: claims.exp - 7200 }),
  subject: ({ sub, ...claims }) => claims,
  hash: (claims) => ({ ...claims, at_hash: "AAAAAAAAAAAAAAAAAAAAAA" }),
};

const told = async (token) => {
  const claims = decodeJwt(token);
  if (lie === "alg none") return new UnsecuredJWT(claims).encode();
  if (lie === "secret") {
    return new SignJWT(claims).setProtectedHeader({ alg: "HS256" })
      .sign(new TextEncoder().encode(settings.client_secret.padEnd(32, "0")));
  }
  const stranger = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  const key = lie === "key" ? stranger : await importJWK(own, "RS256");
  const said = lie === "key" ? claims : LIES[lie](claims);
  return new SignJWT(said).setProtectedHeader({ alg: "RS256", kid: "own" }).sign(key);
};

const LOGOUT_LIES = {
  "no event": ({ events, ...claims }) => claims,
  "another event": (claims) => ({ ...claims, events: { "http://evil.example": {} } }),
  "a nonce": (claims) => ({ ...claims, nonce: "x" }),
  "no jti": ({ jti, ...claims }) => claims,
  "no exp": ({ exp, ...claims }) => claims,
  "long ago": (claims) => ({ ...claims, iat: claims.iat - 3600 }),
  nobody: ({ sub, sid, ...claims }) => claims,
  issuer: LIES.issuer,
  audience: LIES.audience,
  expired: LIES.expired,
  // These are no lies: a provider may say less.
  "of a person": ({ sid, ...claims }) => claims,
  "of a session": ({ sub, ...claims }) => claims,
};

// A logout token of oidc-provider itself for somebody, or one that is changed and signed again.
const loggedOut = async ({ sub, sid, lie: change }) => {
  const client = await provider.Client.find(settings.client_id);
  await client.backchannelLogout(sub, sid);
  const token = logouts.pop();
  if (!change) return token;
  const signed = new SignJWT(LOGOUT_LIES[change] ? LOGOUT_LIES[change](decodeJwt(token)) : decodeJwt(token));
  const stranger = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  const key = change === "key" ? stranger : await importJWK(own, "RS256");
  const typ = change === "type" ? "at+jwt" : "logout+jwt";
  return signed.setProtectedHeader({ alg: "RS256", kid: "own", typ }).sign(key);
};

const OF_A_PERSON = "another person";

provider.use(async (ctx, next) => {
  await next();
  if (lie === OF_A_PERSON && ctx.path === "/me") {
    ctx.body = { ...ctx.body, sub: "somebody-else" };
    lie = "";
  } else if (lie && lie !== OF_A_PERSON && ctx.path === "/token" && ctx.body?.id_token) {
    ctx.body.id_token = await told(ctx.body.id_token);
    lie = "";
  }
});

const body = async (request) => {
  let text = "";
  for await (const part of request) text += part;
  return parse(text);
};

const page = (uid) => `<!doctype html><html lang="en"><title>The district</title>
<main><h1>The district's sign-in</h1><form method="post" action="/interaction/${uid}">
<label>Name <input name="login" autofocus></label><button>Go on</button></form></main></html>`;

createServer(
  { key: readFileSync(settings.key), cert: readFileSync(settings.certificate) },
  async (request, response) => {
    const url = new URL(request.url, issuer);
    if (url.pathname === "/lie") {
      lie = (await body(request)).lie;
      return response.end();
    }
    if (url.pathname === "/logout") return response.end(await loggedOut(await body(request)));
    if (url.pathname.startsWith("/interaction/")) {
      if (request.method === "GET") {
        response.setHeader("content-type", "text/html; charset=utf-8");
        return response.end(page(url.pathname.split("/")[2]));
      }
      const { login } = await body(request);
      const answer = login
        ? { login: { accountId: login, amr: login.includes("+mfa") ? ["pwd", "mfa"] : ["pwd"] } }
        : { error: "access_denied", error_description: "Nobody signed in." };
      return provider.interactionFinished(request, response, answer);
    }
    return provider.callback()(request, response);
  },
).listen(settings.port, "127.0.0.1");
