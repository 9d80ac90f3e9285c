"""Judges access tokens by a JWK set, as a service beside Doorward would: with PyJWT.

Reads {"jwks": ..., or "url": ..., "issuer", "audience", "now" (seconds, optional), "type"
("at+jwt" if it is missing), "tokens": {name: token}}
from standard input, and writes {"verdicts": {name: "good", or the name of the error}, "thumbprints": {kid:
whether it is the key's RFC 7638 thumbprint}}.
"""

import base64
import datetime
import hashlib
import json
import sys

import jwt
from jwt import api_jwt

REQUIRED = {"OKP": ("crv", "kty", "x"), "EC": ("crv", "kty", "x", "y")}

REQUIRED_CLAIMS = {
    "at+jwt": ["iss", "aud", "sub", "iat", "nbf", "exp", "jti"],
    "id+jwt": ["iss", "aud", "sub", "iat", "nbf", "exp"],
}


def set_time(now):
    """Lets PyJWT believe that it is `now`."""

    class Then(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.datetime.fromtimestamp(now, tz)

    api_jwt.datetime = Then


def thumbprint(key):
    members = {name: key[name] for name in REQUIRED[key["kty"]]}
    text = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def judge(token, keys, asked):
    try:
        header = jwt.get_unverified_header(token)
        kind = asked.get("type", "at+jwt")
        if header["typ"] != kind:
            return "WrongType"
        if header["kid"] not in keys:
            return "UnknownKey"
        key = jwt.PyJWK.from_dict(keys[header["kid"]])
        jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            issuer=asked["issuer"],
            audience=asked["audience"],
            options={"require": REQUIRED_CLAIMS[kind]},
        )
    except jwt.PyJWTError as error:
        return type(error).__name__
    return "good"


def main():
    asked = json.load(sys.stdin)
    if "url" in asked:
        # Fetched and checked by PyJWT's own client.
        client = jwt.PyJWKClient(asked["url"])
        ids = {key.key_id for key in client.get_signing_keys()}
        published = client.fetch_data()["keys"]
        assert ids == {key["kid"] for key in published}
    else:
        published = asked["jwks"]["keys"]
    if "now" in asked:
        set_time(asked["now"])
    keys = {key["kid"]: key for key in published}
    verdicts = {name: judge(token, keys, asked) for name, token in asked["tokens"].items()}
    thumbprints = {kid: thumbprint(key) == kid for kid, key in keys.items()}
    json.dump({"verdicts": verdicts, "thumbprints": thumbprints}, sys.stdout)


main()
