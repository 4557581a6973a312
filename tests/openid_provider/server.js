/**
 * An OpenID provider for tests: the certified `oidc-provider`, where whoever comes is signed in at once as the person
 * that the test has put down with `POST /person`. Prints its address once it listens.
 *
 * node server.js REDIRECT_URI
 */
import { createServer } from "node:http";

import { Provider } from "oidc-provider";

let person = { sub: "1", email: "ada@example.com", email_verified: true, name: "Ada", groups: [] };

const server = createServer((request, response) => void handle(request, response));
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  provider = made(issuer);
  console.log(issuer);
});
let provider;

function made(issuer) {
  return new Provider(issuer, {
    clients: [
      {
        client_id: "broadaxe",
        client_secret: "a secret: with signs/+",
        redirect_uris: process.argv.slice(2),
        response_types: ["code"],
        grant_types: ["authorization_code"],
      },
    ],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "groups"] },
    // Claims stand in the ID token, as most providers have it.
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    cookies: { keys: ["for tests alone"] },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => person }),
    loadExistingGrant: async (context) => {
      const grant = new context.oidc.provider.Grant({ clientId: context.oidc.client.clientId, accountId: context.oidc.session.accountId });
      grant.addOIDCScope("openid email profile");
      await grant.save();
      return grant;
    },
  });
}

async function handle(request, response) {
  if (request.url === "/person" && request.method === "POST") {
    let text = "";
    for await (const part of request) text += part;
    person = JSON.parse(text);
    response.end();
  } else if (request.url.startsWith("/interaction/")) {
    await provider.interactionFinished(request, response, { login: { accountId: person.sub, remember: false } });
  } else {
    provider.callback()(request, response);
  }
}
