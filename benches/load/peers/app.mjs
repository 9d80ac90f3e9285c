// The work of signing in and of a signed-in request, as the guides of Fastify and @fastify/jwt have it.
// The token is in a cookie; whether its session lives is asked of Redis at every request.

import { randomUUID } from 'node:crypto'
import cookie from '@fastify/cookie'
import jwt from '@fastify/jwt'
import { hash, verify } from '@node-rs/argon2'
import Fastify from 'fastify'
import { Redis } from 'ioredis'

const cost = { algorithm: 2, memoryCost: 19456, timeCost: 2, parallelism: 1 }
const people = { 'ada@example.com': await hash(process.env.PEER_PASSWORD, cost) }
const store = new Redis(Number(process.env.REDIS_PORT))
const app = Fastify()
const secret = 'a key of the load measurement, good for nothing else'
app.register(cookie)
app.register(jwt, { secret, cookie: { cookieName: 'at' } })

app.post('/login', async (request, reply) => {
  const { email, password } = request.body
  if (!people[email] || !(await verify(people[email], password))) {
    return reply.code(401).send({ error: 'invalid credentials' })
  }
  const sid = randomUUID()
  const user = '{"user":{"id":"1","email":"ada@example.com","roles":["user"]}}'
  await store.hset(`fastify:${sid}`, 'user', user)
  const token = app.jwt.sign({ sid }, { expiresIn: '1d' })
  return reply.setCookie('at', token, { path: '/', httpOnly: true, secure: true }).send({ done: true })
})

app.get('/me', async (request, reply) => {
  await request.jwtVerify()
  const user = await store.hget(`fastify:${request.user.sid}`, 'user')
  if (!user) return reply.code(401).send({ error: 'session ended' })
  return reply.type('application/json').send(user)
})

app.get('/alive', async () => 'yes')

await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })
