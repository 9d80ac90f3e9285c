"""What schemathesis has to know: who asks, and texts that no schema describes."""

import os

import requests
import schemathesis
from hypothesis import strategies as st

URL = os.environ["CONTRACT_URL"]
PASSWORD = os.environ["CONTRACT_PASSWORD"]

# Calls that end the session they are made with, or may: each gets one of its own.
ENDS_ITSELF = {"logOut", "endMySessions", "endMySession", "endUserSessions", "rotateKeys"}
# Calls that sign in. A token that came along would be ended with its session.
NEEDS_NONE = {"register", "logIn", "refresh"}


def sign_in(email):
    answer = requests.post(
        f"{URL}/api/v1/auth/login", json={"email": email, "password": PASSWORD}, timeout=30
    )
    answer.raise_for_status()
    pairs = [cookie.split(";")[0].split("=", 1) for cookie in answer.raw.headers.getlist("Set-Cookie")]
    return next(value for name, value in pairs if name.endswith("-at"))


class Token:
    """A Bearer token of an administrator, good at the moment it is used."""

    def __init__(self):
        self.token = None

    def good(self):
        answer = requests.get(
            f"{URL}/api/v1/me", headers={"Authorization": f"Bearer {self.token}"}, timeout=30
        )
        return answer.status_code == 200


TOKEN = Token()


@schemathesis.auth(refresh_interval=None)
class SignIn:
    def get(self, case, context):
        name = context.operation.definition.raw.get("operationId")
        if name in NEEDS_NONE:
            return None
        if name in ENDS_ITSELF:
            return sign_in("root@example.org")
        if TOKEN.token is None or not TOKEN.good():
            TOKEN.token = sign_in("root@example.org")
        return TOKEN.token

    def set(self, case, token, context):
        if token is not None:
            case.headers = case.headers or {}
            case.headers["Authorization"] = f"Bearer {token}"


letters = st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=12)
schemathesis.openapi.format(
    "idn-email", st.builds("{}@{}.example".format, letters, letters)
)
# Good ones: what the policy refuses besides, no schema says.
schemathesis.openapi.format(
    "password", st.uuids(version=4).map(lambda one: f"{one.hex[:8]} lantern {one.hex[8:20]}")
)
