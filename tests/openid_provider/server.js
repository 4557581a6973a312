/**
 * An OpenID provider for tests: the certified `oidc-provider`, where whoever comes is signed in at once as the person
 * that the test has put down with `POST /person`. With `POST /redirects` it lets people back to these addresses from here
 * on, with `POST /keys` it signs with another key. Prints its address once it listens.
 *
 * node server.js REDIRECT_URI...
 */
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";

import { Provider } from "oidc-provider";

let redirects = process.argv.slice(2);
let keys = newKeys("first");
let person = { sub: "1", email: "ada@example.com", email_verified: true, name: "Ada", groups: [] };

const server = createServer((request, response) => void handle(request, response));
server.listen(0, "127.0.0.1", () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  provider = made();
  console.log(issuer);
});
let issuer;
let provider;

function newKeys(kid) {
  const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });
  return { keys: [{ ...key, kid, use: "sig", alg: "RS256" }] };
}

function made() {
  return new Provider(issuer, {
    clients: [
      {
        client_id: "broadaxe",
        client_secret: "a secret: with signs/+",
        redirect_uris: redirects,
        post_logout_redirect_uris: redirects.map((address) => new URL("/login", address).href),
        response_types: ["code"],
        grant_types: ["authorization_code"],
      },
    ],
    jwks: keys,
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "groups"] },
    // Claims stand in the ID token, as most providers have it.
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    cookies: { keys: ["for tests alone"] },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ ...person, sub }) }),
    loadExistingGrant: async (context) => {
      const grant = new context.oidc.provider.Grant({ clientId: context.oidc.client.clientId, accountId: context.oidc.session.accountId });
      grant.addOIDCScope("openid email profile");
      await grant.save();
      return grant;
    },
  });
}

async function handle(request, response) {
  if (request.method === "POST" && ["/person", "/redirects", "/keys"].includes(request.url)) {
    let text = "";
    for await (const part of request) text += part;
    if (request.url === "/person") person = JSON.parse(text);
    if (request.url === "/redirects") redirects = JSON.parse(text);
    if (request.url === "/keys") keys = newKeys("another");
    if (request.url !== "/person") provider = made();
    response.end();
  } else if (request.url.startsWith("/interaction/")) {
    await provider.interactionFinished(request, response, { login: { accountId: person.sub, remember: false } });
  } else {
    provider.callback()(request, response);
  }
}
