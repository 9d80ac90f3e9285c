"""An application in Python beside Doorward: it lets in whoever has a good access token.

    pip install 'pyjwt[crypto]'
    DOORWARD=http://localhost:8000 python app.py

The signature is checked with Doorward's public keys, which PyJWT fetches and keeps, so a request costs
no call. A token is good for ten minutes; where a sign-out must count at once, ask Doorward's
`GET /api/v1/me` with the same token.
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt

DOORWARD = os.environ["DOORWARD"]
KEYS = jwt.PyJWKClient(DOORWARD + "/.well-known/jwks.json", lifespan=300)


def signed_in(authorization):
    """The claims of a good access token; raises PyJWTError for anything else."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise jwt.InvalidTokenError("no Bearer token")
    # A refresh token is signed by the same key: the type tells them apart (RFC 9068).
    if jwt.get_unverified_header(token).get("typ") != "at+jwt":
        raise jwt.InvalidTokenError("no access token")
    return jwt.decode(
        token,
        KEYS.get_signing_key_from_jwt(token),
        algorithms=["EdDSA", "ES256"],
        issuer=DOORWARD,
        audience=DOORWARD,
        options={"require": ["iss", "aud", "sub", "iat", "exp", "jti"]},
    )


class App(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            claims = signed_in(self.headers.get("Authorization", ""))
        except jwt.PyJWTError as error:
            return self.answer(401, {"error": type(error).__name__})
        if self.path == "/admin" and "admin" not in claims["roles"]:
            return self.answer(403, {"error": "not an administrator"})
        self.answer(200, {"account": claims["sub"], "roles": claims["roles"]})

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", 8001))), App).serve_forever()
