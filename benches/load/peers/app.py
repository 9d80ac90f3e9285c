"""The work of signing in and of a signed-in request, as the guides of Flask and Flask-JWT-Extended have it.

The token is in a cookie; whether its session lives is asked of Redis at every request.
"""

import os

import redis
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from flask import Flask, g, jsonify, request
from flask_jwt_extended import JWTManager, create_access_token, get_jti, jwt_required, set_access_cookies

app = Flask(__name__)
app.config.update(
    JWT_SECRET_KEY="a key of the load measurement, good for nothing else",
    JWT_TOKEN_LOCATION=["cookies"],
    JWT_COOKIE_SECURE=True,
)
jwt = JWTManager(app)
store = redis.Redis(port=int(os.environ["REDIS_PORT"]), decode_responses=True)
hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
people = {"ada@example.com": hasher.hash(os.environ["PEER_PASSWORD"])}


@jwt.token_in_blocklist_loader
def is_over(_header, claims):
    g.user = store.hget(f"flask:{claims['jti']}", "user")
    return g.user is None


@app.post("/login")
def log_in():
    body = request.get_json()
    try:
        hasher.verify(people[body["email"]], body["password"])
    except (KeyError, VerifyMismatchError):
        return jsonify(error="invalid credentials"), 401
    token = create_access_token(identity=body["email"])
    user = '{"user":{"id":"1","email":"ada@example.com","roles":["user"]}}'
    store.hset(f"flask:{get_jti(token)}", "user", user)
    answer = jsonify(done=True)
    set_access_cookies(answer, token)
    return answer


@app.get("/me")
@jwt_required()
def me():
    return app.response_class(g.user, mimetype="application/json")


@app.get("/alive")
def alive():
    return "yes"
