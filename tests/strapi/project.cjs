// Starts a real Strapi project in the folder it is run in, makes users in it as people and administrators do, and stops.
// `make` runs it; it prints what was made as JSON.

const fs = require('node:fs');
const path = require('node:path');

const folder = process.cwd();
const [client, url] = process.argv.slice(2);
// In two pieces, so that nobody copies one that works.
const jwtSecret = ['c3RyYXBpIGZpeHR1', 'cmUsIG5vdCBhIHNlY3JldA=='].join('');

function write(name, text) {
  const file = path.join(folder, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text);
}

function connection() {
  if (client === 'sqlite') return { filename: path.join(folder, 'data.db') };
  const { hostname, port, username, password, pathname } = new URL(url);
  return { host: hostname, port: Number(port), user: username, password, database: pathname.slice(1) };
}

function configure() {
  const settings = {
    admin: {
      auth: { secret: 'admin' },
      apiToken: { salt: 'api' },
      transfer: { token: { salt: 'transfer' } },
      secrets: { encryptionKey: 'encryption' },
      serveAdminPanel: false,
      autoOpen: false,
    },
    server: { host: '127.0.0.1', port: 0, app: { keys: ['one', 'two'] } },
    api: {},
    plugins: {
      'users-permissions': { config: { jwtSecret, jwtManagement: process.env.JWT_MANAGEMENT || 'legacy-support', ratelimit: { enabled: false } } },
    },
    middlewares: ['errors', 'security', 'cors', 'query', 'body', 'session', 'favicon', 'public'].map((name) => `strapi::${name}`),
    database: { connection: { client, connection: connection(), useNullAsDefault: client === 'sqlite' } },
  };
  for (const [name, value] of Object.entries(settings)) {
    write(`config/${name}.js`, `module.exports = ${JSON.stringify(value)};\n`);
  }
  write('src/index.js', 'module.exports = {};\n');
  write('src/api/.gitkeep', '');
  write('public/uploads/.gitkeep', '');
}

async function start() {
  const strapi = require(require.resolve('@strapi/strapi', { paths: [folder] }));
  const create = strapi.createStrapi ?? strapi;
  const options = { appDir: folder, distDir: folder, autoReload: false, serveAdminPanel: false };
  const app = await create(options).start();
  return app;
}

async function main() {
  configure();
  const app = await start();
  const origin = `http://127.0.0.1:${app.server.httpServer.address().port}`;
  const call = async (where, body) => {
    const headers = { 'content-type': 'application/json' };
    const reply = await fetch(`${origin}/api/auth/${where}`, { method: 'POST', headers, body: JSON.stringify(body) });
    const json = await reply.json();
    return { status: reply.status, ...json };
  };
  const users = app.db.query('plugin::users-permissions.user');
  const roles = app.db.query('plugin::users-permissions.role');
  const service = app.plugin('users-permissions').service('user');
  const roleService = app.plugin('users-permissions').service('role');
  for (const name of ['Éditeur en chef', 'Admin']) await roleService.createRole({ name, description: name, permissions: {} });
  const role = async (name) => (await roles.findOne({ where: { name } })).id;

  // As people do it.
  const register = async (username, email, password) => {
    const reply = await call('local/register', { username, email, password });
    if (!reply.user) throw new Error(`${email}: ${JSON.stringify(reply)}`);
    return reply.user.id;
  };
  await register('alice', 'Alice@Example.com', 'wonderland 1865');
  await register('Zoë Müller', 'zoe@example.com', 'gr\u00fc\u00dfe aus k\u00f6ln');
  // The accent is a character of its own, as some keyboards type it.
  await register('renee', 'renee@example.com', 'cafe\u0301 noir 7');
  await register('bob smith', 'bob@example.com', 'b'.repeat(72));
  const blocked = await register('mallory', 'mallory@example.com', 'blocked but right');
  const unconfirmed = await register('trent', 'trent@example.com', 'not yet confirmed');
  const editor = await register('editor', 'editor@example.com', 'red pencil 2000');
  const boss = await register('boss', 'boss@example.com', 'corner office 9');
  const refused = await call('local/register', { username: 'long', email: 'long@example.com', password: 'l'.repeat(80) });

  // As administrators and scripts do it: nothing is checked there.
  await service.add({ username: 'longwinded', email: 'longwinded@example.com', password: 'x'.repeat(100), provider: 'local', confirmed: true, role: await role('Authenticated') });
  await service.add({ username: 'octocat', email: 'octocat@example.com', provider: 'github', confirmed: true, role: await role('Authenticated') });
  await service.add({ username: 'alice two', email: 'alice.two@example.com', password: 'another alice 3', provider: 'local', confirmed: true, role: await role('Authenticated') });
  await service.add({ username: 'nobody here', email: 'nobody@example.com', password: 'unreachable 12', provider: 'local', confirmed: true, role: await role('Authenticated') });
  await service.add({ username: 'nameonly', email: 'name.only@example.com', password: 'only a name 44', provider: 'local', confirmed: true, role: await role('Authenticated') });

  // What scripts of their own, or an older Strapi, leave behind.
  await users.update({ where: { username: 'alice two' }, data: { username: 'ALICE' } });
  await users.update({ where: { username: 'nobody here' }, data: { email: 'not an address' } });
  await users.update({ where: { username: 'nameonly' }, data: { email: null } });

  await users.update({ where: { id: blocked }, data: { blocked: true } });
  await users.update({ where: { id: unconfirmed }, data: { confirmed: false } });
  await users.update({ where: { id: editor }, data: { role: await role('Éditeur en chef') } });
  await users.update({ where: { id: boss }, data: { role: await role('Admin') } });

  const signedIn = await call('local', { identifier: 'alice', password: 'wonderland 1865' });
  const rows = await users.findMany({ orderBy: { id: 'asc' }, populate: ['role'] });
  const made = {
    strapi: require(path.join(folder, 'node_modules/@strapi/strapi/package.json')).version,
    jwtSecret,
    token: signedIn.jwt,
    refused: refused.error?.message ?? 'taken',
    users: rows.map((row) => ({ id: row.id, username: row.username, email: row.email, provider: row.provider, confirmed: row.confirmed, blocked: row.blocked, role: row.role?.type, hash: row.password?.slice(0, 7) ?? null })),
  };
  await app.destroy();
  console.log(JSON.stringify(made, null, 2));
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
