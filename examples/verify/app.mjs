// An application on Node beside Doorward: it lets in whoever has a good access token.
//
//     npm install
//     DOORWARD=http://localhost:8000 node app.mjs
//
// The signature is checked with Doorward's public keys, which jose fetches and keeps, so a request costs
// no call. A token is good for ten minutes; where a sign-out must count at once, ask Doorward's
// `GET /api/v1/me` with the same token.

import { createServer } from "node:http";
import { createRemoteJWKSet, errors, jwtVerify } from "jose";

const doorward = process.env.DOORWARD;
const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", doorward));

/** The claims of a good access token; throws a JOSEError for anything else. */
async function signedIn(authorization = "") {
  const [scheme, token] = authorization.split(" ");
  if (scheme.toLowerCase() !== "bearer") throw new errors.JWSInvalid("no Bearer token");
  const { payload } = await jwtVerify(token, keys, {
    algorithms: ["EdDSA", "ES256"],
    audience: doorward,
    issuer: doorward,
    requiredClaims: ["sub", "iat", "exp", "jti"],
    // A refresh token is signed by the same key: the type tells them apart (RFC 9068).
    typ: "at+jwt",
  });
  return payload;
}

async function answer(request) {
  try {
    const claims = await signedIn(request.headers.authorization);
    if (request.url === "/admin" && !claims.roles.includes("admin")) {
      return [403, { error: "not an administrator" }];
    }
    return [200, { account: claims.sub, roles: claims.roles }];
  } catch (error) {
    if (error instanceof errors.JOSEError) return [401, { error: error.code }];
    throw error;
  }
}

createServer(async (request, response) => {
  const [status, body] = await answer(request);
  const challenge = status === 401 ? { "WWW-Authenticate": "Bearer" } : {};
  response.writeHead(status, { "Content-Type": "application/json", ...challenge });
  response.end(JSON.stringify(body));
}).listen(process.env.PORT ?? 8001, "127.0.0.1");
